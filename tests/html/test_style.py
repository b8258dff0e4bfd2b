# SPDX-License-Identifier: BSD-3-Clause
"""The style sheets leave the surrounding page alone, and text is readable on every background."""

from __future__ import annotations

import re

import pytest

from fasttime.html.page import asset

STYLE = re.sub(r"/\*.*?\*/", "", asset("result.css"), flags=re.DOTALL)
THEMES = [
    dict(re.findall(r"--([\w-]+): (#\w+);", block))
    for block in re.findall(r"\{([^{}]*--ink:[^{}]*)\}", STYLE)
]


def test_the_style_touches_only_results() -> None:
    flat = re.sub(r"@(media|container)[^{]*\{", "", STYLE)
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", flat)
    assert len(rules) > 50
    for selectors in rules:
        for selector in selectors.split(","):
            assert ".fasttime" in selector, selector


def contrast(one: str, other: str) -> float:
    """Return WCAG 2.2's contrast ratio of two colours, each as #rgb or #rrggbb."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("number", range(4))
def test_text_and_bars_stand_out(number: int) -> None:
    """Light, dark in a notebook, dark on a page, print."""
    assert len(THEMES) == 4
    theme = {"page": "#111111", "hover": "#fff", **THEMES[number]}  # JupyterLab's, and paper
    if number == 3:
        theme["hover"] = theme["page"]  # nothing hovers on paper
    for text in ("ink", "soft"):
        for background in ("page", "card", "hover", "warning"):
            assert contrast(theme[text], theme[background]) >= 4.5, (text, background)
    for bar in ("own", "device", "host"):
        assert contrast(theme[bar], theme["card"]) >= 3, bar


def test_a_notebook_s_theme_decides_not_the_system() -> None:
    system = STYLE.partition("(prefers-color-scheme: dark)")[2].partition("}\n}")[0]
    assert "body.fasttime" in system
    assert ".piece" not in system
    assert '[data-jp-theme-light="false"] .fasttime.piece' in STYLE


def test_a_short_page_does_not_scroll() -> None:
    (body,) = [line for line in asset("page.css").splitlines() if line.startswith("body {")]
    assert "min-height: 100vh;" in body
    assert "box-sizing: border-box;" in body  # otherwise the padding makes the page too high


def test_the_heading_of_a_long_table_stays() -> None:
    screen = asset("page.css").partition("@media screen {")[2].partition("}\n}")[0]
    assert "main thead { position: sticky; top: 0;" in screen
    assert "main .scroll { max-height:" in screen
