# SPDX-License-Identifier: BSD-3-Clause
"""In what two environments differ."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from .describe import Environment

# What differs each time, and says nothing about the machine: a container's name is often made up.
_IGNORED = ("date", "host_name", "process_id")


class EnvironmentDifference(NamedTuple):
    """A field in which two environments differ.

    Attributes:
        field: its name, such as ``driver``.
        old: its value in the one.
        new: its value in the other.
    """

    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.field} was {self.old!r}, is {self.new!r}"


def environment_differences(
    old: Environment | None, new: Environment | None
) -> tuple[EnvironmentDifference, ...]:
    """Return the fields that differ; none where either is unknown.

    Those that only say when, and by which process of which host, are left out; and those that were
    not there from the beginning, where one of the two does not know.
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
