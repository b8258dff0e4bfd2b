# SPDX-License-Identifier: BSD-3-Clause
"""`compare`: rounds, interim analyses, verdicts and output, on virtual time."""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ab_simulation import normal
from scripted_sampler import Machine, ScriptedSampler, taking

import fasttime
from fasttime import Comparison
from fasttime.measuring.elsewhere import Elsewhere
from fasttime.measuring.held import CannotBeHeld
from fasttime.measuring.warnings import TimingWarning, not_held, raw_times

rounds_module = importlib.import_module("fasttime.comparing.rounds")
machine_module = importlib.import_module("fasttime.measuring.machine")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(np.random.default_rng(7), normal)
    made.install(monkeypatch)
    return made


# --- the rounds ---


def test_each_round_runs_every_candidate_once(
    machine: Machine,
) -> None:
    names = {"a": 1e-3, "b": 1.1e-3, "c": 0.9e-3}
    found = fasttime.compare(
        {name: taking(seconds, name) for name, seconds in names.items()}, rounds=12
    )
    assert found.batch_runs == 15
    batches = machine.order[-3 * found.rounds :]
    rounds = [tuple(name for name, _ in batches[i : i + 3]) for i in range(0, len(batches), 3)]
    assert {frozenset(names) for names in rounds} == {frozenset("abc")}
    assert len(set(rounds)) > 3
    assert {runs for _, runs in batches} == {15}
    assert len(found.measurements["a"]) == 15 * found.rounds


def test_a_batch_lasts_about_15_ms_on_average(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(1e-4), "b": taking(5e-4)}, rounds=1)
    assert found.batch_runs == pytest.approx(50, abs=2)
    assert fasttime.compare({"a": taking(1.0), "b": taking(2.0)}, budget=20).batch_runs == 1
    assert fasttime.compare({"a": taking(1e-9), "b": taking(1e-9)}, rounds=1).batch_runs == 500


def test_each_comparison_has_a_new_order(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []
    for seed in (1, 2):
        monkeypatch.setattr(rounds_module, "_new_random", lambda seed=seed: random.Random(seed))
        machine.order.clear()
        fasttime.compare({"a": taking(1.0, "a"), "b": taking(1.0, "b")}, rounds=9, budget=100)
        orders.append(machine.order.copy())
    assert orders[0] != orders[1]


def test_runs_before_the_rounds_are_warm_up(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, rounds=8)
    measured = found.measurements["a"]
    assert (measured.warmup, len(measured.warmup_times)) == (30, 30)
    assert measured.repeat == 30 + 8 * 15


def test_the_first_clear_analysis_ends_the_rounds(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1.5e-3)}, budget=5.0)
    assert found.rounds < 30
    assert found.duration < 1.0
    assert found.level == pytest.approx(1 - 0.02 / 3)
    assert {measured.ended_by for measured in found.measurements.values()} == {"precision"}


def test_a_spent_budget_makes_the_analysis_the_last(machine: Machine) -> None:
    machine.noise = lambda it, runs: 0.3 * it.rng.standard_normal() * np.ones(runs)
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1.01e-3)}, budget=2.0)
    assert found.verdicts["b"].verdict == "can't tell"
    assert 1.8 < found.duration < 2.1
    assert found.level == 0.98
    assert found.measurements["b"].ended_by == "budget"


def test_a_slowing_machine_stays_near_the_budget(machine: Machine) -> None:
    def slowing(it: Machine, runs: int) -> Any:
        return min(it.now, 3.0) + 0.3 * it.rng.standard_normal() * np.ones(runs)

    machine.noise = slowing
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, budget=2.0)
    assert 2.0 <= found.duration < 2.5
    assert found.level == 0.98


def test_a_number_of_rounds_ends_the_comparison(machine: Machine) -> None:
    machine.noise = lambda it, runs: 0.3 * it.rng.standard_normal() * np.ones(runs)
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1.01e-3)}, rounds=7)
    assert (found.rounds, found.level) == (7, 0.96)
    assert found.measurements["a"].ended_by == "count"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
