# SPDX-License-Identifier: BSD-3-Clause
"""The percentiles of a measurement, and how they print."""

from __future__ import annotations

from ..console import plain_text, table, terminal_width
from ..text import for_stdout, format_seconds

PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)


class Percentiles(dict[float, float]):
    """Times in seconds by percent: so many percent of the kept runs took at most that long."""

    def __str__(self) -> str:
        rows = table(("percentile", "time"), left=0)
        for percent, time in self.items():
            rows.add_row(f"{percent:g} %", format_seconds(time))
        return for_stdout(plain_text(rows, terminal_width()))
