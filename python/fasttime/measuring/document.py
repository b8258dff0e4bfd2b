# SPDX-License-Identifier: BSD-3-Clause
"""The fields of a measurement as the content of a document, and back."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from ..bottleneck import BOUNDS, Bottleneck
from ..documents import Fields
from ..environment.describe import Environment
from ..environment.origin import ProcessOrigin
from ..rates.rate import KINDS
from ..timing_warning import TimingWarning
from .arguments import is_real
from .clocks import ClockSample
from .options import Cache, EndedBy, Method
from .packing import packed_series, read_series

if TYPE_CHECKING:
    from .measurement import Measurement

SERIES = ("times", "warmup_times", "host_times")


def to_content(measurement: Measurement) -> dict[str, Any]:
    """Return the content of a document. Raises ValueError if the numbers are impossible."""
    check(measurement)
    content = {
        field.name: getattr(measurement, field.name) for field in dataclasses.fields(measurement)
    }
    for name in SERIES:
        content[name] = content[name].tolist()
    content["clocks"] = [list(sample) for sample in measurement.clocks]
    content["work"], content["peaks"] = dict(measurement.work), dict(measurement.peaks)
    content["warnings"] = [warning.to_dict() for warning in measurement.warnings]
    content["origins"] = [dataclasses.asdict(origin) for origin in measurement.origins]
    if measurement.environment is not None:
        content["environment"] = dataclasses.asdict(measurement.environment)
    if measurement.bottleneck is not None:
        content["bottleneck"] = {
            name: getattr(measurement.bottleneck, name) for name in ("bound", "reason", "headroom")
        }
    return content


def saved_content(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of any document with measurements in it, as it is saved.

    Long series of times are packed without loss: see `packing`. Otherwise 100,000 runs would take
    two megabytes.
    """
    packed: dict[str, Any] = packed_series(content, SERIES)
    return packed


def read_fields(fields: Fields) -> dict[str, Any]:
    """Return the arguments of `Measurement` from a document.

    Raises ValueError if a field is missing or has the wrong type.
    """
    return {
        **{name: read_series(fields, name) for name in SERIES},
        "loop_time": fields.number("loop_time"),
        "method": fields.choice("method", get_args(Method)),
        "label": fields.text("label"),
        "device": fields.text("device"),
        "warmup": fields.count("warmup"),
        "repeat": fields.count("repeat"),
        "warnings": tuple(
            TimingWarning(warning.text("kind"), warning.text("message"))
            for warning in fields.objects("warnings")
        ),
        "wall_time": fields.optional_number("wall_time"),
        "held": fields.flag("held"),
        "cache": fields.choice("cache", get_args(Cache)),
        "event_overhead": fields.optional_number("event_overhead"),
        "is_calibrated": fields.flag("is_calibrated"),
        "ended_by": fields.choice("ended_by", get_args(EndedBy)),
        "processes": _counts(fields.items("processes")),
        "origins": tuple(map(ProcessOrigin.from_fields, fields.objects("origins")))
        if "origins" in fields.names()
        else (),
        "environment": None
        if fields.is_null("environment")
        else Environment.from_fields(fields.object("environment")),
        "bottleneck": None
        if fields.is_null("bottleneck")
        else _bottleneck(fields.object("bottleneck")),
        **_newer_fields(fields),
    }


def _newer_fields(fields: Fields) -> dict[str, Any]:
    """Return the fields that older documents lack."""
    found: dict[str, Any] = {}
    if "calls" in fields.names():
        found["calls"] = fields.count("calls", at_least=1)
    if "has_setup" in fields.names():
        found["has_setup"] = fields.flag("has_setup")
    for name in ("work", "peaks"):
        if name in fields.names():
            amounts = fields.object(name)
            found[name] = {kind: amounts.number(kind) for kind in amounts.names()}
    if "clocks" in fields.names():
        found["clocks"] = tuple(map(_clock, fields.items("clocks")))
    return found


def _clock(item: Any) -> ClockSample:
    is_pair = isinstance(item, list) and len(item) == 2
    if not is_pair or not all(is_real(number) and number >= 0 for number in item):
        raise ValueError(f"clocks should hold pairs of a run and a clock in MHz, not {item!r}")
    return ClockSample(int(item[0]), float(item[1]))


def check(measurement: Measurement) -> None:
    """Raise ValueError if the numbers of a measurement are impossible."""
    runs = len(measurement)
    if not runs:
        raise ValueError("times is empty")
    if not len(measurement.host_times):
        raise ValueError("host_times is empty")
    if sum(measurement.processes) != runs:
        raise ValueError(
            f"there are {runs} times, but processes={measurement.processes} adds up to "
            f"{sum(measurement.processes)}"
        )
    if len(measurement.origins) not in (0, len(measurement.processes)):
        raise ValueError(
            f"there are {len(measurement.processes)} processes, but "
            f"{len(measurement.origins)} origins"
        )
    ignored = len(measurement.warmup_times)
    if measurement.warmup != ignored:
        raise ValueError(f"there are {ignored} warmup_times, but warmup is {measurement.warmup}")
    if measurement.repeat != ignored + runs:
        raise ValueError(
            f"there are {ignored} warmup_times and {runs} times, but repeat is {measurement.repeat}"
        )
    for name in SERIES:
        # Without the event overhead, a time can be below 0 by the clock's resolution.
        if measurement.is_calibrated and name != "host_times":
            continue
        values = getattr(measurement, name)
        below = np.flatnonzero(values < 0)
        if below.size:
            raise ValueError(
                f"{name}[{below[0]}] is {values[below[0]]}, but a duration cannot be negative"
            )
    for name in ("work", "peaks"):
        for kind, amount in getattr(measurement, name).items():
            if kind not in KINDS:
                raise ValueError(f"{name} has {kind!r}, but knows {', '.join(KINDS)}")
            if not 0 < amount < math.inf:
                raise ValueError(f"{name}[{kind!r}] is {amount}, but must be above 0")
    for name in ("loop_time", "wall_time", "event_overhead"):
        value = getattr(measurement, name)
        if value is not None and value < 0:
            raise ValueError(f"{name} is {value}, but a duration cannot be negative")


def _counts(items: list[Any]) -> tuple[int, ...]:
    for index, item in enumerate(items):
        if not isinstance(item, int) or isinstance(item, bool) or item < 1:
            raise ValueError(f"processes[{index}] should be at least one run, not {item!r}")
    return tuple(items)


def _bottleneck(fields: Fields) -> Bottleneck:
    return Bottleneck(
        fields.choice("bound", BOUNDS),
        fields.text("reason"),
        fields.optional_number("headroom"),
    )
