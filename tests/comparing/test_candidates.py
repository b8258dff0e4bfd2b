# SPDX-License-Identifier: BSD-3-Clause
"""`compare` of several callables: rounds, looks, verdicts and print, on virtual time."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
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
from made_up import measurement
from rich.console import Console
from scripted_sampler import Machine, ScriptedSampler, taking

import fasttime
from fasttime import Comparison
from fasttime.comparing.verdict import decide, times_as_many
from fasttime.measuring.held import CannotBeHeld
from fasttime.measuring.options import EndedBy
from fasttime.measuring.warnings import TimingWarning, not_held
from fasttime.stats.interim import plan_interim_analyses
from fasttime.stats.signed_rank import fewest_pairs, location_interval

rounds_module = importlib.import_module("fasttime.comparing.rounds")
machine_module = importlib.import_module("fasttime.measuring.machine")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(np.random.default_rng(7), normal)
    made.install(monkeypatch)
    return made


def comparison(
    ratios: Any,
    *,
    rounds: int = 8,
    level: float = 0.95,
    ended_by: EndedBy = "count",
    **changes: Any,
) -> Comparison:
    """Return one with two runs a batch, in which b has these ratios to a, round by round."""
    b = np.repeat(np.resize(np.asarray(ratios, dtype=float), rounds), 2)
    made: dict[str, Any] = {
        "measurements": {
            "a": measurement(np.ones(2 * rounds), label="a", ended_by=ended_by),
            "b": measurement(b, label="b", ended_by=ended_by),
        },
        "batch_runs": 2,
        "margin": 0.01,
        "level": level,
        "duration": 4.0 * rounds,
    }
    return Comparison(**{**made, **changes})


# --- what an interval says ---


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.995, 1.005), "same"),
        ((0.992, 0.998), "same"),
        ((0.98, 0.999), "faster"),
        ((1.001, 1.2), "slower"),
        ((0.98, 1.001), "can't tell"),
        ((0.995, 1.02), "can't tell"),
        ((1.0, 1.02), "can't tell"),
        ((0.0, math.inf), "can't tell"),
    ],
)
def test_a_verdict_follows_from_the_interval_and_the_margin(
    interval: tuple[float, float], verdict: str
) -> None:
    assert decide(interval, 0.01) == verdict


def test_a_wider_margin_calls_more_the_same() -> None:
    assert [decide((1.01, 1.04), margin) for margin in (0.01, 0.05)] == ["slower", "same"]


def test_the_evidence_that_would_do_grows_with_the_square_of_the_width() -> None:
    assert times_as_many(0.02, 0.04, 0.01) == pytest.approx(4)
    assert times_as_many(0.0, 2 * math.log1p(0.01), 0.01) == pytest.approx(4)
    assert times_as_many(0.5, 0.1, 0.01) == 1


# --- the interval ---


def test_the_interval_of_the_location_is_that_of_the_signed_rank_test() -> None:
    # Hollander and Wolfe, example 3.1: nine pairs, estimate and the 96 % interval in 3.3.
    differences = np.array([-0.952, 0.147, -1.022, -0.430, -0.620, -0.590, -0.490, 0.080, -0.010])
    middle, low, high = location_interval(differences, 0.04)
    assert (round(middle, 3), round(low, 3), round(high, 3)) == (-0.46, -0.786, -0.01)


def test_too_few_pairs_have_no_interval() -> None:
    assert location_interval(np.ones(5), 0.05) == (1.0, -math.inf, math.inf)
    assert location_interval(np.ones(6), 0.05) == (1.0, 1.0, 1.0)
    assert [fewest_pairs(alpha) for alpha in (0.05, 0.025, 0.0625)] == [6, 7, 5]


@pytest.mark.parametrize("pairs", [8, 60, 61])
def test_it_covers_the_location_as_often_as_it_says(pairs: int) -> None:
    rng = np.random.default_rng(pairs)
    intervals = [location_interval(rng.standard_t(2, size=pairs), 0.05) for _ in range(1000)]
    assert 0.93 <= np.mean([low <= 0 <= high for _, low, high in intervals]) <= 0.98


# --- the looks ---


@pytest.mark.parametrize(
    ("rounds", "after"), [(10, [10]), (31, [31]), (40, [20, 40]), (160, [20, 40, 80, 160])]
)
def test_there_are_four_looks_at_most_and_none_too_early(rounds: int, after: list[int]) -> None:
    assert [look.rounds for look in plan_interim_analyses(rounds, 1)] == after


@pytest.mark.parametrize("pairs", [1, 2, 5])
@pytest.mark.parametrize("rounds", [10, 40, 160])
def test_all_looks_at_all_pairs_share_4_percent(rounds: int, pairs: int) -> None:
    looks = plan_interim_analyses(rounds, pairs)
    assert pairs * sum(look.alpha for look in looks) == pytest.approx(0.04)
    assert looks[-1].alpha >= 0.02 / pairs


# --- the rounds ---


def test_each_round_has_every_candidate_once_with_as_many_runs_in_random_order(
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


def test_a_batch_lasts_about_15_ms_on_the_mean_of_all_candidates(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(1e-4), "b": taking(5e-4)}, rounds=1)
    assert found.batch_runs == pytest.approx(50, abs=2)
    assert fasttime.compare({"a": taking(1.0), "b": taking(2.0)}).batch_runs == 1
    assert fasttime.compare({"a": taking(1e-9), "b": taking(1e-9)}, rounds=1).batch_runs == 500


def test_the_order_is_drawn_anew_each_time(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []
    for seed in (1, 2):
        monkeypatch.setattr(rounds_module, "_new_random", lambda seed=seed: random.Random(seed))
        machine.order.clear()
        fasttime.compare({"a": taking(1.0, "a"), "b": taking(1.0, "b")}, rounds=9, budget=100)
        orders.append(machine.order.copy())
    assert orders[0] != orders[1]


def test_what_comes_before_the_rounds_is_not_counted(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, rounds=8)
    measured = found.measurements["a"]
    assert (measured.warmup, len(measured.warmup_times)) == (30, 30)
    assert measured.repeat == 30 + 8 * 15


def test_it_stops_at_the_first_look_that_tells_all(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1.5e-3)}, budget=5.0)
    assert found.rounds < 30
    assert found.duration < 1.0
    assert found.level == pytest.approx(1 - 0.02 / 3)
    assert {measured.ended_by for measured in found.measurements.values()} == {"precision"}


def test_it_stops_when_the_budget_is_spent_and_that_look_is_the_last(machine: Machine) -> None:
    machine.noise = lambda it, runs: 0.3 * it.rng.standard_normal() * np.ones(runs)
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1.01e-3)}, budget=2.0)
    assert found.verdicts["b"].verdict == "can't tell"
    assert 1.8 < found.duration < 2.1
    assert found.level == 0.98
    assert found.measurements["b"].ended_by == "budget"


def test_it_stops_in_time_where_the_machine_becomes_slower_than_planned(machine: Machine) -> None:
    def slowing(it: Machine, runs: int) -> Any:
        return min(it.now, 3.0) + 0.3 * it.rng.standard_normal() * np.ones(runs)

    machine.noise = slowing
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, budget=2.0)
    assert 2.0 <= found.duration < 2.5
    assert found.level == 0.98


def test_a_number_of_rounds_ends_it_too(machine: Machine) -> None:
    machine.noise = lambda it, runs: 0.3 * it.rng.standard_normal() * np.ones(runs)
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1.01e-3)}, rounds=7)
    assert (found.rounds, found.level) == (7, 0.96)
    assert found.measurements["a"].ended_by == "count"


def test_one_round_is_run_whatever_the_budget(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(3.0), "b": taking(9.0)}, budget=0.1)
    assert found.rounds == 1
    assert found.verdicts["b"].verdict == "can't tell"


def test_arguments_reach_every_candidate_and_options_the_sampler(
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
def test_faster_slower_and_the_same_are_told(
    machine: Machine, seconds: float, verdict: str
) -> None:
    found = fasttime.compare({"a": taking(1e-3), "b": taking(seconds)})
    verdict = found.verdicts["b"]
    assert verdict.verdict == verdict
    assert verdict.interval[0] <= found.ratio("b") <= verdict.interval[1]
    assert found.ratio("b") == pytest.approx(seconds / 1e-3, rel=0.01)


def test_the_ratio_is_that_of_each_round_not_of_all_runs_together() -> None:
    found = comparison([1.1])
    drifting = np.linspace(1.0, 2.0, 16)
    pair = {name: found.measurements[name].times * drifting for name in "ab"}
    drifted = comparison([1.1], measurements={n: measurement(t) for n, t in pair.items()})
    assert drifted.ratio("b") == pytest.approx(1.1)
    assert drifted.verdicts["b"].interval == pytest.approx((1.1, 1.1))
    assert drifted.verdicts["b"].verdict == "slower"


def test_the_baseline_has_a_ratio_of_one_and_what_is_not_there_has_none() -> None:
    found = comparison([1.1])
    assert (found.baseline, found.ratio("a"), list(found.verdicts)) == ("a", 1.0, ["b"])
    with pytest.raises(KeyError, match="no candidate 'c'; there are a, b"):
        found.ratio("c")


def test_what_cannot_be_told_says_what_would_tell() -> None:
    verdict = comparison([0.9, 1.15], rounds=8, ended_by="budget").verdicts["b"]
    assert verdict.verdict == "can't tell"
    assert verdict.reason.startswith("open after 8 rounds; about ")
    assert verdict.reason.endswith("give compare() a larger budget")
    few = comparison([1.1], rounds=3, ended_by="budget").verdicts["b"]
    assert (few.verdict, few.interval) == ("can't tell", (0.0, math.inf))
    assert few.reason.startswith("open after 3 rounds; about 6 would tell, which take 24.00 s")


def test_more_rounds_are_asked_for_where_their_number_was_the_limit(machine: Machine) -> None:
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, rounds=1)
    assert found.verdicts["b"].reason.startswith("open after 1 round; about 6 would tell, ")
    assert found.verdicts["b"].reason.endswith(": give compare() rounds=6")


def test_more_rounds_than_there_may_be_are_not_asked_for() -> None:
    verdict = comparison([0.5, 1.0, 2.1], rounds=8).verdicts["b"]
    assert verdict.verdict == "can't tell"
    assert verdict.reason.startswith("open after 8 rounds, and so it would be after 1024")


def test_the_steps_of_the_clock_make_the_interval_wider() -> None:
    ticks = np.tile([64, 64, 65, 64], 8) * 32e-9
    pair = {"a": measurement(ticks), "b": measurement(np.roll(ticks, 1))}
    low, high = comparison([1.0], rounds=16, measurements=pair).verdicts["b"].interval
    assert high - 1 >= 16e-9 / 2048e-9
    assert low == pytest.approx(1 / high)


@pytest.mark.parametrize("time", [0.0, -1e-9, math.nan])
def test_times_that_cannot_be_divided_by_are_not_compared(time: float) -> None:
    verdict = comparison([time]).verdicts["b"]
    assert verdict.verdict == "can't tell"
    assert "a batch read no time at all" in verdict.reason
    assert math.isnan(verdict.ratio)


def test_more_candidates_make_each_interval_wider(machine: Machine) -> None:
    found = fasttime.compare({name: taking(1e-3) for name in "abcd"}, rounds=12)
    assert found.level == pytest.approx(1 - 0.04 / 3)


# --- doubts ---


def test_warnings_about_a_candidate_s_times_are_kept_with_it(machine: Machine) -> None:
    def flipping(it: Machine, runs: int) -> Any:
        return 0.2 * it.rng.integers(2, size=runs)

    machine.noise = flipping
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, rounds=10)
    kinds = [warning.kind for warning in found.measurements["a"].warnings]
    assert kinds == ["two_modes"]
    assert "\na: warning (two_modes): times fall into two groups" in str(found)
    assert str(found).count("warning (") == 1
    assert str(found).split()[-3:] == ["so", "with", "b"]


def test_what_the_method_itself_has_to_say_is_kept_with_the_candidate(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = ScriptedSampler.take
    warning = TimingWarning("queued_only", "so it is")
    monkeypatch.setattr(
        ScriptedSampler, "take", lambda self, runs: take(self, runs)._replace(warning=warning)
    )
    found = fasttime.compare({"a": taking(1e-3), "b": taking(1e-3)}, rounds=10, method="naive")
    assert found.measurements["a"].warnings == (warning,)
    assert str(found).splitlines()[-1] == "warning (queued_only): so it is"  # of all of them


# --- held streams ---


class OnDevice:
    """Puts samplers in place that stand on a device which waits for the host, or does not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, waiting: bool | None) -> None:
        self.waiting = waiting
        self.others = 0.0
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


