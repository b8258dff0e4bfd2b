# SPDX-License-Identifier: BSD-3-Clause
"""Tables, paragraphs and warnings as HTML."""

from __future__ import annotations

import re

from fasttime import TimingWarning
from fasttime.html.elements import escaped, paragraphs, table, warning_list


def cells(html: str) -> list[tuple[str, bool, str]]:
    """Return each cell's tag, whether it is aligned to the left by a class, and its content."""
    found = re.findall(r"<(th|td)\b([^>]*)>(.*?)</\1>", html)
    return [(tag, 'class="left"' in attributes, text) for tag, attributes, text in found]


def test_the_first_column_is_text_by_default() -> None:
    html = table(["name", "time"], [["a", "1 ms"]])
    assert cells(html) == [
        ("th", True, "name"),
        ("th", False, "time"),
        ("th", False, "a"),  # row headings are left by their tag
        ("td", False, "1 ms"),
    ]


def test_any_column_can_be_text() -> None:
    html = table(["name", "time", "verdict"], [["a", "1 ms", "same"]], left=(0, 2))
    assert [left for _, left, _ in cells(html)] == [True, False, True, False, False, True]


def test_a_heading_may_have_two_lines() -> None:
    assert "median<br>per run</th>" in table(["median\nper run"], [])


def test_user_text_is_escaped_everywhere() -> None:
    evil = '<b onclick="x">&\x1b[1m'
    made = [
        table([evil], [[evil]], caption=evil),
        "".join(paragraphs([evil], soft=True)),
        warning_list([TimingWarning(evil, evil)]),
    ]
    for html in made:
        assert "<b onclick" not in html
        assert '"x"' not in html
        assert "\x1b" not in html
        assert escaped(evil) in html


def test_without_warnings_there_is_no_section() -> None:
    assert warning_list([]) == ""
