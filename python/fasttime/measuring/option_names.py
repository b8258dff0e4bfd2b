# SPDX-License-Identifier: BSD-3-Clause
"""Names of options that you may have meant: notes on errors, and warnings."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

import torch

from ..timing_warning import TimingWarning

_F = TypeVar("_F", bound=Callable[..., Any])

# Names this close to an option are taken for it, by difflib's ratio. A note on an error may guess.
# A warning may not: `input_ids` is a common argument, and resembles `inputs` by 0.8.
_CLOSE = 0.75
_CLOSER = 0.82

# What triton, timeit and others call an option.
_ELSEWHERE = {
    "rep": "repeat",
    "iters": "repeat",
    "iterations": "repeat",
    "number": "calls",
    "n_warmup": "warmup",
    "args": "inputs",
}

_OF_TORCH = ("input",)  # an argument of torch's functions, not a misspelt `inputs`


def note_near_misses(
    caller: str, error: Exception, given: Iterable[str], options: Sequence[str]
) -> None:
    """Add a note to an error about a keyword argument that is nearly an option of `caller`.

    ``measure(f, repeats=5)`` passes ``repeats=5`` to ``f``, which may not know it. On Python 3.10,
    which has no notes, the error stays as it is.

    Args:
        caller: the function with the options.
        error: what the callable raised.
        given: the names of the keyword arguments that were passed to the callable.
        options: the names of the caller's options.
    """
    if not refuses_a_name(error) or not hasattr(error, "add_note"):
        return
    for name in given:
        if close := close_option(name, options):
            error.add_note(f"{caller}() passed {name}= on to the callable; did you mean {close}=?")


def refuses_a_name(error: Exception) -> bool:
    """Return whether a callable raised the error because it does not know a keyword argument."""
    return "keyword argument" in str(error) or "combination of arguments" in str(error)


def close_option(name: str, options: Sequence[str], cutoff: float = _CLOSE) -> str | None:
    """Return the option whose name resembles a given name most; None if there is none."""
    if cutoff == _CLOSE and _ELSEWHERE.get(name) in options:
        return _ELSEWHERE[name]
    close = difflib.get_close_matches(name, options, 1, cutoff=cutoff)
    return close[0] if close else None


def warn_of_near_misses(
    caller: str, fn: object, given: Iterable[str], options: Sequence[str]
) -> list[TimingWarning]:
    """Return a warning per keyword argument that is nearly an option, if `fn` takes any name.

    Such a callable refuses no name, so a misspelt option would go unnoticed.

    Args:
        caller, given, options: see `note_near_misses`.
        fn: the callable that gets the keyword arguments.
    """
    names = [name for name in given if name not in _OF_TORCH]
    if not names:
        return []
    # The call of a torch module takes anything and passes it to `forward`. A compiled module passes
    # it to the original.
    original = getattr(fn, "_orig_mod", fn)
    takes = original.forward if isinstance(original, torch.nn.Module) else fn
    try:
        parameters = inspect.signature(takes).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError, NameError):  # no signature; see signatures.refusal()
        return []
    if all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return []
    warnings = []
    for name in names:
        close = close_option(name, options, _CLOSER)
        if close and name not in parameters:
            warnings.append(
                TimingWarning(
                    "option_passed_on",
                    f"{caller}() passed {name}= on to the callable, which takes any name, so the "
                    f"option {close} has its default. If you meant {close}=, correct the name.",
                )
            )
    return warnings


def options_of(function: Callable[..., object]) -> tuple[str, ...]:
    """Return the names of a function's keyword-only parameters."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY)


def refusing_other_options(function: _F) -> _F:
    """Wrap a function so that its error about an unknown option says which option is meant."""
    known = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        for name in kwargs:
            if name not in known:
                close = close_option(name, known)
                hint = f"did you mean {close}=?" if close else f"there are {', '.join(known)}"
                raise TypeError(f"{function.__name__}() has no option {name}=; {hint}")
        return function(*args, **kwargs)

    return cast(_F, call)
