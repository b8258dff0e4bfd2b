# SPDX-License-Identifier: BSD-3-Clause
"""Timing a random part of the steps within a budget."""

from __future__ import annotations

import itertools
import random
import statistics
from typing import Any

import pytest
import torch
from timed_modules import counts
from torch import nn

import fasttime
from fasttime.modules.budget import Budget
from fasttime.modules.sampling import Periods


def simulated(budget: Budget, steps: int, plain_ns: int, cost_ns: int) -> list[bool]:
    """Run steps of known length, and return which were timed."""
    now, is_timed, timed = 0, True, []
    for number in range(steps):
        now += plain_ns + is_timed * cost_ns
        timed.append(is_timed)
        if budget.end_step(number, now, is_timed):
            budget.begin_period()
        is_timed = budget.choose()
    return timed


def seeded(budget: float, seed: int) -> Budget:
    made = Budget(budget)
    made._random = random.Random(seed)
    return made


def test_the_cost_stays_near_the_budget() -> None:
    budget = seeded(0.01, 1)
    timed = simulated(budget, 20_000, plain_ns=20_000_000, cost_ns=4_000_000)
    assert 0.2 * sum(timed) / len(timed) == pytest.approx(0.01, rel=0.15)
    assert budget.estimated_overhead == pytest.approx(0.01, rel=0.15)
    assert budget.part == pytest.approx(0.05, rel=0.05)


def test_cheap_timing_is_used_more() -> None:
    budget = seeded(0.01, 2)
    simulated(budget, 2_000, plain_ns=20_000_000, cost_ns=0)
    assert budget.part == 0.5


def test_device_times_decide_the_cost() -> None:
    """The host waits in other steps than those that cost the device time."""
    budget = seeded(0.01, 4)
    for number in range(30):
        is_timed = number % 2 == 0
        is_over = budget.end_step(number, number // 2 * 100 + is_timed * 10, is_timed)
        budget.add_device_times([(number, 1000 + 20 * is_timed)])
        if is_over:
            budget.begin_period()
    assert budget.part == pytest.approx(0.5)
    assert budget.estimated_overhead == pytest.approx(0.01)


def test_unknown_device_times_are_ignored() -> None:
    budget = seeded(0.01, 4)
    budget.end_step(1, 0, True)
    budget.end_step(2, 100, False)
    budget.end_step(3, 250, True)
    budget.add_device_times([(7, 1), (8, 1000)])
    assert budget.estimated_overhead == pytest.approx(0.5 * 2 / 3)


def test_gaps_are_geometric() -> None:
    """With a memory, a rhythm of the program could lie in step with the timed steps."""
    timed = simulated(seeded(0.01, 3), 60_000, plain_ns=20_000_000, cost_ns=4_000_000)[10_000:]
    after = [later for now, later in itertools.pairwise(timed) if now]
    assert statistics.mean(after) == pytest.approx(statistics.mean(timed), abs=0.01)
    for rhythm in (2, 7, 16):
        parts = [statistics.mean(timed[start::rhythm]) for start in range(rhythm)]
        assert max(parts) - min(parts) < 0.03


def estimated(values: list[float], seed: int) -> tuple[float, float]:
    """Time a random part of steps with these times in two periods; return total and error."""
    draw = random.Random(seed)
    periods = Periods()
    sums = []
    half = len(values) // 2
    for number, (part, chance) in enumerate([(values[:half], 0.5), (values[half:], 0.1)]):
        periods.begin()
        seen = []
        for value in part:
            is_timed = draw.random() < chance
            periods.count_step(is_timed)
            seen += [value] * is_timed
        total, squares = sum(seen), sum(value**2 for value in seen)
        sums.append((number, [total] * 4, [squares] * 4))
    estimates = periods.estimates(sums)
    assert estimates is not None
    return estimates[0]


def test_totals_are_unbiased() -> None:
    draw = random.Random(5)
    values = [1e9 * (1 + 3 * (step > 150) + draw.expovariate(1.0)) for step in range(400)]
    truth = sum(values) * 1e-9
    found = [estimated(values, seed) for seed in range(2000)]
    totals = [total for total, _ in found]
    of_mean = statistics.stdev(totals) / len(totals) ** 0.5
    assert statistics.mean(totals) == pytest.approx(truth, abs=4 * of_mean)
    errors = statistics.mean(error for _, error in found)
    assert errors == pytest.approx(statistics.stdev(totals), rel=0.1)


def test_a_period_without_timed_steps_gets_the_mean() -> None:
    periods = Periods()
    periods.begin()
    for is_timed in (True, False):
        periods.count_step(is_timed)
    periods.begin()
    for _ in range(3):
        periods.count_step(False)
    estimates = periods.estimates([(0, [7e9] * 4, [49e18] * 4)])
    assert estimates is not None
    assert estimates[0].total == pytest.approx(35.0)


class Training:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, choices: list[bool]) -> None:
        self.model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        remaining = list(choices)
        monkeypatch.setattr(Budget, "choose", lambda _: remaining.pop(0))

    def instrument(self) -> fasttime.Handle:
        return fasttime.instrument(self.model, optimizer=self.optimizer, overhead_budget=0.01)

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.model(torch.randn(2, 4)).sum().backward()
        self.optimizer.step()


def hooks_on(model: Any) -> list[int]:
    return [len(layer._forward_hooks) + len(layer._forward_pre_hooks) for layer in model]


def test_other_steps_run_no_hooks_on_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, [False, True, False])
    with training.instrument() as handle:
        assert hooks_on(training.model) == [2, 2]
        training.step()
        assert hooks_on(training.model) == [0, 0]
        training.step()
        assert hooks_on(training.model) == [2, 2]
        training.step()
    assert hooks_on(training.model) == [0, 0]
    records = handle.module_records()
    assert (records.steps, records.timed_steps) == (3, 2)
    assert counts(handle, "forward") == counts(handle, "backward") == {"": 2, "0": 2, "1": 2}
    assert handle.step_records().count == 3
    assert {part.host.count for part in handle.step_records().parts} == {3}


def test_totals_stand_for_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(monkeypatch, [False, True, False, False])
    with training.instrument() as handle:
        for _ in range(4):
            training.step()
    forward = handle.module_records().modules[1].forward
    assert forward is not None
    assert forward.host.count == 2
    assert forward.host_total == pytest.approx(2 * forward.host.total)
    assert forward.host_error > 0


def test_a_backward_pass_follows_its_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that was made in a step without hooks stays untimed, whenever it runs."""
    training = Training(monkeypatch, [False, True])
    with training.instrument() as handle:
        training.step()
        late = training.model(torch.randn(2, 4)).sum()  # not timed
        handle.step()
        late.backward()  # in a timed step
    assert counts(handle, "backward") == {"": 1, "0": 1, "1": 1}
