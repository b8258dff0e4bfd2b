# SPDX-License-Identifier: BSD-3-Clause
"""Names of scopes as people can read them; they come from anywhere and may hold anything."""

from __future__ import annotations

LONGEST = 400  # characters: the recorder cuts names at 256 bytes, but a path can be any length


def printable(name: str, longest: int = LONGEST) -> str:
    """Return a text on one line: what cannot be printed is escaped, what is too long is cut.

    Control characters, ANSI escapes, line ends, marks that turn the direction of writing and lone
    surrogates all count as unprintable. A blank name is quoted, so that it can be seen.
    """
    if len(name) > longest:
        name = f"{name[: longest // 2]}…{name[-(longest // 2 - 1) :]}"
    if not name.strip():
        return repr(name)
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
