# SPDX-License-Identifier: BSD-3-Clause
"""`compare_methods`: rounds and findings, on a scripted clock and a simulated device."""

from __future__ import annotations

import importlib
import io
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime import Measurement, MethodComparison
from fasttime.comparing.method_findings import MethodFinding, judge_methods
from fasttime.measuring.accelerators import ON_CPU
from fasttime.measuring.arguments import label_of
from fasttime.measuring.warnings import TimingWarning, WarningKind, judge_naive

needs_notes = pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes")

compare_module = importlib.import_module("fasttime.comparing.methods")


def measurement(
    method: Any, time: float, *warnings: TimingWarning, loop_time: float = 1.0
) -> Measurement:
    return Measurement(
        times=np.array([time, time, 4 * time]),
        warmup_times=np.array([]),
        host_times=np.array([time] * 3),
        loop_time=loop_time,
        method=method,
        label="model",
        device="cuda:0 Scripted",
        warmup=0,
        repeat=3,
        warnings=warnings,
    )


def judge(*measurements: Measurement, change: float = 0.0) -> dict[Any, MethodFinding]:
    by_method = {found.method: found for found in measurements}
    return judge_methods(by_method, dict.fromkeys(by_method, change))


# --- the rounds ---


def test_naive_and_sync_match_the_script(script: ScriptedLoop) -> None:
    found = fasttime.compare_methods(
        script.work, 0.25, 1.0, methods=("naive", "sync"), warmup=0, repeat=4, rounds=3
    )
    assert found.loop_times == {
        "untimed": (4.25, 4.25, 4.25),
        "naive": (4.25, 4.25, 4.25),
        "sync": (5.0, 5.0, 5.0),
    }
    assert found.loop_change == {"naive": 0.0, "sync": 5.0 / 4.25 - 1}
    assert found.measurements["naive"].median == 0.25
    assert found.measurements["sync"].median == 1.25
    assert {method: finding.reading for method, finding in found.findings.items()} == {
        "naive": "wrong",
        "sync": "right",
    }


