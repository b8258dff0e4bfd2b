# SPDX-License-Identifier: BSD-3-Clause
"""`sweep`: points, failures, resuming, the table and the plot."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import measurement

import fasttime
from fasttime import Comparison, Measurement, Sweep
from fasttime.comparing.rounds import BudgetTooSmall
from fasttime.sweeping import sweep as module

Calls = list[int]


def times(middle: float) -> np.ndarray:
    return middle * (1 + 0.001 * np.sin(np.arange(200)))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace timing: each candidate returns the microseconds that it takes."""
    made: Calls = []

    def compare(
        candidates: dict[str, Callable[..., float]], *args: object, **options: Any
    ) -> Comparison:
        made.append(1)
        found = {
            name: measurement(times(1e-6 * call(*args)), label=name)
            for name, call in candidates.items()
        }
        return Comparison(found, 10, options["margin"], 0.95, 1.0)

    def measure(call: Callable[..., float], *args: object, **options: Any) -> Measurement:
        made.append(1)
        return measurement(times(1e-6 * call(*args)))

    monkeypatch.setattr(module, "compare", compare)
    monkeypatch.setattr(module, "measure", measure)
    return made


def linear(n: float) -> float:
    return n


def constant(n: float) -> float:
    return 100.0


CANDIDATES: dict[str, Callable[..., object]] = {"linear": linear, "constant": constant}
AXES = {"n": [10, 100, 1000]}


def swept(**options: Any) -> Sweep:
    return fasttime.sweep(CANDIDATES, AXES, lambda n: n, **options)


def test_each_point_has_a_verdict(calls: Calls) -> None:
    made = swept()
    assert [point.values for point in made] == [{"n": 10}, {"n": 100}, {"n": 1000}]
    assert [point["constant"].verdict for point in made] == ["slower", "same", "faster"]
    assert made[10]["linear"].median == pytest.approx(10e-6, rel=0.01)
    assert made[10].timed[0].verdict == "baseline"


def test_the_fastest_is_marked_where_proven(calls: Calls) -> None:
    made = swept()
    assert [point.fastest for point in made] == ["linear", None, "constant"]
    rows = made.table().splitlines()
    assert [row.count("*") for row in rows] == [0, 1, 0, 1, 0]
    assert rows[1].split() == ["10", "10.00", "µs", "*", "100.0", "µs"]


def test_axes_combine_with_the_last_fastest(calls: Calls) -> None:
    made = fasttime.sweep(
        linear, {"n": [1, 2], "dtype": [torch.float16, torch.float32]}, lambda n, dtype: n
    )
    values = [tuple(point.values.values()) for point in made]
    assert values == [(1, "float16"), (1, "float32"), (2, "float16"), (2, "float32")]
    assert made[2, "float16"]["linear"].verdict == "baseline"
    assert made[2, torch.float16] is made[2, "float16"]


def test_the_geometric_mean_is_of_ratios(calls: Calls) -> None:
    made = swept()
    assert made.geometric_mean("linear") == 1.0
    assert made.geometric_mean("constant") == pytest.approx(1.0, rel=0.01)  # 10, 1 and 0.1
    with pytest.raises(KeyError, match="no candidate 'other'"):
        made.geometric_mean("other")


def test_a_failing_point_says_why(calls: Calls) -> None:
    def make(n: int) -> int:
        if n == 100:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 99 GiB.")
        return n

    made = fasttime.sweep(CANDIDATES, AXES, make)
    assert made[100].error == "OutOfMemoryError: CUDA out of memory. Tried to allocate 99 GiB."
    assert made[1000].timed
    assert "failed" in made.table()
    assert "1 point failed (n=100), so there are no times there" in made.warnings[0].message
    assert made.geometric_mean("constant") == pytest.approx(1.0, rel=0.01)


def test_rates_come_from_the_work_of_a_call(calls: Calls) -> None:
    made = swept(bytes=lambda n: 1000 * n, items=50)
    rate = made[100].rate("linear", "bytes")
    assert rate is not None
    assert rate.value == pytest.approx(1e9, rel=0.01)
    assert "1.00 GB/s" in made.table("bytes")
    assert made[100].rate("linear", "flops") is None
    with pytest.raises(ValueError, match="one of time, bytes, items, got 'flops'; pass flops="):
        made.table("flops")
    with pytest.raises(ValueError, match=r"one of time, bytes, items, got 'gbps'$"):
        made.table("gbps")


