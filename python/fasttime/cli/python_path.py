# SPDX-License-Identifier: BSD-3-Clause
"""Where Python looks for the user's modules while one of them runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


def begin_with(folder: str) -> None:
    """Let sys.path begin with `folder` instead of this command's own, as it would for a script.

    Under ``python -P`` it stays as it is, as is asked for there.
    """
    if not getattr(sys.flags, "safe_path", False):  # from Python 3.11 on
        sys.path[:1] = [folder]


@contextlib.contextmanager
def beginning_with(folder: str) -> Iterator[None]:
    """Do so for a while. What is inside may change sys.path as it likes; then it is what it was."""
    before = list(sys.path)
    begin_with(folder)
    try:
        yield
    finally:
        sys.path[:] = before
