# SPDX-License-Identifier: BSD-3-Clause
"""The table of modules, from made-up records."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_modules import MIXED, NEAR, network, record, records
from made_up_report import durations

import fasttime
from fasttime import ModuleTable, TimingWarning
from fasttime.documents import Fields
from fasttime.modules.records import Times
from fasttime.reports.durations import merged

PRINTED = """\
5 modules, 10 steps: mean device time per call
                                forward            backward                     self
module   type         forward      self  backward      self      host   share  share  bottleneck
(model)  Net         10.00 ms  1.000 ms  20.00 ms  2.000 ms  3.000 ms  100.0%  10.0%  device-bound
  stem   Conv2d      3.000 ms  3.000 ms  6.000 ms  6.000 ms  900.0 µs   30.0%  30.0%  device-bound
  body   Sequential  6.000 ms       0 s  12.00 ms       0 s  1.800 ms   60.0%   0.0%  device-bound
    0    Conv2d      4.000 ms  4.000 ms  9.000 ms  9.000 ms  1.300 ms   43.3%  43.3%  device-bound
    1    ReLU        2.000 ms  2.000 ms  3.000 ms  3.000 ms  500.0 µs   16.7%  16.7%  host-bound
Hidden columns (narrow terminal): calls."""


def kinds(table: ModuleTable) -> list[str]:
    return [warning.kind for warning in table.warnings]


# --- rows ---


def test_rows_follow_the_model() -> None:
    table = network()
    assert [row.path for row in table] == ["", "stem", "body", "body.0", "body.1"]
    assert [row.depth for row in table] == [0, 1, 1, 2, 2]
    assert table["stem"].type == "Conv2d"
    assert table[""].type == "Net"
    assert table.warnings == ()


def test_a_row_has_durations() -> None:
    row = network()["body"]
    assert row.forward is not None
    assert row.forward.count == 10
    assert row.forward.mean == pytest.approx(6e-3)
    assert row.backward is not None
    assert row.backward.mean == pytest.approx(12e-3)
    assert row.host_forward is not None
    assert row.host_forward.mean == pytest.approx(0.6e-3)
    assert row.recompute is None
    assert row.bottleneck is not None
    assert row.bottleneck.bound == "device-bound"


def test_shares_with_and_without_the_modules_inside() -> None:
    table = network()
    assert table[""].share == pytest.approx(1)
    assert table["body"].share == pytest.approx(18 / 30)
    assert table["body"].self_share == 0
    assert table["body.0"].self_share == pytest.approx(13 / 30)
    assert sum(row.self_share or 0 for row in table) == pytest.approx(1)


def test_a_backward_in_two_visits_counts_per_call() -> None:
    row = network()["body.0"]
    assert row.backward is not None
    assert (row.calls, row.backward.count) == (10, 20)
    assert row.backward.mean == pytest.approx(4.5e-3)
    assert row.per_call("backward") == pytest.approx(9e-3)
    assert row.per_call("recompute") is None


def test_without_device_times_rows_have_host_times() -> None:
    table = ModuleTable(
        records(
            record("", "Net", None, forward=(4, 1), device=False),
            record("a", "Linear", 0, forward=(3, 3), device=False),
        )
    )
    row = table["a"]
    assert row.forward == row.host_forward
    assert row.share == pytest.approx(0.75)
    assert row.bottleneck is None
    assert "mean host time per call" in str(table)


def test_a_module_on_the_host_has_no_share_of_device_time() -> None:
    table = ModuleTable(
        records(
            record("", "Net", None, forward=(4, 1)),
            record("a", "Linear", 0, forward=(3, 3), device=False),
        )
    )
    assert table["a"].share is None
    assert table[""].self_share == pytest.approx(1)


def test_an_unknown_path_names_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no module 'head' has times here; known: '', 'stem', "):
        network()["head"]


def test_a_position_names_the_rows() -> None:
    with pytest.raises(TypeError, match=r"by module, got 1; for a position, use \.rows\[1\]"):
        network()[1]  # type: ignore[index]


# --- by type ---


def test_types_add_up_their_modules() -> None:
    by_type = network().by_type()
    assert [row.type for row in by_type] == ["Net", "Conv2d", "Sequential", "ReLU"]
    row = by_type["Conv2d"]
    assert (row.modules, row.calls) == (2, 20)
    assert row.forward is not None
    assert row.forward.total == pytest.approx(70e-3)
    assert row.share == row.self_share
    assert sum(row.share or 0 for row in by_type) == pytest.approx(1)


def test_a_type_s_bottleneck_counts_all_modules() -> None:
    table = ModuleTable(
        records(
            record("a", "Linear", None, forward=(1, 1), checks=NEAR),
            record("b", "Linear", None, forward=(1, 1)),
        )
    )
    row = table.by_type()["Linear"]
    assert row.bottleneck is not None
    assert row.bottleneck.bound == "unclear"
    assert row.bottleneck.checks == 20


# --- sort, top, min_share ---


@pytest.mark.parametrize(
    ("by", "first"),
    [
        ("self", "body.0"),
        ("total", ""),
        ("forward", ""),
        ("backward", ""),
        ("calls", ""),
        ("path", ""),
        ("type", "stem"),
    ],
)
def test_a_table_is_sorted(by: str, first: str) -> None:
    table = network().sort(by)  # type: ignore[arg-type]
    assert table.rows[0].path == first
    assert len(table) == 5
    assert table.left_out == 0


def test_top_takes_the_first_rows() -> None:
    table = network().top(2)
    assert [row.path for row in table] == ["body.0", "stem"]
    assert table.left_out == 3
    assert str(table).startswith("2 of 5 modules, 10 steps")


def test_small_shares_are_left_out() -> None:
    assert [row.path for row in network().min_share(0.3)] == ["", "stem", "body", "body.0"]
    assert [row.path for row in network().min_share(0.3).top(1)] == ["body.0"]
    assert [row.type for row in network().by_type().top(1)] == ["Conv2d"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda table: table.sort("size"),
        lambda table: table.top(0),
        lambda table: table.min_share(3),
    ],
)
def test_wrong_arguments_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"must (be|lie)"):
        wrong(network())  # type: ignore[operator]


# --- sampled steps ---


def test_sampled_steps_are_estimates() -> None:
    table = ModuleTable(
        records(
            record("", "Net", None, forward=(4, 4), weight=25.0, error=0.05),
            steps=250,
            timed_steps=10,
            overhead_budget=0.01,
            overhead=0.008,
        )
    )
    row = table[""]
    assert row.total == pytest.approx(1.0)
    assert row.error == pytest.approx(0.05)
    assert row.share == pytest.approx(1)
    shown = str(table)
    assert "10 of 250 steps were timed (4.0%), chosen at random. Totals and shares are" in shown
    assert "standard error of 5.0% for the largest total" in shown
    assert "cost about 0.8% of the steps (budget: 1.0%)" in shown


# --- warnings ---


def test_what_is_missing_is_warned_of() -> None:
    one = record("", "Net", None, forward=(1, 1))
    assert kinds(ModuleTable(records(one, pending=2))) == ["pending"]
    assert kinds(ModuleTable(records())) == ["nothing_timed"]
    assert "table(wait=True)" in str(ModuleTable(records()))


def test_a_handle_s_own_warning_comes_once() -> None:
    warning = TimingWarning("pending", "Two calls are pending.")
    table = ModuleTable(
        records(record("", "Net", None, forward=(1, 1)), pending=2, warnings=(warning,))
    )
    assert table.warnings == (warning,)


# --- output ---


def test_the_table_is_printed() -> None:
    assert str(network()) == PRINTED


@pytest.mark.parametrize(("total_ns", "per_call"), [(7, 7e-10), (-2, 0.0)])
def test_rounding_is_no_self_time(total_ns: int, per_call: float) -> None:
    """Rounded times of the modules inside may miss the parent's time by some nanoseconds."""
    own = merged([durations(9, 0.0), durations(1, total_ns / 1e9)])
    times = Times(host=own, device=own, host_total=own.total, device_total=own.total)
    parent = record("", "Net", None, forward=(4, 4))
    parent = replace(parent, forward_self=times)
    table = ModuleTable(records(parent, record("a", "Linear", 0, forward=(4, 4))))
    assert table[""].per_call("forward_self") == pytest.approx(per_call)
    line = next(line for line in str(table).splitlines() if line.startswith("(model)"))
    assert " 0 s " in line, line
    assert " 0.0%" in line, line


