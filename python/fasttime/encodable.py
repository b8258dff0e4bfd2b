# SPDX-License-Identifier: BSD-3-Clause
"""Text for streams that know fewer characters than ours: µ, ° and the lines of a tree."""

from __future__ import annotations

import sys

# One for one, but for the degree: columns stay where they are.
_ASCII = str.maketrans({"µ": "u", "…": ".", "├": "|", "└": "`", "│": "|", "°": ""})


def encodable(text: str, encoding: str | None) -> str:
    """Return the text if `encoding` knows all of it, and plainer if not: us for µs, ? for names."""
    if encoding is None:  # as of io.StringIO, which takes anything
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text


def for_stdout(text: str) -> str:
    """Return the text as `print` can write it, which would otherwise raise at the first µ."""
    return encodable(text, getattr(sys.stdout, "encoding", None))
