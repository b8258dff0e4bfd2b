# SPDX-License-Identifier: BSD-3-Clause
"""Whether a check passes, fails, or cannot decide."""

from __future__ import annotations

import argparse
from typing import Literal, NamedTuple

from ..cli.arguments import fraction
from ..comparing.saved import SavedComparison
from ..comparing.verdict import Verdict
from ..measuring.arguments import is_real

_IN_PYTEST = {
    "fasttime bench TARGET --against REV --processes": (
        "pytest --fasttime-against REV --fasttime-processes"
    ),
    "fasttime bench TARGET --processes": "pytest --fasttime-processes",
}


class Outcome(NamedTuple):
    """What a check found.

    Attributes:
        word: ``passed``: a slowdown of more than the limit is ruled out. ``failed``: it is proven.
            ``undecided``: both are possible.
        text: the ratio with its interval and the limit, or why there is no ratio.
        reason: for ``undecided``, what would decide.
        one_process: whether more processes would decide.
    """

    word: Literal["passed", "failed", "undecided"]
    text: str
    reason: str = ""
    one_process: bool = False


def limit_of(fail_above: object) -> float:
    """Return the limit as a fraction.

    Args:
        fail_above: ``"5%"`` or 0.05.

    Raises ValueError and TypeError like `SavedComparison.exit_code`.
    """
    if isinstance(fail_above, str) or (is_real(fail_above) and fail_above != 0):
        try:
            return fraction(str(fail_above))
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"fail_above {error}") from None
    if not is_real(fail_above):
        raise TypeError(f"fail_above must be a number or a string such as '5%', got {fail_above!r}")
    return 0.0


def judge_saved(comparison: SavedComparison, limit: float) -> Outcome:
    """Judge a comparison with a baseline, or with another revision."""
    differences = comparison.other_machine or tuple(
        difference
        for difference in comparison.environment_differences
        if difference.field == "device"
    )
    if differences:
        return Outcome(
            "undecided",
            "not compared",
            f"the baseline comes from another machine or another torch "
            f"({'; '.join(map(str, differences))}); make one here: pytest --fasttime-update",
        )
    verdict = Verdict(comparison.verdict, comparison.ratio, comparison.interval, comparison.reason)
    return judge(verdict, limit, few_processes=not comparison.goes_by_processes)


def judge(verdict: Verdict, limit: float, *, few_processes: bool = False) -> Outcome:
    """Judge a ratio: the whole interval has to lie on one side of the limit.

    Args:
        verdict: on the new side against the old side.
        limit: how much slower the new side may be, as a fraction.
        few_processes: whether a side has fewer than three processes.
    """
    low, high = verdict.interval
    text = f"{_change(verdict)}, limit +{100 * limit:g} %"
    if low > 1 + limit and verdict.verdict == "slower":
        return Outcome("failed", text)
    if high <= 1 + limit or verdict.verdict == "same":
        return Outcome("passed", text)
    if few_processes:
        reason = f"one process cannot rule out a slowdown of {100 * limit:g} % ({_change(verdict)})"
        remedy = "measure both sides with --fasttime-processes 5"
        return Outcome("undecided", text, f"{reason}; {remedy}", one_process=True)
    reason = f"too noisy to rule out a slowdown of {100 * limit:g} % ({_change(verdict)})"
    return Outcome("undecided", text, f"{reason}; {in_pytest(verdict.reason)}")


def in_pytest(text: str) -> str:
    """Return advice with the options of this plugin in place of ``fasttime bench``."""
    for command, options in _IN_PYTEST.items():
        text = text.replace(command, options)
    return text


def _change(verdict: Verdict) -> str:
    ratio, interval, _ = verdict.cells()
    return f"{ratio} (95 %: {interval})"
