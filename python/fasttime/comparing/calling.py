# SPDX-License-Identifier: BSD-3-Clause
"""The calls of candidates: with which arguments, and once before all rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..measuring.batch import nothing
from ..measuring.calls import call_once
from ..measuring.machine import Call
from ..measuring.option_names import note_near_misses, warn_of_near_misses
from ..measuring.prepared import (
    Arguments,
    Fresh,
    Setup,
    check_inputs,
    check_preparation,
    prepared,
    runs_of,
)
from ..measuring.process_state import judge_process
from ..measuring.state import State, states_changed
from ..timing_warning import TimingWarning
from .checking import Check, check_results, kept, rewinder
from .opening import naming, note_options

Inputs = Mapping[str, Arguments | Sequence[Arguments]] | Sequence[Arguments]


class Candidate(NamedTuple):
    """A callable and how to call it.

    Attributes:
        fn: the callable.
        call: what to call in each run.
        args, kwargs: what is watched for changes in place.
        has_own_arguments: whether no other candidate works on the same arguments.
    """

    fn: Callable[..., object]
    call: Call
    args: Arguments
    kwargs: Mapping[str, object]
    has_own_arguments: bool

    @property
    def has_setup(self) -> bool:
        """Whether fresh arguments are made before each run."""
        return isinstance(self.call, Fresh)


def candidates_of(
    callables: Mapping[str, Callable[..., object]],
    args: Arguments,
    kwargs: Mapping[str, object],
    setup: Setup | None,
    inputs: Inputs | None,
    method: str,
) -> dict[str, Candidate]:
    """Return the candidates with their arguments, as `fasttime.compare` describes them.

    Raises TypeError or ValueError if the arguments are incomplete or contradict each other.
    """
    if args and inputs is not None:
        raise ValueError("compare() got positional arguments and inputs=; put all into inputs")
    own = _inputs_by_name(inputs, callables) if isinstance(inputs, Mapping) else None
    found = {}
    for name, fn in callables.items():
        given: object = inputs if own is None else own[name]
        listed = None if given is None or isinstance(given, tuple) else check_inputs(given)
        own_args = given if isinstance(given, tuple) else args
        check_preparation("compare", setup, listed, method=method)
        found[name] = Candidate(
            fn,
            prepared(fn, own_args, kwargs, setup, listed),
            own_args if listed is None else (),
            kwargs if listed is None else {"inputs": listed, **kwargs},
            own is not None or setup is not None,
        )
    return found


def _inputs_by_name(
    inputs: Mapping[str, object], callables: Mapping[str, object]
) -> Mapping[str, object]:
    missing = [name for name in callables if name not in inputs]
    unknown = [name for name in inputs if name not in callables]
    if missing or unknown:
        wrong = f"has none for {missing!r}" if missing else f"names unknown {unknown!r}"
        raise ValueError(
            f"inputs must have the arguments of each of {list(callables)!r}, but {wrong}"
        )
    return inputs


def call_each_once(
    candidates: Mapping[str, Candidate],
    kwargs: Mapping[str, object],
    check: Check | None,
    own_options: Sequence[str],
    options: Sequence[str],
    help_: str,
) -> tuple[TimingWarning, ...]:
    """Do the one-off work of each candidate. Return the warnings that hold for all candidates.

    Args:
        candidates: by name, the baseline first.
        kwargs: the keyword arguments of every candidate.
        check: compares the results with the baseline's; None to do without. If all candidates
            return None, their arguments are compared instead.
        own_options: the names of the options of `compare`.
        options: names of options that `compare` does not have, for a note on a TypeError.
        help_: which options it has.

    Raises what a candidate raises, and AssertionError or RuntimeError like `check_results`.
    """
    changes = {}
    results: dict[str, object] = {}
    arguments: dict[str, object] = {}
    rewind = nothing if check is None else rewinder()
    for name, candidate in candidates.items():
        rewind()
        state = State(candidate.fn, candidate.args, candidate.kwargs)
        with naming(name):
            call: Any = next(runs_of(candidate.call, 1))
            try:
                result = call_once(call)
            except TypeError as error:
                note_options(error, "compare", kwargs, options, help_)
                note_near_misses("compare", error, kwargs, own_options)
                raise
        if check is not None:
            results[name] = kept(result)
            if result is None:
                arguments[name] = kept(getattr(call, "args", ()))  # of a partial
        del call, result
        if changed := state.changed():
            changes[name] = changed
    if check is not None:
        check_results(check, _to_check(candidates, results, arguments))
    observed = judge_process()
    near_misses = dict.fromkeys(
        warning
        for candidate in candidates.values()
        for warning in warn_of_near_misses("compare", candidate.fn, kwargs, own_options)
    )
    return (
        *near_misses,
        *([states_changed(changes)] if changes else []),
        *([observed] if observed is not None else []),
    )


def _to_check(
    candidates: Mapping[str, Candidate],
    results: Mapping[str, object],
    arguments: Mapping[str, object],
) -> Mapping[str, object]:
    if any(result is not None for result in results.values()):
        return results
    if not all(candidate.has_own_arguments for candidate in candidates.values()):
        raise ValueError(
            "check= compares what candidates return, and all of them return None; return the "
            "result, or give each candidate its own arguments with setup= or inputs="
        )
    return arguments
