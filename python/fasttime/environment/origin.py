# SPDX-License-Identifier: BSD-3-Clause
"""Where and when a process made its runs: the machine, its boot, the process and the time."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from time import CLOCK_REALTIME, clock_gettime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..documents import Fields

# So that the saved name of a machine cannot be traced back to the id that other programs use.
_SALT = "fasttime:"


@dataclass(frozen=True)
class ProcessOrigin:
    """Where and when one process made its runs.

    Attributes:
        time: when the measurement ended, in seconds since 1970.
        process_id: the number of the process.
        process_start: when the process started, in seconds since the boot; None if unknown. A
            process id is used again sooner or later, but not with the same start.
        boot: the id of the machine's boot, which differs after each restart; None if unknown.
        machine: an anonymous name of the machine, a hash of its id; None if unknown.
    """

    time: float
    process_id: int
    process_start: float | None
    boot: str | None
    machine: str | None

    @property
    def process(self) -> tuple[object, ...]:
        """What is equal for two origins of the same process, and for no others."""
        return self.boot, self.process_id, self.process_start

    @classmethod
    def from_fields(cls, found: Fields) -> ProcessOrigin:
        """Return the origin in a document. Raises ValueError if it is not one."""
        return cls(
            time=found.number("time"),
            process_id=found.count("process_id"),
            process_start=found.optional_number("process_start"),
            boot=None if found.is_null("boot") else found.text("boot"),
            machine=None if found.is_null("machine") else found.text("machine"),
        )


def origin_now() -> ProcessOrigin:
    """Return where and when this process is now."""
    process = os.getpid()
    return ProcessOrigin(
        clock_gettime(CLOCK_REALTIME), process, _start_of(process), _boot(), _machine()
    )


@functools.cache
def _start_of(process: int) -> float | None:  # a forked child is another process
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The name of the program may hold spaces and brackets, so fields count from its end.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return None


@functools.cache
def _boot() -> str | None:
    return _read("/proc/sys/kernel/random/boot_id")


@functools.cache
def _machine() -> str | None:
    found = _read("/etc/machine-id")
    return found and hashlib.sha256((_SALT + found).encode()).hexdigest()[:16]


def _read(path: str) -> str | None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return Path(path).read_text().strip() or None
    return None