@pytest.mark.parametrize(
    ("wrong", "note"),
    [
        ("bugdet", "compare() passed bugdet= on to the callable; did you mean budget=?"),
        ("warmpu", "compare() passed warmpu on to the callable. Its own options are method,"),
    ],
)
def test_a_misspelt_option_is_named_in_a_note(machine: Machine, wrong: str, note: str) -> None:
    given: Any = {wrong: 3}
    with pytest.raises(TypeError) as caught:
        fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, **given)
    notes = caught.value.__notes__  # type: ignore[attr-defined]
    assert any(one.startswith(note) for one in notes)


def test_a_callable_of_any_name_brings_a_warning(machine: Machine) -> None:
    def fn(**_: object) -> float:
        return 1e-3

    found = fasttime.compare({"a": fn, "b": fn}, bugdet=3, rounds=6)
    (message,) = (one.message for one in found.warnings if one.kind == "option_passed_on")
    assert message.startswith("compare() passed bugdet= on to the callable")


# --- a budget has room for a verdict ---


@pytest.mark.parametrize(("others", "fewest"), [(1, 6), (2, 7), (3, 8)])
def test_batches_shrink_until_a_verdict_fits(machine: Machine, others: int, fewest: int) -> None:
    slower = {f"b{index}": taking(2.2e-3, "b") for index in range(others)}
    budget = 1.05 * fewest * (2e-3 + 2.2e-3 * others)
    found = fasttime.compare({"a": taking(2e-3, "a"), **slower}, budget=budget)
    assert (found.rounds, found.batch_runs) == (fewest, 1)
    assert {verdict.verdict for verdict in found.verdicts.values()} == {"slower"}


def test_a_small_budget_makes_many_short_rounds(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(100e-6), "b": taking(105e-6)}, budget=0.15)
    assert found.rounds == pytest.approx(24, abs=1)
    assert found.verdicts["b"].verdict == "slower"


def test_a_budget_without_room_is_refused(machine: Machine) -> None:
    with pytest.raises(ValueError, match="budget=5 is too small for a verdict: ") as error:
        fasttime.compare({"a": taking(1.0, "a"), "b": taking(2.0, "b")})
    assert str(error.value).endswith(
        "and a verdict takes at least 6 rounds; pass budget=22 or more, or time each candidate "
        "with fasttime.measure()"
    )
    assert machine.now < 7  # refused before the rounds


def test_the_named_budget_is_enough(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(1.0), "b": taking(2.0)}, budget=22)
    assert found.verdicts["b"].verdict == "slower"
    assert found.measurements["a"].warmup == 1  # one ignored round is enough for long calls


def test_a_single_long_run_refuses_no_budget(machine: Machine) -> None:
    calls = iter(range(1_000_000))
    found = fasttime.compare({"a": taking(1e-3), "b": lambda: 9.0 if next(calls) == 1 else 1e-3})
    assert found.verdicts["b"].verdict == "same"


def test_fewer_rounds_run_if_you_ask_for_them(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(1.0), "b": taking(1.5)}, rounds=2, budget=6)
    assert (found.rounds, found.verdicts["b"].verdict) == (2, "can't tell")


def test_rounds_may_take_longer_than_planned(machine: Machine) -> None:
    calls = iter(range(1_000_000))
    slow = {"a": taking(0.4), "b": lambda: 0.5 if next(calls) < 6 else 0.7}
    assert fasttime.compare(slow, budget=6).rounds == 6
    calls = iter(range(1_000_000))
    slow["b"] = lambda: 0.5 if next(calls) < 4 else 9.0
    assert fasttime.compare(slow, budget=6).rounds == 3  # at most twice the budget


# --- options ---


