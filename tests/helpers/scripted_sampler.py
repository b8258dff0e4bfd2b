# SPDX-License-Identifier: BSD-3-Clause
"""Samplers on virtual time, with the noise of made-up machines."""

from __future__ import annotations

import contextlib
import functools
import importlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fasttime.measuring.batch import Batch

Rng = np.random.Generator

candidates = importlib.import_module("fasttime.comparing.candidates")
opening = importlib.import_module("fasttime.comparing.opening")
rounds = importlib.import_module("fasttime.comparing.rounds")


@dataclass
class Machine:
    """One machine and its noise, which is the same for all callables.

    Noise is given as logarithms: 0.01 makes a run 1 % longer.
    """

    rng: Rng
    noise: Callable[[Machine, int], Any] = lambda machine, runs: np.zeros(runs)
    now: float = 0.0
    state: float = 0.0  # what one batch passes on to the next
    order: list[tuple[str, int]] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch, opener: Any = None) -> None:
        monkeypatch.setattr(opening, "_open_sampler", opener or self.open)
        monkeypatch.setattr(rounds, "_new_random", lambda: random.Random(0))
        monkeypatch.setattr(rounds, "loop_overhead", lambda method: None)  # the host's is real

    @contextlib.contextmanager
    def open(self, call: Callable[[], object], **_: Any) -> Iterator[ScriptedSampler]:
        yield ScriptedSampler(self, call)


@dataclass
class ScriptedSampler:
    """Takes the time that the callable returns, times the machine's noise."""

    machine: Machine
    call: Callable[[], object]

    def take(self, runs: int, ignored: int = 0) -> Batch:
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
    """Return a callable whose runs take that long, before the noise."""

    def call() -> float:
        return seconds

    call.__name__ = name
    return call