def test_rates_are_shown_in_every_form(calls: Calls) -> None:
    made = swept(bytes=lambda n: 1000 * n)
    assert "bytes per second" not in str(swept())
    for text in (str(made), made.to_markdown(), made.to_html()):
        times, _, rates = text.partition("bytes per second")
        assert ("10.00 µs" in times, "1.00 GB/s" in times) == (True, False)
        assert ("10.00 µs" in rates, "1.00 GB/s" in rates) == (False, True)


def test_a_negative_amount_fails_the_point(calls: Calls) -> None:
    made = swept(bytes=lambda n: 50 - n)
    assert [bool(point.error) for point in made] == [False, True, True]
    assert "bytes must be above 0" in made[100].error


def test_known_peaks_give_a_share(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "peaks_of", lambda args: {"bytes": 4e9})
    rate = swept(bytes=lambda n: 1000 * n)[100].rate("linear", "bytes")
    assert rate is not None
    assert rate.share_of_peak == pytest.approx(0.25, rel=0.01)


def test_points_are_saved_as_they_come(calls: Calls, tmp_path: Path) -> None:
    seen = []

    def make(n: int) -> int:
        path = tmp_path / "s.json"
        seen.append(len(fasttime.load(path)) if path.exists() else 0)  # type: ignore[arg-type]
        return n

    made = fasttime.sweep(CANDIDATES, AXES, make, save_to=tmp_path / "s.json")
    assert seen == [0, 1, 2]
    loaded = fasttime.load(tmp_path / "s.json")
    assert isinstance(loaded, Sweep)
    assert loaded.to_dict() == made.to_dict()
    assert str(loaded) == str(made)


def test_an_interrupted_sweep_goes_on(calls: Calls, tmp_path: Path) -> None:
    path = tmp_path / "s.json"

    def interrupted(n: int) -> int:
        if n == 1000:
            raise KeyboardInterrupt
        return n

    with pytest.raises(fasttime.Interrupted, match="after 2 of 3 points") as caught:
        fasttime.sweep(CANDIDATES, AXES, interrupted, save_to=path)
    assert f"which are saved in {path}; make the same call again" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    partial = caught.value.result
    assert len(partial) == 2
    assert not partial.is_complete
    assert [warning.kind for warning in partial.warnings] == ["incomplete"]
    calls.clear()
    made = swept(save_to=path)
    assert calls == [1]
    assert made.is_complete
    assert made[10] == partial[10]


