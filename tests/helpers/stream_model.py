# SPDX-License-Identifier: BSD-3-Clause
"""A model of a stream in a few lines, to predict what scopes should read."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Work:
    """A piece of work. Its completion is unknown while the work before it is held."""

    issued_ns: int
    length_ns: int
    is_latch: bool = False
    done_ns: int | None = None


@dataclass
class StreamModel:
    """A queue that executes one piece after the other."""

    device: int
    free_at_ns: int = 0
    waiting: deque[Work] = field(default_factory=deque)

    def issue(self, now_ns: int, length_ns: int = 0, is_latch: bool = False) -> Work:
        work = Work(now_ns, length_ns, is_latch)
        self.waiting.append(work)
        self._go_on()
        return work

    def release(self, now_ns: int) -> None:
        """Open all latches."""
        for work in self.waiting:
            if work.is_latch:
                work.is_latch = False
                work.issued_ns = max(work.issued_ns, now_ns)
        self._go_on()

    def _go_on(self) -> None:
        while self.waiting and not self.waiting[0].is_latch:
            work = self.waiting.popleft()
            self.free_at_ns = max(self.free_at_ns, work.issued_ns) + work.length_ns
            work.done_ns = self.free_at_ns


def elapsed_s(begin: Work, end: Work) -> float:
    """Return the seconds between two, rounded like CUDA's float milliseconds and to whole ns."""
    assert begin.done_ns is not None
    assert end.done_ns is not None
    ms: float = struct.unpack("f", struct.pack("f", (end.done_ns - begin.done_ns) * 1e-6))[0]
    return round(ms * 1e6) * 1e-9
