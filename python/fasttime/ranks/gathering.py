# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime.gather`: bring the figures of all ranks to rank 0."""

from __future__ import annotations

import itertools
import math
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any

from ..timing_warning import TimingWarning
from .build import build_table
from .conclusion import ranks_text
from .exchange import Exchange
from .rank_table import RankTable
from .sources import Gatherable, summary_of
from .summary import RankSummary, unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence

# Ranks must agree on the number of an exchange without asking each other. So every process counts.
_numbers = itertools.count()
_number_lock = threading.Lock()


def gather(result: Gatherable, timeout: float = 30) -> RankTable | None:
    """Compare the ranks of a distributed job, site by site.

        table = fasttime.gather(fasttime.report(reset=True))
        if table is not None:  # on rank 0
            print(table)

    Call `gather` on every rank, equally often and in the same order. Ranks other than 0 send their
    figures and return None at once. Rank 0 waits for the other ranks, and returns the table.

    The figures go through the store of torch.distributed, which `init_process_group` made. `gather`
    uses no collective, no group, no barrier and no device, so it cannot disturb NCCL.

    Args:
        result: what to compare: ``fasttime.report()``, ``handle.table()`` or ``handle.steps()``.
            `handle.steps()` shows the wait for gradients apart from the backward pass.
        timeout: how many seconds rank 0 waits for all ranks together. After that, the table names
            the ranks that are late or have died in `RankTable.missing`.

    Without a process group, the table has one rank and a warning. If a rank cannot reach the store,
    `gather` warns and returns what has arrived. Raises TypeError for anything but one of these
    results, and ValueError for a timeout below 0.

    >>> print(fasttime.gather(fasttime.report()))  # doctest: +SKIP
    """
    if not 0 <= timeout < math.inf:
        raise ValueError(f"timeout must be a number of seconds of at least 0, got {timeout!r}")
    import torch.distributed

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        rank = int(os.environ.get("RANK", "0"))
        return build_table([summary_of(result, rank)], warnings=[_no_group()])
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    summary = summary_of(result, rank)
    with _number_lock:
        number = next(_numbers)
    store: Any = torch.distributed.distributed_c10d._get_default_store()
    exchange = Exchange(store, f"fasttime/{_restart()}/{number}")
    if rank:
        _send(exchange, summary)
        return None
    return collect(exchange, summary, world_size, timeout)


def collect(exchange: Exchange, own: RankSummary, world_size: int, timeout: float) -> RankTable:
    """Return the table on rank 0, from the summaries of all ranks that arrive in time."""
    summaries, missing, unreadable = [own], [], {}
    others = list(range(1, world_size))
    lost = ""
    try:
        for rank, value in exchange.receive(others, timeout):
            if value is None:
                missing.append(rank)
                continue
            try:
                summaries.append(unpacked(value))
            except ValueError as error:
                unreadable[rank] = str(error)
    except RuntimeError as error:  # torch.distributed.DistError is one
        lost = _first_line(error)
        known = {summary.rank for summary in summaries} | set(missing) | set(unreadable)
        missing += [rank for rank in others if rank not in known]
    return build_table(
        summaries,
        world_size=world_size,
        missing=sorted([*missing, *unreadable]),
        warnings=[*_missing(missing, timeout, lost), *_unreadable(unreadable)],
    )


def _send(exchange: Exchange, summary: RankSummary) -> None:
    try:
        exchange.send(summary.rank, summary.packed())
    except RuntimeError as error:  # torch.distributed.DistError is one
        warnings.warn(
            TimingWarning(
                "not_sent",
                f"Rank {summary.rank} could not send its figures to rank 0 "
                f"({_first_line(error)}), so the table there lacks this rank. Check whether "
                "rank 0 has ended, and save the report here: report.save(...).",
            ),
            stacklevel=3,
        )


def _restart() -> str:
    """Return how often torchrun has restarted the job, so that old keys never match new ones."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__


def _missing(ranks: Sequence[int], timeout: float, lost: str) -> list[TimingWarning]:
    if not ranks:
        return []
    named = ranks_text(ranks)
    if lost:
        return [
            TimingWarning(
                "missing_ranks",
                f"The store failed ({lost}), so the table lacks {named}. Save the report of each "
                "rank to a file, and run `fasttime merge` instead.",
            )
        ]
    return [
        TimingWarning(
            "missing_ranks",
            f"The table lacks {named}, because no figures came within {timeout:g} s. Look at the "
            "output of these ranks, or call gather() with a larger timeout.",
        )
    ]


def _unreadable(ranks: dict[int, str]) -> list[TimingWarning]:
    if not ranks:
        return []
    rank, why = next(iter(ranks.items()))
    return [
        TimingWarning(
            "unreadable_ranks",
            f"The table lacks {ranks_text(ranks)}, because rank 0 could not read their figures "
            f"(rank {rank}: {why}). Use the same version of fasttime on every rank.",
        )
    ]


def _no_group() -> TimingWarning:
    return TimingWarning(
        "no_process_group",
        "torch.distributed has no process group, so this table has one rank only. Call "
        "torch.distributed.init_process_group() before gather(), for example under torchrun.",
    )
