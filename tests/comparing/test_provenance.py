# SPDX-License-Identifier: BSD-3-Clause
"""`compare_saved` and the origins of processes: blocks, pairs that took turns, other machines."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import environment, measurement, origin

import fasttime
from fasttime import Measurement, SavedComparison, compare_saved


def side(medians: list[float], times: list[float], start: int = 1, **changes: Any) -> Measurement:
    """Return ten runs per process, within 0.1 % of its median, made at these times."""
    runs = np.concatenate([median * np.linspace(0.999, 1.001, 10) for median in medians])
    origins = tuple(origin(start + int(time), time) for time in times)
    return measurement(runs, processes=(10,) * len(medians), origins=origins, **changes)


def kinds(found: SavedComparison) -> list[str]:
    return [w.kind for w in found.warnings if w.kind != "environment_unknown"]


# --- pairs and blocks ---

# A drift of 2 % from pair to pair, far more than the difference of 1.5 %.
DRIFT = [1.02**pair for pair in range(8)]
SLOWER = [1.015 * median * (1 + 1e-4 * (-1) ** pair) for pair, median in enumerate(DRIFT)]
EVEN, ODD = [2.0 * pair for pair in range(8)], [2.0 * pair + 1 for pair in range(8)]


def test_pairs_that_took_turns_see_through_a_drift() -> None:
    found = compare_saved(side(DRIFT, EVEN), side(SLOWER, ODD))
    assert found.goes_by_pairs
    assert (found.verdict, found.reason) == (
        "slower",
        "Based on 8 pairs of processes that took turns.",
    )
    assert found.ratio == pytest.approx(1.015, rel=1e-4)
    assert kinds(found) == []


def test_either_side_of_a_pair_may_go_first() -> None:
    swapped = [time if pair % 3 else time + 1.5 for pair, time in enumerate(EVEN)]
    assert compare_saved(side(DRIFT, swapped), side(SLOWER, ODD)).goes_by_pairs


def test_pairs_survive_a_file(tmp_path: Path) -> None:
    compare_saved(side(DRIFT, EVEN), side(SLOWER, ODD)).save(tmp_path / "c.json")
    again = fasttime.load(tmp_path / "c.json")
    assert isinstance(again, SavedComparison)
    assert (again.goes_by_pairs, again.verdict) == (True, "slower")


def test_blocks_bring_a_warning_and_the_remedy() -> None:
    late = [100.0 + time for time in ODD]
    found = compare_saved(side(DRIFT, EVEN), side(SLOWER, late))
    assert not found.goes_by_pairs
    assert found.verdict == "can't tell"
    assert kinds(found) == ["measured_in_blocks"]
    assert found.warnings[0].message == (
        "The two sides were measured in 2 blocks, so a change of the machine from block to block "
        "looks like a difference. Measure both sides in turns: fasttime bench TARGET --against REV "
        "--processes 10"
    )
    assert "warning (measured_in_blocks)" in str(found)


def test_a_restart_between_blocks_is_mentioned() -> None:
    old = side([1.0, 1.1, 1.2], [0, 1, 2])
    new = measurement(
        [1.0] * 3, processes=(1,) * 3, origins=[origin(n, 50 + n, boot="next") for n in (1, 2, 3)]
    )
    (warning,) = [w for w in compare_saved(old, new).warnings if w.kind == "measured_in_blocks"]
    assert "in 2 blocks, with a restart of the machine in between, so" in warning.message


@pytest.mark.parametrize(
    ("old", "new", "has_blocks"),
    [
        ([0, 3, 4, 7], [1, 2, 5, 6], False),  # in turns, though too few to be judged in pairs
        ([0, 1, 4, 5], [2, 3, 6, 7], True),
        ([0, 1], [2, 3], False),  # too few processes are judged with the allowance
    ],
)
def test_blocks_are_long_runs_of_one_side(
    old: list[float], new: list[float], has_blocks: bool
) -> None:
    found = compare_saved(side([1.0] * len(old), old), side([1.0] * len(new), new))
    assert (kinds(found) == ["measured_in_blocks"]) is has_blocks
    assert not found.goes_by_pairs


def test_unknown_times_tell_of_no_blocks() -> None:
    old = measurement([1.0] * 6, processes=(2,) * 3)
    assert kinds(compare_saved(old, old)) == []


def test_too_few_pairs_say_how_many_would_decide() -> None:
    medians = [1.0, 1.08, 1.0, 1.08, 1.0, 1.08, 1.0, 1.08]
    found = compare_saved(side([1.0] * 8, EVEN), side(medians, ODD))
    assert found.verdict == "can't tell"
    assert found.reason.startswith("8 pairs of processes vary too much to decide. About ")
    assert "pairs would decide: fasttime bench TARGET --against REV --processes " in found.reason


# --- another machine, another torch ---


@pytest.mark.parametrize(
    "field", ["torch", "cuda", "cpu", "cpu_count", "gpu", "compute_capability"]
)
def test_another_machine_proves_no_regression(field: str) -> None:
    old = side([1.0] * 3, [0, 2, 4], environment=environment())
    value = 8 if field == "cpu_count" else "another"
    new = side([2.0] * 3, [1, 3, 5], environment=environment(**{field: value}))
    found = compare_saved(old, new)
    assert [difference.field for difference in found.other_machine] == [field]
    assert (found.verdict, found.exit_code(0.05)) == ("slower", 4)
    assert found.exit_code(0.05, allow_other_machine=True) == 1
    assert "other_machine" in kinds(found)


def test_another_driver_is_still_the_same_machine() -> None:
    old = side([1.0] * 3, [0, 2, 4], environment=environment())
    new = side([2.0] * 3, [1, 3, 5], environment=environment(driver="another", python="3.99"))
    found = compare_saved(old, new)
    assert (found.other_machine, found.exit_code(0.05)) == ((), 1)


@pytest.mark.parametrize(
    ("change", "is_other"),
    [
        ({"machine": "another", "boot": "another"}, True),
        ({"machine": "another"}, False),  # another container, but the same boot
        ({"boot": "another"}, False),
        ({"machine": None, "boot": "another"}, False),
    ],
)
def test_equal_machines_are_told_apart(change: dict[str, Any], is_other: bool) -> None:
    old = measurement([1.0] * 9, origins=(origin(1),))
    new = measurement([2.0] * 9, origins=(origin(2, **change),))
    assert bool(compare_saved(old, new).other_machine) is is_other


# --- the event overhead ---


def test_sides_with_and_without_calibration_are_compared() -> None:
    raw = [1.5] * 9
    old = measurement([1.0] * 9, is_calibrated=True, event_overhead=0.5)
    found = compare_saved(old, measurement(raw, event_overhead=0.5))
    assert (found.ratio, found.old.median) == (1.0, 1.0)
    assert kinds(found) == ["mixed_calibration"]
    assert "old  1.500 s" in str(found)
    assert math.isclose(compare_saved(old, old).ratio, 1.0)


def test_a_hold_on_one_side_needs_calibration() -> None:
    held = measurement([1.0] * 9, held=True, is_calibrated=True, event_overhead=0.5)
    busy = measurement([2.0] * 9, is_calibrated=True, event_overhead=0.5)
    assert compare_saved(held, busy).ratio == 2.0
    with pytest.raises(ValueError, match="held=True and the new one has held=False"):
        compare_saved(held, measurement([2.0] * 9))


# --- in files ---


def test_origins_are_saved(tmp_path: Path) -> None:
    kept = side([1.0, 2.0], [0.5, 7.5], start=40)
    kept.save(tmp_path / "m.json")
    again = fasttime.load(tmp_path / "m.json")
    assert isinstance(again, Measurement)
    assert again.origins == kept.origins
    assert [made.time for made in again.origins] == [0.5, 7.5]


def test_an_origin_per_process_is_needed(tmp_path: Path) -> None:
    odd = measurement([1.0, 2.0], processes=(1, 1), origins=(origin(1),))
    with pytest.raises(ValueError, match="there are 2 processes, but 1 origins"):
        odd.save(tmp_path / "m.json")
