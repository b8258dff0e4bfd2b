# SPDX-License-Identifier: BSD-3-Clause
"""Measurements with a known truth: the real code decides, on virtual time and made-up noise.

Noise is given as logarithms: 0.01 makes a run 1 % longer.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple, Protocol
from unittest import mock

import numpy as np

from fasttime.measuring import machine, runner
from fasttime.measuring.batch import Batch
from fasttime.measuring.distribution import judge_times
from fasttime.measuring.options import Options
from fasttime.measuring.progress import ProgressBar
from fasttime.stats.median import median_interval

adaptive = importlib.import_module("fasttime.measuring.adaptive")

Rng = np.random.Generator

# What single runs add to the slow noise of the machine.
_RUN_NOISE = 0.003


class Noise(Protocol):
    def logs(self, count: int, run_time: float) -> Any:
        """Return the noise of the next runs, each `run_time` seconds after the one before."""


class Independent:
    """Runs that know nothing of each other."""

    truth = 0.0

    def __init__(self, rng: Rng, spread: float) -> None:
        self.rng, self.spread = rng, spread

    def logs(self, count: int, run_time: float) -> Any:
        return self.spread * self.rng.standard_normal(count)


class Wandering:
    """An Ornstein-Uhlenbeck process: the machine becomes slower and faster over `tau` seconds."""

    truth = 0.0

    def __init__(self, rng: Rng, spread: float, tau: float) -> None:
        self.rng, self.spread, self.tau = rng, spread, tau
        self.state = spread * rng.standard_normal()

    def logs(self, count: int, run_time: float) -> Any:
        keep = np.exp(-run_time / self.tau)
        fresh = self.spread * np.sqrt(1 - keep**2) * self.rng.standard_normal(count)
        levels = np.empty(count)
        for start in range(0, count, 500):  # a longer piece would overflow
            part = fresh[start : start + 500]
            powers = keep ** np.arange(1, len(part) + 1)
            levels[start : start + 500] = powers * (self.state + np.cumsum(part / powers))
            self.state = levels[start + len(part) - 1]
        return levels + _RUN_NOISE * self.rng.standard_normal(count)


class Dwelling:
    """Two modes 5 % apart. The machine rests in each for a random time with the given mean."""

    def __init__(self, rng: Rng, fast: float, slow: float, apart: float = 0.05) -> None:
        self.rng, self.dwell, self.apart = rng, (fast, slow), apart
        share = fast / (fast + slow)
        self.is_slow = rng.random() > share
        self.left = rng.exponential(self.dwell[self.is_slow])
        # The modes hardly overlap, so the median is a quantile of the fast mode.
        self.truth = _RUN_NOISE * NormalDist().inv_cdf(0.5 / share)

    def logs(self, count: int, run_time: float) -> Any:
        levels = np.empty(count)
        done = 0
        while done < count:
            runs = min(count - done, max(1, int(self.left / run_time)))
            levels[done : done + runs] = self.apart * self.is_slow
            done += runs
            self.left -= runs * run_time
            if self.left < run_time:
                self.is_slow = not self.is_slow
                self.left = self.rng.exponential(self.dwell[self.is_slow])
        return levels + _RUN_NOISE * self.rng.standard_normal(count)


NOISES: dict[str, Callable[[Rng], Any]] = {
    "independent, 2 %": lambda rng: Independent(rng, 0.02),
    "independent, 0.3 %": lambda rng: Independent(rng, 0.003),
    "wandering, tau 0.1 s": lambda rng: Wandering(rng, 0.02, 0.1),
    "wandering, tau 0.5 s": lambda rng: Wandering(rng, 0.02, 0.5),
    "dwelling, 140 and 60 ms": lambda rng: Dwelling(rng, 0.14, 0.06),
}


@dataclass
class NoisyHost:
    """A host on virtual time, and a sampler of the runs on it."""

    noise: Noise
    run_time: float
    now: float = 0.0

    def runs(self, count: int) -> Any:
        times = self.run_time * np.exp(self.noise.logs(count, self.run_time))
        self.now += float(times.sum())
        return times

    def take(self, runs: int, ignored: int = 0) -> Batch:
        times = self.runs(runs)
        duration = float(times.sum())
        return Batch(
            times,
            times,
            duration,
            work_was_waiting=False,
            kept_duration=float(times[ignored:].sum()),
        )

    def clock(self) -> float:
        return self.now

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        @contextlib.contextmanager
        def opened(*_: object, **__: object) -> Iterator[NoisyHost]:
            yield self

        with (
            mock.patch.object(runner, "open_sampler", opened),
            mock.patch.object(machine, "clock", self.clock),
            mock.patch.object(machine, "cuda_is_up", return_value=False),
            mock.patch.object(machine, "untimed_loop", lambda call, runs: self.runs(runs).sum()),
        ):
            yield


class Measured(NamedTuple):
    """What came out of one measurement.

    Attributes:
        covers: whether the interval of the median covers the truth.
        half_width: of the interval, as a share of the run time.
        runs: how many times were kept.
        seconds: how long the measurement took on virtual time.
        kinds: of its warnings.
    """

    covers: bool
    half_width: float
    runs: int
    seconds: float
    kinds: tuple[str, ...]


def measure(noise: str, seed: int, *, run_time: float = 200e-6, budget: float = 1.0) -> Measured:
    """Measure runs with this noise, with the stopping rule and the interval of the package."""
    made = NOISES[noise](np.random.default_rng([seed, sorted(NOISES).index(noise)]))
    host = NoisyHost(made, run_time)
    options = Options("event", "auto", "auto", budget=budget)
    with host.installed():
        found = runner.run_auto(lambda: None, options, ProgressBar("noisy"))
    low, high = median_interval(found.times)
    warnings = (*found.warnings, *judge_times(found.times))
    return Measured(
        low <= run_time * np.exp(made.truth) <= high,
        (high - low) / 2 / run_time,
        len(found.times),
        host.now,
        tuple(warning.kind for warning in warnings),
    )
