# SPDX-License-Identifier: BSD-3-Clause
"""The report of steps: its columns, and the sentence that says what limits the step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_modules import MIXED, NEAR, step_records, training_steps

import fasttime
from fasttime import StepReport, TimingWarning
from fasttime.documents import Fields
from fasttime.modules.records import PARTS


def steps(
    parts: dict[str, tuple[float, float | None]],
    near: tuple[str, ...] = (),
    mixed: tuple[str, ...] = (),
    **others: object,
) -> StepReport:
    """Return steps with these host and device times in ms; some parts are host-bound or unclear."""
    checks = {**dict.fromkeys(near, NEAR), **dict.fromkeys(mixed, MIXED)}
    return StepReport(step_records(parts, checks, **others))


# --- columns ---


def test_both_columns_add_up_to_the_step() -> None:
    report = training_steps()
    assert report.device is not None
    assert sum(row.host.total for row in report) == pytest.approx(report.host.total)
    assert sum(row.device.total for row in report if row.device) == pytest.approx(
        report.device.total
    )
    assert sum(row.host_share for row in report) == pytest.approx(1)
    assert sum(row.device_share or 0 for row in report) == pytest.approx(1)


def test_parts_come_in_the_order_of_a_step() -> None:
    report = training_steps()
    assert tuple(row.name for row in report) == PARTS
    assert report["backward"].host.mean == pytest.approx(6e-3)
    assert report["backward"].device_share == pytest.approx(0.525)
    assert report.count == 10
    with pytest.raises(KeyError, match=r"no part 'scheduler'; a step has data wait, forward, "):
        report["scheduler"]


def test_without_device_times_there_is_one_column() -> None:
    report = steps({"forward": (3.0, None), "backward": (5.0, None)})
    assert report.device is None
    assert report["forward"].device is None
    assert report["forward"].device_share is None
    assert report["forward"].bottleneck is None
    assert "device  " not in str(report)


# --- what limits the step ---


def test_the_device_limits() -> None:
    report = training_steps()
    assert report.limit.limit == "device"
    assert report.limit.certainty == "clear"
    assert report.limit.shares == pytest.approx(
        {"data": 0.025, "gradients": 0, "host": 0.025, "device": 0.95}
    )
    assert report.conclusion == (
        "The device limits the step, clearly: for 95% of the step of 40.00 ms the host is ahead "
        "and the device is busy, most of all in backward (10 steps)."
    )


def test_few_steps_are_never_clear() -> None:
    report = training_steps(steps=3)
    assert report.limit.certainty == "likely"
    assert "limits the step, probably: " in report.conclusion
    assert report.conclusion.endswith("(only 3 steps).")


def test_the_host_limits() -> None:
    parts = {"forward": (8.0, 8.0), "backward": (9.0, 9.0), "optimizer": (3.0, 3.0)}
    report = steps(parts, near=("forward", "backward", "optimizer"))
    assert report.limit.limit == "host"
    assert report.conclusion == (
        "The host limits the step, clearly: for 100% of the step of 20.00 ms the device waits for "
        "the host, most of all in backward (10 steps)."
    )


def test_waiting_for_data_limits() -> None:
    parts = {"data wait": (30.0, 0.0), "forward": (1.0, 5.0), "idle device": (0.0, 28.0)}
    report = steps(parts)
    assert report.limit.limit == "data"
    assert report.conclusion == (
        "Waiting for data limits the step, clearly: it takes 85% of the step of 33.00 ms "
        "(10 steps)."
    )


def test_idle_time_beyond_the_data_wait_is_the_host_s() -> None:
    parts = {"data wait": (10.0, 0.0), "forward": (1.0, 5.0), "idle device": (0.0, 40.0)}
    assert steps(parts).limit.shares == pytest.approx(
        {"data": 10 / 45, "gradients": 0, "host": 30 / 45, "device": 5 / 45}
    )


def test_a_data_wait_with_a_busy_device_is_no_limit() -> None:
    parts = {"data wait": (30.0, 0.0), "forward": (1.0, 38.0), "idle device": (0.0, 2.0)}
    assert steps(parts).limit.limit == "device"


def test_waiting_for_gradients_limits() -> None:
    parts = {"forward": (1.0, 4.0), "backward": (1.0, 6.0), "gradient wait": (50.0, 50.0)}
    report = steps(parts)
    assert report.limit.limit == "gradients"
    assert "fasttime.gather() finds the slow rank" in report.conclusion


def test_an_unclear_step_says_so() -> None:
    parts = {"forward": (4.0, 4.0), "backward": (4.0, 4.0), "optimizer": (4.0, 4.0)}
    report = steps(parts, near=("forward",), mixed=("optimizer",))
    assert (report.limit.limit, report.limit.certainty) == ("none", "unclear")
    assert report.conclusion == (
        "Nothing limits the step alone; the step of 12.00 ms divides into host 33%, device 33%, "
        "unclear 33%."
    )


@pytest.mark.parametrize(
    ("parts", "limit", "words"),
    [
        (
            {"data wait": (9.0, None), "forward": (1.0, None)},
            "data",
            "Waiting for data limits the step, probably: by host times alone, it takes 90% of the "
            "step of 10.00 ms (10 steps without device times).",
        ),
        (
            {"forward": (2.0, None), "backward": (7.0, None), "data wait": (1.0, None)},
            "host",
            "probably: by host times alone, backward takes longest, 70% of the step of 10.00 ms",
        ),
        ({"gradient wait": (9.0, None), "backward": (1.0, None)}, "gradients", "gather() finds"),
    ],
)
def test_without_a_device_the_host_s_time_divides(
    parts: dict[str, tuple[float, float | None]], limit: str, words: str
) -> None:
    report = steps(parts)
    assert report.limit.limit == limit
    assert words in report.conclusion


def test_no_step_has_no_limit() -> None:
    report = steps({}, steps=0)
    assert report.conclusion == "No step has ended yet, so nothing limits it."
    assert "0 steps" in str(report)


# --- warnings and output ---


def test_pending_parts_are_warned_of_once() -> None:
    assert [warning.kind for warning in training_steps(pending=4).warnings] == ["pending"]
    own = TimingWarning("pending", "Four.")
    assert training_steps(pending=4, warnings=(own,)).warnings == (own,)


def test_the_report_is_printed() -> None:
    printed = str(training_steps()).splitlines()
    assert printed[:-2] == [
        "10 steps: mean time per step",
        "part             host   share    device   share  bottleneck",
        "data wait    1.000 ms    2.5%       0 s    0.0%  device-bound",
        "forward      4.000 ms   10.0%  12.00 ms   30.0%  device-bound",
        "loss         500.0 µs    1.2%  500.0 µs    1.2%  device-bound",
        "backward     6.000 ms   15.0%  21.00 ms   52.5%  device-bound",
        "optimizer    2.000 ms    5.0%  4.000 ms   10.0%  device-bound",
        "other        26.50 ms   66.2%  500.0 µs    1.2%  device-bound",
        "idle device       0 s    0.0%  2.000 ms    5.0%  device-bound",
        "step         40.00 ms  100.0%  40.00 ms  100.0%  -",
    ]
    assert " ".join(printed[-2:]) == training_steps().conclusion


def test_a_frame_ends_with_the_step() -> None:
    pytest.importorskip("pandas")
    frame = training_steps().to_pandas()
    assert list(frame["part"]) == [*PARTS, "step"]
    assert frame["device"].iloc[-1] == pytest.approx(0.04)


@pytest.mark.parametrize(
    "report",
    [training_steps(), training_steps(steps=0), steps({"forward": (3.0, None)})],
    ids=["device", "no steps", "host"],
)
def test_a_saved_report_is_loaded(report: StepReport, tmp_path: Path) -> None:
    report.save(tmp_path / "steps.json")
    loaded = fasttime.load(tmp_path / "steps.json")
    assert isinstance(loaded, StepReport)
    assert loaded.to_dict() == report.to_dict()
    assert loaded.records == report.records


def test_a_damaged_report_is_refused() -> None:
    content = json.loads(json.dumps(training_steps().to_dict()))
    content["parts"][0]["name"] = "lunch"
    with pytest.raises(ValueError, match=r"parts\[0\].name should be one of data wait"):
        StepReport._from_fields(Fields(content))
