# SPDX-License-Identifier: BSD-3-Clause
"""Timelines read from a trace that `trace.write` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..sample import STATUSES
from .columns import Columns, Site

if TYPE_CHECKING:
    from ..documents import Fields

_Args = Sequence[dict[str, Any]]


def contents(fields: Fields) -> dict[str, Any]:
    """Return the arguments for the constructor of `Timeline`.

    Args:
        fields: the trace's header together with its ``traceEvents``.

    Raises ValueError if the file contains something else than a saved timeline.
    """
    names = fields.object("thread_names")
    try:
        thread_names = {int(thread): names.text(thread) for thread in names.names()}
    except ValueError as error:
        raise ValueError(f"thread_names: {error}") from None
    return {
        "columns": _columns(_sites(fields), fields.items("traceEvents")),
        "thread_names": thread_names,
        "begin_ns": _whole_of(fields, "begin_ns", np.int64),
        "end_ns": _whole_of(fields, "end_ns", np.int64),
        "dropped": fields.count("dropped"),
        "pending": fields.count("pending"),
        "waited": fields.flag("waited"),
    }


def _sites(fields: Fields) -> list[Site]:
    return [
        Site(
            site.text("path"),
            site.text("name"),
            None if site.is_null("parent") else site.text("parent"),
            _whole_of(site, "depth", np.int32),
        )
        for site in fields.objects("sites")
    ]


def _columns(sites: list[Site], events: Sequence[Any]) -> Columns:
    host = _args_of(events, "host")
    device = _args_of(events, "device")
    order, count = _whole(host, "span", np.int64), len(host)
    if not np.array_equal(np.sort(order), np.arange(count)):
        raise ValueError("traceEvents should hold one host event per span")
    host = [host[event] for event in np.argsort(order).tolist()]
    placed = _whole(device, "span", np.int64)
    if len(np.unique(placed)) != len(placed) or not np.isin(placed, order).all():
        raise ValueError("traceEvents should hold at most one device event per span")

    def at_places(name: str) -> npt.NDArray[np.int64]:
        values = np.zeros(count, np.int64)
        values[placed] = _whole(device, name, np.int64)
        return values

    site = _whole(host, "site", np.int32)
    if not np.isin(site, np.arange(len(sites))).all():
        raise ValueError("a span has a site that is missing in sites")
    is_placed = np.zeros(count, np.bool_)
    is_placed[placed] = True
    return Columns(
        sites=sites,
        site=site,
        status=np.array([_status(args) for args in host], np.uint8),
        thread=_whole(host, "thread", np.uint64),
        device=_whole(host, "device", np.int32, default=-1),
        stream=_whole(host, "stream", np.uint64, default=0),
        host_begin_ns=_whole(host, "begin_ns", np.int64),
        host_end_ns=_whole(host, "end_ns", np.int64, default=0),
        is_ended=np.array(["end_ns" in args for args in host], np.bool_),
        device_begin_ns=at_places("begin_ns"),
        device_end_ns=at_places("end_ns"),
        is_placed=is_placed,
        uncertainty_ns=at_places("uncertainty_ns"),
        shares_boundary=np.array([_flag(args, "shares_boundary") for args in host], np.bool_),
    )


def _args_of(events: Sequence[Any], category: str) -> list[dict[str, Any]]:
    found = [
        event.get("args")
        for event in events
        if isinstance(event, dict) and event.get("cat") == category
    ]
    if not all(isinstance(args, dict) for args in found):
        raise ValueError(f"an event of the {category} has no args")
    return found  # type: ignore[return-value]


def _whole(args: _Args, name: str, dtype: Any, default: int | None = None) -> npt.NDArray[Any]:
    values: list[Any] = [each.get(name, default) for each in args]
    if not all(type(value) is int for value in values):
        raise ValueError(f"{name} should be a whole number in every event")
    bounds = np.iinfo(dtype)
    if values and not bounds.min <= min(values) <= max(values) <= bounds.max:
        raise ValueError(f"{name} is out of range in an event")
    return np.array(values, dtype)


def _whole_of(fields: Fields, name: str, dtype: Any) -> int:
    value, bounds = fields.whole(name), np.iinfo(dtype)
    if not bounds.min <= value <= bounds.max:
        raise fields.wrong(name, f"a whole number from {bounds.min} to {bounds.max}")
    return value


def _status(args: dict[str, Any]) -> int:
    status = args.get("status")
    if status not in STATUSES:
        raise ValueError(f"status should be one of {', '.join(STATUSES)}, not {status!r}")
    return STATUSES.index(status)


def _flag(args: dict[str, Any], name: str) -> bool:
    value = args.get(name)
    if not isinstance(value, bool):
        raise ValueError(f"{name} should be true or false in every event")
    return value
