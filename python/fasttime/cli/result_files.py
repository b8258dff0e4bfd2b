# SPDX-License-Identifier: BSD-3-Clause
"""Results in files that the command line names."""

from __future__ import annotations

from pathlib import Path

from .. import loading
from .arguments import similar_files
from .output import Failure


def load_result(path: Path) -> loading.Loaded:
    """Read a saved result; raise Failure if the file holds none."""
    if path.is_dir():
        raise Failure(f"{path} is a folder; name a file in it")
    if not path.exists():
        raise Failure(f"there is no file {path}{similar_files(path)}")
    try:
        return loading.load(path)
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # its message names the file
        raise Failure(str(error)) from error
