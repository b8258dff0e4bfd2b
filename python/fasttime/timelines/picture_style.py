# SPDX-License-Identifier: BSD-3-Clause
"""What a picture looks like: colours, sizes, and text that any font can show."""

from __future__ import annotations

import functools
from typing import NamedTuple

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
TEXT_PT = 9.5
SMALL_PT = 8.5
TITLE_PT = 12.0

# Okabe and Ito, "Color Universal Design": told apart by people with any kind of colour vision. In
# an order in which neighbours differ in lightness too.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")

_FONT = FontProperties(family="DejaVu Sans")  # comes with matplotlib
_REPLACEMENT = "\N{WHITE SQUARE}"


class Theme(NamedTuple):
    """The colours that are not a scope's."""

    background: str
    text: str
    faint: str
    grid: str
    hatch: str


LIGHT = Theme("#ffffff", "#1f2328", "#59636e", "#e6e9ec", "#b7bec5")
DARK = Theme("#0d1117", "#e6edf3", "#9198a1", "#21262d", "#484f58")


def colour_of(position: int) -> str:
    """Return the colour of the site that is the `position`-th to appear."""
    return _COLOURS[position % len(_COLOURS)]


def text_colour_on(colour: str) -> str:
    """Return black or white, whichever can be read on the colour."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "#16191d"


@functools.cache
def _known_characters() -> frozenset[int]:
    known = []
    for weight in ("normal", "bold"):  # a bold font has fewer
        font = _FONT.copy()
        font.set_weight(weight)
        known.append(font_manager.get_font(font_manager.findfont(font)).get_charmap())
    return frozenset(known[0]) & frozenset(known[1])


def printable(text: str) -> str:
    """Return the text with a box for each character that the font has no picture of."""
    known = _known_characters()
    return "".join(c if c.isprintable() and ord(c) in known else _REPLACEMENT for c in text)


@functools.lru_cache(maxsize=4096)
def width_of(text: str, size: float = TEXT_PT, bold: bool = False) -> float:
    """Return how wide a text is, in inches."""
    font = _FONT.copy()
    font.set_size(size)
    font.set_weight("bold" if bold else "normal")
    return TextToPath().get_text_width_height_descent(text, font, False)[0] / 72


def fitting(candidates: list[str], room: float, size: float = TEXT_PT) -> str:
    """Return the first text that fits into the room, in inches, or a cut one, or none."""
    for text in candidates:
        if width_of(text, size) <= room:
            return text
    shortest = candidates[-1]
    for kept in range(min(len(shortest) - 1, 40), 2, -1):
        cut = f"{shortest[:kept]}\N{HORIZONTAL ELLIPSIS}"
        if width_of(cut, size) <= room:
            return cut
    return ""