def test_each_round_has_every_loop_once(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def take_measurement(call: Any, args: Any, kwargs: Any, options: Any, bar: Any) -> Measurement:
        order.append(options.method)
        return measurement(options.method, 1.0)

    def untimed_loop(call: Any, repeat: int) -> float:
        order.append("untimed")
        return 1.0

    monkeypatch.setattr(compare_module, "take_measurement", take_measurement)
    monkeypatch.setattr(compare_module.machine, "untimed_loop", untimed_loop)
    fasttime.compare_methods(lambda: None, rounds=6)
    rounds = [tuple(order[i : i + 4]) for i in range(0, 24, 4)]
    assert {frozenset(names) for names in rounds} == {
        frozenset(("untimed", "naive", "sync", "event"))
    }
    assert len(set(rounds)) > 1
    first = order.copy()
    order.clear()
    fasttime.compare_methods(lambda: None, rounds=6)
    assert order == first


@pytest.mark.parametrize(("warmup", "before"), [(0, 1), (2, 2)])
def test_the_callable_is_warm_before_the_first_round(
    script: ScriptedLoop, warmup: int, before: int
) -> None:
    methods: Any = ("naive", "sync")
    fasttime.compare_methods(
        script.work, 0.0, 1.0, methods=methods, warmup=warmup, repeat=5, rounds=2
    )
    assert script.log.count("run") == before + 2 * 3 * 5
    assert script.log[: before + 1] == ["run"] * before + ["wait"]


def test_the_loop_change_is_a_median_of_ratios() -> None:
    found = MethodComparison(
        {"sync": measurement("sync", 1.0)},
        {"untimed": (1.0, 10.0, 4.0), "sync": (1.5, 11.0, 8.0)},
    )
    assert found.loop_change == {"sync": 0.5}


def test_the_middle_round_is_shown(script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    medians = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(
        compare_module,
        "take_measurement",
        lambda call, args, kwargs, options, bar: measurement(options.method, next(medians)),
    )
    found = fasttime.compare_methods(script.work, 1.0, 0.0, methods=("sync",))
    assert found.measurements["sync"].median == 2.0


def test_arguments_reach_the_callable() -> None:
    seen: list[object] = []

    def fn(*args: object, **kwargs: object) -> None:
        seen.append((args, kwargs))

    found = fasttime.compare_methods(fn, 1, warmup=0, repeat=1, rounds=1, key=2)
    assert seen == [((1,), {"key": 2})] * 5
    assert found.measurements["event"].label == "fn"


# --- the findings ---


def test_all_methods_are_right_on_the_cpu() -> None:
    found = fasttime.compare_methods(lambda: None, repeat=6, rounds=1)
    assert list(found.findings) == ["naive", "sync", "event"]
    assert {finding.reading for finding in found.findings.values()} == {"right"}
    assert {finding.reason for finding in found.findings.values()} == {ON_CPU.message}


@pytest.mark.parametrize(
    ("kind", "reading"),
    [
        ("queued_only", "wrong"),
        ("launch_queue_full", "right by accident"),
        ("host_bound", "right"),
        ("unclear", "unclear"),
        ("cuda_started", "unclear"),
    ],
)
def test_naive_is_judged_by_its_own_warning(kind: WarningKind, reading: str) -> None:
    found = judge(measurement("naive", 1.0, TimingWarning(kind, "so it is")))
    assert found == {"naive": MethodFinding(reading, "so it is")}  # type: ignore[arg-type]


def test_naive_is_unclear_if_events_contradict() -> None:
    warning = judge_naive(1.0, device_time=1.0, backlog=0.0)
    found = judge(measurement("naive", 1.0, warning), measurement("event", 0.5))["naive"]
    assert found.reading == "unclear"
    assert found.reason == (
        f"+100.0 % from the events' reading of 500.0 ms, which contradicts this: {warning.message}"
    )


@pytest.mark.parametrize(("time", "difference"), [(1.04, "+4.0 %"), (0.96, "-4.0 %")])
def test_sync_is_right_if_it_agrees_with_events(time: float, difference: str) -> None:
    found = judge(measurement("sync", time), measurement("event", 1.0), change=0.41)
    assert found["sync"] == (
        "right",
        f"{difference} from the events' reading of 1.000 s: it agrees, but the host waited in "
        "every run. The loop takes longer than without timing (+41.0 %).",
    )


def test_sync_is_unclear_if_it_differs_from_events() -> None:
    found = judge(measurement("sync", 1.5), measurement("event", 1.0), change=0.41)
    assert found["sync"] == (
        "unclear",
        "+50.0 % from the events' reading of 1.000 s. It includes launch latency and the time "
        "until the host notices the end of the work. The loop takes longer than without timing "
        "(+41.0 %).",
    )


def test_sync_without_events_is_right() -> None:
    assert judge(measurement("sync", 1.5))["sync"] == (
        "right",
        "The host waited for the device before and after every run. The loop takes as long as "
        "without timing (+0.0 %).",
    )


def test_events_are_right() -> None:
    assert judge(measurement("event", 1.0), change=0.002)["event"] == (
        "right",
        "Read on the device, without waiting. The loop takes as long as without timing (+0.2 %).",
    )


OTHER_STREAMS = TimingWarning("other_streams", "work went on elsewhere")


def test_sync_is_the_yardstick_if_events_miss_work() -> None:
    found = judge(
        measurement("naive", 1.0, TimingWarning("host_bound", "right, it kept up")),
        measurement("sync", 5.0),
        measurement("event", 1.0, OTHER_STREAMS),
    )
    assert {method: finding.reading for method, finding in found.items()} == {
        "naive": "unclear",
        "sync": "right",
        "event": "wrong",
    }
    assert found["naive"].reason == (
        "0.2 times the sync method's reading of 5.000 s, which contradicts this: right, it kept up"
    )
    assert found["sync"].reason.startswith(
        "The host waited for the device before and after every run."
    )
    assert found["event"].reason.startswith("work went on elsewhere. The loop takes as long")


def test_event_findings_mention_waits_in_the_times() -> None:
    found = judge(
        measurement("event", 1.0, TimingWarning("raw", "the device waited, in these times"))
    )
    assert found["event"] == (
        "right",
        "Read on the device, without waiting. the device waited, in these times. The loop takes as "
        "long as without timing (+0.0 %).",
    )


# --- of a device ---


def test_only_sync_is_right_on_a_side_stream(cuda: Simulated, simulated: SimulatedMachine) -> None:
    other = cuda.create_stream()
    found = fasttime.compare_methods(simulated.work, 20 * US, MS, other)
    assert {method: finding.reading for method, finding in found.findings.items()} == {
        "naive": "wrong",
        "sync": "right",
        "event": "wrong",
    }
    assert found.measurements["sync"].median == pytest.approx(1.02e-3)
    assert "1.000 ms" in found.findings["naive"].reason


def test_a_waiting_device_is_mentioned(
    simulated: SimulatedMachine,
) -> None:
    def fn() -> None:
        for _ in range(10):
            simulated.work(50 * US, 5 * US)

    found = fasttime.compare_methods(fn)
    (raw,) = (w for w in found.measurements["event"].warnings if w.kind == "raw")
    reading, reason = found.findings["event"]
    assert reading == "right"
    assert raw.message in reason


# --- in print ---


def comparison() -> MethodComparison:
    return MethodComparison(
        {
            "naive": measurement("naive", 0.007, TimingWarning("queued_only", "so it is")),
            "sync": measurement("sync", 0.0181),
            "event": measurement("event", 0.0178),
        },
        {"untimed": (2.0,), "naive": (2.0,), "sync": (3.0,), "event": (2.0,)},
    )


def test_a_method_comparison_prints_as_a_table() -> None:
    assert str(comparison()).splitlines() == [
        "model on cuda:0 Scripted: 1 round of 3 runs, 0 ignored",
        "           median      mean    whole       vs",
        "method    per run   per run     loop  untimed  reading",
        "untimed         -         -  2.000 s        -  -",
        "naive    7.000 ms  14.00 ms  2.000 s   +0.0 %  wrong",
        "sync     18.10 ms  36.20 ms  3.000 s  +50.0 %  right",
        "event    17.80 ms  35.60 ms  2.000 s   +0.0 %  right",
        "naive: so it is",
        "sync: +1.7 % from the events' reading of 17.80 ms: it agrees, but the host waited in "
        "every run. The",
        "loop takes longer than without timing (+50.0 %).",
        "event: Read on the device, without waiting. The loop takes as long as without timing "
        "(+0.0 %).",
    ]
    assert repr(comparison()) == str(comparison())


def test_rich_uses_the_width_of_its_console() -> None:
    file = io.StringIO()
    Console(file=file, width=60).print(comparison())
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[0].rstrip() == "model on cuda:0 Scripted: 1 round of 3 runs, 0 ignored"


def test_large_differences_print_as_factors() -> None:
    found = judge(measurement("sync", 0.0102), measurement("event", 0.0002))["sync"]
    assert found.reason.startswith("51 times the events' reading of 200.0 µs. It includes launch")


def test_a_comparison_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = str(comparison()).splitlines()
    assert max(map(len, lines)) <= 60


def test_one_run_is_spoken_of_as_one() -> None:
    found = fasttime.compare_methods(len, "", warmup=0, repeat=1, rounds=1)
    assert str(found).splitlines()[0] == "len on cpu: 1 round of 1 run, 0 ignored"


def test_a_shared_finding_prints_once() -> None:
    cpu = TimingWarning("cpu", "all agree")
    methods: Mapping[Any, Measurement] = {
        method: measurement(method, 1.0, cpu) for method in ("naive", "sync", "event")
    }
    loop_times = dict.fromkeys(["untimed", *methods], (1.0,))
    text = str(MethodComparison(methods, loop_times))
    assert text.splitlines()[-1] == "naive, sync, event: all agree"


def test_other_warnings_print_below_the_findings() -> None:
    changed = TimingWarning("arguments_changed", "fn changes it")
    methods: Mapping[Any, Measurement] = {
        "sync": measurement("sync", 1.0, changed, TimingWarning("drift", "it drifts")),
        "event": measurement("event", 1.0, OTHER_STREAMS, changed),
    }
    loop_times = dict.fromkeys(["untimed", *methods], (1.0,))
    found = MethodComparison(methods, loop_times)
    assert str(found).splitlines()[-2:] == [
        "warning (arguments_changed): fn changes it",
        "warning (drift): sync: it drifts",
    ]
    assert found.warnings == (
        changed,
        TimingWarning("drift", "sync: it drifts"),
        TimingWarning("other_streams", "event: work went on elsewhere"),
    )


# --- the other forms ---


def test_a_saved_method_comparison_keeps_everything(tmp_path: Path) -> None:
    found = comparison()
    found.save(tmp_path / "m.json")
    again = fasttime.load(tmp_path / "m.json")
    assert isinstance(again, MethodComparison)
    assert (again.loop_times, again.findings) == (found.loop_times, found.findings)
    assert str(again) == str(found)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"method": "sync"', '"method": "naive"', "two measurements have the same method"),
        ('"method": "event"', '"method": "graph"', "method should be one of naive, sync, event"),
        ('"untimed": [2.0]', '"untimed": [2.0, 2.0]', "all must have the same number, at least 1"),
        ('"untimed": [2.0]', '"untimed": [0.0]', "loop_times of untimed include 0"),
        ('"untimed": [2.0]', '"untimed": [-2.0]', "loop_times of untimed are [-2.0], but must not"),
    ],
)
def test_inconsistent_files_are_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = tmp_path / "m.json"
    comparison().save(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"m\.json is damaged or was edited: ") as caught:
        fasttime.load(path)
    assert complaint in str(caught.value)