def test_without_a_point_the_interrupt_is_plain(calls: Calls) -> None:
    def interrupted(n: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fasttime.sweep(CANDIDATES, AXES, interrupted)
    assert type(caught.value) is KeyboardInterrupt


def test_an_interrupt_of_the_first_point_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """`compare` raises Interrupted with the rounds of a point, which are no sweep."""

    def compare(*_: object, **__: object) -> None:
        raise fasttime.Interrupted(measurement([1.0]), "1 kept run")

    monkeypatch.setattr(module, "compare", compare)
    with pytest.raises(KeyboardInterrupt) as caught:
        fasttime.sweep(CANDIDATES, AXES, lambda n: n)
    assert type(caught.value) is KeyboardInterrupt


def test_points_after_a_failed_one_stay_in_the_file(calls: Calls, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    fasttime.sweep(CANDIDATES, AXES, lambda n: n if n > 10 else 1 / 0, save_to=path)

    def interrupted(n: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(fasttime.Interrupted, match="after 2 of 3 points") as caught:
        fasttime.sweep(CANDIDATES, AXES, interrupted, save_to=path)
    assert [one.kind for one in caught.value.result.warnings] == ["reused", "incomplete"]
    made = swept(save_to=path)
    assert fasttime.load(path).to_dict()["points"] == made.to_dict()["points"]
    assert len(made) == 3


def test_axes_may_come_in_another_order(calls: Calls, tmp_path: Path) -> None:
    def sweep_over(*names: str) -> Sweep:
        axes = {name: [1, 20] for name in names}
        return fasttime.sweep(linear, axes, lambda a, b: 10 * a + b, save_to=tmp_path / "s.json")

    sweep_over("a", "b")
    again = sweep_over("b", "a")
    assert again.reused == 4
    assert again[20, 1].values == {"b": 20, "a": 1}
    assert list(again[20, 1].values) == ["b", "a"]
    assert again[20, 1]["linear"].median == pytest.approx(30e-6, rel=0.01)


def test_failed_points_are_tried_again(calls: Calls, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    fasttime.sweep(CANDIDATES, AXES, lambda n: n if n < 100 else 1 / 0, save_to=path)
    calls.clear()
    assert not any(point.error for point in swept(save_to=path))
    assert calls == [1, 1]


def test_another_sweep_is_not_overwritten(calls: Calls, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    swept(save_to=path)
    with pytest.raises(ValueError, match="other axes, candidates or margin; choose another name"):
        swept(save_to=path, margin=0.02)
    with pytest.raises(ValueError, match="other options: cache was 'warm', is 'cold'; choose"):
        swept(save_to=path, cache="cold")
    with pytest.raises(ValueError, match="other options: setup was None, is 'function'"):
        swept(save_to=path, setup=lambda n: (n,))
    measurement([1.0]).save(path)
    with pytest.raises(ValueError, match="not a sweep"):
        swept(save_to=path)


def test_rows_have_one_line_per_candidate(calls: Calls) -> None:
    pytest.importorskip("pandas")
    frame = swept(bytes=8).to_pandas()
    assert len(frame) == 6
    assert not {"flops_per_second", "items_per_second"} & set(frame.columns)
    assert list(frame["is_fastest"]) == [True, False, False, False, False, True]
    assert math.isfinite(frame["bytes_per_second"].iloc[0])


def test_a_plot_has_a_panel_per_combination(calls: Calls) -> None:
    pytest.importorskip("matplotlib")
    made = fasttime.sweep(
        CANDIDATES, {"kind": ["a", "b"], "n": [1, 10, 100]}, lambda kind, n: n, bytes=8
    )
    figure = made.plot("bytes")
    assert [axes.get_title() for axes in figure.axes] == ["kind = a", "kind = b"]
    line = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == [1, 10, 100]
    assert line.get_ydata()[0] == pytest.approx(8000, rel=0.01)
    assert figure.axes[0].get_ylabel() == "kB/s"
    assert figure.axes[0].get_xscale() == "log"
    assert made.plot().axes[0].get_ylabel() == "time (µs)"


def test_every_panel_at_the_bottom_has_tick_labels(calls: Calls) -> None:
    pytest.importorskip("matplotlib")
    made = fasttime.sweep(
        CANDIDATES, {"kind": ["a", "b", "c", "d"], "n": [1, 10]}, lambda kind, n: n
    )
    labelled = [axes.xaxis.get_tick_params()["labelbottom"] for axes in made.plot().axes]
    assert labelled == [False, True, True, True]  # "a" has "d" below


def test_plots_of_similar_times_have_plain_numbers(calls: Calls) -> None:
    pytest.importorskip("matplotlib")
    made = fasttime.sweep(linear, {"n": [1.2, 1.8]}, lambda n: n)
    axes = made.plot().axes[0]
    labels = axes.yaxis.get_minor_formatter().format_ticks(axes.get_yticks(minor=True))
    assert "1.5" in labels
    assert not any("times" in label for label in labels)


def test_a_plot_needs_an_axis_of_numbers(calls: Calls) -> None:
    pytest.importorskip("matplotlib")
    made = fasttime.sweep(CANDIDATES, {"kind": ["a", "b"]}, lambda kind: 3.0)
    with pytest.raises(ValueError, match="no horizontal axis"):
        made.plot()


def test_an_unknown_option_brings_a_guess() -> None:
    with pytest.raises(TypeError, match=r"sweep\(\) has no option bugdet=; did you mean budget=\?"):
        swept(bugdet=1)
    with pytest.raises(TypeError, match=r"no option repeat=; there are candidates, axes, make,"):
        swept(repeat=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": {"m": [1]}}, r"make is called with the axes m as keyword arguments, but:"),
        ({"axes": {"n": []}}, "axis 'n' has no values"),
        ({"axes": {"n": [1, 1]}}, "a value twice"),
        ({"axes": {"n": "12"}}, "must be a list"),
        ({"axes": {"n": [object()]}}, "axis values must be numbers"),
        ({"axes": {}}, "axes must be a mapping"),
        ({"candidates": {}}, "takes a callable, or a mapping"),
        ({"candidates": {"a": 3}}, "candidate 'a' is not callable"),
        ({"bytes": lambda m: 3}, "bytes is called with the axes n"),
        ({"bytes": -3}, "bytes must be above 0"),
        ({"bytes": "auto"}, "bytes must be a number"),
    ],
)
def test_mistakes_are_explained(options: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"candidates": CANDIDATES, "axes": AXES, **options}
    with pytest.raises((TypeError, ValueError), match=message):
        fasttime.sweep(given["candidates"], given["axes"], lambda n: n, bytes=options.get("bytes"))


def test_real_callables_are_timed() -> None:
    made = fasttime.sweep(
        {"sorted": sorted, "sum": sum},
        {"n": [10, 20_000]},
        lambda n: list(range(n, 0, -1)),
        budget=0.02,
    )
    assert made.is_complete
    assert all(one.median > 0 for point in made for one in point.timed)


# --- checks and fresh arguments ---


def double(x: torch.Tensor) -> torch.Tensor:
    return x + x


def wrong_from_100(x: torch.Tensor) -> torch.Tensor:
    return x * (2 if len(x) < 100 else 3)


def test_a_difference_is_noted_at_the_point() -> None:
    made = fasttime.sweep(
        {"good": double, "bad": wrong_from_100},
        {"n": [10, 100]},
        lambda n: torch.ones(n),
        check=torch.testing.assert_close,
        budget=0.02,
    )
    assert made[10].timed
    assert made[100].error.startswith('AssertionError: the results of "bad" and "good" differ')


def test_a_check_that_raises_is_noted_at_the_point() -> None:
    made = fasttime.sweep(
        {"a": double, "b": double},
        {"n": [10]},
        lambda n: torch.ones(n),
        check=lambda one, other: 1 / 0,
        budget=0.02,
    )
    assert made[10].error.startswith('RuntimeError: check= failed on the results of "b" and "a"')


def test_a_small_budget_names_the_budget_of_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    def compare(*_: object, **__: object) -> None:
        raise BudgetTooSmall("of compare()", "a run takes 1.000 s", 24.0)

    monkeypatch.setattr(module, "compare", compare)
    made = fasttime.sweep(CANDIDATES, {"n": [1]}, lambda n: n)
    assert made[1].error == (
        "ValueError: a run takes 1.000 s; pass budget=12 or more, the seconds per candidate and "
        "point"
    )


def test_a_check_needs_two_candidates() -> None:
    with pytest.raises(ValueError, match="got one candidate"):
        fasttime.sweep(double, AXES, lambda n: n, check=torch.equal)


@pytest.mark.parametrize("names", ["a", "ab"])
def test_setup_makes_arguments_from_those_of_make(names: str) -> None:
    given: list[torch.Tensor] = []

    def make(n: int) -> torch.Tensor:
        given.append(torch.zeros(n))
        return given[-1]

    def add(x: torch.Tensor) -> torch.Tensor:
        assert not x.any()
        return x.add_(1)

    made = fasttime.sweep(
        dict.fromkeys(names, add), {"n": [10]}, make, setup=lambda x: (x.clone(),), budget=0.02
    )
    assert made[10].timed
    assert "arguments_changed" not in made[10].warnings
    assert not given[0].any()


def test_an_error_of_setup_is_noted_at_the_point(calls: Calls) -> None:
    def setup(n: int) -> tuple[int]:
        raise MemoryError("too large")

    made = swept(setup=setup, items=1)
    assert made[10].error == "MemoryError: too large"


def test_a_setup_of_a_graph_is_refused() -> None:
    with pytest.raises(ValueError, match="use method='event'"):
        swept(setup=lambda n: (n,), method="graph")


def test_points_of_the_file_are_named(calls: Calls, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    assert "reused" not in {warning.kind for warning in swept(save_to=path).warnings}
    again = swept(save_to=path)
    (warning,) = (one for one in again.warnings if one.kind == "reused")
    assert "3 points of 3 come from the file" in warning.message
    assert "even if your code changed. Delete the file" in warning.message


def test_options_that_differ_are_named(calls: Calls, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    swept(save_to=path)
    again = swept(save_to=path, budget=0.5, bytes=lambda n: n)
    (warning,) = (one for one in again.warnings if one.kind == "reused")
    assert "changed. Options differ: budget was 1.0, is 0.5, bytes was None, is" in warning.message


def test_a_file_without_options_is_resumed(calls: Calls, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    swept(save_to=path)
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["options"]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert swept(save_to=path, cache="cold").reused == 3


def test_a_file_to_resume_from_is_json(calls: Calls, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"save_to must end in \.json"):
        swept(save_to=tmp_path / "s.csv")
    assert calls == []


def test_the_mean_of_rates_is_turned(calls: Calls) -> None:
    made = fasttime.sweep(CANDIDATES, {"n": [10, 20]}, lambda n: n, bytes=8)
    times = made.table().splitlines()[-1].split()
    rates = made.table("bytes").splitlines()[-1].split()
    assert float(times[-1]) == pytest.approx(1 / float(rates[-1]), rel=0.01)
