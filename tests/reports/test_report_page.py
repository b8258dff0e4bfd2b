# SPDX-License-Identifier: BSD-3-Clause
"""The HTML page in a browser, if there is one, and how it shows joined emoji."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from made_up_report import report, site
from page_reader import Page

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PROBE = """
<pre id="found"></pre>
<script>
const table = document.querySelector("table"), body = table.tBodies[0];
const moved = new MutationObserver(() => {});
moved.observe(body, {childList: true});
const names = () => [...body.rows].filter((row) => !row.hidden)
  .map((row) => row.cells[0].textContent);
const fold = (name) => [...body.querySelectorAll("button")]
  .find((button) => button.closest("th").textContent === name);
const head = (name) => [...table.tHead.querySelectorAll("button")]
  .find((button) => button.textContent === name);
const found = {};
const step = (name, button) => {
  button.click();
  found[name] = {names: names(), moves: moved.takeRecords().length};
};
%s
document.querySelector("#found").textContent = JSON.stringify(found);
</script>
</body>"""


def in_browser(page: str, steps: str, folder: Path) -> dict[str, Any]:
    """Return what the page shows after each step. The page's policy would forbid the script."""
    page = page.replace("Content-Security-Policy", "x").replace("</body>", PROBE % steps)
    (folder / "page.html").write_text(page, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'user'}"]
    done = subprocess.run(
        [str(BROWSER), *options, "--dump-dom", (folder / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout)
    assert found, done.stderr
    result: dict[str, Any] = json.loads(found[1])
    return result


@pytest.mark.heavy
@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_rows_fold_in_place_and_sort_in_one_move(tmp_path: Path) -> None:
    made = report(
        site("a", site("b", site("c")), site("d"), calls=3),
        site("e", site("f"), calls=5),
    )
    steps = """
        step("folded inside", fold("b"));
        step("folded outside", fold("a"));
        step("sorted", head("calls"));
        step("unfolded", fold("a"));
        step("unfolded inside", fold("b"));
        step("sorted the other way", head("calls"));
        step("as it was", head("scope"));
    """
    found = in_browser(made.to_html(), steps, tmp_path)
    assert {name: "".join(seen["names"]) for name, seen in found.items()} == {
        "folded inside": "abdef",
        "folded outside": "aef",
        "sorted": "efa",
        "unfolded": "efabd",
        "unfolded inside": "efabcd",
        "sorted the other way": "abcdef",
        "as it was": "abcdef",
    }
    # One step takes all rows out and another puts them back, so thousands move as fast as one.
    moves = {name: seen["moves"] for name, seen in found.items()}
    sorts = ("sorted", "sorted the other way", "as it was")
    assert moves == {name: 2 if name in sorts else 0 for name in found}


@pytest.mark.parametrize("name", ["👩‍💻 step", "👩🏽‍🚀", "❤️‍🔥", "🏳️‍🌈 and 👨‍👩‍👧"])
def test_joined_emoji_are_shown_as_one(name: str) -> None:
    row = Page(report(site(name)).to_html()).rows[0]
    assert (row.cells[0], row.tooltip) == (name, name)


def test_a_joiner_between_other_letters_is_escaped() -> None:
    row = Page(report(site("a\u200db\u200d👩")).to_html()).rows[0]
    assert row.cells[0] == "a\\u200db\\u200d👩"