def test_streams_are_held_and_what_the_events_read_is_taken_off(
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


def test_streams_are_left_free_where_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OnDevice(monkeypatch, waiting=True)
    found = fasttime.compare({"a": taking(1e-3), "b": taking(2e-3)}, rounds=8, hold=False)
    assert not any(device.log)
    assert (found.measurements["a"].held, found.measurements["a"].warnings) == (False, ())


def test_streams_that_cannot_be_held_are_left_free_with_a_warning(
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
def test_a_candidate_that_can_no_longer_be_held_lets_all_begin_anew_without(
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


@pytest.mark.parametrize(
    ("waiting", "message"),
    [
        (False, "the device waited for the host, which is in these times"),
        (None, "whether the device waited for the host cannot be told"),
    ],
)
def test_times_that_are_not_known_to_be_the_device_s_own_are_doubted(
    monkeypatch: pytest.MonkeyPatch, waiting: bool | None, message: str
) -> None:
    OnDevice(monkeypatch, waiting)
    found = fasttime.compare({"a": taking(1e-3), "b": taking(2e-3)}, rounds=10, hold=False)
    (warning,) = found.measurements["b"].warnings
    assert warning.kind == "raw"
    assert warning.message.startswith(message)


def test_work_on_other_streams_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    OnDevice(monkeypatch, waiting=True).others = 0.5
    found = fasttime.compare({"a": taking(1e-3), "b": taking(2e-3)}, rounds=10)
    assert [warning.kind for warning in found.measurements["a"].warnings] == ["other_streams"]


# --- saved and in print ---


def test_a_comparison_that_was_saved_is_loaded_with_its_verdicts(
    machine: Machine, tmp_path: Path
) -> None:
    found = fasttime.compare({"b": taking(1e-3), "a": taking(2e-3)}, rounds=8)
    found.save(tmp_path / "c.json")
    again = fasttime.load(tmp_path / "c.json")
    assert isinstance(again, Comparison)
    assert list(again.measurements) == ["b", "a"]
    assert again.verdicts == found.verdicts
    assert str(again) == str(found)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"batch_runs": 2', '"batch_runs": 3', "whole number of batches of 3"),
        ('"batch_runs": 2', '"batch_runs": 0', "batch_runs should be a whole number of at least 1"),
        ('"level": 0.95', '"level": 1.0', "level is 1.0, and should be between 0 and 1"),
        ('"duration": 32.0', '"duration": -1', "duration is -1.0, and cannot be negative"),
        ('"name": "b"', '"name": "a"', "two candidates have the same name"),
        ('"held": false', '"held": 0', "candidates[0].measurement.held should be true or false"),
    ],
)
def test_a_comparison_that_does_not_add_up_is_not_loaded(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    path = tmp_path / "c.json"
    comparison([1.1]).save(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"c\.json is damaged or was edited: ") as caught:
        fasttime.load(path)
    assert complaint in str(caught.value)


def test_a_comparison_of_one_is_not_saved(tmp_path: Path) -> None:
    alone = comparison([1.0], measurements={"a": measurement(np.ones(4))})
    with pytest.raises(ValueError, match="has two candidates, not 1"):
        alone.save(tmp_path / "c.json")


def test_a_comparison_prints_as_a_plain_table() -> None:
    found = comparison([1.1])
    found = comparison(
        [1.1], measurements={**found.measurements, "[c]": measurement(np.tile([0.7, 1.4], 8))}
    )
    assert str(found).splitlines() == [
        "method 'event' on cuda:0 Simulated: 8 rounds in random order, 2 runs a batch, 32.00 s",
        "            median   against              95 %",
        "candidate    a run  baseline          interval  verdict",
        "a          1.000 s         -                 -  baseline",
        "b          1.100 s   +10.0 %  +10.0 to +10.0 %  slower",
        "[c]        1.050 s    +5.0 %    +5.0 to +5.0 %  slower",
        "95 %: how sure all of it is, corrected for 2 candidates (Bonferroni); same: within 1 %",
    ]
    assert repr(found) == str(found)


def test_what_cannot_be_told_is_printed_with_the_reason() -> None:
    lines = str(comparison([1.1], rounds=3)).splitlines()
    assert lines[4].split() == ["b", "1.100", "s", "+10.0", "%", "unknown", "can't", "tell"]
    assert lines[6].startswith("b: open after 3 rounds; about 6 would tell")


def named(*names: str, ratio: float = 1.1) -> Comparison:
    """Return a comparison of two with such names."""
    measurements = comparison([ratio]).measurements.values()
    return comparison([], measurements=dict(zip(names, measurements, strict=True)))


def test_names_are_printed_as_they_are_whatever_they_look_like() -> None:
    printed = str(named("mm[/x]", "b [red]"))
    assert "\nmm[/x] " in printed
    assert "\nb [red] " in printed


def test_what_moves_a_cursor_is_printed_as_its_escape() -> None:
    printed = str(named("a\x1b[2J", "b\nc"))
    assert "\na\\x1b[2J " in printed
    assert "\nb\\nc " in printed


def test_a_long_name_of_the_baseline_takes_no_room_from_the_figures() -> None:
    first, second = "eager, without a graph, batch 32", "b"
    header = str(named(first, second)).splitlines()[2]
    assert header.split() == ["candidate", "a", "run", "baseline", "interval", "verdict"]


@pytest.mark.parametrize(
    ("ratio", "cells"),
    [
        (1.9, ["+90.0", "%", "+90.0", "to", "+90.0", "%", "slower"]),
        (2.5, ["x", "2.5", "x", "2.5", "to", "2.5", "slower"]),
        (1234.4, ["x", "1234", "x", "1234", "to", "1234", "slower"]),
        (0.25, ["x", "0.25", "x", "0.25", "to", "0.25", "faster"]),
    ],
)
def test_a_ratio_beyond_two_is_printed_as_a_factor(ratio: float, cells: list[str]) -> None:
    assert str(named("a", "b", ratio=ratio)).splitlines()[4].split()[3:] == cells


def test_a_comparison_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, str(comparison([1.1], rounds=3)).splitlines())) <= 60


