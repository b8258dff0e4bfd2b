# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime.gather` in one process: what is sent, what is missing, and bad input."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator

import pytest
import torch.distributed as dist
from made_up_modules import network, record, records, training_steps
from made_up_ranks import summary
from made_up_report import report, site

import fasttime
from fasttime import ModuleTable, RankTable, TimingWarning
from fasttime.ranks import gathering
from fasttime.ranks.exchange import Exchange
from fasttime.ranks.sources import summary_of

WORLD = 256


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> dist.HashStore:
    """The store of all ranks, which are one process here. Nothing in it before the first call."""
    monkeypatch.setattr(gathering, "_numbers", itertools.count())
    return dist.HashStore()


@pytest.fixture
def become(
    store: dist.HashStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], None]]:
    """Turn this process into a rank of a job. The fake backend connects to no other process."""
    importlib_of_the_fake_backend()
    # A process group replaces the hook by one that puts the rank before each line.
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def become_(rank: int, world_size: int = WORLD) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()
        dist.init_process_group("fake", store=store, rank=rank, world_size=world_size)
        gathering._numbers = itertools.count()

    yield become_
    if dist.is_initialized():
        dist.destroy_process_group()


def importlib_of_the_fake_backend() -> None:
    from torch.testing._internal.distributed import fake_pg  # noqa: F401 - registers the backend


def kinds(table: RankTable) -> list[str]:
    return [warning.kind for warning in table.warnings]


def fasttime_keys(store: dist.HashStore, ranks: int = WORLD, numbers: int = 3) -> list[str]:
    """Return the keys of fasttime in the store."""
    keys = [
        f"fasttime/{restart}/{number}/{rank}{end}"
        for restart in (0, 7)
        for number in range(numbers)
        for rank in range(ranks)
        for end in ("", "/0", "/late")
    ]
    found = dist.PrefixStore("default_pg", store)
    return [key for key in keys if store.check([key]) or found.check([key])]


def of(rank: int) -> fasttime.Report:
    """Return the report of a rank. Rank 77 is slow."""
    return report(site("step", device=50e-3 if rank == 77 else 4e-3))


# --- 256 ranks ---


def test_rank_0_gets_the_table(become: Callable[[int], None], store: dist.HashStore) -> None:
    for rank in range(WORLD - 1, 0, -1):
        become(rank)
        assert fasttime.gather(of(rank)) is None
    become(0)
    table = fasttime.gather(of(0))
    assert table is not None
    assert (table.world_size, len(table.ranks), table.missing) == (WORLD, WORLD, ())
    assert table["step"].slowest == 77
    assert table["step"].clock == "device"
    assert fasttime_keys(store) == []


def test_missing_ranks_are_named(become: Callable[[int], None], store: dist.HashStore) -> None:
    for rank in (1, 2, 4, 5):
        become(rank)
        fasttime.gather(of(rank))
    become(0)
    table = fasttime.gather(of(0), timeout=0)
    assert table is not None
    assert table.missing == (3, *range(6, WORLD))
    assert table.ranks == (0, 1, 2, 4, 5)
    assert kinds(table)[0] == "missing_ranks"
    assert "lacks ranks 3, 6-255, because no figures came within 0 s" in str(table.warnings[0])
    assert str(table).startswith("5 ranks of 256: ")


def test_keys_carry_the_restart_count(
    become: Callable[[int], None], store: dist.HashStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(1)
    fasttime.gather(of(1))
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "7")
    become(0)
    table = fasttime.gather(of(0), timeout=0)
    assert table is not None
    assert 1 in table.missing
    assert all(key.startswith(("fasttime/0/0/1", "fasttime/7/")) for key in fasttime_keys(store))


def test_calls_are_numbered(become: Callable[[int], None], store: dist.HashStore) -> None:
    become(1)
    fasttime.gather(of(1))
    fasttime.gather(report(site("second", device=1e-3)))
    become(0)
    first, second = (fasttime.gather(of(0), timeout=0) for _ in range(2))
    assert first is not None
    assert second is not None
    assert 1 in first["step"].times
    assert 1 in second["second"].times


