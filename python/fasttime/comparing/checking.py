# SPDX-License-Identifier: BSD-3-Clause
"""Whether all candidates of a comparison return the same, found out before anything is timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map

Check = Callable[[Any, Any], object]


def rewinder() -> Callable[[], None]:
    """Return a function that sets torch's random generators back to their current state.

    So every candidate can get the same random numbers. Never starts CUDA.
    """
    on_host = torch.get_rng_state()
    on_devices = (
        torch.cuda.get_rng_state_all()
        if torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        else []
    )

    def rewind() -> None:
        torch.set_rng_state(on_host)
        if on_devices:
            torch.cuda.set_rng_state_all(on_devices)

    return rewind


def kept(result: object) -> object:
    """Return a result with copies of its tensors and arrays.

    Candidates may write to the same output, and would then agree whatever they compute.
    """
    return tree_map(_copied, result)


def _copied(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def check_results(check: Check, results: Mapping[str, object]) -> None:
    """Compare each candidate's result with the first one's.

    Args:
        check: called with a candidate's result and the baseline's. Raises AssertionError or returns
            False if they differ.
        results: by candidate, the baseline first.

    Raises AssertionError if results differ, and RuntimeError if `check` raises anything else. Both
    name the candidates.
    """
    (baseline, expected), *others = results.items()
    for name, result in others:
        who = f'the results of "{name}" and "{baseline}"'
        try:
            answer = check(result, expected)
        except AssertionError as error:
            raise AssertionError(f"{who} differ, so nothing was timed: {error}") from error
        except Exception as error:
            raise RuntimeError(
                f"check= failed on {who}, so nothing was timed: {type(error).__name__}: {error}"
            ) from error
        if _is_false(answer):
            raise AssertionError(f"{who} differ, so nothing was timed: check returned {answer!r}")


def _is_false(answer: object) -> bool:
    if isinstance(answer, (np.ndarray, torch.Tensor)):
        return not bool(answer.all())
    return isinstance(answer, (bool, np.bool_)) and not answer
