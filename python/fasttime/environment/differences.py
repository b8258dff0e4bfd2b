# SPDX-License-Identifier: BSD-3-Clause
"""The differences between two environments."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from .describe import Environment

# These fields differ in every process and say nothing about the machine. The host name of a
# container is often random.
_IGNORED = ("date", "host_name", "process_id")


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
    return tuple(
        EnvironmentDifference(field.name, before, after)
        for field in dataclasses.fields(Environment)
        if field.name not in _IGNORED
        and (before := getattr(old, field.name)) != (after := getattr(new, field.name))
        and (field.default is dataclasses.MISSING or None not in (before, after))
    )
