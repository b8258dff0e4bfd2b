# SPDX-License-Identifier: BSD-3-Clause
"""Build the table of ranks from what the ranks sent, with its warnings."""

from __future__ import annotations

from collections.abc import Sequence

from ..text import format_count
from ..timing_warning import TimingWarning
from .conclusion import ranks_text
from .rank_site import SiteRow, rows_of
from .rank_table import RankTable
from .summary import RankSummary

_MOST_NAMED = 3  # sites in a message


def build_table(
    summaries: Sequence[RankSummary],
    *,
    world_size: int | None = None,
    missing: Sequence[int] = (),
    warnings: Sequence[TimingWarning] = (),
) -> RankTable:
    """Return the table of these ranks.

    Args:
        summaries: one per rank.
        world_size: how many ranks the job has; None if only the summaries say so.
        missing: ranks without a summary.
        warnings: what to say first.
    """
    ordered = sorted(summaries, key=lambda summary: summary.rank)
    ranks = tuple(summary.rank for summary in ordered)
    rows = rows_of(ordered)
    sources = list(dict.fromkeys(summary.source for summary in ordered))
    return RankTable(
        rows=rows,
        ranks=ranks,
        world_size=len(ranks) if world_size is None else world_size,
        source=sources[0] if sources else "",
        missing=tuple(missing),
        host_names={summary.rank: summary.host_name for summary in ordered if summary.host_name},
        warnings=(
            *warnings,
            *_different_sources(ordered),
            *_different_clocks(ordered, rows),
            *_different_sites(rows, ranks),
            *_of_the_ranks(ordered),
        ),
    )


def _different_sources(summaries: Sequence[RankSummary]) -> list[TimingWarning]:
    by_source: dict[str, list[int]] = {}
    for summary in summaries:
        by_source.setdefault(summary.source, []).append(summary.rank)
    if len(by_source) < 2:
        return []
    found = "; ".join(f"{ranks_text(ranks)}: {source}" for source, ranks in by_source.items())
    return [
        TimingWarning(
            "different_sources",
            f"The ranks sent different kinds of results ({found}), so most sites lack ranks. Call "
            "gather() in the same order on every rank, with the same kind of result.",
        )
    ]


def _different_clocks(
    summaries: Sequence[RankSummary], rows: Sequence[SiteRow]
) -> list[TimingWarning]:
    with_device = {summary.rank for summary in summaries if summary.sites.figures[2].any()}
    without = [summary.rank for summary in summaries if summary.rank not in with_device]
    if not with_device or not without:
        return []
    return [
        TimingWarning(
            "different_clocks",
            f"Device times are missing on {ranks_text(without)}, so the table compares host times "
            "there. Check why CUDA is not used on these ranks: print(fasttime.report()).",
        )
    ]


def _different_sites(rows: Sequence[SiteRow], ranks: Sequence[int]) -> list[TimingWarning]:
    uneven = [row for row in rows if not row.calls.all()]
    if not uneven:
        return []
    named = ", ".join(row.path for row in uneven[:_MOST_NAMED])
    more = ", ..." if len(uneven) > _MOST_NAMED else ""
    lacking = {
        rank for row in uneven for rank, calls in zip(ranks, row.calls, strict=True) if not calls
    }
    return [
        TimingWarning(
            "different_sites",
            f"There is no time on {ranks_text(lacking)} for {format_count(len(uneven), 'site')} "
            f"({named}{more}), so the figures there do not include these ranks. Compare only "
            "sites that every rank runs.",
        )
    ]


def _of_the_ranks(summaries: Sequence[RankSummary]) -> list[TimingWarning]:
    """Return the warnings of the ranks, one per kind, with the ranks that have it."""
    by_kind: dict[str, dict[str, list[int]]] = {}
    for summary in summaries:
        for warning in summary.warnings:
            ranks = by_kind.setdefault(warning.kind, {}).setdefault(warning.message, [])
            if summary.rank not in ranks:
                ranks.append(summary.rank)
    found = []
    for kind, by_message in by_kind.items():
        message, ranks = next(iter(by_message.items()))
        everyone = {rank for some in by_message.values() for rank in some}
        also = everyone - set(ranks)
        likewise = f" (likewise {ranks_text(also)})" if also else ""
        prefix = "" if len(ranks) == len(summaries) > 1 else f"{ranks_text(ranks)}{likewise}: "
        found.append(TimingWarning(kind, prefix[:1].upper() + prefix[1:] + message))
    return found