def test_arguments_and_options_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(np.random.default_rng(0))
    options: list[Any] = []

    @contextlib.contextmanager
    def opener(call: Any, **given: Any) -> Iterator[ScriptedSampler]:
        options.append(given)
        yield ScriptedSampler(machine, call)
        options.append("closed")

    machine.install(monkeypatch, opener)
    seen = []

    def fn(*args: object, **kwargs: object) -> float:
        seen.append((args, kwargs))
        return 1.0

    found = fasttime.compare(
        {"a": fn, "b": fn}, 1, rounds=1, key=2, method="graph", hold=True, cache="cold"
    )
    assert set(map(str, seen)) == {"((1,), {'key': 2})"}
    given = {"method": "graph", "hold": True, "cache": "cold"}
    assert options == [given, given, "closed", "closed"]
    measured = found.measurements["b"]
    assert (measured.method, measured.held, measured.cache) == ("graph", True, "cold")
    assert measured.label == "b"


# --- the verdicts ---


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(1.05e-3, "slower"), (0.95e-3, "faster"), (1e-3, "same")]
)
def test_verdicts_match_the_true_ratio(machine: Machine, seconds: float, verdict: str) -> None:
    found = fasttime.compare({"a": taking(1e-3), "b": taking(seconds)})
    judged = found.verdicts["b"]
    assert judged.verdict == verdict
    assert judged.interval[0] <= found.ratio("b") <= judged.interval[1]
    assert found.ratio("b") == pytest.approx(seconds / 1e-3, rel=0.01)


def test_a_limit_of_rounds_leads_to_more_rounds(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, rounds=1)
    reason = found.verdicts["b"].reason
    assert reason.startswith("1 round does not decide it. About 6 rounds would, in ")
    assert reason.endswith(": call compare() with rounds=6.")


def test_more_candidates_widen_each_interval(machine: Machine) -> None:
    found = fasttime.compare({name: taking(1e-3) for name in "abcd"}, rounds=12)
    assert found.level == pytest.approx(1 - 0.04 / 3)


def test_a_saved_comparison_keeps_its_verdicts(machine: Machine, tmp_path: Path) -> None:
    found = fasttime.compare({"b": taking(1e-3), "a": taking(2e-3)}, rounds=8)
    found.save(tmp_path / "c.json")
    again = fasttime.load(tmp_path / "c.json")
    assert isinstance(again, Comparison)
    assert list(again.measurements) == ["b", "a"]
    assert again.verdicts == found.verdicts
    assert str(again) == str(found)


# --- warnings ---


def test_a_warning_names_its_candidates(machine: Machine) -> None:
    def flipping(it: Machine, runs: int) -> Any:
        return 0.2 * it.rng.integers(2, size=runs)

    machine.noise = flipping
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, rounds=10)
    kinds = [warning.kind for warning in found.measurements["a"].warnings]
    assert kinds == ["two_modes"]
    assert [warning.kind for warning in found.warnings] == ["two_modes"]
    assert found.warnings[0].message.startswith('"a" (likewise "b"): ')
    assert '\nwarning (two_modes): "a" (likewise "b"): ' in str(found)
    assert str(found).count("warning (") == 1


def test_a_shared_warning_omits_the_names(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = ScriptedSampler.take
    warning = TimingWarning("queued_only", "so it is")
    monkeypatch.setattr(
        ScriptedSampler, "take", lambda self, runs: take(self, runs)._replace(warning=warning)
    )
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, rounds=10, method="naive")
    assert found.measurements["a"].warnings == (warning,)
    assert found.warnings == (warning,)  # no name: all candidates share it
    assert str(found).splitlines()[-1] == "warning (queued_only): so it is"


# --- held streams ---


