# SPDX-License-Identifier: BSD-3-Clause
"""`Measurement.save` and `fasttime.load`: nothing is lost, and damaged files are refused."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import environment, measurement
from simulated_machine import SimulatedMachine

import fasttime
from fasttime import Bottleneck, Measurement, TimingWarning
from fasttime.bottleneck import BOUNDS
from fasttime.measuring.clocks import ClockSample
from fasttime.measuring.options import Cache, EndedBy, Method
from fasttime.measuring.warnings import WarningKind
from fasttime.rates.rate import KINDS


def assert_same(one: Measurement, other: Measurement) -> None:
    for field in dataclasses.fields(Measurement):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
        elif isinstance(mine, float):
            np.testing.assert_equal(theirs, mine)
        else:
            assert mine == theirs, field.name


durations = st.floats(min_value=0.0) | st.just(math.nan)
environments = st.builds(
    environment, driver=st.none() | st.text(), cpu=st.text(), cpu_count=st.integers(1, 1 << 60)
)

amounts = st.dictionaries(
    st.sampled_from(KINDS), st.floats(0, exclude_min=True, allow_infinity=False)
)
clock_samples = st.builds(ClockSample, st.integers(0, 1 << 40), st.floats(0, 1e5))

bottlenecks = st.tuples(
    st.sampled_from(BOUNDS), st.text(), st.none() | st.floats(min_value=1.0)
).map(lambda values: Bottleneck(*values))


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    processes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    runs = sum(processes)
    is_calibrated = draw(st.booleans())
    times = st.floats() if is_calibrated else durations
    ignored = draw(st.lists(times, max_size=3))
    return Measurement(
        times=np.array(draw(st.lists(times, min_size=runs, max_size=runs))),
        warmup_times=np.array(ignored, dtype=float),
        host_times=np.array(draw(st.lists(durations, min_size=1, max_size=runs + 1))),
        loop_time=draw(durations),
        method=draw(st.sampled_from(get_args(Method))),
        label=draw(st.text()),
        device=draw(st.text()),
        warmup=len(ignored),
        repeat=len(ignored) + runs,
        warnings=tuple(
            TimingWarning(kind, draw(st.text()))
            for kind in draw(st.lists(st.sampled_from(get_args(WarningKind)), max_size=3))
        ),
        wall_time=draw(st.none() | durations.filter(lambda x: not math.isnan(x))),
        held=draw(st.booleans()),
        cache=draw(st.sampled_from(get_args(Cache))),
        event_overhead=draw(st.none() | st.floats(0, 1)),
        is_calibrated=is_calibrated,
        ended_by=draw(st.sampled_from(get_args(EndedBy))),
        processes=tuple(processes),
        environment=draw(st.none() | environments),
        bottleneck=draw(st.none() | bottlenecks),
        calls=draw(st.integers(1, 1000)),
        has_setup=draw(st.booleans()),
        work=draw(amounts),
        peaks=draw(amounts),
        clocks=tuple(draw(st.lists(clock_samples, max_size=3))),
    )


@settings(max_examples=60)
@given(measurements())
def test_loading_returns_what_was_saved(
    tmp_path_factory: pytest.TempPathFactory, found: Measurement
) -> None:
    path = tmp_path_factory.getbasetemp() / "saved.json"
    found.save(path)
    again = fasttime.load(path)
    assert isinstance(again, Measurement)
    assert_same(found, again)


# --- the file ---


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    measurement([1.0], loop_time=math.nan, host_times=[math.inf]).save(str(path))

    def refuse(name: str) -> None:
        raise AssertionError(name)

    document = json.loads(path.read_text(encoding="ascii"), parse_constant=refuse)
    assert (document["format"], document["version"]) == ("fasttime measurement", 1)
    assert (document["loop_time"], document["host_times"]) == ("nan", ["inf"])


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    measurement([1.0]).save(path)
    measurement([2.0]).save(path)
    loaded = fasttime.load(path)
    assert isinstance(loaded, Measurement)
    assert loaded.times.tolist() == [2.0]
    assert os.listdir(tmp_path) == ["a.json"]


def test_the_file_has_the_usual_permissions(tmp_path: Path) -> None:
    measurement([1.0]).save(tmp_path / "a.json")
    (tmp_path / "other").write_text("")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_the_target_of_a_link_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "target.json")
    measurement([1.0]).save(link)
    assert link.is_symlink()
    assert (tmp_path / "target.json").exists()


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    measurement([1.0]).save(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        measurement([2.0]).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_name_with_another_suffix_raises(tmp_path: Path) -> None:
    message = "names its format, one of .json, .html, .md, .csv, .txt; got "
    with pytest.raises(ValueError, match=f"{re.escape(message)}.*run.v2' with the suffix '.v2'$"):
        measurement([1.0]).save(tmp_path / "run.v2")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["m", "m.json", "M.JSON", ".m"])
def test_json_or_no_suffix_is_accepted(tmp_path: Path, name: str) -> None:
    measurement([1.0]).save(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_fewer_host_times_than_times_are_saved(simulated: SimulatedMachine, tmp_path: Path) -> None:
    found = fasttime.measure(simulated.work, 10_000, 1_000_000)
    assert len(found.host_times) < len(found)
    found.save(tmp_path / "a.json")
    again = fasttime.load(tmp_path / "a.json")
    assert isinstance(again, Measurement)
    assert_same(found, again)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loop_time": -1.0}, r"^loop_time is -1.0, but a duration cannot be negative$"),
        ({"host_times": []}, r"^host_times is empty$"),
        ({"processes": (3,)}, r"^there are 2 times, but processes=\(3,\) adds up to 3$"),
        ({"warmup": 5}, r"^there are 0 warmup_times, but warmup is 5$"),
        ({"repeat": 7}, r"^there are 0 warmup_times and 2 times, but repeat is 7$"),
    ],
)
def test_impossible_numbers_are_not_saved(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measurement([1.0, 2.0], **changes).save(tmp_path / "a.json")
    assert os.listdir(tmp_path) == []


# --- damaged files ---


def write(path: Path, **changes: Any) -> Path:
    """Save a measurement with some fields changed. A field changed to ... is left out."""
    target = path / "a.json"
    measurement([1.0, 2.0], warnings=(TimingWarning("cpu", "so"),), environment=environment()).save(
        target
    )
    document = {**json.loads(target.read_text()), **changes}
    target.write_text(json.dumps({k: v for k, v in document.items() if v is not ...}))
    return target


def test_a_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fasttime.load(tmp_path / "a.json")


@pytest.mark.parametrize("length", [0, 1, 50, 200, -2])
def test_a_truncated_file_raises(tmp_path: Path, length: int) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    message = r"a\.json is not JSON, or was cut short \(.*\); save the result again$"
    with pytest.raises(ValueError, match=message):
        fasttime.load(path)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"{'a': 1}", b'{"times": [NaN]}', b"[" * 100_000, b"9" * 5000]
)
def test_a_file_without_json_raises(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"b\.json (is not JSON|was not saved)"):
        fasttime.load(path)


@pytest.mark.parametrize("content", ["[]", "1", "{}", '{"format": "other"}', '{"format": []}'])
def test_a_foreign_file_raises(tmp_path: Path, content: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"b\.json was not saved by fasttime: its format is "):
        fasttime.load(path)


@pytest.mark.parametrize("version", [2, 0, "1", None, True, ...])
def test_a_file_of_another_version_raises(tmp_path: Path, version: Any) -> None:
    path = write(tmp_path, version=version)
    message = r"a\.json has version .* of the format .*, but this fasttime reads version 1; load it"
    with pytest.raises(ValueError, match=message):
        fasttime.load(path)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("times", ..., "times is missing"),
        ("times", 1.0, "times should be a list, not 1.0"),
        ("times", [1.0, "2"], "times[1] should be a number, not '2'"),
        ("times", [1.0, True], "times[1] should be a number, not True"),
        ("times", [1.0, 10**400], "times[1] should be a number, not 1000"),
        ("times", [], "times is empty"),
        ("times", [1.0, -2.0], "times[1] is -2.0, but a duration cannot be negative"),
        ("host_times", [], "host_times is empty"),
        ("host_times", [1.0, -1.0], "host_times[1] is -1.0"),
        ("loop_time", None, "loop_time should be a number, not None"),
        ("wall_time", -0.5, "wall_time is -0.5"),
        ("method", "events", "method should be one of naive, sync, event, graph, not 'events'"),
        ("method", [], "method should be one of"),
        ("cache", 1, "cache should be one of warm, cold, not 1"),
        ("label", 3, "label should be a string, not 3"),
        ("held", 0, "held should be true or false, not 0"),
        ("warmup", 5, "there are 0 warmup_times, but warmup is 5"),
        ("warmup_times", [1.0], "there are 1 warmup_times, but warmup is 0"),
        ("repeat", 10**400, "there are 0 warmup_times and 2 times, but repeat is 1000"),
        ("warmup", -1, "warmup should be a whole number of at least 0, not -1"),
        ("repeat", 2.0, "repeat should be a whole number of at least 0, not 2.0"),
        ("processes", [2, 0], "processes[1] should be at least one run, not 0"),
        ("processes", [1], "processes=(1,) adds up to 1"),
        ("warnings", ["cpu"], "warnings[0] should be an object, not 'cpu'"),
        ("warnings", [{"kind": "cpu"}], "warnings[0].message is missing"),
        ("environment", "here", "environment should be an object, not 'here'"),
        ("environment", {}, "environment.date is missing"),
        (
            "bottleneck",
            {"bound": "us"},
            "bottleneck.bound should be one of host-bound, device-bound",
        ),
    ],
)
def test_a_damaged_field_is_named(tmp_path: Path, name: str, value: Any, complaint: str) -> None:
    path = write(tmp_path, **{name: value})
    with pytest.raises(ValueError, match=r"a\.json is damaged or was edited: ") as caught:
        fasttime.load(path)
    assert complaint in str(caught.value)
    assert str(caught.value).endswith("; save the result again")


def test_a_calibrated_time_may_be_negative(tmp_path: Path) -> None:
    found = measurement([1e-6, -32e-9], host_times=[0, 0], is_calibrated=True)
    found.save(tmp_path / "a.json")
    assert_same(found, fasttime.load(tmp_path / "a.json"))  # type: ignore[arg-type]


def test_unknown_environment_fields_are_ignored(tmp_path: Path) -> None:
    path = write(tmp_path)
    document = json.loads(path.read_text())
    document["environment"]["moon_phase"] = "full"
    path.write_text(json.dumps(document))
    loaded = fasttime.load(path)
    assert isinstance(loaded, Measurement)
    assert loaded.environment == environment()
