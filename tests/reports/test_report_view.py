# SPDX-License-Identifier: BSD-3-Clause
"""`Report.view`: the order and the selection of the sites that are shown."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from made_up_report import report, site

import fasttime
from fasttime import Report
from fasttime.reports.formats.table import as_text
from fasttime.reports.view import guides


def training() -> Report:
    return report(
        site(
            "step",
            site("data", device=1e-3, share=0.1, calls=30, self_time=0.01),
            site(
                "forward",
                site("encoder", device=2e-3, share=0.2, self_time=0.02),
                site("decoder", device=3e-3, share=0.3, self_time=0.03),
                device=6e-3,
                share=0.6,
                self_time=0.001,
            ),
            device=8e-3,
            share=0.9,
            self_time=0.005,
        ),
        site("validate", device=1e-4, share=0.01, self_time=0.001),
    )


def names(made: Report) -> list[str]:
    """Return the names in the order of the printed table."""
    rows = as_text(made, 200).splitlines()[2:]
    cells = [row.lstrip("│├└ ").split("  ")[0] for row in rows]
    return [cell for cell in cells if cell in made_names(made)]


def made_names(made: Report) -> set[str]:
    return {one.name for one in made.walk()}


def test_without_arguments_nothing_changes() -> None:
    assert as_text(training().view(), 120) == as_text(training(), 120)


def test_siblings_are_sorted_and_stay_below_parents() -> None:
    shown = names(training().view(sort="total"))
    assert shown == ["step", "forward", "decoder", "encoder", "data", "validate"]
    assert names(training().view(sort="calls"))[:2] == ["step", "data"]


def test_unknown_values_come_last() -> None:
    made = report(site("none", self_time=None), site("some", self_time=0.1))
    assert names(made.view(sort="self")) == ["some", "none"]


def test_top_keeps_the_greatest_and_their_parents() -> None:
    made = training().view(sort="self", top=2)
    assert names(made) == ["step", "forward", "decoder", "encoder"]
    assert "4 of 6 sites are shown." in as_text(made, 200)
    assert names(training().view(top=1)) == ["step"]


def test_small_shares_are_left_out() -> None:
    assert names(training().view(min_share=0.25)) == ["step", "forward", "decoder"]


def test_a_site_above_a_great_share_is_shown() -> None:
    made = report(site("open", site("inside", share=0.5), share=None, device=None, calls=0))
    assert names(made.view(min_share=0.4)) == ["open", "inside"]


def test_every_printed_format_follows_the_view(tmp_path: Path) -> None:
    made = training().view(sort="total", top=1, title="Monday & Tuesday")
    for suffix in ("html", "md", "csv", "txt"):
        made.save(tmp_path / f"r.{suffix}")
        text = (tmp_path / f"r.{suffix}").read_text(encoding="utf-8")
        assert "step" in text, suffix
        assert "decoder" not in text, suffix
        if suffix != "csv":
            assert "Monday" in text, suffix
    assert "<h1>Monday &amp; Tuesday</h1>" in made.to_html()
    assert "decoder" not in made._repr_html_()


def test_a_frame_follows_the_view() -> None:
    pytest.importorskip("pandas")
    assert list(training().view(top=1).to_pandas()["path"]) == ["step"]


def test_json_keeps_every_site(tmp_path: Path) -> None:
    made = training().view(top=1)
    made.save(tmp_path / "r.json")
    loaded = fasttime.load(tmp_path / "r.json")
    assert [one.path for one in loaded.walk()] == [one.path for one in training().walk()]
    assert len(json.loads(json.dumps(made.to_dict()))["sites"]) == 6


def test_a_view_is_the_same_report() -> None:
    made = training().view(sort="p99", top=3)
    assert made == training()
    assert pickle.loads(pickle.dumps(made)).shown_as == made.shown_as
    assert names(made.view()) == names(training())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sort": "totals"}, "did you mean 'total'"),
        ({"top": 0}, "1 or more"),
        ({"top": 2.5}, "1 or more"),
        ({"min_share": 5}, "0.01 for 1 %"),
        ({"title": 3}, "title must be a str"),
    ],
)
def test_mistakes_are_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        training().view(**options)


def test_guides_draw_the_tree() -> None:
    assert guides([0, 1, 2, 2, 1, 0, 1]) == ["", "├ ", "│ ├ ", "│ └ ", "└ ", "", "└ "]
