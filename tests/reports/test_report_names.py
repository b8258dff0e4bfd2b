# SPDX-License-Identifier: BSD-3-Clause
"""Names of scopes may contain anything: no format reads markup in them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_up_report import report, site
from markdown_it import MarkdownIt
from page_reader import Page
from rich.cells import cell_len
from rich.console import Console

from fasttime import Report
from fasttime.reports.formats.document import as_json
from fasttime.reports.formats.table import as_text
from fasttime.text import LONGEST, printable

HOSTILE = [
    "",
    " ",
    "\n",
    "a\nb\r\nc",
    "\0",
    "\ud800",
    "a|b",
    "a\\|b",
    "`",
    "``|`",
    "<script>alert(1)</script>",
    "</script><script>",
    "&lt;&#60;&amp;",
    "\" onmouseover='x'",
    "[bold red]x[/]",
    "[link=file:///etc]",
    "\x1b[31mred\x1b[0m\x07",
    "\x1b]8;;http://x\x1b\\",
    "abc\u202edcba",
    "**b** _i_ ![](x) $x$ @all #1 http://x.y",
    "日本語" * 20,
    "e\u0301\u200d❤️👩‍👩‍👧",
    "{0}%s${x}",
    "--><!--",
    "-",
    "a_b __c__ _d",
    "a" * 1_000_000,
    "\ud800|<\n" * 250_000,
]
anything = st.text(st.characters(exclude_categories=()), max_size=60)


def for_hostile_names(test: Callable[[str], None]) -> Callable[[str], None]:
    for name in HOSTILE:
        test = example(name)(test)
    return settings(max_examples=150, deadline=None)(given(anything)(test))


def of(name: str) -> Report:
    return report(site(name, site(name)), site("plain"))


@for_hostile_names
def test_a_printable_name_is_one_clean_line(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert len(shown) <= LONGEST * 10  # the longest escape
    shown.encode("utf-8")


@pytest.mark.parametrize("name", ["", " ", "\n"])
def test_a_blank_name_is_quoted(name: str) -> None:
    assert printable(name) == repr(name)


@for_hostile_names
def test_the_table_keeps_its_lines(name: str) -> None:
    for width in (40, 100):
        lines = as_text(of(name), width).splitlines()
        assert all(line.isprintable() and cell_len(line) <= width for line in lines)
        assert [line.split()[0] for line in lines[:5]][-1] == "plain"
        assert lines[3].startswith("└ ")


@for_hostile_names
def test_rich_ignores_markup_in_a_name(name: str) -> None:
    console = Console(width=100, file=io.StringIO(), color_system=None)
    console.print(of(name))
    printed = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert printed == as_text(of(name), 100).splitlines()


@for_hostile_names
def test_json_gives_a_name_back_unchanged(name: str) -> None:
    made = of(name)
    text = as_json(made, made.environment)
    assert text.isascii()
    content = json.loads(text)["sites"]
    assert [one["name"] for one in content] == [name, name, "plain"]


@for_hostile_names
def test_markdown_has_one_row_per_site(name: str) -> None:
    made = of(name)
    tokens = MarkdownIt("commonmark").enable("table").parse(made.to_markdown())
    rows = sum(token.type == "tr_open" for token in tokens)
    assert rows == 4
    assert sum(token.type == "td_open" for token in tokens) == 3 * 14
    cells = [token for token in tokens if token.type == "inline"][14 : 14 + 42 : 14]
    for cell, one in zip(cells, made.walk(), strict=True):
        kinds = {part.type for part in cell.children}
        assert kinds <= {"code_inline", "text", "text_special", "html_inline"}
        tags = [part.content for part in cell.children if part.type == "html_inline"]
        assert tags in ([], ["<code>", "</code>"])
        words = [part.content for part in cell.children if part.type != "html_inline"]
        assert "".join(words).strip() == printable(one.path).strip()


@for_hostile_names
def test_a_page_shows_a_name_as_text(name: str) -> None:
    for page in (Page(of(name).to_html()), Page(of(name)._repr_html_())):
        # Joined emoji are shown as they are.
        shown = [row.cells[0].replace("\u200d", r"\u200d") for row in page.rows]
        assert shown == [printable(name), printable(name), "plain"]
        assert [row.depth for row in page.rows] == [0, 1, 0]
        assert page.rows[2].tooltip == "plain"


@pytest.mark.parametrize("suffix", [".html", ".md", ".json", ".csv", ".txt"])
def test_every_file_is_written_as_utf_8(tmp_path: Path, suffix: str) -> None:
    made = report(*(site(name) for name in HOSTILE))
    made.save(tmp_path / f"report{suffix}")
    text = (tmp_path / f"report{suffix}").read_bytes().decode("utf-8")
    assert "\x1b" not in text
    assert "\0" not in text


def test_reasons_are_escaped_like_names() -> None:
    hostile = "\x1b[31m<script>|\n" + "x" * 5000
    made = report(site("a"), backend="host", backend_reason=hostile, last_failure=hostile)
    assert "\x1b" not in str(made) + made.to_markdown() + made.to_html()
    assert "<script>|" not in made.to_markdown()
    assert len(Page(made.to_html()).scripts) == 1
