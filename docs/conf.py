# SPDX-License-Identifier: BSD-3-Clause
"""Settings of the documentation site. `.ci/run docs` builds the site with Sphinx.

The pages are plain Markdown that GitHub shows as well. The hooks below add what only the site
needs: a table of contents, links to files outside `docs`, and docstrings in Sphinx's own markup.
"""

from __future__ import annotations

import functools
import inspect
import re
from importlib.metadata import metadata
from typing import Any

import fasttime

URLS = dict(url.split(", ") for url in metadata("fasttime").get_all("Project-URL") or ())

project = "fasttime"
copyright = "the fasttime contributors"
version = release = fasttime.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "index"
nitpicky = True
# Types in signatures belong to numpy, torch and pandas as well. Building needs no network.
nitpick_ignore_regex = [("py:class", ".*")]

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": "object,tuple,dict,UserWarning"}
autodoc_preserve_defaults = True
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"fasttime {version}"
html_theme_options = {
    "source_repository": URLS["Source"],
    "source_branch": "main",
    "source_directory": "docs/",
}


def setup(app: Any) -> None:
    """Register the hooks."""
    app.connect("source-read", _prepare_page)
    app.connect("autodoc-process-signature", _prepare_signature)
    app.connect("autodoc-process-docstring", _prepare_docstring, priority=400)  # before napoleon


def _prepare_page(app: Any, page: str, source: list[str]) -> None:
    """Lead links out of `docs` to the repository, and give the first page its contents."""
    source[0] = re.sub(r"\]\(\.\./([^)]+)\)", rf"]({URLS['Source']}/blob/main/\1)", source[0])
    if page == root_doc:
        pages = re.findall(r"^\| \[[^]]+\]\(([\w-]+)\.md\)", source[0], re.MULTILINE)
        contents = "\n".join(["```{toctree}", ":hidden:", "", *pages, "```", ""])
        source[0] = f"{source[0]}\n{contents}"


def _prepare_signature(
    app: Any, kind: str, name: str, thing: Any, options: Any, arguments: str, returns: str
) -> tuple[str | None, str | None] | None:
    """Leave out how results are made: only classes that you construct document their arguments."""
    return ("", None) if kind == "class" and "Args:" not in (thing.__doc__ or "") else None


def _prepare_docstring(
    app: Any, kind: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Turn the Markdown of a docstring into reStructuredText."""
    paragraphs = re.split(r"\n{2,}", "\n".join(lines).rstrip())
    made = "\n\n".join(_paragraph(text, name) for text in paragraphs)
    lines[:] = [*made.split("\n"), ""]


def _paragraph(text: str, name: str) -> str:
    if text.startswith("    "):
        return f".. code-block:: python\n\n{text}"
    return re.sub(r"(?<!`)`([^`]+)`(?!`)", lambda found: _reference(found[1], name), text)


def _reference(text: str, name: str) -> str:
    """Return a link if `text` is a public name, and otherwise a literal."""
    parts = name.split(".")
    for scope in (["fasttime"], parts, parts[:-1]):
        path = ".".join([*scope, text.removesuffix("()")])
        if _is_documented(path):
            return f":py:obj:`{text} <{path}>`"
    return f"``{text}``"


def _is_documented(path: str) -> bool:
    """Return whether the API page has an entry for a path such as ``fasttime.Report.save``."""
    package, *names = path.split(".")
    if package != "fasttime" or not names or names[0] not in fasttime.__all__:
        return False
    thing: Any = getattr(fasttime, names[0])
    for name in names[1:]:
        thing = None if name.startswith("_") else inspect.getattr_static(thing, name, None)
    described = (property, functools.cached_property, classmethod, staticmethod)
    return inspect.isroutine(thing) or inspect.isclass(thing) or isinstance(thing, described)
