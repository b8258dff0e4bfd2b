# SPDX-License-Identifier: BSD-3-Clause
"""The samples that a recorder keeps, by site."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from .current_interval import taking
from .reports.site_index import SiteIndex
from .sample import Sample, Status

if TYPE_CHECKING:
    from ._native import Core

_MOST = 1_000_000


class KeptSamples:
    """The last samples of each site. `Recorder` describes the methods.

    Args:
        core: of the recorder.

    Attributes:
        count: how many samples each site keeps.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._site_ids: SiteIndex[int] = SiteIndex()  # of the sites known at the last look-up
        self.count = 0

    def keep(self, count: int) -> None:
        """Keep the last `count` samples of each site from now on."""
        count = operator.index(count)
        if not 0 <= count <= _MOST:
            raise ValueError(f"keep_samples must lie between 0 and {_MOST:,}, got {count:,}")
        self._core.set_keep(count)
        self.count = count

    def of_site(self, path: str | tuple[str, ...]) -> list[Sample]:
        """Return the kept samples of one site, oldest first."""
        with taking:
            site = self._known_sites()[path]
        self._check_that_samples_are_kept()
        path = path if isinstance(path, str) else "/".join(path)
        return [_sample(path, row) for row in self._core.recent(site)]

    def take_all(self) -> list[Sample]:
        """Return the kept samples of all sites by their beginning, and forget them."""
        self._check_that_samples_are_kept()
        with taking:
            paths = self._known_sites().paths()
        samples = [
            _sample(path, row)
            for site, path in enumerate(paths, start=1)
            for row in self._core.recent(site, take=True)
        ]
        return sorted(samples, key=lambda sample: sample.host_begin)

    def _known_sites(self) -> SiteIndex[int]:
        """Return the ids of all sites. The caller holds the lock."""
        ids = self._site_ids
        for parent, name in self._core.site_names(len(ids) + 1):
            ids.add(parent, name, ids.path_below(parent, name), len(ids) + 1)
        return ids

    def _check_that_samples_are_kept(self) -> None:
        if not self.count:
            raise RuntimeError(
                "this recorder keeps no samples; call keep_samples(1000) before the scopes run, or "
                "make it with Recorder(keep_samples=1000)"
            )


def _sample(path: str, row: tuple[Status, int, int, float | None, bool]) -> Sample:
    status, begin_ns, host_ns, device_ns, shared = row
    return Sample(
        path,
        status,
        begin_ns * 1e-9,
        None if host_ns < 0 else host_ns * 1e-9,
        None if device_ns is None else device_ns * 1e-9,
        shared,
    )
