# SPDX-License-Identifier: BSD-3-Clause
"""Tables, paragraphs and warnings as HTML."""

from __future__ import annotations

import math
import re

from gallery import RESULTS, page_of

from fasttime import TimingWarning
from fasttime.html.elements import TreeRow, escaped, paragraphs, table, warning_list


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


def test_an_empty_cell_stays_empty() -> None:
    assert cells(table(["", "time"], [["", ""]]))[2:] == [("th", False, ""), ("td", False, "")]


def test_a_column_with_long_text_takes_several_lines() -> None:
    rows = [["a", "slower (300 runs in 1 process)", "device-bound"], ["b", "-", "-"]]
    html = table(["name", "verdict", "bottleneck"], rows, left=(0, 1, 2))
    assert html.count('<td class="left long">') == 2
    assert html.count('<td class="left">') == 2


# --- rows in a tree ---


TREE = [TreeRow("step", "step", 0, [2.0, None]), TreeRow("step/a", "a<b", 1, [math.nan, None])]


def test_rows_of_a_tree_say_where_they_are() -> None:
    html = table(["site", "time", "kind"], [["x", "2 s", "a"], ["y", "-", "b"]], tree=TREE)
    assert re.findall(r'data-depth="(\d)"', html) == ["0", "1"]
    assert re.findall(r'title="([^"]*)"><bdi>(.*?)</bdi>', html) == [
        ("step", "step"),
        ("step/a", "a&lt;b"),
    ]


def test_only_columns_with_numbers_can_be_sorted() -> None:
    html = table(["site", "time", "kind"], [["x", "2 s", "a"], ["y", "-", "b"]], tree=TREE)
    assert re.findall(r"<th scope=\"col\"([^>]*)>(\w+)", html) == [
        (' class="left"', "site"),
        (" data-sortable", "time"),
        ("", "kind"),
    ]
    assert re.findall(r"<td([^>]*)>", html) == [' data-value="2"', "", "", ""]


def test_pages_with_trees_have_the_script() -> None:
    with_script = {name for name, make in RESULTS.items() if "<script>" in page_of(make())}
    trees = {"Report", "ReportComparison", "ModuleTable", "RankTable", "Timeline"}
    assert with_script == trees


def test_notebooks_have_no_script() -> None:
    for make in RESULTS.values():
        assert "<script" not in make()._repr_html_()