def test_one_round_is_spoken_of_as_one() -> None:
    title = str(comparison([1.1], rounds=1, batch_runs=1)).splitlines()[0]
    assert title.endswith(": 2 rounds in random order, 1 run a batch, 4.000 s")
    title = str(comparison([1.1], rounds=1)).splitlines()[0]
    assert title.endswith(": 1 round in random order, 2 runs a batch, 4.000 s")


def test_rich_prints_verdicts_in_colour_on_a_terminal_alone() -> None:
    outputs = []
    for color_system in ("standard", "auto"):
        file = io.StringIO()
        Console(file=file, color_system=color_system, width=80).print(comparison([1.1]))
        outputs.append(file.getvalue())
    assert "\x1b[31mslower" in outputs[0]
    assert ("slower" in outputs[1], "\x1b" in outputs[1]) == (True, False)


# --- bad input ---


@pytest.mark.parametrize("candidates", [{}, {"a": print}])
def test_fewer_than_two_candidates_are_refused(candidates: Any) -> None:
    with pytest.raises(ValueError, match=r"^compare\(\) takes at least two candidates, got \["):
        fasttime.compare(candidates)


def test_a_candidate_that_cannot_be_called_is_named() -> None:
    with pytest.raises(TypeError, match=r"^candidate 'b' cannot be called: 3 of type int$"):
        fasttime.compare({"a": print, "b": 3})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", [1, ""])
