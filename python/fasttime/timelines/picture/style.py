# SPDX-License-Identifier: BSD-3-Clause
"""The look of a picture: colours, sizes and text."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

# Sizes in inches, and points for text.
WIDTH = 10.0
LEFT, RIGHT, TOP, BOTTOM = 1.45, 0.2, 0.12, 0.58
TITLE = 0.42
BAR = 0.34
TRACK_GAP = 0.16
SECTION_GAP = 0.42
BRACKET = 0.3
LEGEND_LINE = 0.2
TEXT_PT = 9.5
SMALL_PT = 8.5
TITLE_PT = 12.0

# Okabe and Ito, "Color Universal Design": people with any kind of colour vision can tell these
# colours apart. More than seven paths also get light and dark variants.
_HUES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
_VARIANTS = ((None, 0.0), ("#ffffff", 0.5), ("#000000", 0.5))  # mixed with, and how much

HATCHED: dict[str, Any] = {"facecolor": "none", "hatch": "//////", "linewidth": 0.0}
_ON_BARS = ("#ffffff", "#16191d")

_FONT = FontProperties(family="DejaVu Sans")  # part of matplotlib
_REPLACEMENT = "\N{WHITE SQUARE}"


class Theme(NamedTuple):
    """All colours except the colours of scopes."""

    background: str
    text: str
    faint: str
    grid: str
    hatch: str


LIGHT = Theme("#ffffff", "#1f2328", "#59636e", "#e6e9ec", "#b7bec5")
DARK = Theme("#0d1117", "#e6edf3", "#9198a1", "#21262d", "#484f58")


def palette() -> list[str]:
    """Return the colours of scopes, the colours to use first in front."""
    return [
        hue if other is None else _mixed(hue, other, part)
        for other, part in _VARIANTS
        for hue in _HUES
    ]


def colours_of(paths: Iterable[str], last: Collection[str]) -> dict[str, str]:
    """Return a colour for each path.

    The colours depend on the paths and not on their order. Each path prefers one hue. If that hue
    is taken, the path gets the next free colour. Beyond 21 paths, colours repeat. The paths in
    `last` choose last, so they do not affect the others.
    """
    colours, hues = palette(), len(_HUES)
    found: dict[str, str] = {}
    free: list[int] = []
    for path in sorted(set(paths), key=lambda path: (path in last, path)):
        free = free or list(range(len(colours)))
        preferred = zlib.crc32(path.encode("utf-8", "backslashreplace")) % hues
        chosen = min(free, key=lambda i: (i // hues, (i - preferred) % hues))
        free.remove(chosen)
        found[path] = colours[chosen]
    return found


def text_colour_on(colour: str) -> str:
    """Return the text colour, light or dark, with the higher contrast on this colour."""
    return max(_ON_BARS, key=lambda text: contrast(text, colour))


def line_colour(colour: str, theme: Theme) -> str:
    """Return the colour mixed with the text colour until a thin line is visible."""
    for tenths in range(10):
        mixed = _mixed(colour, theme.text, tenths / 10)
        if contrast(mixed, theme.background) >= 3:  # WCAG 2.2 asks for 3 in graphics
            return mixed
    return theme.text


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21, by the formula of WCAG 2.2."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (part / 255 for part in bytes.fromhex(colour[1:]))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mixed(one: str, other: str, part: float) -> str:
    both = zip(bytes.fromhex(one[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + bytes(round((1 - part) * a + part * b) for a, b in both).hex()


@functools.cache
def _known_characters() -> frozenset[int]:
    known = []
    for weight in ("normal", "bold"):  # a bold font has fewer characters
        font = _FONT.copy()
        font.set_weight(weight)
        known.append(font_manager.get_font(font_manager.findfont(font)).get_charmap())
    return frozenset(known[0]) & frozenset(known[1])


def printable(text: str) -> str:
    """Return the text with a box for each character that the font lacks."""
    known = _known_characters()
    return "".join(c if c.isprintable() and ord(c) in known else _REPLACEMENT for c in text)


@functools.lru_cache(maxsize=4096)
def width_of(text: str, size: float = TEXT_PT, bold: bool = False) -> float:
    """Return the width of a text in inches."""
    font = _FONT.copy()
    font.set_size(size)
    font.set_weight("bold" if bold else "normal")
    return TextToPath().get_text_width_height_descent(text, font, False)[0] / 72


def fitting(candidates: list[str], room: float, size: float = TEXT_PT, bold: bool = False) -> str:
    """Return the first text that fits into `room` inches, or a shortened text, or ''."""
    for text in candidates:
        if width_of(text, size, bold) <= room:
            return text
    shortest = candidates[-1]
    kept, too_many = 2, len(shortest)  # two letters say nothing, so they count as no text
    while kept + 1 < too_many:
        middle = (kept + too_many) // 2
        if width_of(_cut(shortest, middle), size, bold) <= room:
            kept = middle
        else:
            too_many = middle
    return _cut(shortest, kept) if kept > 2 else ""


def _cut(text: str, kept: int) -> str:
    return f"{text[:kept].rstrip()}\N{HORIZONTAL ELLIPSIS}"
