# SPDX-License-Identifier: BSD-3-Clause
"""Read what was saved: `fasttime.load`."""

from __future__ import annotations

import os

from ..measuring.measurement import Measurement
from .documents import damaged, read_document
from .fields import Fields
from .measurements import from_content


def load(path: str | os.PathLike[str]) -> Measurement:
    """Return the `Measurement` that was saved in a file.

    Args:
        path: what `Measurement.save` was given.

    Raises ValueError, with the name of the file and what is the matter, where it was not saved by
    fasttime, is of another version, was cut short or does not add up; OSError, such as
    FileNotFoundError, as `open` does. Nothing in a file is ever run.
    """
    document = read_document(path)
    try:
        return from_content(Fields(document))
    except ValueError as error:
        raise damaged(path, error) from None
