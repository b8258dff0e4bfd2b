# SPDX-License-Identifier: BSD-3-Clause
"""Read what was saved: `fasttime.load`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..measuring.measurement import Measurement
from .documents import MEASUREMENT, damaged, read_document
from .fields import Fields
from .measurements import from_content

if TYPE_CHECKING:
    from ..comparing.comparison import Comparison


def load(path: str | os.PathLike[str]) -> Measurement | Comparison:
    """Return the `Measurement` or the `Comparison` that was saved in a file.

    Args:
        path: what `Measurement.save` or `Comparison.save` was given.

    Raises ValueError, with the name of the file and what is the matter, where it was not saved by
    fasttime, is of another version, was cut short or does not add up; OSError, such as
    FileNotFoundError, as `open` does. Nothing in a file is ever run.
    """
    document = read_document(path)
    try:
        if document["format"] == MEASUREMENT:
            return from_content(Fields(document))
        from .comparisons import from_content as comparison_from_content

        return comparison_from_content(Fields(document))
    except ValueError as error:
        raise damaged(path, error) from None
