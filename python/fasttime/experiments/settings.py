# SPDX-License-Identifier: BSD-3-Clause
"""The settings of an experiment, and its device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch

_T = TypeVar("_T")

DEFAULT_REPEAT = {"cuda": 50, "cpu": 10}
DEFAULT_WARMUP = {"cuda": 5, "cpu": 2}
DEFAULT_ROUNDS = {"cuda": 5, "cpu": 3}
# A CPU runs a batch of this size within seconds.
CPU_BATCHES = (1,)


class Track(Protocol):
    """Yields the items of a plan, and may show the progress."""

    def __call__(self, plan: Sequence[_T], /, description: str) -> Iterable[_T]: ...


def untracked(plan: Sequence[_T], /, description: str) -> Iterable[_T]:
    """Return the plan without showing progress."""
    return plan


@dataclass(frozen=True)
class Settings:
    """The settings of an experiment.

    Attributes:
        device: ``cpu``, ``cuda`` or ``cuda:<index>``.
        batch: images per call.
        repeat: runs in a row, including the ignored runs.
        warmup: how many runs at the beginning are ignored.
        rounds: how often everything is repeated, each time in a new order.
        seed: random seed of the weights, the input and the order.
    """

    device: str
    batch: int
    repeat: int
    warmup: int
    rounds: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1, got {self.batch}")
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {self.rounds}")
        if not 0 <= self.warmup < self.repeat:
            raise ValueError(
                "repeat includes the ignored runs, so it must exceed warmup, and warmup must be at "
                f"least 0: got repeat={self.repeat}, warmup={self.warmup}"
            )

    @classmethod
    def with_defaults(
        cls,
        device: str,
        batch: int,
        *,
        repeat: int | None = None,
        warmup: int | None = None,
        rounds: int | None = None,
        seed: int = 0,
    ) -> Settings:
        """Return settings with the defaults of the device in place of None."""
        kind = device.partition(":")[0]
        return cls(
            device,
            batch,
            DEFAULT_REPEAT[kind] if repeat is None else repeat,
            DEFAULT_WARMUP[kind] if warmup is None else warmup,
            DEFAULT_ROUNDS[kind] if rounds is None else rounds,
            seed,
        )

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a CUDA device."""
        return self.device != "cpu"

    @property
    def kept(self) -> int:
        """How many runs in a row are kept."""
        return self.repeat - self.warmup

    def current(self) -> contextlib.AbstractContextManager[object]:
        """Make the device the current one in a ``with`` block."""
        return torch.cuda.device(self.device) if self.on_gpu else contextlib.nullcontext()

    def synchronize(self) -> None:
        """Wait until the device has done all its work. On the CPU, return at once."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)


def resolve_device(name: str | None = None) -> str:
    """Return `name` if there is such a device; by default CUDA if available, else the CPU.

    Raises ValueError if there is no such device, or its kind cannot be timed.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device must be cpu, cuda or cuda:<index>, got {name!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu, cuda or cuda:<index>, got {name!r}")
    if device.type == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        raise ValueError(f"torch finds no CUDA device for {name!r}; use the device cpu")
    if (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"there are {torch.cuda.device_count()} CUDA devices, so no {name!r}")
    return name
