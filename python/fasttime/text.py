# SPDX-License-Identifier: BSD-3-Clause
"""Text for people: durations, changes, counts and names, even for streams without Unicode."""

from __future__ import annotations

import math
import sys

# Each replacement is as wide as its character, so columns stay aligned. Only the degree sign goes.
_ASCII = str.maketrans({"µ": "u", "…": ".", "├": "|", "└": "`", "│": "|", "°": ""})


def encodable(text: str, encoding: str | None) -> str:
    """Return text that `encoding` can express.

    Text that does not fit is simplified: µs becomes us, and unknown characters become ``?``.
    """
    if encoding is None:  # an io.StringIO takes every character
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text


def for_stdout(text: str) -> str:
    """Return text that `print` can write to stdout, even if stdout's encoding has no µ."""
    return encodable(text, getattr(sys.stdout, "encoding", None))


LONGEST = 400  # characters. The recorder cuts names at 256 bytes, but a path can have any length.
LONGEST_LINE = 10_000  # characters of a line of a result


def printable(name: str, longest: int = LONGEST) -> str:
    """Return a name as one line. Unprintable characters are escaped, and long names are shortened.

    Control characters, ANSI escapes, line ends, marks that change the writing direction and lone
    surrogates count as unprintable. A blank name is quoted to make it visible.
    """
    if len(name) > longest:
        name = f"{name[: longest // 2]}…{name[-(longest // 2 - 1) :]}"
    if not name.strip():
        return repr(name)
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))


def format_seconds(seconds: float) -> str:
    """Return a duration in a suitable unit, with four significant digits.

    Args:
        seconds: the duration.

    >>> format_seconds(0.0477)
    '47.70 ms'
    """
    # Round before choosing the unit, so that 999.97 µs becomes 1.000 ms and not 1000 µs.
    rounded = float(f"{seconds:.3e}")
    if not math.isfinite(seconds) or seconds == 0 or abs(rounded) >= 1e4:
        return f"{seconds + 0.0:.0f} s"  # + 0.0 turns -0.0 into 0.0
    unit, scale = time_unit(abs(rounded))
    digits = f"{rounded / scale:#.4g}"
    return f"{digits.rstrip('.')} {unit}"


def time_unit(seconds: float) -> tuple[str, float]:
    """Return a suitable unit for a duration, such as ``µs``, and the unit's length in seconds."""
    return next((pair for pair in _UNITS if seconds >= pair[1]), _UNITS[-1])


def format_change(change: float) -> str:
    """Return a relative change in per cent, with its sign.

    >>> format_change(0.4147)
    '+41.5 %'
    """
    return f"{round(100 * change, 1) + 0.0:+.1f} %"


def is_beyond_change(ratio: float) -> bool:
    """Return whether a ratio is above 2 or below 0.5, which is hard to read in per cent."""
    return not 0.5 <= ratio <= 2


def format_factor(ratio: float) -> str:
    """Return a factor with four significant digits.

    >>> format_factor(2.0), format_factor(12345.6)
    ('2.000', '12350')
    """
    rounded = float(f"{ratio:.4g}")
    return f"{rounded:g}" if abs(rounded) >= 1e4 else f"{rounded:#.4g}".rstrip(".")


def format_ratio(ratio: float) -> str:
    """Return a ratio as a relative change, or as a factor if it is above 2 or below 0.5.

    >>> format_ratio(1.4147), format_ratio(1000.0), format_ratio(0.04)
    ('+41.5 %', 'x 1000', 'x 0.04000')
    """
    if is_beyond_change(ratio):
        return f"x {format_factor(ratio)}"
    return format_change(ratio - 1)


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural unless the count is 1.

    >>> format_count(1, "round"), format_count(3000, "round")
    ('1 round', '3,000 rounds')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
