# SPDX-License-Identifier: BSD-3-Clause
"""Five ways to run the pipeline: untimed, and timed in the ways that people use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from ..recorder import Recorder


def _wait_for(event: Any) -> None:
    event.synchronize()


@dataclass(frozen=True)
class Stages:
    """The three stages of the pipeline, how to wait for the device or an event, and the device."""

    large: Callable[[], object]
    cpu_task: Callable[[], object]
    small: Callable[[], object]
    synchronize: Callable[[], None]
    on_gpu: bool
    wait_for: Callable[[Any], None] = _wait_for


class NotTimed:
    """The pipeline without timing."""

    def __init__(self, stages: Stages, repeat: int) -> None:
        self.stages = stages

    def step(self) -> None:
        """Run the pipeline once."""
        self.stages.large()
        self.stages.cpu_task()
        self.stages.small()

    def readings(self) -> tuple[list[float], list[float]]:
        """Return the times of the large and the small model, in seconds per step."""
        return [], []

    def bottlenecks(self) -> tuple[str, ...]:
        """Return the bottleneck of each model; empty if this way cannot tell."""
        return ()


class _ReadAtOnce(NotTimed):
    """A way that reads the time of a model right after the call."""

    def __init__(self, stages: Stages, repeat: int) -> None:
        super().__init__(stages, repeat)
        self._large: list[float] = []
        self._small: list[float] = []

    def step(self) -> None:
        self._large.append(self._time(self.stages.large))
        self.stages.cpu_task()
        self._small.append(self._time(self.stages.small))

    def readings(self) -> tuple[list[float], list[float]]:
        return self._large, self._small

    def _time(self, call: Callable[[], object]) -> float:
        raise NotImplementedError


class Naive(_ReadAtOnce):
    """A clock around the call."""

    def _time(self, call: Callable[[], object]) -> float:
        begin = perf_counter()
        call()
        return perf_counter() - begin


class Sync(_ReadAtOnce):
    """A clock around the call, with a wait for the device at both ends."""

    def _time(self, call: Callable[[], object]) -> float:
        self.stages.synchronize()
        begin = perf_counter()
        call()
        self.stages.synchronize()
        return perf_counter() - begin


class AwaitedEvents(_ReadAtOnce):
    """A CUDA event before and after the call, with a wait for the second one right after it."""

    def __init__(self, stages: Stages, repeat: int) -> None:
        super().__init__(stages, repeat)
        event: Any = torch.cuda.Event
        self._begin = event(enable_timing=True)
        self._end = event(enable_timing=True)

    def _time(self, call: Callable[[], object]) -> float:
        self._begin.record()
        call()
        self._end.record()
        self.stages.wait_for(self._end)
        milliseconds: float = self._begin.elapsed_time(self._end)
        return milliseconds * 1e-3


class Scopes(NotTimed):
    """A fasttime scope around each model, read after the last step."""

    def __init__(self, stages: Stages, repeat: int) -> None:
        super().__init__(stages, repeat)
        self._recorder = Recorder(keep_samples=repeat)

    def step(self) -> None:
        with self._recorder.scope("model_large"):
            self.stages.large()
        self.stages.cpu_task()
        with self._recorder.scope("model_small"):
            self.stages.small()

    def readings(self) -> tuple[list[float], list[float]]:
        self._recorder.report(wait=True)
        return self._times("model_large"), self._times("model_small")

    def bottlenecks(self) -> tuple[str, ...]:
        sites = self._recorder.report(wait=True).sites
        return tuple(site.bottleneck.bound for site in sites if site.bottleneck is not None)

    def _times(self, path: str) -> list[float]:
        times = []
        for sample in self._recorder.samples(path):
            # The host time is the right one on the CPU only.
            time = sample.device_time if self.stages.on_gpu else sample.host_time
            if time is None:
                raise RuntimeError(f"a scope at {path!r} has no time: its sample is {sample}")
            times.append(time)
        return times


WAYS: dict[str, type[NotTimed]] = {
    "not timed": NotTimed,
    "naive": Naive,
    "sync": Sync,
    "awaited events": AwaitedEvents,
    "fasttime scopes": Scopes,
}


def ways(on_gpu: bool) -> list[str]:
    """Return the names of the ways that a device offers. The CPU has no events."""
    return [way for way, made in WAYS.items() if on_gpu or made is not AwaitedEvents]
