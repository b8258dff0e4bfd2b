# SPDX-License-Identifier: BSD-3-Clause
"""Reports of made-up data, for what only reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fasttime import Durations, Report, SiteReport, Verdict
from fasttime.environment import Environment
from fasttime.reporting.looks import Looks
from fasttime.reporting.plain_series import bucket_middles_ns
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
DEVICE_BOUND = Verdict("device-bound", 3e-3, 40, 1.0, False)
HOST_BOUND = Verdict("host-bound", 2e-6, 40, 1.0, False)
UNCLEAR = Verdict("unclear", None, 0, 0.0, False)


@dataclass(frozen=True)
class Equal:
    """A series of durations that are all the same."""

    count: int
    mean_ns: float
    std_ns: float = 0.0

    @property
    def total_ns(self) -> float:
        return self.count * self.mean_ns

    @property
    def min_ns(self) -> float:
        return self.mean_ns

    @property
    def max_ns(self) -> float:
        return self.mean_ns

    def quantile_ns(self, q: float) -> float:
        return self.mean_ns

    def moments(self) -> tuple[int, int, int, int, int]:
        ns = round(self.mean_ns) if self.count else 0
        return self.count, self.count * ns, self.count * ns**2, ns, ns

    def histogram(self) -> tuple[np.ndarray, np.ndarray]:
        bucket = np.abs(bucket_middles_ns() - self.mean_ns).argmin()
        buckets = [bucket] if self.count else []
        return np.array(buckets, np.uint16), np.array([self.count] * len(buckets))


def site(
    name: str,
    *children: SiteReport,
    calls: int = 10,
    device: float | None = 4e-3,
    host: float = 1e-3,
    self_time: float | None = 0.01,
    share: float | None = 0.5,
    verdict: Verdict | None = DEVICE_BOUND,
    shared: int = 0,
    began_earlier: bool = False,
    **counts: int,
) -> SiteReport:
    """Return a site by the means of its times in seconds; `placed` corrects the paths."""
    ok = {"ok": calls} if device is not None else {"host_only": calls}
    return SiteReport(
        name=name,
        path=name,
        counts={status: {**ok, **counts}.get(status, 0) for status in STATUSES},
        host=Durations(Equal(calls, host * 1e9)),
        device=None if device is None else Durations(Equal(calls, device * 1e9)),
        self_time=self_time,
        share=share,
        verdict=None if device is None else verdict,
        looks=Looks(),
        shared_boundaries=shared,
        began_earlier=began_earlier,
        children=children,
    )


def placed(one: SiteReport, above: str = "") -> SiteReport:
    """Return a site with its own path and all below it with theirs."""
    path = f"{above}/{one.name}" if above else one.name
    return replace(one, path=path, children=tuple(placed(child, path) for child in one.children))


def report(*sites: SiteReport, **others: object) -> Report:
    known: dict[str, object] = {
        "backend": "cuda",
        "backend_reason": "CUDA is up",
        "duration": 2.5,
        "open": 0,
        "pending": 0,
        "refused_sites": 0,
        "last_failure": "",
        "date": "2026-01-02T03:04:05+00:00",
    }
    made = Report(tuple(placed(one) for one in sites), **{**known, **others})
    made.__dict__["environment"] = ENVIRONMENT  # as if it had been asked for
    return made


def chain(depth: int) -> SiteReport:
    """Return sites one inside the other, with short paths, as theirs would fill the memory."""
    one = site(f"level {depth - 1}")
    for level in reversed(range(depth - 1)):
        one = site(f"level {level}", one)
    return one


def training() -> Report:
    """Return a report as people have it, with every kind of site."""
    return report(
        site(
            "step",
            site("data", device=1e-3, host=2e-3, share=0.1, verdict=HOST_BOUND, self_time=0.01),
            site(
                "forward",
                site("layer_0", share=0.2, shared=10),
                site("layer_1", share=0.2, shared=10),
                device=9e-3,
                share=0.4,
            ),
            site("loss", device=1e-5, host=1e-5, share=0.001, verdict=UNCLEAR, self_time=1e-4),
            site("backward", site("all_reduce", device=30e-3), device=20e-3, self_time=None),
            device=60e-3,
            share=0.99,
            self_time=0.3,
        ),
        site("tokenise", device=None, host=5e-3, share=None),
    )
