# SPDX-License-Identifier: BSD-3-Clause
"""Rows or columns as a pandas.DataFrame. pandas is imported when a table is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .optional import require


def data_frame(data: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
    """Return a DataFrame. Raises ImportError without pandas.

    Args:
        data: the columns by name, or one mapping per row.
    """
    return require("pandas", "to_pandas()", "pandas").DataFrame(data)
