# SPDX-License-Identifier: BSD-3-Clause
"""What stands where in a picture, and in which colour."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ..columns import Columns
from ..tracks import Track, device_tracks, host_tracks
from . import style as style

MARGIN = 0.012  # of the interval, on either side
_MAX_ROWS = 200


class Place(NamedTuple):
    """Where a track is drawn, in inches from the top."""

    track: Track
    top: float
    row_tops: list[float]
    bottom: float


class Scene:
    """The tracks of a picture laid out, and how times become positions."""

    def __init__(
        self,
        columns: Columns,
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
        order = dict.fromkeys(columns.site.tolist())  # by appearance
        self.is_wait = {
            site: bool({columns.sites[site].path, columns.sites[site].name} & set(waits))
            for site in order
        }
        # Waits come last, so that what is timed looks the same in a picture with and without them.
        by_colour = sorted(order, key=self.is_wait.__getitem__)
        self.colours = {site: style.colour_of(i) for i, site in enumerate(by_colour)}
        self.unnamed: set[int] = set()  # sites with a bar too short for their name
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
        for bar in track.bars():
            if bar.row == len(depths):
                depths.append(0)
            depths[bar.row] = max(depths[bar.row], bar.level + 1)
        for depth in depths:
            row_tops.append(y)
            y += style.BAR * depth
        if y > _MAX_ROWS * style.BAR:
            raise ValueError(
                f"more than {_MAX_ROWS} rows of scopes are too many for a picture: choose a part "
                "by begin= and end=, or look at a trace, save('trace.json')"
            )
        places.append(Place(track, top, row_tops, y))
        self.bottom = y

    def x(self, ns: float) -> float:
        """Return a moment in units of the axis."""
        return (ns - self._first_ns) / self.ns_per_unit

    def name(self, site: int) -> str:
        """Return a site's name as the font can show it."""
        return style.printable(self.columns.sites[site].name)


def _axis_unit(length_ns: float) -> tuple[str, float]:
    for unit, per_unit in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if length_ns >= 2 * per_unit:
            return unit, per_unit
    return "ns", 1.0
