# SPDX-License-Identifier: BSD-3-Clause
"""Samplers on virtual time, and the noise of machines that do not exist."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fasttime.measuring.sampler import Batch

Rng = np.random.Generator

candidates = importlib.import_module("fasttime.comparing.candidates")


@dataclass
class Machine:
    """One machine: what it does to a batch of runs, whichever callable they are of.

    Noise is given as logarithms: 0.01 makes a run 1 % longer.
    """

    rng: Rng
    noise: Callable[[Machine, int], Any] = lambda machine, runs: np.zeros(runs)
    now: float = 0.0
    state: float = 0.0  # what a batch hands on to the next
    order: list[tuple[str, int]] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch, opener: Any = None) -> None:
        monkeypatch.setattr(candidates, "_open_sampler", opener or self.open)

    @contextlib.contextmanager
    def open(self, call: Callable[[], object], **_: Any) -> Iterator[ScriptedSampler]:
        yield ScriptedSampler(self, call)


@dataclass
class ScriptedSampler:
    """Takes as long for a run as the callable says, times the machine's noise."""

    machine: Machine
    call: Callable[[], object]

    def take(self, runs: int) -> Batch:
        machine = self.machine
        seconds = self.call()
        assert isinstance(seconds, float)
        function = self.call.func if isinstance(self.call, functools.partial) else self.call
        machine.order.append((getattr(function, "__name__", ""), runs))
        times = seconds * np.exp(machine.noise(machine, runs))
        duration = float(times.sum())
        machine.now += duration
        return Batch(times, times / 2, duration)


def taking(seconds: float, name: str = "") -> Callable[[], float]:
    """Return a callable whose runs take so long, before the noise."""

    def call() -> float:
        return seconds

    call.__name__ = name
    return call


# --- noise models ---


def normal(machine: Machine, runs: int) -> Any:
    return 0.02 * machine.rng.standard_normal(runs)


def lognormal(machine: Machine, runs: int) -> Any:
    return np.log1p(0.05 * machine.rng.lognormal(sigma=1.0, size=runs))


def heavy_tail(machine: Machine, runs: int) -> Any:
    return np.log1p(0.01 * machine.rng.pareto(1.2, size=runs))


def drift(machine: Machine, runs: int) -> Any:
    return 0.06 * machine.now + 0.01 * machine.rng.standard_normal(runs)


def two_modes(machine: Machine, runs: int) -> Any:
    mode = 0.05 * machine.rng.integers(2)
    return mode + 0.005 * machine.rng.standard_normal(runs)


def autocorrelated(machine: Machine, runs: int) -> Any:
    rho = 0.95
    machine.state = rho * machine.state + np.sqrt(1 - rho**2) * machine.rng.standard_normal()
    return 0.02 * machine.state + 0.005 * machine.rng.standard_normal(runs)


def process_offset(machine: Machine, runs: int) -> Any:
    if not machine.state:
        machine.state = 0.03 * machine.rng.standard_normal()
    return machine.state + 0.01 * machine.rng.standard_normal(runs)


NOISES: dict[str, Callable[[Machine, int], Any]] = {
    "normal": normal,
    "lognormal": lognormal,
    "heavy tail": heavy_tail,
    "drift": drift,
    "two modes a batch": two_modes,
    "autocorrelated": autocorrelated,
    "process offset": process_offset,
}
EFFECTS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.10)


def is_false(verdict: str, effect: float, margin: float) -> bool:
    """Say whether a verdict on a candidate that takes longer by a share `effect` is untrue."""
    if verdict == "same":
        return effect > margin * (1 + 1e-9)
    if verdict == "slower":
        return effect <= 0
    return verdict == "faster"
