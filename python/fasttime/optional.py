# SPDX-License-Identifier: BSD-3-Clause
"""Import libraries that only one part of fasttime needs."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, user: str, extra: str) -> Any:
    """Import and return a module. Raises ImportError with the command that installs it.

    Args:
        module: the module's full name.
        user: the part of fasttime that needs it, for the message.
        extra: the extra of fasttime that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ImportError(
            f"{user} needs {name}: pip install 'fasttime[{extra}]' ({error})"
        ) from None