def test_pages_have_whole_paths() -> None:
    assert 'title="body.0: Conv2d"' in network().to_html()
    assert "| `body.0` | Conv2d |" in network().to_markdown()


def test_parents_without_times_take_no_level() -> None:
    table = ModuleTable(
        records(
            record("", "Net", None, forward=(4, 1)),
            record("layers", "ModuleList", 0, calls=0),
            record("layers.0", "Block", 1, forward=(3, 1)),
            record("layers.0.fc", "Linear", 2, forward=(2, 2)),
            record("layers.1", "Block", 1, forward=(3, 3)),
        )
    )
    assert [row.depth for row in table] == [0, 1, 2, 1]
    names = [re.match(r" *[\w().]+", line) for line in str(table).splitlines()[3:7]]
    assert [name and name[0] for name in names] == ["(model)", "  layers.0", "    fc", "  layers.1"]


def test_a_sorted_table_is_not_indented() -> None:
    assert any(line.startswith("body.0") for line in str(network().sort()).splitlines())


@pytest.mark.parametrize("width", [30, 50, 80])
def test_a_narrow_table_hides_columns(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = str(network())
    assert "Hidden columns (narrow" in shown.replace("\n", " ")
    assert all(len(line) <= width for line in shown.splitlines())
    assert re.search(r"^    0 ", shown, re.MULTILINE)


def test_columns_without_times_are_left_out() -> None:
    table = ModuleTable(records(record("a", "Linear", None, forward=(1, 1))))
    assert "backward" not in str(table)
    assert "recompute" not in str(table)
    again = record("a", "Linear", None, forward=(1, 1), recompute=(1, 1), checks=MIXED)
    assert "recompute" in str(ModuleTable(records(again)))


def test_a_compiled_module_is_marked() -> None:
    table = ModuleTable(records(record("a", "Net", None, forward=(1, 1), is_compiled=True)))
    assert "Net (compiled)" in str(table)


def test_thousands_of_modules_are_shortened() -> None:
    many = [record(f"m{n}", "Linear", None, forward=(1 + n, 1 + n)) for n in range(1000)]
    shown = str(ModuleTable(records(*many)))
    assert "200 of 1,000 rows are shown" in shown
    assert "m999" in shown
    assert "m799 " not in shown


def test_csv_has_a_line_per_row(tmp_path: Path) -> None:
    network().save(tmp_path / "modules.csv")
    with open(tmp_path / "modules.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["", "stem", "body", "body.0", "body.1"]
    assert float(rows[1]["forward_mean"]) == pytest.approx(3e-3)
    assert rows[1]["recompute_mean"] == ""
    assert rows[1]["recompute_count"] == "0"
    assert rows[4]["bottleneck"] == "host-bound"


def test_a_frame_has_the_columns_of_the_csv(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    network().save(tmp_path / "modules.csv")
    frame = network().to_pandas()
    with open(tmp_path / "modules.csv", newline="") as file:
        assert list(frame.columns) == next(csv.reader(file))
    assert frame["backward_count"].tolist() == [10, 10, 10, 20, 10]


@pytest.mark.parametrize("suffix", [".html", ".md", ".csv"])
def test_pages_and_text_have_every_module(suffix: str, tmp_path: Path) -> None:
    many = [record(f"m{n}", "Linear", None, forward=(1, 1)) for n in range(300)]
    path = tmp_path / f"modules{suffix}"
    ModuleTable(records(*many)).sort("path").save(path)
    text = path.read_text()
    assert "m299" in text
    assert "Linear" in text


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"one of .json, .html, .md, .csv, .txt; got"):
        network().save(tmp_path / "modules.xlsx")


@pytest.mark.parametrize(
    "view", [lambda t: t, lambda t: t.top(2), lambda t: t.by_type().sort("calls")]
)
def test_a_saved_table_is_loaded(view: object, tmp_path: Path) -> None:
    table: ModuleTable = view(network(overhead=0.01, pending=1))  # type: ignore[operator]
    table.save(tmp_path / "modules.json")
    loaded = fasttime.load(tmp_path / "modules.json")
    assert isinstance(loaded, ModuleTable)
    assert loaded.to_dict() == table.to_dict()
    assert loaded.rows == table.rows
    assert loaded.records == table.records


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("modules", 1, "parent"), 1, "position of a module before"),
        (("modules", 1, "forward", "device", "count"), 3, "device should be consistent"),
        (("order",), [0, 0], "different positions"),
        (("order",), [99], "different positions"),
        (("steps",), -1, "at least 0"),
    ],
)
def test_a_damaged_table_is_refused(
    place: tuple[str | int, ...], value: object, message: str
) -> None:
    content = json.loads(json.dumps(network().to_dict()))
    target = content
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(ValueError, match=message):
        ModuleTable._from_fields(Fields(content))
