# SPDX-License-Identifier: BSD-3-Clause
"""Names are whole and times are in sight: in notebooks, on pages, on a laptop and on a phone."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser import BROWSER, all_in_browser, in_browser, in_dark
from gallery import RESULTS, page_of
from made_up_report import report, site, training

LONG_NAME = "models.transformer.encoder.layers.11.self_attention.out_projection"
NOTEBOOK = [
    "import sys; sys.path[:0] = {path!r}",
    "import fasttime, torch\nfrom fasttime.html import elements, page",
    "with fasttime.scope('step'):\n    with fasttime.scope('forward'):\n        torch.ones(3) + 1",
    "fasttime.report(wait=True)",
    """class Table:
    def _repr_html_(self):
        rows = [["a_rather_long_name_of_a_candidate", "1.000 ms", "faster"]]
        return page.fragment(elements.table(["candidate", "median\\nper run", "verdict"], rows))
Table()""",
    "from gallery import RESULTS\nRESULTS['Measurement']()",
    "RESULTS['ModuleTable']()",
]
# What a table looks like: a table for each, cells in the order of the page.
LOOK = """(page) => [...page.querySelectorAll(".fasttime table")].map((table) => {
  const view = table.ownerDocument.defaultView;
  const box = table.parentElement;
  const look = (cell) => {
    const style = view.getComputedStyle(cell);
    const range = page.createRange();
    range.selectNodeContents(cell);
    const text = range.getBoundingClientRect();
    const border = cell.getBoundingClientRect();
    return {
      text: cell.textContent,
      align: style.textAlign,
      isWhole: text.left >= border.left - 1 && text.right <= border.right + 1
        && cell.scrollWidth <= cell.clientWidth + 1 && style.textOverflow === "clip",
      right: border.right - box.getBoundingClientRect().left - box.clientLeft,
    };
  };
  return {
    names: [...table.querySelectorAll("tbody th")].map(look),
    figures: [...table.querySelectorAll("tbody tr:first-child td")]
      .filter((cell) => !cell.matches(".left, .pair, .spread")).map(look),
    cells: [...table.querySelectorAll("tbody td:not(.pair, .spread)")].map(look),
    room: box.clientWidth,
    width: box.scrollWidth,
    page: view.getComputedStyle(box.closest(".fasttime")).backgroundColor,
  };
})"""

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The page of every kind of result."""
    return {name: page_of(make()) for name, make in RESULTS.items()}


