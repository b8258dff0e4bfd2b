# SPDX-License-Identifier: BSD-3-Clause
"""Reports as Markdown, JSON and HTML."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from made_up_report import chain, report, site, training, unplaced
from page_reader import Page
from simulated_cuda import Simulated

from fasttime import Recorder, Report, SiteReport
from fasttime.html.page import asset

STYLE = asset("result.css")

# --- the data ---


def test_a_dict_has_every_figure(cuda: Simulated, recorder: Recorder) -> None:
    for _ in range(20):
        with recorder.scope("step"), recorder.scope("forward"):
            cuda.enqueue(0, 5_000_000)
            cuda.advance(1_000_000)
    made = recorder.report(wait=True)
    data = json.loads(json.dumps(made.to_dict()))
    assert (data["format"], data["version"]) == ("fasttime report", 3)
    assert (data["date"], data["backend"]) == (made.date, "cuda")
    assert data["estimated_cost"]["device_s"] == made.cost.device
    step, forward = data["sites"]
    assert (step["path"], step["depth"], step["parent"]) == ("step", 0, None)
    assert (forward["path"], forward["depth"], forward["parent"]) == ("step/forward", 1, 0)
    assert forward["calls"] == forward["counts"]["ok"] == 20
    assert forward["device"]["total_s"] == made["step/forward"].device.total
    assert forward["device"]["p99_s"] == made["step/forward"].device.p99
    assert forward["bottleneck"]["bound"] == "device-bound"
    assert forward["checks"]["device_outlasted"] == 20
    assert forward["checks"]["backlog_total_s"] == made["step/forward"].checks.backlog_total
    assert forward["self_s"] == made["step/forward"].self_time


def test_a_dict_has_every_attribute() -> None:
    data = training().to_dict()
    fields = set(Report.__dataclass_fields__) - {"duration", "known_environment", "shown_as"}
    assert fields <= set(data)
    assert set(type(training().sites[0]).__dataclass_fields__) - {"self_time", "children"} <= set(
        data["sites"][0]
    )


def test_unknown_values_are_null() -> None:
    data = report(site("a", device=None, calls=0, self_time=None)).to_dict()["sites"][0]
    assert data["device"] is data["host"] is data["bottleneck"] is data["self_s"] is None


def test_numbers_that_json_lacks_are_null() -> None:
    data = report(site("a", share=float("inf")), duration=float("nan"))
    read = json.loads(json.dumps(data.to_dict(), allow_nan=False))
    assert read["sites"][0]["share"] is read["duration_s"] is None


# --- Markdown ---


def test_markdown_reads_like_this() -> None:
    made = report(site("step", site("forward", device=2e-3), device=8e-3, host=2e-3, share=1.0))
    assert made.to_markdown() == (
        "| scope | calls | device p50 | device mean | device first | device max | device p95 "
        "| device p99 | device total | device self | host mean | backlog | share | bottleneck |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: "
        "| --- |\n"
        "| `step` | 10 | 8.000 ms | 8.000 ms | 8.000 ms | 8.000 ms | 8.000 ms | 8.000 ms "
        "| 80.00 ms | 10.00 ms | 2.000 ms | 3.000 ms | 100.0% | device-bound |\n"
        "| `step/forward` | 10 | 2.000 ms | 2.000 ms | 2.000 ms | 2.000 ms | 2.000 ms | 2.000 ms "
        "| 20.00 ms | 10.00 ms | 1.000 ms | 3.000 ms | 50.0% | device-bound |\n"
        "\n"
        "20 calls in 2.500 s. Timing itself took about 70 µs on the host and 64 µs on the device "
        "(estimate).\n"
    )


def test_markdown_of_an_empty_report_says_so() -> None:
    assert report().to_markdown() == "fasttime: no scope has ended in this interval.\n"


# --- HTML ---


def test_a_page_shows_every_site_with_its_level() -> None:
    page = Page(training().to_html())
    names = [(row.depth, row.cells[0]) for row in page.rows]
    assert names == [
        (0, "step"),
        (1, "data"),
        (1, "forward"),
        (2, "layer_0"),
        (2, "layer_1"),
        (1, "loss"),
        (1, "backward"),
        (2, "all_reduce"),
        (0, "tokenise"),
    ]
    assert len({len(row.cells) for row in page.rows}) == 1


def test_a_page_says_where_and_when() -> None:
    text = Page(training().to_html()).text
    assert "2026-01-02 03:04:05 UTC · Made-up GPU" in text
    assert "fasttime 0.1.0 · torch 2.14.1 · CUDA 13.0 · driver 580.1 · Python 3.12.0" in text
    assert "2.500 s" in text


@pytest.mark.parametrize("made", [training(), report(site("a", device=None)), report()])
def test_every_cell_has_a_heading(made: Report) -> None:
    page = Page(made.to_html())
    assert {len(row.cells) for row in page.rows} <= {page.columns}


def test_a_page_needs_no_other_file() -> None:
    page = Page(training().to_html())
    assert not [name for _, name, _ in page.attributes if name in ("src", "srcset", "href")]
    assert not re.search(r"url\(|@import|https?://", training().to_html())


def test_a_page_runs_its_own_script_only() -> None:
    page = Page(training().to_html())
    policy = next(value for _, name, value in page.attributes if name == "content")
    assert policy.startswith("default-src 'none'")
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert len(page.scripts) == 1
    assert f"script-src 'sha256-{digest}'" in policy


def test_a_notebook_fragment_has_no_script() -> None:
    piece = training()._repr_html_()
    page = Page(piece)
    assert page.scripts == []
    assert len(page.rows) == 9
    assert "Timing itself took about" in page.text
    assert not re.search(r"<(html|body|head|h1)\b", piece)


def test_bars_are_as_long_as_the_share() -> None:
    half_own = site("a", share=0.5, calls=10, device=4e-3, self_time=0.01)
    text = report(half_own).to_html()
    assert '<i class="own" style="width:12.50%">' in text
    assert '<i class="inside" style="width:37.50%">' in text


@pytest.mark.parametrize("made", [chain(1000), site("a", *map(site, map(str, range(2000))))])
def test_deep_and_wide_reports_have_every_format(made: SiteReport) -> None:
    whole = unplaced(made)
    count = sum(1 for _ in whole.walk())
    assert len(whole.to_dict()["sites"]) == count
    assert json.loads(json.dumps(whole.to_dict()))["sites"][-1]["parent"] in (0, 998)
    assert whole.to_markdown().count("\n| ") == count + 1
    assert len(Page(whole.to_html()).rows) == count


def test_a_page_counts_a_single_site_as_one() -> None:
    assert "at 1 site<" in report(site("a")).to_html()
    assert "at 2 sites<" in report(site("a", site("b"))).to_html()
