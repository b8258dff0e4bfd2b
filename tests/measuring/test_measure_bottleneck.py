# SPDX-License-Identifier: BSD-3-Clause
"""Host or device: the bottleneck of made-up times."""

from __future__ import annotations

import math

import pytest

from fasttime.measuring.bottleneck import judge

US, MS = 1e-6, 1e-3


@pytest.mark.parametrize(
    ("host", "device", "bound", "headroom"),
    [
        (100 * US, 20 * US, "host-bound", 5.0),
        (20 * US, 100 * US, "device-bound", 5.0),
        (1.11 * MS, 1 * MS, "host-bound", 1.11),
        (1.09 * MS, 1 * MS, "unclear", 1.09),
        (1 * MS, 1 * MS, "unclear", 1.0),
        (1 * MS, 1.09 * MS, "unclear", 1 / 1.09),
        (1 * MS, 1.11 * MS, "device-bound", 1.11),
        (1 * MS, 0.0, "host-bound", math.inf),
        (1 * MS, -1e-9, "host-bound", math.inf),  # an overhead a little too large
        (0.0, 1 * MS, "device-bound", math.inf),
    ],
)
def test_with_work_waiting_the_longer_time_decides(
    host: float, device: float, bound: str, headroom: float
) -> None:
    found = judge(host, device, work_was_waiting=True)
    assert (found.bound, found.headroom) == (bound, pytest.approx(headroom))


@pytest.mark.parametrize(("waiting", "bound"), [(False, "host-bound"), (None, "unclear")])
def test_without_it_only_an_idle_device_decides(waiting: bool | None, bound: str) -> None:
    found = judge(1 * MS, 1 * MS, work_was_waiting=waiting)
    assert (found.bound, found.headroom) == (bound, None)


@pytest.mark.parametrize(
    ("host", "device", "waiting", "text"),
    [
        (
            100 * US,
            20 * US,
            True,
            "host-bound: the device could go 5.0 times faster (100.0 µs to issue, 20.00 µs on the "
            "device)",
        ),
        (
            10 * US,
            MS,
            True,
            "device-bound: the host could issue 100.0 times faster (10.00 µs to issue, 1.000 ms on "
            "the device)",
        ),
        (MS, MS, True, "unclear: too close to call (1.000 ms to issue, 1.000 ms on the device)"),
        (
            MS,
            0.0,
            True,
            "host-bound: the device could go any number of times faster (1.000 ms to issue, 0 s on "
            "the device)",
        ),
        (
            MS,
            MS,
            False,
            "host-bound: the device was idle by the time the host had issued the last run (1.000 "
            "ms to issue, 1.000 ms on the device, waits for the host included); only hold=True "
            "shows how fast the device could go",
        ),
        (
            MS,
            MS,
            None,
            "unclear: only hold=True shows whether the device waited for the host (1.000 ms to "
            "issue, 1.000 ms on the device, any such waits included)",
        ),
    ],
)
def test_a_bottleneck_prints_with_its_figures(
    host: float, device: float, waiting: bool | None, text: str
) -> None:
    assert str(judge(host, device, work_was_waiting=waiting)) == text
