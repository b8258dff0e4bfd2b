# SPDX-License-Identifier: BSD-3-Clause
"""The documentation: code runs, commands exist, and links have a target."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import fasttime
from fasttime import cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
WRITTEN = [page for page in PAGES if page != "api.md"]  # Sphinx fills api.md from docstrings


class Block(NamedTuple):
    """A block of code, with the comment above it that may say how far the block is tested."""

    comment: str
    language: str
    code: str
    line: int


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks_of(page: str) -> Iterator[Block]:
    text = text_of(page)
    pattern = r"^(?:<!-- ([^\n]+) -->\n)?```(\w+)\n(.*?)^```$"
    for found in re.finditer(pattern, text, re.DOTALL | re.MULTILINE):
        line = text.count("\n", 0, found.start(3)) + 1
        yield Block(found[1] or "", found[2], found[3], line)


def commands_of(block: Block) -> list[list[str]]:
    lines = [shlex.split(line, comments=True) for line in block.code.splitlines()]
    return [words[1:] for words in lines if words and words[0] == "fasttime"]


def is_here(comment: str) -> bool:
    """Return whether the module that a block needs is installed."""
    if not comment.startswith("needs "):
        return True
    try:
        importlib.import_module(comment.removeprefix("needs "))
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("page", WRITTEN)
def test_the_code_of_a_page_runs(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "docs"}
    try:
        for block in blocks_of(page):
            if block.comment.startswith(("needs a GPU: ", "only parsed: ")):
                continue
            if block.language == "python" and is_here(block.comment):
                code = "\n" * (block.line - 1) + block.code  # tracebacks name the page's line
                exec(compile(code, page, "exec"), namespace)
            for command in commands_of(block) if block.language == "sh" else ():
                assert run(command) == 0, (command, capsys.readouterr().err)
    finally:
        fasttime.enable()
        fasttime.keep_samples(0)
        fasttime.reset()
        forget_modules_in(tmp_path)


@pytest.mark.gpu
@pytest.mark.parametrize("page", WRITTEN)
def test_the_code_of_a_page_runs_on_a_gpu(page: str, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    code = [
        block.code
        for block in blocks_of(page)
        if block.language == "python"
        and not block.comment.startswith("only parsed: ")
        and (block.comment.startswith("needs a GPU: ") or is_here(block.comment))
    ]
    script.write_text("\n".join(code), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def run(command: list[str]) -> object:
    try:
        return cli.main(command)
    except SystemExit as exit_:  # --help, --version
        return exit_.code


def forget_modules_in(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


@pytest.mark.parametrize("page", WRITTEN)
def test_code_that_is_not_run_says_why(page: str) -> None:
    for block in blocks_of(page):
        reason = re.fullmatch(r"(needs a GPU|only parsed): .{10,}|needs \w+|", block.comment)
        assert reason, f"{page}:{block.line}: {block.comment!r}"
        if block.language == "python":
            compile(block.code, f"{page}:{block.line}", "exec")


@pytest.mark.parametrize("page", WRITTEN)
def test_commands_exist(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks_of(page):
        for command in commands_of(block) if block.language == "sh" else ():
            if not {"--help", "--version"} & set(command):
                cli._parser().parse_args(command)


@pytest.mark.parametrize("page", PAGES)
def test_links_have_a_target(page: str) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]+)?\)", text_of(page)):
        path = (DOCS / target) if target else DOCS / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), anchor


def anchors(text: str) -> set[str]:
    """Return the anchors of all headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
    }


def test_the_index_names_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", text_of("index.md")))
    assert linked == set(PAGES) - {"index.md"}


@pytest.mark.parametrize("page", WRITTEN)
def test_a_page_is_short(page: str) -> None:
    assert len(text_of(page).splitlines()) <= 160


def test_the_api_page_has_every_public_name() -> None:
    entries = re.findall(r"^\.\. auto\w+:: fasttime\.(\w+)$", text_of("api.md"), re.MULTILINE)
    assert sorted(entries) == sorted(fasttime.__all__)
