# SPDX-License-Identifier: BSD-3-Clause
"""Reports of made-up figures, for tests that only read reports."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from fasttime import Bottleneck, Durations, Report, SiteReport
from fasttime._native import Series, bucket_middles_ns
from fasttime.environment.describe import Environment
from fasttime.reports.bottleneck import BacklogChecks
from fasttime.sample import STATUSES

ENVIRONMENT = Environment(
    date="2026-01-02T03:04:05+00:00",
    fasttime="0.1.0",
    torch="2.14.1",
    cuda="13.0",
    python="3.12.0",
    gpu="Made-up GPU",
    driver="580.1",
    cpu="Made-up CPU",
    cpu_count=8,
    platform="Linux",
)
DEVICE_BOUND = Bottleneck("device-bound", "made up", backlog=3e-3, checks=40, agreement=1.0)
HOST_BOUND = Bottleneck("host-bound", "made up", backlog=2e-6, checks=40, agreement=1.0)
UNCLEAR = Bottleneck("unclear", "made up")


@cache
def _middles() -> np.ndarray:
    return np.array(bucket_middles_ns())


def durations(count: int, seconds: float) -> Durations:
    """Return so many equal durations."""
    if not count:
        return Durations(Series())
    ns = round(seconds * 1e9)
    bucket = np.abs(_middles() - ns).argmin()
    moments = count, count * ns, count * ns**2, ns, ns
    return Durations(Series(*moments, np.array([bucket]), [count], first_ns=ns))


def site(
    name: str,
    *children: SiteReport,
    calls: int = 10,
    device: float | None = 4e-3,
    host: float = 1e-3,
    self_time: float | None = 0.01,
    share: float | None = 0.5,
    bottleneck: Bottleneck | None = DEVICE_BOUND,
    checks: BacklogChecks = BacklogChecks(),  # noqa: B008 - immutable
    shared: int = 0,
    began_earlier: bool = False,
    lost: int = 0,
    **counts: int,
) -> SiteReport:
    """Return a site with these mean times in seconds. `placed` corrects the paths."""
    ok = {"ok": calls} if device is not None else {"host_only": calls}
    return SiteReport(
        name=name,
        path=name,
        counts={status: {**ok, **counts}.get(status, 0) for status in STATUSES},
        host=durations(calls, host),
        device=None if device is None else durations(calls, device),
        self_time=self_time,
        share=share,
        bottleneck=None if device is None else bottleneck,
        checks=checks,
        shared_boundaries=shared,
        began_earlier=began_earlier,
        lost=lost,
        children=children,
    )


def placed(one: SiteReport, above: str = "") -> SiteReport:
    """Return a site with the right path, and all sites below it with theirs."""
    path = f"{above}/{one.name}" if above else one.name
    return replace(one, path=path, children=tuple(placed(child, path) for child in one.children))


def report(*sites: SiteReport, **others: object) -> Report:
    """Return a report of these sites in a made-up environment."""
    return unplaced(*(placed(one) for one in sites), **others)


def unplaced(*sites: SiteReport, **others: object) -> Report:
    """Return a report of sites whose paths are as they are."""
    known: dict[str, object] = {
        "backend": "cuda",
        "backend_reason": "CUDA is up",
        "duration": 2.5,
        "open": 0,
        "pending": 0,
        "refused_sites": 0,
        "last_failure": "",
        "date": "2026-01-02T03:04:05+00:00",
        "known_environment": ENVIRONMENT,
    }
    return Report(sites, **{**known, **others})


def chain(depth: int) -> SiteReport:
    """Return nested sites, each with a short path: full paths would fill the memory."""
    one = site(f"level {depth - 1}")
    for level in reversed(range(depth - 1)):
        one = site(f"level {level}", one)
    return one


def training() -> Report:
    """Return a report of a training step, with every kind of site."""
    return report(
        site(
            "step",
            site("data", device=1e-3, host=2e-3, share=0.1, bottleneck=HOST_BOUND, self_time=0.01),
            site(
                "forward",
                site("layer_0", share=0.2, shared=10),
                site("layer_1", share=0.2, shared=10),
                device=9e-3,
                share=0.4,
            ),
            site("loss", device=1e-5, host=1e-5, share=0.001, bottleneck=UNCLEAR, self_time=1e-4),
            site("backward", site("all_reduce", device=30e-3), device=20e-3, self_time=None),
            device=60e-3,
            share=0.99,
            self_time=0.3,
        ),
        site("tokenise", device=None, host=5e-3, share=None),
    )
