# SPDX-License-Identifier: BSD-3-Clause
"""Rows as a pandas.DataFrame. pandas is imported when a table is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any


def data_frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return a DataFrame with one row per mapping. Raises ImportError without pandas."""
    try:
        pandas = importlib.import_module("pandas")  # its types are a package of their own
    except ImportError:
        raise ImportError("to_pandas() needs pandas: pip install 'fasttime[pandas]'") from None
    return pandas.DataFrame(list(rows))
