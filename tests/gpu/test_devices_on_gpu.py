# SPDX-License-Identifier: BSD-3-Clause
"""Scopes on two devices. Each scope is timed on the device and stream on which it began."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest
import torch
from latch import Latch, host_must_not_wait_for, long_work

import fasttime
from fasttime import _C, Recorder

pytestmark = pytest.mark.gpu

# A device and one of its streams: "null" is torch's default stream, "own" a new stream.
Place = tuple[int, str]
PLACES: tuple[Place, ...] = ((0, "null"), (1, "own"), (0, "own"), (1, "null"))


@pytest.fixture(autouse=True)
def two_devices() -> Iterator[None]:
    """Skip without two devices, or fail if FASTTIME_REQUIRE_CUDA_DEVICES asks for two."""
    found = torch.cuda.device_count()
    if found < 2:
        if int(os.environ.get("FASTTIME_REQUIRE_CUDA_DEVICES", "0")) >= 2:
            pytest.fail(f"FASTTIME_REQUIRE_CUDA_DEVICES is set, but torch finds {found}")
        pytest.skip("needs two CUDA devices")
    for device in range(2):  # the first use of a device must not fall into a scope
        with torch.cuda.device(device):
            long_work()
            torch.cuda.synchronize()
    yield
    assert current_device() == 0
    for device in range(2):
        torch.cuda.synchronize(device)


@pytest.fixture
def streams() -> dict[Place, torch.cuda.Stream]:
    made = {}
    for device, kind in PLACES:
        stream = torch.cuda.Stream(device=device)
        made[device, kind] = torch.cuda.default_stream(device) if kind == "null" else stream
    return made


def current_device() -> int:
    """Return the current device. The runtime and torch must agree about it."""
    index = ctypes.c_int(-1)
    assert ctypes.CDLL(None).cudaGetDevice(ctypes.byref(index)) == 0
    assert index.value == torch.cuda.current_device()
    return index.value


def shortest(recorder: Recorder, path: str, count: int) -> float:
    recorder.report(wait=True)
    samples = recorder.samples(path)
    assert [sample.status for sample in samples] == ["ok"] * count
    return min(sample.device_time or 0.0 for sample in samples)


@pytest.mark.parametrize("begun", PLACES, ids=str)
@pytest.mark.parametrize("ended", PLACES, ids=str)
def test_a_scope_is_timed_on_its_first_stream(
    recorder: Recorder, streams: dict[Place, torch.cuda.Stream], begun: Place, ended: Place
) -> None:
    names = {"worked here": begun}
    if ended != begun:
        names["worked there"] = ended
    for name, busy in names.items():
        for _ in range(3):
            with torch.cuda.stream(streams[begun]):
                token = recorder.begin(name)
            with torch.cuda.stream(streams[busy]):
                long_work()
            with torch.cuda.stream(streams[ended]):
                assert current_device() == ended[0]
                recorder.end(token)
                assert current_device() == ended[0]
            for device in range(2):
                torch.cuda.synchronize(device)
    assert shortest(recorder, "worked here", 3) > 1e-3
    if ended != begun:
        assert shortest(recorder, "worked there", 3) < 1e-3


@pytest.mark.parametrize("busy", PLACES, ids=str)
def test_interleaved_places_are_timed_separately(
    recorder: Recorder, streams: dict[Place, torch.cuda.Stream], busy: Place
) -> None:
    for turn in range(4):
        tokens = {}
        for place in PLACES:
            with torch.cuda.stream(streams[place]):
                tokens[place] = recorder.begin(str(place))
        with torch.cuda.stream(streams[busy]):
            long_work()
        # Each scope ends while another place is current, in a new order each turn.
        for place, elsewhere in zip(PLACES[turn:] + PLACES[:turn], PLACES, strict=True):
            with torch.cuda.stream(streams[elsewhere]):
                recorder.end(tokens[place])
        for device in range(2):
            torch.cuda.synchronize(device)
    report = recorder.report(wait=True)
    seen = {
        place: [site.path for site in report.walk() if site.name == str(place)] for place in PLACES
    }
    for place, (path,) in seen.items():
        assert (shortest(recorder, path, 4) > 1e-3) == (place == busy), place


def test_the_stream_argument_reaches_other_devices(
    recorder: Recorder, streams: dict[Place, torch.cuda.Stream]
) -> None:
    for kind in ("null", "own"):
        for _ in range(3):
            with recorder.scope(f"{kind}, same", stream=streams[1, kind]):
                assert current_device() == 0
                with torch.cuda.stream(streams[1, kind]):
                    long_work()
            with recorder.scope(f"{kind}, other", stream=streams[1, kind]):
                long_work()  # on device 0
            assert current_device() == 0
            recorder.report()
            assert current_device() == 0
            torch.cuda.synchronize(0)
            torch.cuda.synchronize(1)
        assert shortest(recorder, f"{kind}, same", 3) > 1e-3
        assert shortest(recorder, f"{kind}, other", 3) < 1e-3
    assert current_device() == 0


def test_each_device_has_its_own_pool() -> None:
    def away(device: int) -> int:
        created, free = _C.event_pool(device) or (0, 0)
        return created - free

    warm = Recorder(share_boundaries=False)
    for device in range(2):
        with torch.cuda.device(device), warm.scope("warm"):
            pass
    before = [away(device) for device in range(2)]
    recorder = Recorder(share_boundaries=False)
    with torch.cuda.device(1), recorder.scope("a"):
        pass
    assert away(0) == before[0]
    assert away(1) > before[1]
    assert recorder.report(wait=True)["a"].counts["ok"] == 1
    del recorder
    assert [away(device) for device in range(2)] == before


def test_a_held_device_does_not_block_the_other(
    recorder: Recorder, streams: dict[Place, torch.cuda.Stream], latch: Latch
) -> None:
    for place in PLACES:
        with torch.cuda.stream(streams[place]), recorder.scope("warm"):
            pass
    recorder.report(wait=True, reset=True)
    with torch.cuda.device(1):
        latch.hold(streams[1, "own"])
    with host_must_not_wait_for(latch):
        with recorder.scope("held", stream=streams[1, "own"]):
            pass
        with recorder.scope("free", stream=streams[0, "own"]):
            pass
        streams[0, "own"].synchronize()
        report = recorder.report()
        assert ([site.path for site in report.sites], report.pending) == (["free"], 1)
    latch.release()
    assert recorder.report(wait=True)["held"].counts["ok"] == 1


def test_an_unused_device_has_host_time_only() -> None:
    code = """
        import torch, fasttime
        with torch.cuda.device(1):
            torch.ones(1, device="cuda:1").add_(1)
        for name in ("first on 0", "second on 0"):
            with fasttime.scope(name):
                torch.cuda._sleep(10_000_000)
        report = fasttime.report(wait=True)
        assert report["first on 0"].counts["host_only"] == 1  # its device was not started yet
        assert report["second on 0"].counts["ok"] == 1
        assert report["second on 0"].device.min > 1e-3
    """
    code = textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


# The work of a thread that never chose a device, in a process that uses cuda:1.
WORK = {
    "a block": "with fasttime.scope('a'): pass",
    "a block on a stream": "with fasttime.scope('a', stream=own): pass",
    "a block on a default stream": "with fasttime.scope('a', stream=null): pass",
    "a report": "fasttime.report(wait=True)",
    "a timeline": "with fasttime.record_timeline(): pass",
}


@pytest.mark.parametrize("work", WORK)
def test_an_unused_device_is_not_started(work: str) -> None:
    code = """
        import ctypes, threading, time, torch, fasttime

        def is_started(device):
            flags, active = ctypes.c_uint(), ctypes.c_int()
            cuda = ctypes.CDLL("libcuda.so.1")
            assert cuda.cuDevicePrimaryCtxGetState(
                device, ctypes.byref(flags), ctypes.byref(active)) == 0
            return bool(active.value)

        torch.cuda.set_device(1)
        x = torch.zeros(1000, device="cuda")
        own, null = torch.cuda.Stream(device=1), torch.cuda.default_stream(1)
        for _ in range(50):
            with fasttime.scope("step"):
                x += 1
        torch.cuda.synchronize()
        assert (is_started(0), is_started(1)) == (False, True)

        def work():
            global current
            WORK
            current = torch.cuda.current_device()

        for _ in range(3):
            time.sleep(1.1)  # so that the device's clock is read again
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            assert not is_started(0)
            assert current == 0
        report = fasttime.report(wait=True)
        assert (report.failed, report["step"].counts["ok"]) == (0, 50)
        if "a" in report:
            site = report["a"]
            on_device = "stream" in '''WORK'''
            assert site.counts["ok" if on_device else "host_only"] == 3, site.counts
    """
    code = textwrap.dedent(code).replace("WORK", WORK[work])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


# --- measure ---


def kinds(measurement: fasttime.Measurement) -> set[str]:
    return {warning.kind for warning in measurement.warnings}


def split() -> None:
    """Queue work on the current device, and longer work on device 1."""
    torch.cuda._sleep(200_000)
    with torch.cuda.device(1):
        long_work()


def far() -> None:
    with torch.cuda.device(1):
        long_work()


def test_sync_and_wall_time_cover_both_devices() -> None:
    sync = fasttime.measure(split, method="sync", warmup=2, repeat=12)
    event = fasttime.measure(split, warmup=2, repeat=12)
    assert sync.median >= 1e-3  # long_work() takes at least that
    assert event.wall_time is not None
    assert event.wall_time >= 1e-3
    assert "other_devices" in kinds(event)
    assert "other_devices" not in kinds(sync)


def test_the_remedy_times_the_other_device() -> None:
    alone = fasttime.measure(far, hold=True, warmup=2, repeat=12)
    assert "no_device_work" in kinds(alone)
    assert any("torch.cuda.device(1)" in warning.message for warning in alone.warnings)
    with torch.cuda.device(1):
        remedied = fasttime.measure(far, warmup=2, repeat=12)
    assert remedied.median >= 1e-3
    assert not {"no_device_work", "other_devices"} & kinds(remedied)


def test_only_sync_is_right_on_two_devices() -> None:
    findings = fasttime.compare_methods(split, repeat=20, rounds=1).findings
    readings = {method: finding.reading for method, finding in findings.items()}
    assert (readings["sync"], readings["event"]) == ("right", "wrong")
    assert readings["naive"] != "right"


def test_a_graph_lacks_another_device() -> None:
    found = fasttime.measure(split, method="graph", budget=0.2)
    assert "outside_capture" in kinds(found)


UNUSED = """
import torch, fasttime
x = torch.zeros(16, device="cuda:0")
for method in ("naive", "sync", "event", "graph"):
    fasttime.measure(x.add_, 1, method=method, budget=0.05)
assert fasttime._native.devices_in_use() == [0]
assert not torch._C._cuda_hasPrimaryContext(1), "measure() started a device"
"""


def test_measure_starts_no_other_device() -> None:
    done = subprocess.run([sys.executable, "-c", UNUSED], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
