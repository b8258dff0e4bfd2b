# SPDX-License-Identifier: BSD-3-Clause
"""Which scopes get a backlog check, and what the checks find."""

from __future__ import annotations

import pytest
from simulated_cuda import Simulated

from fasttime import Recorder

MS = 1_000_000


def checks(recorder: Recorder, name: str) -> tuple[int, int]:
    """Return how many backlog checks a site had, and how many found the device behind."""
    [site] = [entry for entry in recorder._core.site_entries(False) if entry.name == name]
    summary = site.summary
    number = summary.backlog_near + summary.backlog_above + summary.backlog_between
    return number, summary.backlog_above


def run_steps(cuda: Simulated, steps: int, layers: int, device_ns: int) -> Recorder:
    """Time steps of many layers, with the device behind the host."""
    recorder = Recorder(share_boundaries=False)
    cuda.set_queue_limit(64)
    cuda.advance(1_000 * MS)
    for _ in range(3):  # anchors of the device's clock
        with recorder.scope("warm-up"):
            cuda.advance(200 * MS)
        recorder.report()
    for _ in range(steps):
        with recorder.scope("step"):
            for _ in range(layers):
                with recorder.scope("layer"):
                    cuda.enqueue(0, device_ns)
                    cuda.advance(1_000)
    cuda.advance(1_000 * MS)
    recorder.report(wait=True)
    return recorder


@pytest.mark.parametrize("layers", [15, 31, 200])
@pytest.mark.parametrize("device_ns", [20_000, 2 * MS])
def test_a_parent_gets_its_share_of_checks(cuda: Simulated, layers: int, device_ns: int) -> None:
    steps = 160
    number, above = checks(run_steps(cuda, steps, layers, device_ns), "step")
    assert number >= steps // 17
    assert above == number


def test_a_site_with_rare_scopes_is_checked_each_time(cuda: Simulated) -> None:
    recorder = run_steps(cuda, 10, 200, 1 * MS)  # a step takes 200 ms
    assert checks(recorder, "step") == (9, 9)  # all but the first one


def test_a_site_with_many_scopes_is_not_always_checked(cuda: Simulated) -> None:
    recorder = run_steps(cuda, 160, 100, 1_000)
    number, _ = checks(recorder, "layer")
    assert 16_000 // 17 <= number < 16_000 // 8
