# SPDX-License-Identifier: BSD-3-Clause
"""A series of durations in a document: exactly, and its histogram in a line of text."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..documents import Fields
from .plain_series import PlainSeries, bucket_middles_ns

_HISTOGRAM = r"(\d+:\d+( \d+:\d+)*)?"


def to_content(series: PlainSeries) -> dict[str, Any]:
    """Return what is written. The histogram says of each bucket that is filled how many it holds.

    Bucket b stands for the duration of `bucket_middles_ns`: b ns up to 127, from there on 64
    buckets to an octave.
    """
    pairs = zip(series.buckets.tolist(), series.counts.tolist(), strict=True)
    return {
        "total_ns": series.total,
        "squares_ns2": series.squares,
        "min_ns": series.least,
        "max_ns": series.greatest,
        "histogram": " ".join(f"{bucket}:{count}" for bucket, count in pairs),
    }


def from_content(fields: Fields) -> PlainSeries:
    """Return the series that was written. Raises ValueError where there is none that can be."""
    buckets, counts = _histogram(fields)
    series = PlainSeries(
        count=fields.count("count", at_least=1),
        total=fields.whole("total_ns"),
        squares=fields.count("squares_ns2"),
        least=fields.whole("min_ns"),
        greatest=fields.whole("max_ns"),
        buckets=np.array(buckets, np.uint16),
        counts=np.array(counts, np.int64),
    )
    if sum(counts) > series.count:
        raise fields.wrong("histogram", f"of no more than {series.count} durations")
    if not series.count * series.least <= series.total <= series.count * series.greatest:
        raise fields.wrong("total_ns", f"{series.count} times min_ns to max_ns")
    if series.count * series.squares < series.total**2:
        raise fields.wrong("squares_ns2", "at least the square of total_ns by count")
    return series


def _histogram(fields: Fields) -> tuple[list[int], list[int]]:
    text = fields.text("histogram")
    if not re.fullmatch(_HISTOGRAM, text, re.ASCII) or len(text) > 10**6:
        raise fields.wrong("histogram", "of the form bucket:count bucket:count")
    pairs = [tuple(map(int, pair.split(":"))) for pair in text.split()]
    buckets, counts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    in_order = sorted(set(buckets)) == buckets
    if not in_order or any(bucket >= len(bucket_middles_ns()) for bucket in buckets):
        raise fields.wrong("histogram", f"of buckets below {len(bucket_middles_ns())}, in order")
    if any(not 0 < count < 2**63 for count in counts):
        raise fields.wrong("histogram", "of counts above 0")
    return buckets, counts
