# SPDX-License-Identifier: BSD-3-Clause
"""Read an HTML report as a browser does, and fail if the HTML is not well formed."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

# Elements without an end tag, and all elements that a report may have.
VOID = {"meta", "img", "source"}
KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "script"),
    *("h1", "h2", "p", "time", "dl", "div", "dt", "dd", "ul", "li", "img", "picture", "source"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("span", "b", "i", "bdi", "small"),
}


@dataclass
class Row:
    """A row of the table: its level, the texts of its cells, and the tooltip of the first cell."""

    depth: int
    cells: list[str] = field(default_factory=list)
    tooltip: str = ""


class Page(HTMLParser):
    """The content of an HTML report: rows, scripts, attributes and text.

    An unknown element, an event handler or a missing end tag fails the test.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[Row] = []
        self.columns = 0
        self.scripts: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, tag
        values = {name: value or "" for name, value in attributes}
        assert not any(name.startswith("on") for name in values), values
        self.attributes += [(tag, name, value) for name, value in values.items()]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "script":
            self.scripts.append("")
        if "thead" in self._open and tag == "th" and "colspan" not in values:
            self.columns += 1
        if "tbody" in self._open:
            if tag == "tr":
                self.rows.append(Row(int(values["data-depth"])))
            elif tag in ("th", "td"):
                self.rows[-1].cells.append("")
            if tag == "th":
                self.rows[-1].tooltip = values["title"]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts[-1] += data
        elif "style" not in self._open:
            self.text += data
        if "tbody" in self._open and {"th", "td"} & set(self._open):
            self.rows[-1].cells[-1] += data
