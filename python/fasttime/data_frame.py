# SPDX-License-Identifier: BSD-3-Clause
"""Rows or columns as a pandas.DataFrame. pandas is imported when a table is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any


def data_frame(data: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
    """Return a DataFrame. Raises ImportError without pandas.

    Args:
        data: the columns by name, or one mapping per row.
    """
    try:
        pandas = importlib.import_module("pandas")  # its types are a package of their own
    except ImportError:
        raise ImportError("to_pandas() needs pandas: pip install 'fasttime[pandas]'") from None
    return pandas.DataFrame(data)
