# SPDX-License-Identifier: BSD-3-Clause
"""Ask chromium, without a window, how a page looks."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
# Each page stands in a frame of the wanted width: chromium's windows have a least width.
_OUTER = """<!doctype html><meta charset="utf-8"><pre id="found"></pre>
{frames}
<script>
addEventListener("load", () => {{
  const pages = [...document.querySelectorAll("iframe")].map((frame) => frame.contentDocument);
  document.querySelector("#found").textContent = JSON.stringify(pages.map({function}));
}});
</script>"""
_FRAME = '<iframe style="width:{width}px;height:3000px;border:0" srcdoc="{page}"></iframe>'


def in_browser(page: str, function: str, folder: Path, width: int = 1280) -> Any:
    """Return what a JavaScript function returns for a page's document, as JSON.

    Args:
        page: the page's HTML. Its content security policy is in force.
        function: the source of a function that takes the document.
        folder: a folder for files.
        width: the page's width in pixels.
    """
    return all_in_browser([page], function, folder, width)[0]


def all_in_browser(
    pages: Sequence[str], function: str, folder: Path, width: int = 1280
) -> list[Any]:
    """Return what `in_browser` returns for each of several pages. Starts the browser once."""
    frames = "".join(_FRAME.format(width=width, page=html.escape(page)) for page in pages)
    file = folder / "outer.html"
    file.write_text(_OUTER.format(frames=frames, function=function), encoding="utf-8")
    command = [str(BROWSER), *_OPTIONS, f"--user-data-dir={folder / 'user'}", "--dump-dom"]
    done = subprocess.run(
        [*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout)
    assert found, done.stderr
    results: list[Any] = json.loads(html.unescape(found[1]))
    return results


def in_dark(page: str) -> str:
    """Return a page that looks as it does if the system prefers dark pages."""
    light = "@media (prefers-color-scheme: dark)"
    assert light in page
    return page.replace(light, "@media all")
