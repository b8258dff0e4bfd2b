# SPDX-License-Identifier: BSD-3-Clause
"""What a reader must know before using the figures of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..text import format_count, format_seconds, printable
from ..timing_warning import TimingWarning
from .concurrency import root_time, roots_overlap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .report import Report

WarningKind = Literal[
    "switched_off",  # scopes were switched off, so nothing was timed
    "host_backend",  # there are host times only
    "environments_differ",  # the merged reports come from different environments
    "unfinished",  # some scopes are open or pending
    "dropped",  # scopes without device time; see `fasttime.Sample`
    "captured",
    "failed",
    "host_only",
    "lost",  # replays of CUDA graphs without a time
    "last_failure",  # what CUDA answered to a failed call
    "refused_sites",  # more sites than the recorder can hold
    "compiled",  # scopes inside torch.compile regions are not timed
    "unclear",  # some sites have an unclear bottleneck
    "overlap",  # some sites have no self time because children overlap
    "concurrent",  # the outermost scopes overlap, so shares do not add up to the period
    "began_earlier",  # some sites have no self time because a scope began before the interval
    "host_may_wait",  # some host times may include waiting
]

# Fields of an environment in which the processes of one job differ although times need not.
_PER_PROCESS = ("gpu_index", "gpu_uuid", "host_name", "process_id")


def warnings_of(report: Report) -> tuple[TimingWarning, ...]:
    """Return all warnings about a report; empty if all is well."""
    found = [*_about_the_report(report), *_without_device_time(report), *_about_sites(report)]
    # Other libraries word some of the reasons, so unprintable characters are escaped.
    return tuple(TimingWarning(kind, printable(message, 2000)) for kind, message in found)


def _about_the_report(report: Report) -> Iterator[tuple[WarningKind, str]]:
    if report.switched_off and not report.sites:
        yield (
            "switched_off",
            "Scopes are switched off, by disable() or by FASTTIME=0 in the environment, so nothing "
            "was timed. Call enable() to switch scopes on.",
        )
    if report.backend == "host":
        yield "host_backend", f"There are host times only, because {report.backend_reason}."
    if report.backend == "mixed":
        yield (
            "host_backend",
            f"Some of the merged reports have host times only, because {report.backend_reason}.",
        )
    if differs := [field for field in report.differs if field not in _PER_PROCESS]:
        yield (
            "environments_differ",
            f"The merged reports come from environments that differ in {', '.join(differs)}, so "
            "their times may not be comparable. Merge reports of equal environments for one figure "
            "per environment.",
        )
    if report.open or report.pending:
        yield (
            "unfinished",
            f"The figures do not include {_unfinished(report)}. Call report(wait=True) after the "
            "scopes have ended to include them.",
        )
    if report.last_failure:
        yield (
            "last_failure",
            f"The last CUDA call that failed: {report.last_failure}. Scopes around a failed call "
            "may have no device time.",
        )
    if report.refused_sites:
        yield (
            "refused_sites",
            f"The recorder is full and counts {_scopes(report.refused_sites)} at new sites "
            "together under (more). Take scope names from a small set.",
        )
    if report.scopes_were_compiled:
        yield (
            "compiled",
            "torch.compile has compiled code that contains scopes, and scopes inside compiled "
            "regions are not timed. Put the scope around the compiled call.",
        )


def _without_device_time(report: Report) -> Iterator[tuple[WarningKind, str]]:
    reasons: list[tuple[WarningKind, int, str]] = [
        (
            "dropped",
            report.dropped,
            "fasttime had no room left, or a scope never ended. End every scope that you begin",
        ),
        (
            "captured",
            report.captured,
            _why_captured(report),
        ),
        (
            "failed",
            report.failed,
            "a CUDA call failed. Fix the failure that last_failure names",
        ),
    ]
    if report.backend == "cuda":
        why = "CUDA was not up yet. Call torch.cuda.init() before the first scope"
        reasons.append(("host_only", report.host_only, why))
    if report.backend == "mixed":
        why = "CUDA was not up in every process. Merge only reports with device times"
        reasons.append(("host_only", report.host_only, why))
    for kind, count, why in reasons:
        if count:
            have = "has" if count == 1 else "have"
            yield kind, f"{_scopes(count)} {have} no device time: {why}."
    if lost := sum(site.lost for site in report.walk()):
        yield (
            "lost",
            f"{_scopes(lost)} in replays of CUDA graphs have no time: fasttime read them too late, "
            "or two replays of one capture overlapped. Call report() more often, or raise depth= "
            "of graph_timing().",
        )


def _why_captured(report: Report) -> str:
    if report.captured_reason:
        return f"the stream was capturing a CUDA graph, and {report.captured_reason}"
    return (
        "the stream was capturing a CUDA graph. Capture the graph inside `with graph_timing()`, or "
        "put the scope around the replay of the graph"
    )


def _about_sites(report: Report) -> Iterator[tuple[WarningKind, str]]:
    sites = list(report.walk())
    bottlenecks = [site.bottleneck for site in sites if site.bottleneck is not None]
    if unclear := sum(bottleneck.bound == "unclear" for bottleneck in bottlenecks):
        yield (
            "unclear",
            f"The bottleneck is unclear at {unclear:,} of {len(bottlenecks):,} sites: it is too "
            "close to call, or the backlog was never checked. Time more calls to decide.",
        )
    if overlapped := sum(site.self_time is None and not site.began_earlier for site in sites):
        yield (
            "overlap",
            f"There is no self time at {overlapped:,} of {len(sites):,} sites, because the sites "
            "inside took longer: they ran on other streams or threads, or the site's own scope is "
            "still open. Read the totals of these sites instead.",
        )
    if roots_overlap(report):
        yield (
            "concurrent",
            f"The outermost scopes overlap: they took {format_seconds(root_time(report))} in "
            f"{format_seconds(report.duration)}. Shares are parts of this sum and not of "
            "the elapsed time, so use them only to compare sites with each other.",
        )
    elif report.shares_overlap:
        yield (
            "concurrent",
            "Scopes overlap, so shares are parts of the summed times and not of the elapsed time. "
            "Use them only to compare sites with each other.",
        )
    if began_earlier := sum(site.began_earlier for site in sites):
        yield (
            "began_earlier",
            f"There is no self time at {began_earlier:,} of {len(sites):,} sites: a scope that "
            "began before this interval counts in full, but earlier reports counted some scopes "
            "inside it. Use intervals that are longer than the scope.",
        )
    if any(bottleneck.host_may_wait for bottleneck in bottlenecks):
        yield (
            "host_may_wait",
            "Host times marked * may include waiting: the device was behind, and the host spent "
            "about as long in the scope as the device, or longer. The host may have had work of "
            "its own, waited, or been held back by a full launch queue, so do not read this time "
            "as the cost of queueing the work.",
        )


def _unfinished(report: Report) -> str:
    parts = []
    if report.open:
        parts.append(f"{_scopes(report.open)} that {_are(report.open)} still open")
    if report.pending:
        parts.append(f"{_scopes(report.pending)} that the device has not finished")
    return " and ".join(parts)


def _scopes(count: int) -> str:
    return format_count(count, "scope")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
