# SPDX-License-Identifier: BSD-3-Clause
"""The exchange of bytes through a store: nothing stays behind, and nothing waits for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch.distributed import HashStore, PrefixStore

from fasttime.ranks.exchange import _PART, Exchange, Store


class Clock:
    """A clock that moves only in pauses. `at` runs an action once its moment has come."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []
        self.actions: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        for action in [one for one in self.actions if one[0] <= self.now]:
            self.actions.remove(action)
            action[1]()

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        self.actions.append((100.0 + seconds, action))


@pytest.fixture
def store() -> HashStore:
    return HashStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def exchange(store: HashStore, clock: Clock) -> Exchange:
    return Exchange(PrefixStore("default_pg", store), "fasttime/0/0", clock, clock.pause)


def test_rank_0_gets_every_value(exchange: Exchange, store: HashStore, clock: Clock) -> None:
    values = {rank: bytes([rank]) * rank for rank in range(1, 256)}
    for rank in reversed(values):
        exchange.send(rank, values[rank])
    assert dict(exchange.receive(list(values), 30)) == values
    assert clock.pauses == []
    assert store.num_keys() == 0


@pytest.mark.parametrize("size", [0, 1, _PART - 1, _PART, _PART + 1, 9 << 20])
def test_any_size_passes(exchange: Exchange, store: HashStore, size: int) -> None:
    value = b"\xff\x00" * (size // 2) + b"\x80" * (size % 2)
    exchange.send(3, value)
    assert list(exchange.receive([3], 30)) == [(3, value)]
    assert store.num_keys() == 0


def test_no_part_is_too_large_for_a_tcp_store() -> None:
    sizes: list[int] = []

    class Watching:
        def set(self, key: str, value: bytes) -> None:
            sizes.append(len(value))

        def check(self, keys: list[str]) -> bool:
            return False

    watching: Store = Watching()  # type: ignore[assignment]
    Exchange(watching, "x").send(1, bytes(20 << 20))
    assert max(sizes) <= 8 << 20
    assert sum(sizes) >= 20 << 20


def test_a_value_may_come_later(exchange: Exchange, clock: Clock) -> None:
    clock.at(2.0, lambda: exchange.send(1, b"late but in time"))
    assert list(exchange.receive([1, 2], 3.0)) == [(1, b"late but in time"), (2, None)]
    assert clock.now == pytest.approx(103.0)
    assert max(clock.pauses) <= 0.1


def test_after_the_timeout_each_rank_is_looked_at(exchange: Exchange, clock: Clock) -> None:
    """The ranks behind a dead rank have sent their values long ago."""
    exchange.send(2, b"two")
    exchange.send(3, b"three")
    assert list(exchange.receive([1, 2, 3], 5.0)) == [(1, None), (2, b"two"), (3, b"three")]
    assert clock.now == pytest.approx(105.0)


def test_no_time_means_no_pause(exchange: Exchange, clock: Clock) -> None:
    exchange.send(2, b"two")
    assert list(exchange.receive([1, 2], 0)) == [(1, None), (2, b"two")]
    assert clock.pauses == []


def test_a_late_rank_leaves_nothing_behind(exchange: Exchange, store: HashStore) -> None:
    assert list(exchange.receive([1], 0)) == [(1, None)]
    exchange.send(1, bytes(3 * _PART))
    assert store.num_keys() == 0


def test_a_value_that_comes_with_the_mark_is_deleted(store: HashStore, clock: Clock) -> None:
    """The rank sends between rank 0's last look and its mark, and does not see the mark."""

    class Race:
        def set(self, key: str, value: bytes) -> None:
            if key.endswith("/late"):
                blind.send(1, bytes(2 * _PART))
            store.set(key, value)

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

    class Blind(Race):
        def set(self, key: str, value: bytes) -> None:
            store.set(key, value)

    blind = Exchange(Blind(), "x")  # type: ignore[arg-type]
    racing = Exchange(Race(), "x", clock, clock.pause)  # type: ignore[arg-type]
    assert list(racing.receive([1], 0)) == [(1, None)]
    assert store.num_keys() == 0


def test_exchanges_do_not_mix(store: HashStore) -> None:
    first, second = Exchange(store, "fasttime/0/0"), Exchange(store, "fasttime/0/1")
    after_restart = Exchange(store, "fasttime/1/0")
    first.send(1, b"old")
    assert list(second.receive([1], 0)) == [(1, None)]
    assert list(after_restart.receive([1], 0)) == [(1, None)]
    assert list(first.receive([1], 0)) == [(1, b"old")]
