# SPDX-License-Identifier: BSD-3-Clause
"""Names are whole and times are in sight: in notebooks, on pages, on a laptop and on a phone."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser import BROWSER, in_browser
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
      right: border.right - box.getBoundingClientRect().left,
    };
  };
  return {
    names: [...table.querySelectorAll("tbody th")].map(look),
    figures: [...table.querySelectorAll("tbody tr:first-child td")]
      .filter((cell) => !cell.matches(".left, .pair, .spread")).map(look),
    room: box.clientWidth,
    width: box.scrollWidth,
    page: view.getComputedStyle(box.closest(".fasttime")).backgroundColor,
  };
})"""

pytestmark = pytest.mark.heavy


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
    assert [name["text"] for table in tables for name in table["names"]] == [
        *("step", "forward"),
        "a_rather_long_name_of_a_candidate",
    ]
    for table in tables:
        assert all(name["align"] == "left" and name["isWhole"] for name in table["names"])
        assert all(cell["align"] == "right" and cell["isWhole"] for cell in table["figures"])
        first_time = next(cell for cell in table["figures"] if cell["text"].endswith("s"))
        assert first_time["right"] <= table["room"]
        assert width == 390 or table["width"] <= table["room"]
        is_dark = table["page"] == "rgb(17, 17, 17)"  # JupyterLab's
        assert is_dark == (template == "dark")


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


FILTER = """(page) => {
  const field = page.querySelector(".filter input");
  field.value = "LAYER_0";
  field.dispatchEvent(new page.defaultView.Event("input"));
  const shown = () => [...page.querySelectorAll("tbody tr")].filter((row) => !row.hidden)
    .map((row) => row.cells[0].textContent);
  const some = shown();
  field.value = "";
  field.dispatchEvent(new page.defaultView.Event("input"));
  return [some, shown().length];
}"""


def test_the_filter_shows_matches_and_parents(tmp_path: Path) -> None:
    if BROWSER is None:
        pytest.skip("needs chromium")
    some, whole = in_browser(training().to_html(), FILTER, tmp_path)
    assert some == ["step", "forward", "layer_0"]
    assert whole == sum(1 for _ in training().walk())
