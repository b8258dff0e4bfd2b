# SPDX-License-Identifier: BSD-3-Clause
"""The differences between two environments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .describe import Environment

# These fields differ in every process and say nothing about the machine. The host name of a
# container is often random.
_IGNORED = ("date", "host_name", "process_id")

# If one of these differs, the times are from another machine or another torch.
OF_THE_MACHINE = ("torch", "cuda", "cpu", "cpu_count", "gpu", "compute_capability")


class EnvironmentDifference(NamedTuple):
    """A field in which two environments differ.

    Attributes:
        field: the field's name, such as ``driver``.
        old: the value in the old environment.
        new: the value in the new environment.
    """

    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.field} was {self.old!r}, is {self.new!r}"


def environment_differences(
    old: Environment | None, new: Environment | None
) -> tuple[EnvironmentDifference, ...]:
    """Return the fields that differ; empty if one environment is unknown.

    The date, the host name and the process id do not count. A field that earlier versions of
    fasttime did not save counts only if both environments have a value.
    """
    if old is None or new is None:
        return ()
    return differences_of_sides([vars(old)], [vars(new)])


def differences_of_sides(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> tuple[EnvironmentDifference, ...]:
    """Return the fields that have other values on one side than on the other.

    Args:
        old, new: the fields of one environment or more. If a side has several values of a field,
            the order and the number of environments per value do not count.
    """
    found = []
    for field in dataclasses.fields(Environment):
        if field.name in _IGNORED:
            continue
        before, after = ({one[field.name] for one in side} for side in (old, new))
        is_known = field.default is dataclasses.MISSING or None not in before | after
        if before != after and is_known:
            found.append(EnvironmentDifference(field.name, _together(before), _together(after)))
    return tuple(found)


def _together(values: set[Any]) -> Any:
    """Return the only value, or all values as text."""
    return next(iter(values)) if len(values) == 1 else ", ".join(sorted(map(str, values)))