def test_a_method_comparison_is_json() -> None:
    written = json.loads(json.dumps(comparison().to_dict()))
    assert written["findings"]["naive"] == {"reading": "wrong", "reason": "so it is"}
    assert written["loop_change"]["sync"] == 0.5
    assert written["warnings"] == [{"kind": "queued_only", "message": "naive: so it is"}]


def test_a_notebook_shows_methods_and_findings() -> None:
    shown = comparison()._repr_html_()
    assert '<th scope="row">sync</th><td>18.10 ms</td>' in shown
    assert "<p>naive: so it is</p>" in shown


def test_pandas_gets_a_row_per_method() -> None:
    pytest.importorskip("pandas")
    frame = comparison().to_pandas()
    assert list(frame["method"]) == ["naive", "sync", "event"]
    assert list(frame["reading"]) == ["wrong", "right", "right"]
    assert list(frame["loop_change"]) == [0.0, 0.5, 0.0]


# --- bad input ---


@pytest.mark.parametrize("fn", [[1], [len, sorted], 3])
def test_only_callables_are_accepted(fn: Any) -> None:
    with pytest.raises(TypeError, match=r"^compare_methods\(\) takes a callable, got ") as caught:
        fasttime.compare_methods(fn)
    assert repr(fn) in str(caught.value)


