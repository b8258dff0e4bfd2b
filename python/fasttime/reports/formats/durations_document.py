# SPDX-License-Identifier: BSD-3-Clause
"""Distributions of durations as JSON, both ways.

Seconds are for readers. Whole nanoseconds and the histogram are for loading, which is exact.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from ..._native import Series
from ...documents import Fields
from ..durations import Durations

_HISTOGRAM = r"(\d{1,18}:\d{1,18}( \d{1,18}:\d{1,18})*)?"


def as_content(times: Durations) -> dict[str, Any]:
    """Return the figures of the durations in seconds, under keys that name the unit."""
    return {
        "count": times.count,
        "total_s": finite(times.total),
        "mean_s": finite(times.mean),
        "std_s": finite(times.std),
        "min_s": finite(times.min),
        "max_s": finite(times.max),
        "first_s": finite(times.first),
        "p50_s": finite(times.median),
        "p95_s": finite(times.p95),
        "p99_s": finite(times.p99),
    }


def exact_content(times: Durations) -> dict[str, Any]:
    """Return the exact sums, and the histogram as ``bucket:count`` for each filled bucket.

    Bucket b holds durations of b ns up to 127. Above, each octave has 64 buckets.
    """
    _, total, squares, least, greatest = times._series.moments()
    pairs = zip(*(column.tolist() for column in times._series.histogram()), strict=True)
    return {
        "total_ns": total,
        "squares_ns2": squares,
        "min_ns": least,
        "max_ns": greatest,
        "first_ns": times._series.first_ns,
        "histogram": " ".join(f"{bucket}:{count}" for bucket, count in pairs),
    }


def durations_from(site: Fields, kind: str) -> Durations:
    """Return the durations that `exact_content` wrote, from the object `kind`.

    Raises ValueError, naming the field, if the content contradicts itself.
    """
    content = site.object(kind)
    text = content.text("histogram")
    if not re.fullmatch(_HISTOGRAM, text, re.ASCII) or len(text) > 10**6:
        raise content.wrong("histogram", "of the form bucket:count bucket:count")
    histogram = np.array([pair.split(":") for pair in text.split()], np.int64).reshape(-1, 2)
    moments = {
        "count": content.count("count", at_least=1),
        "total_ns": content.whole("total_ns"),
        "squares_ns2": content.count("squares_ns2"),
        "min_ns": content.whole("min_ns"),
        "max_ns": content.whole("max_ns"),
    }
    try:
        first = None if content.is_null("first_ns") else content.whole("first_ns")
        return Durations(
            Series(**moments, buckets=histogram[:, 0], counts=histogram[:, 1], first_ns=first)
        )
    except ValueError as error:
        raise site.wrong(kind, f"consistent ({error})") from None


def finite(value: float | None) -> float | None:
    """Return a finite number or None, because JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None
