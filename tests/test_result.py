# SPDX-License-Identifier: BSD-3-Clause
"""Every result prints, shows in a notebook, becomes a dict, is saved and carries its warnings."""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
import json
import math
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import measurement
from made_up_modules import network, training_steps
from made_up_ranks import summary
from rich.console import Console

import fasttime
from fasttime import (
    Comparison,
    Measurement,
    MethodComparison,
    ModuleTable,
    RankTable,
    Recorder,
    Report,
    ReportComparison,
    SavedComparison,
    StepReport,
    Sweep,
    Timeline,
    TimingWarning,
    compare_reports,
    compare_saved,
)
from fasttime.console import table, warning_lines
from fasttime.documents import VERSIONS
from fasttime.html.elements import escaped
from fasttime.loading import READERS
from fasttime.measuring.options import Method
from fasttime.ranks.build import build_table
from fasttime.result import Result
from fasttime.sweeping.point import point_of

WARNING = TimingWarning("throttled", "The GPU slowed down. Let it cool.")


def timed(name: str, method: Method = "event") -> Measurement:
    times = np.linspace(1e-3, 2e-3, 20)
    return measurement(times, label=name, method=method, warnings=(WARNING,))


def methods() -> MethodComparison:
    loops = {"untimed": (0.02,), "naive": (0.02,), "event": (0.021,)}
    return MethodComparison({"naive": timed("a", "naive"), "event": timed("a")}, loops)


def recorded_report() -> Report:
    recorder = Recorder()
    with recorder.scope("step"), recorder.scope("forward"):
        pass
    return recorder.report()


def timeline() -> Timeline:
    recorder = Recorder()
    with recorder.record_timeline() as made, recorder.scope("step"):
        pass
    return made


def sweep() -> Sweep:
    point = point_of({"n": 10}, timed("a"), "a", {"bytes": 80.0}, {"bytes": 4e9})
    return Sweep({"n": (10, 20)}, ("a",), (point,), 0.01)


# Every class of results, with a small instance.
RESULTS: dict[type, Callable[[], Any]] = {
    Measurement: lambda: timed("model"),
    Report: recorded_report,
    Comparison: lambda: Comparison({"a": timed("a"), "b": timed("b")}, 2, 0.01, 0.95, 1.0),
    MethodComparison: methods,
    ReportComparison: lambda: compare_reports(recorded_report(), recorded_report()),
    SavedComparison: lambda: compare_saved(timed("a"), timed("a")),
    Timeline: timeline,
    RankTable: lambda: build_table([summary(rank, {"step": 1.0 + rank}) for rank in range(2)]),
    ModuleTable: network,
    StepReport: training_steps,
    Sweep: sweep,
}
TABLES = [kind for kind in RESULTS if hasattr(kind, "to_pandas")]


def each(kinds: Iterable[type]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "make", [pytest.param(RESULTS[kind], id=kind.__name__) for kind in kinds]
    )


each_result = each(kind for kind in RESULTS if issubclass(kind, Result))
each_table = each(TABLES)


def test_the_list_of_results_is_complete() -> None:
    public = {getattr(fasttime, name) for name in fasttime.__all__}
    results = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Result)}
    assert results == set(RESULTS)


@each_result
def test_warnings_are_a_tuple_of_values(make: Callable[[], Any]) -> None:
    warnings = make().warnings
    assert isinstance(warnings, tuple)
    assert all(isinstance(warning, TimingWarning) for warning in warnings)


@each_result
def test_a_result_is_a_dict_for_json(make: Callable[[], Any]) -> None:
    made = make()
    content = json.loads(json.dumps(made.to_dict()))
    assert content["warnings"] == [warning.to_dict() for warning in made.warnings]


@pytest.mark.parametrize(
    "make",
    [
        lambda endless: Comparison({"a": endless, "b": timed("b")}, 2, 0.01, 0.95, 1.0),
        lambda endless: MethodComparison(
            {"naive": timed("a", "naive"), "event": endless},
            {"untimed": (0.02,), "naive": (0.02,), "event": (0.021,)},
        ),
        lambda endless: compare_saved(timed("a"), endless),
    ],
)
def test_numbers_that_json_lacks_are_strings(make: Callable[[Measurement], Any]) -> None:
    made = make(dataclasses.replace(timed("a"), loop_time=math.nan))
    assert '"nan"' in json.dumps(made.to_dict(), allow_nan=False)


@each_result
def test_a_result_is_saved_and_loaded(make: Callable[[], Any], tmp_path: Path) -> None:
    made = make()
    made.save(tmp_path / "result.json")
    loaded = fasttime.load(tmp_path / "result.json")
    assert type(loaded) is type(made)
    assert loaded.to_dict() == made.to_dict()
    assert str(loaded) == str(made)


