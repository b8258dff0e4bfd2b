# SPDX-License-Identifier: BSD-3-Clause
"""Ask chromium, without a window, how a page looks."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
# The page stands in a frame of the wanted width: chromium's windows have a least width.
_OUTER = """<!doctype html><pre id="found"></pre>
<iframe style="width:{width}px;height:3000px;border:0" srcdoc="{page}"></iframe>
<script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  document.querySelector("#found").textContent = JSON.stringify(({function})(page));
}});
</script>"""


def in_browser(page: str, function: str, folder: Path, width: int = 1280) -> Any:
    """Return what a JavaScript function returns for a page's document, as JSON.

    Args:
        page: the page's HTML. Its content security policy is switched off.
        function: the source of a function that takes the document.
        folder: an empty folder for files.
        width: the page's width in pixels.
    """
    page = page.replace("Content-Security-Policy", "x")
    outer = _OUTER.format(width=width, page=html.escape(page), function=function)
    file = folder / "outer.html"
    file.write_text(outer, encoding="utf-8")
    command = [str(BROWSER), *_OPTIONS, f"--user-data-dir={folder / 'user'}", "--dump-dom"]
    done = subprocess.run(
        [*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout)
    assert found, done.stderr
    return json.loads(html.unescape(found[1]))
