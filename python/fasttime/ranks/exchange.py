# SPDX-License-Identifier: BSD-3-Clause
"""Send bytes from every rank to rank 0 through a store: no collective, no group, no barrier.

Each exchange has a number. A rank writes its value in parts, and then a head with the number of
parts. Rank 0 reads and deletes each value. After the timeout, rank 0 leaves a mark for each missing
rank, and deletes what has come in between. A rank that finds its mark is late, and deletes its own
value and the mark. So nothing of a late rank stays in the store. Of a dead rank, the mark stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

# TCPStore closes the connection of a client that sends more than 8 MiB at once.
_PART = 1 << 20
# Rank 0 asks again after these times, in seconds. A blocking wait inside the store would keep other
# threads, such as the watchdog of NCCL, from using the store, and would not heed Ctrl-C.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.1


class Store(Protocol):
    """What an exchange needs of ``torch.distributed.Store``."""

    def set(self, key: str, value: bytes, /) -> None: ...
    def get(self, key: str, /) -> bytes: ...
    def check(self, keys: list[str], /) -> bool: ...
    def delete_key(self, key: str, /) -> bool: ...


@dataclass(frozen=True)
class Exchange:
    """One exchange of all ranks.

    Attributes:
        store: the store that all ranks share.
        prefix: begins every key. All ranks must use the same prefix, and no other exchange may.
        clock: returns seconds.
        pause: waits for so many seconds.
    """

    store: Store
    prefix: str
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def send(self, rank: int, value: bytes) -> None:
        """Write the value of a rank. Does not wait for any other rank.

        Raises RuntimeError if the store cannot be reached.
        """
        parts = range(0, len(value), _PART)
        for number, start in enumerate(parts):
            self.store.set(self._part(rank, number), value[start : start + _PART])
        self.store.set(self._head(rank), str(len(parts)).encode())
        # After the head: either this check finds the mark, or rank 0 finds the head.
        if self.store.check([self._mark(rank)]):
            self._delete(rank)

    def receive(self, ranks: list[int], timeout: float) -> Iterator[tuple[int, bytes | None]]:
        """Yield each rank with its value, or with None if no value came within the timeout.

        Args:
            ranks: the ranks to read.
            timeout: seconds for all ranks together.

        Raises RuntimeError if the store cannot be reached.
        """
        end = self.clock() + timeout
        for rank in ranks:
            if self._comes(rank, end):
                yield rank, self._take(rank)
            else:
                self._give_up(rank)
                yield rank, None

    def _comes(self, rank: int, end: float) -> bool:
        """Return whether the rank has written its value before `end`."""
        pause = _FIRST_PAUSE
        while not self.store.check([self._head(rank)]):
            left = end - self.clock()
            if left <= 0:
                return False
            self.pause(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
        return True

    def _take(self, rank: int) -> bytes:
        count = int(self.store.get(self._head(rank)))
        value = b"".join(self.store.get(self._part(rank, number)) for number in range(count))
        self._delete(rank)
        return value

    def _give_up(self, rank: int) -> None:
        """Mark a rank as missing. From here on no value of it may be read, only deleted."""
        self.store.set(self._mark(rank), b"late")
        if self.store.check([self._head(rank)]):
            self._delete(rank)

    def _delete(self, rank: int) -> None:
        """Delete everything that the rank wrote, and its mark."""
        self.store.delete_key(self._head(rank))
        number = 0
        while self.store.delete_key(self._part(rank, number)):
            number += 1
        self.store.delete_key(self._mark(rank))

    def _head(self, rank: int) -> str:
        return f"{self.prefix}/{rank}"

    def _part(self, rank: int, number: int) -> str:
        return f"{self.prefix}/{rank}/{number}"

    def _mark(self, rank: int) -> str:
        return f"{self.prefix}/{rank}/late"
