# SPDX-License-Identifier: BSD-3-Clause
"""Samplers for all candidates at once, all of them behind held streams or none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..measuring import machine
from ..measuring.batch import Sampler
from ..measuring.options import Cache, Method
from ..measuring.warnings import not_held
from ..timing_warning import TimingWarning

Calls = Mapping[str, Callable[[], object]]


class Opened(NamedTuple):
    """Samplers by candidate, whether they hold the stream, and a doubt where they should have."""

    samplers: dict[str, Sampler]
    held: bool
    warnings: tuple[TimingWarning, ...]


def _open_sampler(
    call: Callable[[], object], *, method: Method, hold: bool, cache: Cache
) -> contextlib.AbstractContextManager[Sampler]:
    """Open a sampler. The one place that does; tests put scripted ones here."""
    from ..measuring.samplers import open_sampler

    return open_sampler(call, method=method, hold=hold, cache=cache)


@contextlib.contextmanager
def open_samplers(
    calls: Calls, *, method: Method, hold: bool | None, cache: Cache
) -> Iterator[Opened]:
    """Yield a sampler for each candidate.

    With `hold` None the streams are held if that can be done for all candidates: held and free
    times cannot be compared, so that it is all or none.
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
            # What a candidate itself raises comes again, and then passes.
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
    """Note on an exception which candidate it came from, where Python can (3.11)."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "add_note"):
            error.add_note(f"while timing candidate {name!r}")
        raise


def note_options(
    error: Exception, given: Mapping[str, object], options: Sequence[str], mend: str
) -> None:
    """Note on what a callable raises that it was given what may have been meant for `compare`.

    Only there: a callable may well have an argument of that name. Where Python can (3.11).

    Args:
        given: by name, what the callable was given.
        options: what `compare` takes of another kind of comparison.
        mend: what it takes of this one.
    """
    names = [name for name in given if name in options]
    if names and hasattr(error, "add_note"):
        error.add_note(f"compare() passed {', '.join(names)} on to the callable; {mend}")
