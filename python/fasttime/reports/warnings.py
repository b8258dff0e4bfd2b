# SPDX-License-Identifier: BSD-3-Clause
"""What a reader of a report has to know before using its figures, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..text import printable
from ..timing_warning import TimingWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .report import Report

WarningKind = Literal[
    "switched_off",
    "host_backend",
    "environments_differ",
    "unfinished",
    "dropped",
    "captured",
    "failed",
    "host_only",
    "last_failure",
    "refused_sites",
    "compiled",
    "unclear",
    "overlap",
    "began_earlier",
    "host_may_wait",
]

# What each kind means:
# ``switched_off``: so nothing was timed; ``host_backend``: there are host times only;
# ``environments_differ``: the report was put together of parts from different ones;
# ``unfinished``: scopes are open or pending; ``dropped``, ``captured``, ``failed``,
# ``host_only``: so many scopes have no device time, see `fasttime.Sample`;
# ``last_failure``: what CUDA answered; ``refused_sites``: there were more sites than can
# be told apart; ``compiled``: scopes inside torch.compile regions are not timed;
# ``unclear``: there are sites without a verdict; ``overlap``: there are sites without a
# self time; ``began_earlier``: there are some because a scope began before the report's
# interval; ``host_may_wait``: there are host times that need not be what it takes to
# issue the work.


# In what processes of one job differ, and times need not.
_OF_A_PROCESS = ("gpu_index", "gpu_uuid", "host_name", "process_id")

_WHY_HOST_ONLY = {"cuda": "from before CUDA was up", "mixed": "from where CUDA was not up"}


def warnings_of(report: Report) -> tuple[TimingWarning, ...]:
    """Return all doubts about a report; empty if all is well."""
    # Reasons are told by libraries in words of theirs.
    return tuple(TimingWarning(kind, printable(text, 2000)) for kind, text in _warnings(report))


def _warnings(report: Report) -> Iterator[tuple[WarningKind, str]]:
    if report.switched_off and not report.sites:
        yield (
            "switched_off",
            "Scopes are switched off: by disable(), or by FASTTIME=0 in the environment; enable() "
            "switches them on.",
        )
    if report.backend != "cuda":
        where = "Host time only" if report.backend == "host" else "Host time only in some parts"
        yield "host_backend", f"{where}: {report.backend_reason}."
    if differs := [field for field in report.differs if field not in _OF_A_PROCESS]:
        yield "environments_differ", f"The parts of this report differ in {', '.join(differs)}."
    if report.open or report.pending:
        message = f"Not in the table: {report.open} open, {report.pending} pending on the device."
        yield "unfinished", message
    yield from _without_device_time(report)
    if report.last_failure:
        yield "last_failure", f"The last call to CUDA that failed: {report.last_failure}."
    if report.refused_sites:
        yield (
            "refused_sites",
            f"{report.refused_sites:,} scopes, at more sites than can be told apart, are under "
            "(more); take names from a small set.",
        )
    if report.scopes_were_compiled:
        yield (
            "compiled",
            "Scopes inside torch.compile regions are not timed; put the scope around the compiled "
            "call.",
        )
    yield from _doubtful_sites(report)


def _without_device_time(report: Report) -> Iterator[tuple[WarningKind, str]]:
    kinds: list[tuple[WarningKind, int, str]] = [
        ("dropped", report.dropped, "dropped (no room, or never ended)"),
        ("captured", report.captured, "captured (their stream was capturing a CUDA graph)"),
        ("failed", report.failed, "failed"),
    ]
    if report.backend != "host":
        kinds.append(("host_only", report.host_only, _WHY_HOST_ONLY[report.backend]))
    for kind, count, why in kinds:
        if count:
            yield kind, f"Without device time: {count:,} {why}."


def _doubtful_sites(report: Report) -> Iterator[tuple[WarningKind, str]]:
    sites = list(report.walk())
    bottlenecks = [site.bottleneck for site in sites if site.bottleneck is not None]
    unclear = sum(bottleneck.bound == "unclear" for bottleneck in bottlenecks)
    if unclear:
        yield (
            "unclear",
            f"The bottleneck is unclear at {unclear:,} of {len(bottlenecks):,} sites: too close to "
            "call, or the backlog was never seen.",
        )
    overlapped = sum(site.self_time is None and not site.began_earlier for site in sites)
    if overlapped:
        yield (
            "overlap",
            f"No self time at {overlapped:,} of {len(sites):,} sites: what ran inside took longer "
            "than the site itself, on other streams or threads or because its own scope is open.",
        )
    if began_earlier := sum(site.began_earlier for site in sites):
        yield (
            "began_earlier",
            f"No self time at {began_earlier:,} of {len(sites):,} sites: a scope that began before "
            "this interval is counted here whole, and what ran inside it before is not.",
        )
    if any(bottleneck.host_may_wait for bottleneck in bottlenecks):
        yield (
            "host_may_wait",
            "* The device was behind, and the host spent about as long here as the device, or "
            "longer: with work of its own, in a wait, or held back by a full launch queue. So this "
            "host time need not be what it takes to issue the work.",
        )
