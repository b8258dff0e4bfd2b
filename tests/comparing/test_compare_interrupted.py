# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C keeps the rounds of `compare` that were complete."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ab_simulation import normal
from scripted_sampler import Machine
from simulated_cuda import Simulated
from simulated_machine import US, SimulatedMachine

import fasttime
from fasttime import Comparison, Interrupted


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(np.random.default_rng(7), normal)
    made.install(monkeypatch)
    return made


def stopping(machine: Machine, seconds: float, after: int) -> Callable[[], float]:
    """Return a callable that Ctrl-C ends once this many batches are done."""

    def call() -> float:
        if len(machine.order) >= after:
            raise KeyboardInterrupt
        return seconds

    return call


def compared(machine: Machine, after: int, rounds: int = 12) -> Comparison:
    machine.order.clear()
    candidates = {"a": stopping(machine, 1e-3, after), "b": stopping(machine, 1.5e-3, after)}
    return fasttime.compare(candidates, rounds=rounds, budget=100)


@pytest.fixture
def before(machine: Machine) -> int:
    """How many batches there are before the kept rounds of two candidates."""
    compared(machine, 10**6, rounds=1)
    return len(machine.order) - 2


def test_complete_rounds_are_kept(machine: Machine, before: int) -> None:
    with pytest.raises(Interrupted, match="interrupted after 3 rounds") as caught:
        compared(machine, before + 7)
    found = caught.value.result
    assert isinstance(found, Comparison)
    assert found.rounds == 3
    assert found.verdicts["b"].verdict == "can't tell"
    assert found.verdicts["b"].reason.endswith(": do not interrupt it.")
    assert [one.kind for one in found.warnings].count("interrupted") == 1
    assert {one.ended_by for one in found.measurements.values()} == {"interrupt"}


def test_enough_rounds_have_a_verdict(machine: Machine, before: int) -> None:
    machine.noise = lambda it, runs: (
        0.5 * it.rng.standard_normal(runs) * (len(it.order) > before)  # planning has no noise
    )
    with pytest.raises(Interrupted) as caught:
        compared(machine, before + 16)
    assert caught.value.result.rounds == 8
    assert caught.value.result.verdicts["b"].verdict == "slower"
    assert caught.value.result.level == 0.96  # of the last of the interim analyses


def test_without_a_round_the_interrupt_is_plain(machine: Machine, before: int) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        compared(machine, before + 1)
    assert type(caught.value) is KeyboardInterrupt


def test_kept_rounds_can_be_saved(machine: Machine, before: int, tmp_path: Path) -> None:
    with pytest.raises(Interrupted) as caught:
        compared(machine, before + 7)
    caught.value.result.save(tmp_path / "some.json")
    loaded = fasttime.load(tmp_path / "some.json")
    assert loaded.to_dict() == caught.value.result.to_dict()
    assert pickle.loads(pickle.dumps(caught.value)).result.rounds == 3


def test_an_interrupt_in_a_held_run_keeps_the_rounds(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    made = 0
    last = 10**6

    def call() -> None:
        nonlocal made
        made += 1
        if made > last:
            raise KeyboardInterrupt
        simulated.work(10 * US, 100 * US)

    pair = {"a": call, "b": call}
    whole = fasttime.compare(pair, rounds=2)
    # The next call makes as many calls before the same rounds, because time is simulated.
    last, made = made - 3, 0
    with pytest.raises(Interrupted) as caught:
        fasttime.compare(pair, rounds=2)
    found = caught.value.result
    assert found.rounds == 1
    assert found.batch_runs == whole.batch_runs
    assert all(one.held for one in found.measurements.values())
    last = 10**6
    assert fasttime.compare(pair, rounds=2).rounds == 2  # the stream is free again