def test_a_mapping_is_for_compare() -> None:
    with pytest.raises(TypeError, match=r"got a mapping; .* call compare\(\)$"):
        fasttime.compare_methods({"a": len, "b": sorted})  # type: ignore[arg-type]


def test_a_single_callable_is_for_compare_methods() -> None:
    with pytest.raises(TypeError, match=r"got the callable len; .* call compare_methods\(len\)$"):
        fasttime.compare(len, "")  # type: ignore[arg-type]


def of_no_arguments() -> None: ...


def of_a_tensor(x: Any) -> Any:
    return x.relu()


@needs_notes
@pytest.mark.parametrize(
    ("fn", "rival", "label"),
    [
        (of_no_arguments, of_a_tensor, "of_a_tensor"),
        (of_a_tensor, of_no_arguments, "of_no_arguments"),
        (torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), "Linear"),
    ],
)
def test_a_second_callable_brings_a_note(fn: Any, rival: Any, label: str) -> None:
    with pytest.raises((TypeError, AttributeError)) as caught:
        fasttime.compare_methods(fn, rival)
    assert caught.value.__notes__ == [
        f"compare_methods() called {label_of(fn)} with {label} as its first argument. To compare "
        'the two, call compare({"a": f, "b": g}, x)'
    ]


@needs_notes
def test_options_of_the_other_function_bring_a_note() -> None:
    with pytest.raises(TypeError) as caught:
        fasttime.compare_methods(of_no_arguments, budget=1, hold=True)
    assert caught.value.__notes__ == [
        "compare_methods() passed budget, hold on to the callable. Its own options are methods, "
        'warmup, repeat and rounds. To compare callables, call compare({"a": f, "b": g}, x), which '
        "also takes method, hold, cache, budget and margin"
    ]
    with pytest.raises(TypeError) as caught:
        fasttime.compare({"a": of_no_arguments, "b": len}, repeat=10)
    assert caught.value.__notes__ == [
        "compare() passed repeat on to the callable. Its own options are method, hold, cache, "
        "budget, rounds, margin, statistic, setup, inputs, check, bytes, flops and items. It warms "
        "up by itself and stops when every verdict is clear; to stop earlier, pass a smaller "
        "budget or fewer rounds",
        "while timing candidate 'a'",
    ]