def test_nothing_collective_runs(
    become: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a collective, a new group or a barrier")

    for name in ("barrier", "new_group", "gather_object", "all_gather_object", "monitored_barrier"):
        monkeypatch.setattr(dist, name, refuse)
    become(1)
    assert fasttime.gather(of(1)) is None
    become(0)
    assert fasttime.gather(of(0), timeout=0) is not None


# --- a store that fails ---


class Broken:
    """A store whose server has gone, after some calls."""

    def __init__(self, store: dist.HashStore, calls: int) -> None:
        self._store, self._left = store, calls

    def __getattr__(self, name: str) -> object:
        self._left -= 1
        if self._left < 0:
            raise dist.DistNetworkError("Connection reset by peer\nException raised from ...")
        return getattr(self._store, name)


def test_rank_0_keeps_what_it_has(store: dist.HashStore) -> None:
    for rank in (1, 2):
        Exchange(store, "x").send(rank, summary(rank, {"step": 1.0}).packed())
    broken = Exchange(Broken(store, 7), "x")  # type: ignore[arg-type]
    table = gathering.collect(broken, summary(0, {"step": 1.0}), 4, 0)
    assert table.ranks == (0, 1)
    assert table.missing == (2, 3)
    message = "The store failed (Connection reset by peer), so the table lacks ranks 2-3."
    assert message in str(table.warnings[0])


def test_a_rank_that_cannot_send_warns(
    become: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, store: dist.HashStore
) -> None:
    become(3)
    broken = Broken(store, 0)
    monkeypatch.setattr(dist.distributed_c10d, "_get_default_store", lambda: broken)
    with pytest.warns(TimingWarning, match=r"Rank 3 could not send its figures .*Connection reset"):
        assert fasttime.gather(of(3)) is None


def test_a_value_that_cannot_be_read_is_named(store: dist.HashStore) -> None:
    exchange = Exchange(store, "x")
    exchange.send(1, b"garbage")
    exchange.send(2, summary(2, {"step": 1.0}).packed())
    table = gathering.collect(exchange, summary(0, {"step": 1.0}), 3, 0)
    assert table.ranks == (0, 2)
    assert table.missing == (1,)
    assert kinds(table) == ["unreadable_ranks"]


# --- bad input ---


def test_without_a_process_group_nothing_is_lost() -> None:
    table = fasttime.gather(of(0))
    assert table is not None
    assert table["step"].max == pytest.approx(4e-3)
    assert kinds(table) == ["no_process_group"]
    assert "Call torch.distributed.init_process_group() before gather()" in str(table).replace(
        "\n", " "
    )


@pytest.mark.parametrize("wrong", [None, 3, "report.json", [of(0)]])
def test_other_things_cannot_be_gathered(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"^gather\(\) takes a report, a handle's table\(\) or"):
        fasttime.gather(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_a_wrong_timeout_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be a number of seconds of at least 0"):
        fasttime.gather(of(0), timeout)


# --- what is sent of each kind of result ---


def test_a_step_report_sends_its_parts() -> None:
    table = gathering.build_table([summary_of(training_steps(), rank) for rank in range(2)])
    assert table.source == "steps"
    assert table["step/backward"].max == pytest.approx(21e-3)
    assert table["step/backward"].clock == "device"
    assert table["step/data wait"].clock == "host"
    assert table["step/data wait"].max == pytest.approx(1e-3)
    waits = [site.name for site in table if site.is_wait]
    assert waits == ["gradient wait", "idle device"]
    assert table["step"].contains_wait


def test_a_module_table_sends_its_columns() -> None:
    table = gathering.build_table([summary_of(network(), rank) for rank in range(2)])
    assert table.source == "modules"
    assert table["forward"].max == pytest.approx(10e-3)
    assert table["forward/body.0"].max == pytest.approx(4e-3)
    assert table["backward/body.0"].max == pytest.approx(9e-3)  # per call, in two stays
    assert table["backward/body.0"].depth == 2
    assert "backward/unused" not in table
    assert not any(site.path.startswith("recompute") for site in table)


def test_the_slow_module_is_named() -> None:
    slow = ModuleTable(
        records(
            record("", "Net", None, forward=(10, 1), backward=(60, 2)),
            record("stem", "Conv2d", 0, forward=(3, 3), backward=(6, 6)),
            record("body", "Sequential", 0, forward=(6, 0), backward=(52, 0)),
            record("body.0", "Conv2d", 2, forward=(4, 4), backward=(49, 49)),
            record("body.1", "ReLU", 2, forward=(2, 2), backward=(3, 3)),
        )
    )
    parts = [summary_of(slow if rank == 2 else network(), rank) for rank in range(4)]
    table = gathering.build_table(parts)
    assert "Rank 2 is slowest: 49.00 ms per call in backward/body.0." in table.conclusion