def test_a_candidate_s_name_is_a_text(name: Any) -> None:
    with pytest.raises(TypeError, match=f"^candidates are named by texts, got {name!r}$"):
        fasttime.compare({"a": print, name: print})


@pytest.mark.parametrize(
    ("option", "value", "error", "message"),
    [
        ("method", "events", ValueError, "unknown method 'events'; there are naive, sync, event"),
        ("cache", "hot", ValueError, "unknown cache 'hot'; there are warm, cold"),
        ("budget", 0, ValueError, "budget must lie above 0 and be at most 86400, got 0"),
        ("budget", math.inf, ValueError, "budget must lie above 0 and be at most 86400, got inf"),
        ("budget", math.nan, ValueError, "budget must lie above 0 and be at most 86400, got nan"),
        ("budget", "5", TypeError, "budget must be a number, got '5'"),
        ("rounds", 0, ValueError, "rounds must be at least 1 and at most 1024, got 0"),
        ("rounds", 1025, ValueError, "rounds must be at least 1 and at most 1024, got 1025"),
        ("rounds", 2.0, TypeError, "rounds must be an int or None, got 2.0"),
        ("budget", 10**400, ValueError, "budget must lie above 0 and be at most 86400, got 1000"),
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
        ("hold", True, "hold=True keeps the stream waiting until work is queued, and method="),
        ("cache", "cold", "cache='cold' clears the cache on the device between the events of two"),
    ],
)
def test_what_a_method_cannot_do_is_refused_as_by_measure(
    method: Any, option: str, value: Any, message: str
) -> None:
    calls: list[int] = []
    fn = functools.partial(calls.append, 0)
    with pytest.raises(ValueError, match=f"^{message}"):
        fasttime.compare({"a": fn, "b": fn}, method=method, **{option: value})
    assert calls == []


def test_numbers_may_be_numpy_s(machine: Machine) -> None:
    found = fasttime.compare(
        {"a": taking(1e-3), "b": taking(1e-3)},
        rounds=np.int64(7),
        budget=np.float32(5),
        margin=np.float64(0.02),
    )
    assert found.rounds == 7


def test_a_capture_is_no_place_to_compare_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "is_capturing", lambda: True)
    with pytest.raises(RuntimeError, match="while a CUDA graph is being captured"):
        fasttime.compare({"a": print, "b": print})


def test_what_a_candidate_raises_passes_unchanged_and_names_it(machine: Machine) -> None:
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
