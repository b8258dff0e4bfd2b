# SPDX-License-Identifier: BSD-3-Clause
"""Write `api.md` from the docstrings. Run this script after you change a docstring.

python docs/make_api.py            # rewrites docs/api.md
python docs/make_api.py --check    # exits with 1 if the page is out of date
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fasttime
from fasttime.reports.bottleneck import BacklogChecks
from fasttime.reports.timing_cost import TimingCost

PAGE = Path(__file__).parent / "api.md"

_INTRODUCTION = """# API

Look up every public name of fasttime here. The text comes from the docstrings, so it is the same
as `help(fasttime.scope)`. All durations are in seconds. [make_api.py](make_api.py) writes this
page, and a test checks that the page is up to date. For explanations and examples, start with the
[documentation](README.md).
"""

# Public names that appear in no list go under the last heading.
_SECTIONS: dict[str, tuple[str, ...]] = {
    "Scopes": ("scope", "phases", "begin", "end", "enable", "disable", "mark_nvtx", "Recorder"),
    "Reports": (
        *("report", "reset", "samples", "keep_samples", "Report", "SiteReport", "Durations"),
        "Sample",
    ),
    "Timelines": ("record_timeline", "TimelineRecording", "Timeline", "Span"),
    "Measuring": ("measure", "do_bench", "Measurement", "Interrupted"),
    "Comparing": (
        *("compare", "Comparison", "Verdict", "compare_methods", "MethodComparison"),
        *("MethodFinding", "compare_saved", "SavedComparison"),
    ),
    "All results": ("load", "TimingWarning", "Bottleneck"),
    "More": (),
}

# Classes that users reach only through other objects, by heading.
_REACHED: dict[str, tuple[type, ...]] = {
    "Reports": (BacklogChecks, TimingCost),
}


def page() -> str:
    """Return the text of the page."""
    placed = {name for names in _SECTIONS.values() for name in names}
    parts = [_INTRODUCTION]
    for heading, names in _SECTIONS.items():
        if heading == "More":
            names = tuple(name for name in fasttime.__all__ if name not in placed)
        found = [(f"fasttime.{name}", getattr(fasttime, name)) for name in names]
        found += [(made.__name__, made) for made in _REACHED.get(heading, ())]
        if found:
            parts.append(f"## {heading}\n")
            parts += [_entry(name, thing) for name, thing in found]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def _entry(name: str, thing: Any) -> str:
    if not inspect.isclass(thing):
        return f"### `{name}`\n\n{_call(name, thing)}\n{_prose(thing)}"
    text = f"### `{name}`\n\n"
    if "Args:" in (thing.__doc__ or ""):  # users construct it
        text += f"{_call(name, thing.__init__)}\n"
    return text + _prose(thing) + "".join(_members(thing))


def _members(kind: type) -> Iterator[str]:
    """Yield an entry per public member, including members inherited inside fasttime."""
    members: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("fasttime"):
            members |= vars(base)
    for name, member in members.items():
        if name.startswith("_") or (hasattr(fasttime, name) and kind is fasttime.Recorder):
            continue
        if isinstance(member, (property, functools.cached_property)):
            getter = member.fget if isinstance(member, property) else member.func
            yield f"#### `.{name}`\n\n{_prose(getter)}"
        elif isinstance(member, (staticmethod, classmethod)) or inspect.isfunction(member):
            function = getattr(member, "__func__", member)
            yield f"#### `.{name}()`\n\n{_call(name, function)}\n{_prose(function)}"


def _call(name: str, function: Any) -> str:
    """Return the signature as a code block, with one argument per line if it is long."""
    parameters = list(inspect.signature(function).parameters.values())
    arguments = []
    kind = None
    for parameter in parameters:
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and kind not in (
            parameter.KEYWORD_ONLY,
            parameter.VAR_POSITIONAL,
        ):
            arguments.append("*")
        if kind is parameter.POSITIONAL_ONLY and parameter.kind is not kind:
            arguments.append("/")
        kind = parameter.kind
        arguments.append(_argument(parameter))
    line = f"{name}({', '.join(arguments)})"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"
    return f"```py\n{line}\n```\n"


def _argument(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {parameter.annotation}"
        return text if parameter.default is parameter.empty else f"{text} = {parameter.default!r}"
    return text if parameter.default is parameter.empty else f"{text}={parameter.default!r}"


def _prose(thing: Any) -> str:
    """Return a docstring as Markdown: arguments as lists, indented text as code blocks."""
    # inspect.getdoc would also return docstrings inherited from a base class.
    text = inspect.cleandoc(thing.__doc__ or "")
    text = re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
    made = []
    for block in re.split(r"\n{2,}", text):
        lines = block.split("\n")
        if lines[0] in ("Args:", "Attributes:"):
            lines = ["", *_items(lines[1:])]
        elif lines[0].startswith(("    ", ">>>")):
            code = inspect.cleandoc("\n" + block)
            lines = ["```pycon" if lines[0].startswith(">>>") else "```py", code, "```"]
        made.append("\n".join(lines).strip("\n"))
    return "\n\n".join(made) + "\n\n"


def _items(lines: list[str]) -> Iterator[str]:
    """Yield each argument as a list item, with continuation lines indented below it."""
    for line in lines:
        if line.startswith("     "):
            yield f"  {line.strip()}"
        else:
            names, colon, rest = line.strip().partition(":")
            marked = ", ".join(f"`{name.strip()}`" for name in names.split(","))
            yield f"- {marked}{colon}{rest}" if colon else f"- {line.strip()}"


def main() -> int:
    """Write the page, or check that it is up to date."""
    new = page()
    if sys.argv[1:] == ["--check"]:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != new)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
