# SPDX-License-Identifier: BSD-3-Clause
"""Samplers for all candidates at once, and notes on the exceptions that candidates raise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..measuring import machine
from ..measuring.batch import Sampler
from ..measuring.option_names import close_option, refuses_a_name
from ..measuring.options import Cache, Method
from ..measuring.samplers import open_sampler
from ..measuring.warnings import not_held
from ..timing_warning import TimingWarning

Calls = Mapping[str, Callable[[], object]]


class Opened(NamedTuple):
    """Open samplers.

    Attributes:
        samplers: by candidate.
        held: whether the samplers hold the stream.
        warnings: why the samplers do not hold the stream, although they should.
    """

    samplers: dict[str, Sampler]
    held: bool
    warnings: tuple[TimingWarning, ...]


def _open_sampler(
    call: Callable[[], object], *, method: Method, hold: bool, cache: Cache
) -> contextlib.AbstractContextManager[Sampler]:
    """Open a sampler. Nothing else opens one, so tests can put scripted samplers here."""
    return open_sampler(call, method=method, hold=hold, cache=cache)


@contextlib.contextmanager
def open_samplers(
    calls: Calls, *, method: Method, hold: bool | None, cache: Cache
) -> Iterator[Opened]:
    """Yield a sampler for each candidate.

    Held and free times cannot be compared. With `hold` None, the streams are held if every
    candidate can be held.
    """
    with contextlib.ExitStack() as stack:
        samplers = _open(stack, calls, method, bool(hold), cache)
        can_hold = method in ("event", "graph") and machine.cuda_is_up()
        if hold is not None or not can_hold:
            yield Opened(samplers, bool(hold), ())
            return
        try:
            held = _open(stack, calls, method, True, cache)
            for sampler in held.values():
                sampler.take(1)
            opened = Opened(held, True, ())
        except RuntimeError as error:
            # If a candidate raised this, it raises again in the first round.
            opened = Opened(samplers, False, (not_held(str(error)),))
        yield opened


def _open(
    stack: contextlib.ExitStack, calls: Calls, method: Method, hold: bool, cache: Cache
) -> dict[str, Sampler]:
    samplers = {}
    for name, call in calls.items():
        with naming(name):
            opened = _open_sampler(call, method=method, hold=hold, cache=cache)
            samplers[name] = stack.enter_context(opened)
    return samplers


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Add a note to an exception that names the candidate (Python 3.11 and later)."""
    try:
        yield
    except Exception as error:
        add_note(error, f"while timing candidate {name!r}")
        raise


def note_options(
    error: Exception, caller: str, given: Mapping[str, object], options: Sequence[str], help_: str
) -> None:
    """Add a note if a callable that failed got arguments that look like options.

    The note is only added after a failure, because a callable may have an argument of that name.

    Args:
        error: what the callable raised.
        caller: the function that passed the arguments on, such as ``compare``.
        given: the callable's arguments by name.
        options: names of options of other functions. Similar names count if the callable refused
            a name.
        help_: which options the caller takes.
    """
    is_refusal = refuses_a_name(error)
    names = [
        name for name in given if name in options or (is_refusal and close_option(name, options))
    ]
    if names:
        add_note(error, f"{caller}() passed {', '.join(names)} on to the callable. {help_}")


def add_note(error: Exception, note: str) -> None:
    """Add a note to an exception (Python 3.11 and later)."""
    if hasattr(error, "add_note"):
        error.add_note(note)