class OnDevice:
    """Puts samplers in place that stand on a device which waits for the host, or does not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, waiting: bool | None) -> None:
        self.waiting = waiting
        self.others = Elsewhere()
        self.cannot_hold = False
        self.held_batches = 10**9  # so many can be taken
        self.log: list[bool] = []
        made = Machine(np.random.default_rng(0))
        made.install(monkeypatch, self.open)
        self.machine = made
        monkeypatch.setattr(machine_module, "cuda_is_up", lambda: True)
        monkeypatch.setattr(machine_module, "is_capturing", lambda: False)
        monkeypatch.setattr(machine_module, "device_name", lambda: "cuda:0 Scripted")
        monkeypatch.setattr(machine_module, "environment", lambda: None)
        monkeypatch.setattr(machine_module, "gpu_state", lambda: None)
        monkeypatch.setattr(machine_module, "sm_clock", lambda: None)
        monkeypatch.setattr(machine_module, "synchronize", lambda: None)
        monkeypatch.setattr(machine_module, "synchronize_device", lambda device: None)
        monkeypatch.setattr(machine_module, "current_device", lambda: 0)
        monkeypatch.setattr(machine_module, "devices_in_use", lambda: (0,))

    @contextlib.contextmanager
    def open(self, call: Any, *, hold: bool, **_: Any) -> Iterator[Any]:
        sampler = ScriptedSampler(self.machine, call)

        def take(runs: int, ignored: int = 0) -> Any:
            if hold and self.cannot_hold:
                raise RuntimeError("the stream cannot be held")
            if hold and self.log.count(True) == self.held_batches:
                raise CannotBeHeld("a run waits for the device")
            self.log.append(hold)
            batch = sampler.take(runs)
            if hold:
                times, event_overheads = batch.times + 1e-6, np.full(2, 1e-6)
                return batch._replace(
                    times=times, event_overheads=event_overheads, others=self.others
                )
            return batch._replace(work_was_waiting=self.waiting, others=self.others)

        yield SimpleNamespace(take=take)


def test_held_streams_lose_the_event_overhead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OnDevice(monkeypatch, waiting=False)
    found = fasttime.compare({"a": taking(1e-5), "b": taking(2e-5)}, rounds=8)
    assert device.log[-16:] == [True] * 16
    measured = found.measurements["b"]
    assert (measured.held, measured.is_calibrated, measured.event_overhead) == (True, True, 1e-6)
    assert measured.median == pytest.approx(2e-5)
    assert found.ratio("b") == pytest.approx(2.0)
    assert measured.warnings == ()


def test_hold_false_leaves_streams_free(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OnDevice(monkeypatch, waiting=True)
    found = fasttime.compare({"a": taking(1e-3), "b": taking(2e-3)}, rounds=8, hold=False)
    assert not any(device.log)
    assert (found.measurements["a"].held, found.measurements["a"].warnings) == (False, ())


def test_streams_that_cannot_be_held_bring_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = OnDevice(monkeypatch, waiting=False)
    device.cannot_hold = True
    found = fasttime.compare({"a": taking(1e-3), "b": taking(2e-3)}, rounds=10)
    assert [warning.kind for warning in found.measurements["a"].warnings] == ["not_held", "raw"]
    with pytest.raises(RuntimeError, match="the stream cannot be held"):
        fasttime.compare({"a": taking(1e-3), "b": taking(2e-3)}, hold=True)


@pytest.mark.parametrize("hold", [None, True])
@pytest.mark.parametrize("after", [3, 40])
def test_a_lost_hold_restarts_every_candidate(
    monkeypatch: pytest.MonkeyPatch, hold: bool | None, after: int
) -> None:
    device = OnDevice(monkeypatch, waiting=True)
    device.held_batches = after
    found = fasttime.compare({"a": taking(1e-5), "b": taking(2e-5)}, rounds=10, hold=hold)
    assert device.log[:after] == [True] * after
    assert not any(device.log[after:])
    for measured in found.measurements.values():
        assert (measured.held, measured.is_calibrated) == (False, False)
        assert measured.warnings == (not_held("a run waits for the device"),)
        assert len(measured) == 10 * found.batch_runs
    assert found.ratio("b") == pytest.approx(2.0)


@pytest.mark.parametrize("waiting", [False, None])
def test_times_that_may_include_waits_bring_a_warning(
    monkeypatch: pytest.MonkeyPatch, waiting: bool | None
) -> None:
    OnDevice(monkeypatch, waiting)
    found = fasttime.compare({"a": taking(1e-3), "b": taking(2e-3)}, rounds=10, hold=False)
    (warning,) = found.measurements["b"].warnings
    assert warning == raw_times(1e-3, device_waited=waiting is False)


def test_work_on_other_streams_brings_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    OnDevice(monkeypatch, waiting=True).others = Elsewhere(0.5)
    found = fasttime.compare({"a": taking(1e-3), "b": taking(2e-3)}, rounds=10)
    assert [warning.kind for warning in found.measurements["a"].warnings] == ["other_streams"]


# --- bad input ---


@pytest.mark.parametrize("candidates", [{}, {"a": print}])
def test_fewer_than_two_candidates_are_refused(candidates: Any) -> None:
    with pytest.raises(ValueError, match=r"^compare\(\) takes at least two candidates, got \["):
        fasttime.compare(candidates)


def test_a_candidate_that_is_not_callable_is_named() -> None:
    with pytest.raises(TypeError, match=r"^candidate 'b' is not callable, got 3 of type int$"):
        fasttime.compare({"a": print, "b": 3})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", [1, ""])
def test_candidate_names_must_be_strings(name: Any) -> None:
    with pytest.raises(
        TypeError, match=f"^candidate names must be non-empty strings, got {name!r}$"
    ):
        fasttime.compare({"a": print, name: print})


@pytest.mark.parametrize(
    ("option", "value", "error", "message"),
    [
        (
            "method",
            "events",
            ValueError,
            "method must be one of naive, sync, event, graph, got 'events'",
        ),
        ("cache", "hot", ValueError, "cache must be one of warm, cold, got 'hot'"),
        ("budget", 0, ValueError, "budget must be above 0 and at most 86400, got 0"),
        ("budget", math.inf, ValueError, "budget must be above 0 and at most 86400, got inf"),
        ("budget", math.nan, ValueError, "budget must be above 0 and at most 86400, got nan"),
        ("budget", "5", TypeError, "budget must be a number, got '5'"),
        ("rounds", 0, ValueError, "rounds must be at least 1 and at most 1024, got 0"),
        ("rounds", 1025, ValueError, "rounds must be at least 1 and at most 1024, got 1025"),
        ("rounds", 2.0, TypeError, "rounds must be an int or None, got 2.0"),
        ("budget", 10**400, ValueError, "budget must be above 0 and at most 86400, got 1000"),
        ("margin", 1, ValueError, "margin must lie between 0 and 1, 0.01 for 1 %, got 1"),
        ("margin", True, TypeError, "margin must be a number, got True"),
    ],
)
def test_an_option_out_of_range_is_refused(
    option: str, value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        fasttime.compare({"a": print, "b": print}, **{option: value})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("method", ["naive", "sync"])
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("hold", True, "hold=True holds the stream, and method="),
        ("cache", "cold", "cache='cold' clears the cache on the device between the events of two"),
    ],
)
def test_impossible_options_of_a_method_are_refused(
    method: Any, option: str, value: Any, message: str
) -> None:
    calls: list[int] = []
    fn = functools.partial(calls.append, 0)
    with pytest.raises(ValueError, match=f"^{message}"):
        fasttime.compare({"a": fn, "b": fn}, method=method, **{option: value})
    assert calls == []


def test_numpy_numbers_are_accepted(machine: Machine) -> None:
    found = fasttime.compare(
        {"a": taking(1e-3), "b": taking(1e-3)},
        rounds=np.int64(7),
        budget=np.float32(5),
        margin=np.float64(0.02),
    )
    assert found.rounds == 7


def test_compare_refuses_to_run_in_a_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "is_capturing", lambda: True)
    with pytest.raises(
        RuntimeError,
        match=r"^compare\(\) has to wait for the device, and the current stream is capturing",
    ):
        fasttime.compare({"a": print, "b": print})


def test_exceptions_pass_and_name_the_candidate(machine: Machine) -> None:
    error = OSError("in run 99")
    runs = iter(range(1000))

    def fn() -> float:
        if next(runs) == 9:
            raise error
        return 1e-3

    with pytest.raises(OSError, match=r"^in run 99") as caught:
        fasttime.compare({"a": taking(1e-3), "b": fn})
    assert caught.value is error
    assert str(error) == "in run 99"
    if sys.version_info >= (3, 11):
        assert error.__notes__ == ["while timing candidate 'b'"]