@each_result
def test_every_result_is_saved_for_readers(make: Callable[[], Any], tmp_path: Path) -> None:
    made = make()
    suffixes = [".html", ".csv"] if isinstance(made, Timeline) else [".html", ".csv", ".md", ".txt"]
    for suffix in suffixes:
        made.save(tmp_path / f"result{suffix}")
        text = (tmp_path / f"result{suffix}").read_text(encoding="utf-8")
        if suffix == ".csv":
            assert len(set(map(len, csv.reader(text.splitlines())))) == 1
            continue
        for warning in getattr(made, "_shown_warnings", lambda: made.warnings)():
            assert warning.kind in text, suffix
    page = (tmp_path / "result.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "http" not in page.replace("http-equiv", "")
    with pytest.raises(ValueError, match=r"\.json"):
        made.save(tmp_path / "result.xlsx")
    assert not (tmp_path / "result.xlsx").exists()


def test_a_page_draws_measurement_and_intervals(tmp_path: Path) -> None:
    page = timed("model").to_html()
    assert page.count("<svg") == 2
    comparison = Comparison({"a": timed("a"), "b": timed("b")}, 2, 0.01, 0.95, 1.0)
    assert 'class="chart interval"' in comparison.to_html()


@each_result
def test_a_notebook_shows_figures_and_warnings(make: Callable[[], Any]) -> None:
    made = make()
    if isinstance(made, Timeline):
        pytest.importorskip("matplotlib")
    html = made._repr_html_()
    assert html.count("<table") == html.count("</table>")
    assert html.count("<picture") == html.count("</picture>")
    assert ("<picture" if isinstance(made, Timeline) else "<table") in html
    assert html.startswith('<div class="fasttime piece">')
    assert "<script" not in html
    for warning in made.warnings:
        assert escaped(warning.message) in html


@each_result
def test_rich_prints_the_same_as_print(make: Callable[[], Any]) -> None:
    made = make()
    assert hasattr(made, "__rich_console__")
    file = io.StringIO()
    Console(file=file, width=100, height=24, color_system=None, legacy_windows=False).print(made)
    printed = [line.rstrip() for line in file.getvalue().splitlines()]
    assert "\n".join(printed) == str(made) == repr(made)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda w: pickle.loads(pickle.dumps(w))]
)
def test_a_copied_warning_equals_the_warning(copied: Callable[[Any], Any]) -> None:
    assert copied(WARNING) == WARNING
    assert str(copied(WARNING)) == str(WARNING)
    assert len({WARNING, copied(WARNING)}) == 1


def test_other_kinds_and_messages_are_unequal() -> None:
    assert TimingWarning("throttled", "Another message.") != WARNING
    assert TimingWarning("other", WARNING.message) != WARNING


def test_a_warning_can_be_raised_as_an_error() -> None:
    with pytest.raises(TimingWarning) as caught, warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.warn(WARNING, stacklevel=1)
    assert caught.value is WARNING


def test_results_with_rows_have_data_frames() -> None:
    assert {Report, Comparison, MethodComparison, Timeline} <= set(TABLES)


@each_table
def test_a_data_frame_has_rows(make: Callable[[], Any]) -> None:
    pytest.importorskip("pandas")
    assert len(make().to_pandas()) >= 1


@each_table
def test_to_pandas_names_the_extra(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        ImportError, match=r"^to_pandas\(\) needs pandas: pip install 'fasttime\[pandas\]'"
    ):
        made.to_pandas()


def test_every_format_has_a_reader() -> None:
    assert set(READERS) == set(VERSIONS)


class Minimal(Result):
    """A result of one name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def warnings(self) -> tuple[TimingWarning, ...]:
        return (WARNING,)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name}

    def save(self, path: str | os.PathLike[str]) -> None:
        raise NotImplementedError

    def _renderable(self, width: int) -> Any:
        from rich.console import Group
        from rich.text import Text

        rows = table(["name", "time\nper run", "verdict"], left=(0, 2))
        rows.add_row(Text(self.name), "1.000 µs", "same")
        return Group(rows, *warning_lines(self.warnings))

    def _html(self) -> str:
        return f"<p>{self.name}</p>"


def test_text_is_left_and_figures_are_right() -> None:
    lines = str(Minimal("a long name")).splitlines()
    assert lines == [
        "                 time",
        "name          per run  verdict",
        "a long name  1.000 µs  same",
        "warning (throttled): The GPU slowed down. Let it cool.",
    ]


def test_ascii_terminals_see_markup_as_text() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=file, width=100, color_system=None).print(Minimal("[red]x"))
    file.seek(0)
    text = file.read()
    assert "[red]x" in text
    assert "1.000 us" in text


def test_a_fragment_strips_the_style_sheet() -> None:
    html = Minimal("x")._repr_html_()
    assert html.endswith("<p>x</p></div>")
    assert "/*" not in html
    assert "\n" not in html
