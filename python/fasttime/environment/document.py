# SPDX-License-Identifier: BSD-3-Clause
"""An environment in a document."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..documents import Fields
from .describe import Environment


def from_content(found: Fields) -> Environment:
    """Return the environment. It may have been written by a fasttime that knows more, or less."""
    known = {}
    for field in dataclasses.fields(Environment):
        has_default = (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )
        if field.name in found.names() or not has_default:
            known[field.name] = _frozen(found.raw(field.name))
    return Environment(**known)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
