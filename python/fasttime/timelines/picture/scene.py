# SPDX-License-Identifier: BSD-3-Clause
"""The layout and the colours of a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..columns import Columns, Site
from ..tracks import Bar, Track, device_tracks, host_tracks
from . import style

MARGIN = 0.012  # on each side, as a part of the interval
_MAX_ROWS = 200


class Place(NamedTuple):
    """Where to draw a track, in inches from the top."""

    track: Track
    bars: list[Bar]
    top: float
    row_tops: list[float]
    bottom: float


class Scene:
    """The tracks of a picture with their positions and colours, and the scale of time.

    Args:
        columns: the spans to draw.
        sites: all sites of the timeline. The colours depend on them, not on the spans to draw.
        thread_names: names by native id.
        first_ns: where the picture begins.
        last_ns: where the picture ends.
        waits: paths or names of scopes in which the host only waits.
        dark: for a dark background.
    """

    def __init__(
        self,
        columns: Columns,
        sites: Sequence[Site],
        thread_names: dict[int, str],
        first_ns: float,
        last_ns: float,
        waits: Collection[str],
        dark: bool,
    ) -> None:
        self.columns = columns
        self.thread_names = thread_names
        self.theme = style.DARK if dark else style.LIGHT
        self._first_ns = first_ns
        self.unit, self.ns_per_unit = _axis_unit(last_ns - first_ns)
        self.length = (last_ns - first_ns) / self.ns_per_unit
        inches = style.WIDTH - style.LEFT - style.RIGHT
        self.inches_per_unit = inches / (self.length * (1 + 2 * MARGIN))
        waiting = {site.path for site in sites if {site.path, site.name} & set(waits)}
        colours = style.colours_of((site.path for site in sites), last=waiting)
        shown = {i: columns.sites[i] for i in columns.site.tolist()}  # sorted by appearance
        self.colours = {i: colours[site.path] for i, site in shown.items()}
        self.is_wait = {i: site.path in waiting for i, site in shown.items()}
        self._same_name = Counter(site.name for site in shown.values())
        self.unnamed: set[int] = set()  # sites with a bar too short for their label
        self.host: list[Place] = []
        self.device: list[Place] = []
        self.bottom = 0.0
        for track in sorted(host_tracks(columns), key=self._main_first):
            self._place(self.host, track, style.TRACK_GAP)
        for track in device_tracks(columns):
            self._place(self.device, track, style.TRACK_GAP if self.device else style.SECTION_GAP)

    def _main_first(self, track: Track) -> tuple[bool, int]:
        is_main = self.thread_names.get(track.handle) == "MainThread"
        return not is_main, int(track.begin_ns[track.spans[0]])

    def _place(self, places: list[Place], track: Track, gap: float) -> None:
        top = y = self.bottom + (gap if self.bottom else 0.0)
        row_tops = []
        depths: list[int] = []
        bars = list(track.bars())
        for bar in bars:
            if bar.row == len(depths):
                depths.append(0)
            depths[bar.row] = max(depths[bar.row], bar.level + 1)
        for depth in depths:
            row_tops.append(y)
            y += style.BAR * depth
        if y > _MAX_ROWS * style.BAR:
            raise ValueError(
                f"a picture shows at most {_MAX_ROWS} rows of scopes; draw a part with begin= and "
                "end=, or save a trace: save('trace.json')"
            )
        places.append(Place(track, bars, top, row_tops, y))
        self.bottom = y

    def x(self, ns: float) -> float:
        """Return the position of a moment on the axis."""
        return (ns - self._first_ns) / self.ns_per_unit

    def label(self, site: int) -> str:
        """Return the site's name, or its path if several sites have that name."""
        name = self.columns.sites[site].name
        return style.printable(name) if self._same_name[name] == 1 else self.path(site)

    def path(self, site: int) -> str:
        """Return the site's path, with a box for each character that the font lacks."""
        return style.printable(self.columns.sites[site].path)


def _axis_unit(length_ns: float) -> tuple[str, float]:
    for unit, per_unit in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if length_ns >= 2 * per_unit:
            return unit, per_unit
    return "ns", 1.0