def looks(page: str, folder: Path, width: int) -> list[dict[str, Any]]:
    if BROWSER is None:
        pytest.skip("needs chromium")
    found: list[dict[str, Any]] = in_browser(page, LOOK, folder, width)
    return found


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook that was run."""
    for module in ("nbconvert", "ipykernel"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}")
    folder = tmp_path_factory.mktemp("notebook")
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell{number}",
            "metadata": {},
            "outputs": [],
            "source": source.replace("{path!r}", repr(sys.path)),
        }
        for number, source in enumerate(NOTEBOOK)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    content = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (folder / "new.ipynb").write_text(json.dumps(content), encoding="utf-8")
    convert(folder, "new.ipynb", "--execute", "--to", "notebook", "--output", "run.ipynb")
    return folder


def convert(folder: Path, *arguments: str) -> None:
    own = {name: str(folder / "own") for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    done = subprocess.run(
        [sys.executable, "-m", "nbconvert", *arguments],
        cwd=folder,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("template", ["lab", "classic", "dark"])
def test_a_notebook_shows_whole_names(
    notebook: Path, template: str, width: int, tmp_path: Path
) -> None:
    theme = ["--template", "lab", "--theme", "dark"] if template == "dark" else []
    theme = theme or ["--template", template]
    convert(notebook, "run.ipynb", "--to", "html", *theme, "--output-dir", str(tmp_path))
    tables = looks((tmp_path / "run.html").read_text(encoding="utf-8"), tmp_path, width)
    assert [[name["text"] for name in table["names"]] for table in tables[:2]] == [
        ["step", "forward"],
        ["a_rather_long_name_of_a_candidate"],
    ]
    assert [len(table["names"]) for table in tables[2:]] == [5, 17]  # a measurement, modules
    for table in tables:
        assert all(name["align"] == "left" and name["isWhole"] for name in table["names"])
        assert all(cell["align"] == "right" and cell["isWhole"] for cell in table["figures"])
        shows_the_first_time(table)
        assert width == 390 or table["width"] <= table["room"]
        is_dark = table["page"] == "rgb(17, 17, 17)"  # JupyterLab's
        assert is_dark == (template == "dark")


def shows_the_first_time(table: dict[str, Any]) -> None:
    """Check that the first time or rate of a table is visible without scrolling sideways."""
    first = next(cell for cell in table["cells"] if re.search(r"\d (m|µ|n)?s\b|B/s", cell["text"]))
    assert first["right"] <= table["room"] + 0.5, first  # the browser rounds the room
    assert first["isWhole"], first


def test_a_page_fits_a_laptop(tmp_path: Path) -> None:
    made = report(*training().sites, site("serve", site(LONG_NAME)))
    (table,) = looks(made.to_html(), tmp_path, 1280)
    assert table["names"][-1]["text"] == LONG_NAME
    assert all(name["align"] == "left" and name["isWhole"] for name in table["names"])
    assert table["width"] <= table["room"]


def test_a_phone_shows_the_first_times(tmp_path: Path) -> None:
    made = report(*training().sites, site("serve", site(LONG_NAME)))
    (table,) = looks(made.to_html(), tmp_path, 390)
    share, median, mean, *_ = table["figures"]
    assert (share["text"], median["text"], mean["text"]) == ("99.0%", "60.00 ms", "60.00 ms")
    assert mean["right"] <= table["room"]
    assert all(name["isWhole"] for name in table["names"])


@pytest.mark.parametrize("width", [390, 1280])
def test_every_result_shows_its_times(pages: dict[str, str], width: int, tmp_path: Path) -> None:
    if BROWSER is None:
        pytest.skip("needs chromium")
    found = all_in_browser(list(pages.values()), LOOK, tmp_path, width)
    assert [len(tables) for tables in found] == [1] * len(RESULTS)
    for name, (table,) in zip(pages, found, strict=True):
        shows_the_first_time(table)
        assert all(cell["isWhole"] for cell in table["names"]), name
        assert width == 390 or table["width"] <= table["room"], name
        assert all(cell["text"] != "''" for cell in table["cells"]), name


# The least contrast between text and what is behind the text, and the lightness of the page.
CONTRAST = """(page) => {
  const view = page.defaultView;
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = (element) => {
    const colour = view.getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : colour;
  };
  const contrasts = [...page.querySelectorAll("h1, h2, p, th, td, li, dt, dd, small, figcaption")]
    .filter((element) => element.textContent && element.offsetWidth)
    .map((element) => {
      const both = [light(view.getComputedStyle(element).color), light(behind(element))];
      return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    });
  return [Math.min(...contrasts), light(behind(page.body))];
}"""


def test_text_is_readable_in_light_and_dark(pages: dict[str, str], tmp_path: Path) -> None:
    if BROWSER is None:
        pytest.skip("needs chromium")
    both = [*pages.values(), *map(in_dark, pages.values())]
    found = all_in_browser(both, CONTRAST, tmp_path)
    assert all(contrast >= 4.5 for contrast, _ in found)  # WCAG 2.2, level AA
    lightness = [page for _, page in found]
    assert all(page > 0.9 for page in lightness[: len(pages)])
    assert all(page < 0.1 for page in lightness[len(pages) :])


NAMES = """const names = () => [...page.querySelectorAll("tbody tr")].filter((row) => !row.hidden)
  .map((row) => row.cells[0].querySelector("bdi").firstChild.textContent.trim());"""
FILTER = (
    """(page) => {
  const field = page.querySelector(".filter input");
  const filter = (text) => {
    field.value = text;
    field.dispatchEvent(new page.defaultView.Event("input"));
    return names();
  };
  """
    + NAMES
    + """
  return [filter(TEXT), filter("").length];
}"""
)


@pytest.mark.parametrize(
    ("result", "text", "names", "rows"),
    [
        ("Report", "LAYER_0", ["step", "forward", "layer_0"], 9),
        ("ReportComparison", "model_1/dec", ["request", "model_1", "decode"], 22),
        ("RankTable", "all_", ["step", "backward", "all_reduce"], 10),
        (
            "ModuleTable",
            "2.ln_1: layernorm",
            ["(model)", "encoder.layers.encoder_layer_2", "ln_1"],
            17,
        ),
    ],
)
def test_the_filter_shows_matches_and_parents(
    pages: dict[str, str], result: str, text: str, names: list[str], rows: int, tmp_path: Path
) -> None:
    if BROWSER is None:
        pytest.skip("needs chromium")
    function = FILTER.replace("TEXT", json.dumps(text))
    assert in_browser(pages[result], function, tmp_path) == [names, rows]


# The names after a click on a heading, after a second click and after a click on the first heading.
SORT = (
    """(page) => {
  const heads = [...page.querySelectorAll("thead th")];
  const head = heads.find((head) => head.innerText.replace("\\n", " ") === HEADING);
  const click = (head) => {
    head.querySelector("button").click();
    return [head.ariaSort, ...names().slice(0, 8)];
  };
  """
    + NAMES
    + """
  return [click(head), click(head), click(heads[0])];
}"""
)


@pytest.mark.parametrize(
    ("result", "heading", "order"),
    [
        ("RankTable", "max", ["step", "backward", "all_reduce", "forward", "layer_5"]),
        (
            "ReportComparison",
            "p50 new",
            ["request", "model_0", "copy_to_host", "detokenise", "sample", "decode"],
        ),
        (
            "ModuleTable",
            "forward self",
            ["(model)", "encoder.layers.encoder_layer_0", "mlp", "ln_1", "self_attention"],
        ),
    ],
)
def test_headings_sort_siblings(
    pages: dict[str, str], result: str, heading: str, order: list[str], tmp_path: Path
) -> None:
    if BROWSER is None:
        pytest.skip("needs chromium")
    function = SORT.replace("HEADING", json.dumps(heading))
    (down, *most), (up, *least), (_, *original) = in_browser(pages[result], function, tmp_path)
    assert (down, up) == ("descending", "ascending")
    assert most[: len(order)] == order
    assert least != most
    assert original != most


FOLD = (
    """(page) => {
  const before = page.querySelectorAll("tbody tr").length;
  const button = [...page.querySelectorAll("tbody th button")][1];
  button.click();
  """
    + NAMES
    + """
  return [button.getAttribute("aria-expanded"), before - names().length];
}"""
)


@pytest.mark.parametrize(
    ("result", "inside"),
    [("Report", 2), ("RankTable", 6), ("ReportComparison", 6), ("ModuleTable", 3)],
)
def test_rows_with_rows_inside_fold(
    pages: dict[str, str], result: str, inside: int, tmp_path: Path
) -> None:
    if BROWSER is None:
        pytest.skip("needs chromium")
    assert in_browser(pages[result], FOLD, tmp_path) == ["false", inside]
