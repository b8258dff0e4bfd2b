# SPDX-License-Identifier: BSD-3-Clause
"""Whether a callable takes the arguments with which fasttime will call it."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch


def refusal(function: Callable[..., object], /, *args: object, **kwargs: object) -> str:
    """Return why a call with these arguments would fail, or an empty string. Call nothing.

    Without a signature, as for some builtins, the answer is an empty string.
    """
    # The call of a torch module takes anything and passes it to `forward`.
    takes = function.forward if isinstance(function, torch.nn.Module) else function
    try:
        # A decorator may pass arguments of its own, so what it wraps may take others.
        inspect.signature(takes, follow_wrapped=False).bind(*args, **kwargs)
    except TypeError as error:
        return str(error)
    except (ValueError, NameError):  # no signature; Python 3.14: an annotation that is not imported
        pass
    return ""
