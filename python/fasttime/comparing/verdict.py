# SPDX-License-Identifier: BSD-3-Clause
"""Faster, slower, same or can't tell: the verdict, how it is decided, and how it prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..console import line
from ..html.charts import interval_bar
from ..measuring.arguments import is_real, is_whole
from ..text import format_change, format_factor, is_beyond_change

if TYPE_CHECKING:
    from rich.text import Text

# The exit code for results of two machines or of two torches.
NOT_COMPARABLE = 4

VerdictWord = Literal["faster", "slower", "same", "can't tell"]

# A difference of less than 1 % is rarely worth acting on. It is also more than a new address or a
# refilled cache changes.
MARGIN = 0.01

_STYLES = {"faster": "green", "slower": "red", "same": "", "can't tell": "yellow"}


class Verdict(NamedTuple):
    """Whether one callable is faster than another, and how sure that is.

    Attributes:
        verdict: ``faster``, ``slower``, ``same`` or ``can't tell``.
        ratio: its time divided by the other's time. 0.9 means that it takes 10 % less time.
        interval: two ratios. The true ratio lies between them with at least 95 % probability.
        reason: the evidence for the verdict. For ``can't tell``, it says what would decide.
    """

    verdict: VerdictWord
    ratio: float
    interval: tuple[float, float]
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields under their names."""
        return {**self._asdict(), "interval": list(self.interval)}

    def cells(self) -> tuple[str, str, Text]:
        """Return ratio, interval and verdict for a table."""
        low, high = self.interval
        known = [value for value in (self.ratio, low, high) if 0 < value < math.inf]
        if any(map(is_beyond_change, known)):  # then every figure is written as a factor
            sign, unit, form = "x ", "", format_factor
        else:
            sign, unit, form = "", " %", lambda ratio: format_change(ratio - 1).removesuffix(" %")
        ratio = "-" if math.isnan(self.ratio) else f"{sign}{form(self.ratio)}{unit}"
        is_known = math.isfinite(high)
        interval = f"{sign}{form(low)} to {form(high)}{unit}" if is_known else "unknown"
        return ratio, interval, line(self.verdict, _STYLES[self.verdict])


def interval_bars(verdicts: Sequence[Verdict | None]) -> list[str]:
    """Return each interval as a bar on one axis, with a line at 1; an empty string if unknown."""
    known = [one for one in verdicts if one is not None and math.isfinite(one.interval[1])]
    if not known:
        return []
    ends = [end for one in known for end in one.interval]
    room = max(0.01, 0.05 * (max(*ends, 1.0) - min(*ends, 1.0)))
    whole = (min(*ends, 1.0) - room, max(*ends, 1.0) + room)
    return [
        ""
        if one is None or one not in known
        else interval_bar(one.interval[0], one.ratio, one.interval[1], whole, 1.0)
        for one in verdicts
    ]


def headings(subject: str, against: str) -> tuple[str, ...]:
    """Return the headings of a table whose rows end in the cells of a verdict."""
    return (subject, "median\nper run", f"vs\n{against}", "95 %\ninterval", "verdict")


def check_margin(margin: object) -> None:
    """Raise TypeError or ValueError unless the margin is a number between 0 and 1."""
    if not is_real(margin):
        raise TypeError(f"margin must be a number, got {margin!r}")
    if not 0 < margin < 1:
        raise ValueError(f"margin must lie between 0 and 1, 0.01 for 1 %, got {margin}")


def check_fail_above(fail_above: object) -> None:
    """Raise TypeError or ValueError unless the threshold is a fraction of 0 or more."""
    if not is_real(fail_above):
        raise TypeError(f"fail_above must be a number, 0.05 for 5 %, got {fail_above!r}")
    if is_whole(fail_above) and fail_above > 0:
        raise ValueError(
            f"fail_above={fail_above} would be {fail_above}00 %: write {fail_above / 100:g} "
            f"for {fail_above} %, or {fail_above}.0 if you mean it"
        )
    if not 0 <= fail_above < math.inf:
        raise ValueError(f"fail_above must be at least 0, 0.05 for 5 %, got {fail_above}")


def is_regression(verdict: VerdictWord, interval: tuple[float, float], fail_above: float) -> bool:
    """Return whether a verdict proves a slowdown by more than a fraction."""
    return verdict == "slower" and interval[0] > 1 + fail_above


def decide(
    interval: tuple[float, float], margin: float, *, beyond: float | None = None
) -> VerdictWord:
    """Return the verdict that an interval of a ratio proves.

    ``same``: the whole interval lies within the margin. The interval may leave out 1. The
    difference is then real, but too small to matter. ``faster`` or ``slower``: the whole interval
    lies beyond the margin. So a difference within the margin is never called faster or slower,
    however small the noise.

    Args:
        interval: holds the true ratio.
        margin: how far a ratio may be from 1 for ``same``.
        beyond: how far the whole interval must be from 1 for the other verdicts; None for `margin`.
    """
    low, high = interval
    beyond = margin if beyond is None else beyond
    if 1 / (1 + margin) <= low and high <= 1 + margin:
        return "same"
    if high < 1 / (1 + beyond):
        return "faster"
    if low > 1 + beyond:
        return "slower"
    return "can't tell"


# The reason if `times_as_many` is infinite; takes the step in percent.
TOO_COARSE = (
    "The clock's steps are {:.2g} % of a run, so more runs do not help. Do more work in each call."
)


def times_as_many(location: float, half_width: float, margin: float, step: float = 0.0) -> float:
    """Return how many times as much evidence would decide if the true ratio were the one found.

    An interval narrows with the square root of the evidence. It decides as soon as it lies within
    the margin or beyond. Infinity if the clock's steps alone keep it from that.

    Args:
        location: the logarithm of the ratio.
        half_width: half the width of the interval, in logarithms.
        margin: see `decide`.
        step: what the clock's steps add to the half width, in logarithms.
    """
    enough = abs(abs(location) - math.log1p(margin)) - step
    if enough <= 0:
        return math.inf
    return float(max(1.0, (half_width / enough) ** 2))
