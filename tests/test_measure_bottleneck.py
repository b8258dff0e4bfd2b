# SPDX-License-Identifier: BSD-3-Clause
"""Host or device: the judgement, on made-up times."""

from __future__ import annotations

import math

import pytest

from fasttime.measuring.bottleneck import judge, work_was_waiting

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
        (1 * MS, -1e-9, "host-bound", math.inf),  # a floor a little too large
        (0.0, 1 * MS, "device-bound", math.inf),
    ],
)
def test_with_work_waiting_the_longer_time_decides(
    host: float, device: float, bound: str, headroom: float
) -> None:
    found = judge(host, device, device_was_busy=True, backlog=0.0)
    assert (found.bound, found.headroom) == (bound, pytest.approx(headroom))


@pytest.mark.parametrize(
    ("backlog", "device", "bound"),
    [
        (0.0, 100 * US, "host-bound"),
        (20 * US, 100 * US, "host-bound"),  # launch latency
        (21 * US, 100 * US, "unclear"),
        (5 * MS, 100 * MS, "host-bound"),
        (5.1 * MS, 100 * MS, "unclear"),
    ],
)
def test_without_it_only_an_idle_device_says_something(
    backlog: float, device: float, bound: str
) -> None:
    found = judge(device, device, device_was_busy=False, backlog=backlog)
    assert (found.bound, found.headroom) == (bound, None)


@pytest.mark.parametrize(
    ("host", "device", "busy", "text"),
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
            "host-bound: the device had nothing left to do when the host was through (1.000 ms to "
            "issue, 1.000 ms on the device, its waits for the host included); hold=True tells how "
            "fast the device could go",
        ),
    ],
)
def test_a_bottleneck_prints_as_a_sentence_with_its_figures(
    host: float, device: float, busy: bool, text: str
) -> None:
    assert str(judge(host, device, device_was_busy=busy, backlog=0.0)) == text


def test_what_is_too_close_without_a_hold_says_so() -> None:
    found = judge(MS, MS, device_was_busy=False, backlog=MS)
    assert found.reason == (
        "too close to call without holding the stream (1.000 ms to issue, 1.000 ms on the device)"
    )


@pytest.mark.parametrize(
    ("run_time", "backlog", "duration", "waiting"),
    [
        (MS, 5.1 * MS, 100 * MS, True),  # a twentieth of the loop
        (MS, 4.9 * MS, 100 * MS, False),
        (MS, 10.1 * MS, 1000 * MS, True),  # ten runs, as the launch queue bounds what is left
        (MS, 9.9 * MS, 1000 * MS, False),
        (US, 49 * US, 200 * US, False),  # the host hears of the end so late in any case
        (US, 51 * US, 200 * US, True),
        (0.0, 0.0, 0.0, False),
    ],
)
def test_work_was_waiting_where_the_device_was_behind_by_more_than_chance(
    run_time: float, backlog: float, duration: float, waiting: bool
) -> None:
    assert work_was_waiting(run_time, backlog, duration) is waiting
