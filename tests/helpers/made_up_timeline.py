# SPDX-License-Identifier: BSD-3-Clause
"""Made-up timelines: spans, steps, and any spans for hypothesis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from fasttime import Span, Timeline

MAIN = 100


def span(
    path: str,
    host: tuple[float, float | None],
    device: tuple[float, float] | None = None,
    *,
    thread: int = MAIN,
    index: int = 0,
    stream: int = 0,
    status: str = "ok",
    uncertainty: float = 0.003,
) -> Span:
    """A span of a made-up timeline; times are in ms."""
    names = path.split("/")
    begin, end = device if device is not None else (None, None)
    return Span(
        path=path,
        name=names[-1],
        parent="/".join(names[:-1]) or None,
        depth=len(names) - 1,
        status=status,  # type: ignore[arg-type]
        thread=thread,
        thread_name="MainThread" if thread == MAIN else None,
        device=index if device is not None else None,
        stream=stream if device is not None else None,
        host_begin=host[0] / 1e3,
        host_end=None if host[1] is None else host[1] / 1e3,
        device_begin=None if begin is None else begin / 1e3,
        device_end=None if end is None else end / 1e3,
        uncertainty=uncertainty / 1e3 if device is not None else None,
        shares_boundary=False,
    )


STEP = [
    span("step", (0, 4), (1, 9)),
    span("step/large", (0, 2), (1, 6)),
    span("step/small", (3, 4), (6, 9)),
]


def steps(count: int) -> Timeline:
    """A timeline of `count` steps in a row, with three spans each."""
    columns = Timeline.from_spans(STEP).columns[np.tile(np.arange(3), count)]
    later = np.repeat(np.arange(count), 3) * 10_000_000
    times = ("host_begin_ns", "host_end_ns", "device_begin_ns", "device_end_ns")
    return Timeline(replace(columns, **{time: getattr(columns, time) + later for time in times}))


times = st.integers(0, 10**12).map(lambda value: value / 1e6)


@st.composite
def any_span(draw: st.DrawFn) -> Span:
    begin, device_begin = draw(times), draw(times)
    ended, placed = draw(st.booleans()), draw(st.booleans())
    end = begin + draw(times) if ended else None
    device = (device_begin, device_begin + draw(times)) if placed else None
    made = span("x", (begin, end), device, thread=draw(st.integers(1, 3)), index=draw(st.just(0)))
    name = draw(st.text(st.characters(), min_size=1))
    return made._replace(name=name, path=name, stream=draw(st.integers(0, 3)) if placed else None)
