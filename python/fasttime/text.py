# SPDX-License-Identifier: BSD-3-Clause
"""Text for people: durations, changes, counts, names, and streams with few characters."""

from __future__ import annotations

import math
import sys

# One for one, but for the degree: columns stay where they are.
_ASCII = str.maketrans({"µ": "u", "…": ".", "├": "|", "└": "`", "│": "|", "°": ""})


def encodable(text: str, encoding: str | None) -> str:
    """Return the text if `encoding` knows all of it, and plainer if not: us for µs, ? for names."""
    if encoding is None:  # as of io.StringIO, which takes anything
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text


def for_stdout(text: str) -> str:
    """Return the text as `print` can write it, which would otherwise raise at the first µ."""
    return encodable(text, getattr(sys.stdout, "encoding", None))


LONGEST = 400  # characters: the recorder cuts names at 256 bytes, but a path can be any length


def printable(name: str, longest: int = LONGEST) -> str:
    """Return a text on one line: what cannot be printed is escaped, what is too long is cut.

    Control characters, ANSI escapes, line ends, marks that turn the direction of writing and lone
    surrogates all count as unprintable. A blank name is quoted, so that it can be seen.
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
    """Return a duration, given in seconds, with four significant digits and the unit that suits it.

    >>> format_seconds(0.0477)
    '47.70 ms'
    """
    # Rounded first, so that 999.97 us is written as 1.000 ms and not as 1000 us.
    rounded = float(f"{seconds:.3e}")
    if not math.isfinite(seconds) or seconds == 0 or abs(rounded) >= 1e4:
        return f"{seconds + 0.0:.0f} s"  # without the sign that 0 can have
    unit, scale = next((pair for pair in _UNITS if abs(rounded) >= pair[1]), _UNITS[-1])
    digits = f"{rounded / scale:#.4g}"
    return f"{digits.rstrip('.')} {unit}"


def format_change(change: float) -> str:
    """Return a relative change with its sign, in per cent.

    >>> format_change(0.4147)
    '+41.5 %'
    """
    return f"{round(100 * change, 1) + 0.0:+.1f} %"


def is_beyond_change(ratio: float) -> bool:
    """Say whether a ratio is beyond a factor of two, where a change in per cent is hard to read."""
    return not 0.5 <= ratio <= 2


def format_factor(ratio: float) -> str:
    """Return a factor with four significant digits.

    >>> format_factor(1234.4)
    '1234'
    """
    return f"{float(f'{ratio:.4g}'):g}"


def format_ratio(ratio: float) -> str:
    """Return a ratio as a relative change, or beyond a factor of two as that factor.

    >>> format_ratio(1.4147), format_ratio(1000.0), format_ratio(0.04)
    ('+41.5 %', 'x 1000', 'x 0.04')
    """
    if is_beyond_change(ratio):
        return f"x {format_factor(ratio)}"
    return format_change(ratio - 1)


def format_count(count: int, noun: str) -> str:
    """Return so many of something.

    >>> format_count(1, "round"), format_count(3, "round")
    ('1 round', '3 rounds')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