def test_an_argument_may_have_an_option_s_name() -> None:
    seen = []

    def fn(budget: int) -> None:
        seen.append(budget)

    fasttime.compare_methods(fn, budget=3, warmup=0, repeat=1, rounds=1)
    assert set(seen) == {3}


def test_a_callable_may_take_a_callable() -> None:
    found = fasttime.compare_methods(callable, len, warmup=0, repeat=1, rounds=1)
    assert list(found.measurements) == ["naive", "sync", "event"]


@needs_notes
def test_other_arguments_add_no_note() -> None:
    with pytest.raises(TypeError) as caught:
        fasttime.compare_methods(len, 3)
    assert not hasattr(caught.value, "__notes__")


def test_an_unknown_method_is_refused() -> None:
    message = "method must be one of naive, sync, event, got 'events'; did you mean 'event'?"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        fasttime.compare_methods(print, methods=("sync", "events"))  # type: ignore[arg-type]


@pytest.mark.parametrize("methods", [(), ("sync", "sync")])
def test_each_method_is_named_once(methods: Any) -> None:
    with pytest.raises(ValueError, match=r"^methods must name at least one method, each once, got"):
        fasttime.compare_methods(print, methods=methods)


def test_a_number_of_runs_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got warmup=5, repeat=5$"):
        fasttime.compare_methods(print, repeat=5)


@pytest.mark.parametrize(("warmup", "repeat"), [("auto", 50), (5, "auto")])
def test_auto_runs_are_refused(warmup: Any, repeat: Any) -> None:
    message = (
        "compare_methods() runs each method equally often, so warmup and repeat must be ints, "
        f"got warmup={warmup!r}, repeat={repeat!r}; measure() takes 'auto'"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        fasttime.compare_methods(print, warmup=warmup, repeat=repeat)


def test_a_single_method_may_be_a_string() -> None:
    found = fasttime.compare_methods(len, "", methods="sync", warmup=0, repeat=1, rounds=1)
    assert list(found.measurements) == ["sync"]


def test_numpy_numbers_are_accepted() -> None:
    one = np.int64(1)
    found = fasttime.compare_methods(len, "", warmup=np.int32(0), repeat=one, rounds=one)
    assert [len(times) for times in found.loop_times.values()] == [1] * 4


def test_fewer_than_one_round_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^rounds must be at least 1, got 0$"):
        fasttime.compare_methods(print, rounds=0)


@pytest.mark.parametrize("rounds", [1.5, "3", True])
def test_rounds_must_be_an_int(rounds: Any) -> None:
    with pytest.raises(TypeError, match=f"^rounds must be an int, got {rounds!r}$"):
        fasttime.compare_methods(print, rounds=rounds)


def test_exceptions_pass_unchanged() -> None:
    error = OSError("in run 37")
    runs = iter(range(1000))

    def fn() -> None:
        if next(runs) == 37:
            raise error

    with pytest.raises(OSError, match=r"^in run 37$") as caught:
        fasttime.compare_methods(fn)
    assert caught.value is error
