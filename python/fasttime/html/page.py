# SPDX-License-Identifier: BSD-3-Clause
"""Whole pages that need no other file and no network, and fragments for notebooks."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib import resources

from .elements import escaped


def fragment(body: str) -> str:
    """Return HTML for a notebook: the body below the shared style, without a script."""
    return f'<div class="fasttime piece"><style>{_style("result.css")}</style>{body}</div>'


def page(title: str, header: str, body: str, script: str = "") -> str:
    """Return a whole page.

    The content security policy forbids the page to load anything or to run anything but `script`,
    whatever a name or a picture contains. Scripts inside pictures never run.

    Args:
        title: text for the browser's tab; escaped here.
        header, body: HTML.
        script: JavaScript, at the end of the page.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"script-src 'sha256-{digest}'; "
    policy += "base-uri 'none'; form-action 'none'"
    end = f"<script>{script}</script>\n" if script else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escaped(title)}</title>
<style>{_style("page.css")}{_style("result.css")}</style>
</head>
<body class="fasttime">
<header>
{header}
</header>
<main>
{body}
</main>
{end}</body>
</html>
"""


@functools.cache
def _style(name: str) -> str:
    """Return a style sheet without comments and indentation: every notebook output contains it."""
    return re.sub(r"/\*.*?\*/|\n\s*", "", asset(name), flags=re.DOTALL)


@functools.cache
def asset(name: str) -> str:
    """Return the text of a file in this module's folder."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8").strip()
