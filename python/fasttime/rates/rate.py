# SPDX-License-Identifier: BSD-3-Clause
"""The work of one call and its rate: bytes, floating-point operations or items per second."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ..measuring.arguments import check_takes
from ..timing_warning import TimingWarning
from .flops import count_flops

Kind = Literal["bytes", "flops", "items"]
KINDS: tuple[Kind, ...] = ("bytes", "flops", "items")
UNITS = {"bytes": "B/s", "flops": "FLOP/s", "items": "/s"}
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

Amount = float | Callable[..., float]


class Rate(NamedTuple):
    """How much of one kind of work is done per second.

    ``str(rate)`` reads, for example, ``3.91 TB/s``. Prefixes are powers of 1000.

    Attributes:
        kind: ``bytes``, ``flops`` or ``items``.
        value: per second, from the median time.
        interval: the rates at the two ends of the median's 95 % interval.
        share_of_peak: `value` divided by the peak that was measured on this GPU; None if the peak
            is unknown. The command ``fasttime peaks`` measures peaks.
    """

    kind: str
    value: float
    interval: tuple[float, float]
    share_of_peak: float | None = None

    def __str__(self) -> str:
        text = format_rate(self.value, self.kind)
        return text if self.share_of_peak is None else f"{text} ({self.share_of_peak:.1%} of peak)"


def format_rate(value: float, kind: str) -> str:
    """Return a rate with three digits and its unit.

    >>> format_rate(3.912e12, "bytes")
    '3.91 TB/s'
    """
    if not math.isfinite(value):
        return f"- {UNITS[kind]}"
    value = float(f"{value:.2e}")  # before the prefix, so that 999.9 G becomes 1.00 T
    unit, scale = rate_unit(value, kind)
    digits = f"{value / scale:#.3g}".rstrip(".") if scale > 1 else f"{value:.3g}"
    return f"{digits} {unit}"


def rate_unit(value: float, kind: str) -> tuple[str, float]:
    """Return a suitable unit for a rate, such as ``GB/s``, and the unit's size."""
    for scale, prefix in _PREFIXES:
        if value >= scale:
            return f"{prefix}{UNITS[kind]}", scale
    return UNITS[kind], 1.0


def rate(kind: str, amount: float, median: float, interval: tuple[float, float]) -> Rate:
    """Return the rate of a call.

    Args:
        kind: a kind of work.
        amount: the work of one call.
        median, interval: the time of a call, in seconds.
    """
    low, high = interval
    return Rate(kind, _per(amount, median), (_per(amount, high), _per(amount, low)))


class _Rates(dict[str, Rate]):
    """Rates by kind. A KeyError says how to get a rate."""

    def __missing__(self, kind: str) -> Rate:
        if kind in KINDS:
            raise KeyError(f"the {kind} of a call are unknown; pass {kind}= to get their rate")
        raise KeyError(f"no rate {kind!r}; there are {', '.join(self) or 'none'}")


def rates_of(
    work: Mapping[str, float],
    peaks: Mapping[str, float],
    median: float,
    interval: tuple[float, float],
) -> dict[str, Rate]:
    """Return the rates of a call by kind, with shares of the peaks that are known.

    Args:
        work: the work of one call, by kind.
        peaks: per second, by kind.
        median, interval: the time of a call, in seconds.
    """
    rates = _Rates()
    for kind, amount in work.items():
        found = rate(kind, amount, median, interval)
        peak = peaks.get(kind)
        rates[kind] = found if peak is None else found._replace(share_of_peak=found.value / peak)
    return rates


def _per(amount: float, seconds: float) -> float:
    return amount / seconds if seconds > 0 else math.nan


class Work(NamedTuple):
    """The work of one call, and warnings about how it was counted."""

    amounts: dict[str, float]
    warnings: tuple[TimingWarning, ...] = ()


def work_of(
    given: Mapping[Kind, Amount | Literal["auto"] | None],
    call: Callable[[], object],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> Work:
    """Return the work of one call.

    Args:
        given: a number, or a function of the call's arguments, by kind. ``auto`` counts the
            floating-point operations of one call of `call`. None is left out.
        call: the call itself.
        args, kwargs: its arguments.

    Raises TypeError unless the amounts are numbers or functions that take the call's arguments and
    return one, and ValueError if a number is not above 0.
    """
    amounts: dict[str, float] = {}
    warnings: tuple[TimingWarning, ...] = ()
    for kind in KINDS:
        amount: Any = given.get(kind)
        if amount is None:
            continue
        if isinstance(amount, str):
            if kind != "flops" or amount != "auto":
                auto = ", or 'auto'" if kind == "flops" else ""
                raise TypeError(f"{kind} must be a number or a function{auto}, got {amount!r}")
            amount, warnings = count_flops(call)
            if not amount:  # the warning says why
                continue
        elif callable(amount):
            check_takes(kind, amount, args, kwargs)
            amount = amount(*args, **kwargs)
        amounts[kind] = check_amount(kind, amount)
    return Work(amounts, warnings)


def mean_work(
    given: Mapping[Kind, Amount | Literal["auto"] | None],
    examples: Sequence[functools.partial[Any]],
) -> Work:
    """Return the mean work of some calls, which get their arguments in turn.

    Raises like `work_of`.
    """
    if all(amount is None for amount in given.values()):
        return Work({})
    found = [work_of(given, call, call.args, call.keywords) for call in examples]
    amounts: dict[str, float] = {
        kind: sum(one.amounts[kind] for one in found) / len(found)
        for kind in KINDS
        if all(kind in one.amounts for one in found)
    }
    return Work(amounts, found[0].warnings)


def check_amount(kind: str, amount: object) -> float:
    """Return the amount. Raise TypeError unless it is a number, ValueError unless above 0."""
    try:
        number = float(amount)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{kind} must be a number of {kind} per call, got {amount!r}") from None
    if isinstance(amount, (bool, str)):
        raise TypeError(f"{kind} must be a number of {kind} per call, got {amount!r}")
    if not 0 < number < math.inf:
        raise ValueError(f"{kind} must be above 0, the amount per call, got {amount!r}")
    return number
