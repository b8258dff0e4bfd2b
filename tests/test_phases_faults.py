# SPDX-License-Identifier: BSD-3-Clause
"""Phases in captures, after failures, switched off, misused, and left open."""

from __future__ import annotations

import copy
import os
import pickle

import binding
import pytest
from leftovers import pool_is_whole
from simulated_cuda import Simulated
from site_counts import paths, statuses

import fasttime
from fasttime import Recorder

MS = 1_000_000


# --- captures, failures, resets ---


def test_a_phase_in_a_capture_is_captured(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.phases("step", stream=stream) as phase:
        phase("before")
        phase("into")
        cuda.begin_capture(stream)
        phase("inside")
        phase("out of")
        nodes = cuda.capture_nodes(stream)
        cuda.end_capture(stream)
        phase("after")
    assert nodes == 0
    assert statuses(recorder) == {
        "step": {"ok": 1},
        "step/before": {"ok": 1},
        "step/into": {"captured": 1},
        "step/inside": {"captured": 1},
        "step/out of": {"captured": 1},
        "step/after": {"ok": 1},
    }


def test_one_capture_leaves_later_phases_intact(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.phases("step", stream=stream) as phase:
        cuda.begin_capture(stream)
        phase("inside")
        cuda.end_capture(stream)
        cuda.set_current_stream(cuda.create_stream())
        for _ in range(3):
            phase("after")
            cuda.enqueue(stream, 2 * MS)
            cuda.advance(2 * MS)
    assert statuses(recorder) == {
        "step": {"ok": 1},
        "step/inside": {"captured": 1},
        "step/after": {"ok": 3},
    }
    after = recorder.report()["step/after"]
    assert after.device is not None
    assert after.device.mean == pytest.approx(2e-3)
    assert after.host.total == pytest.approx(6e-3)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_block_in_a_capture_has_phases_after_it(
    cuda: Simulated, recorder: Recorder, chosen: bool
) -> None:
    stream = cuda.create_stream()
    cuda.set_current_stream(stream)
    cuda.begin_capture(stream)
    with recorder.phases("step", **({"stream": stream} if chosen else {})) as phase:
        phase("inside")
        cuda.end_capture(stream)
        cuda.set_current_stream(cuda.create_stream())  # phases stay on the block's stream
        for _ in range(3):
            phase("after")
            cuda.enqueue(stream, MS)
    assert statuses(recorder) == {
        "step": {"captured": 1},
        "step/inside": {"captured": 1},
        "step/after": {"ok": 3},
    }
    after = recorder.report()["step/after"].device
    assert after is not None
    assert after.mean == pytest.approx(1e-3)


def test_a_block_that_ends_in_a_capture(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.phases("step", stream=stream) as phase:
        phase("before")
        phase("into")
        cuda.begin_capture(stream)
    assert cuda.capture_nodes(stream) == 0
    cuda.end_capture(stream)
    assert statuses(recorder) == {
        "step": {"captured": 1},
        "step/before": {"ok": 1},
        "step/into": {"captured": 1},
    }


@pytest.mark.parametrize("function", ["cuEventRecord", "cuStreamIsCapturing"])
def test_one_failure_leaves_later_phases_intact(
    cuda: Simulated, recorder: Recorder, function: str
) -> None:
    with recorder.phases("step", stream=cuda.create_stream()) as phase:
        phase("before")
        phase("during")
        cuda.fail(function, 2)
        cuda.fail("cudaStreamIsCapturing", 2, 0, 1 if function == "cuStreamIsCapturing" else 0)
        for _ in range(3):
            phase("after")
    assert statuses(recorder) == {
        "step": {"ok": 1},
        "step/before": {"ok": 1},
        "step/during": {"failed": 1},
        "step/after": {"ok": 3},
    }


def test_a_failure_at_the_first_phase(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step", stream=cuda.create_stream()) as phase:
        cuda.fail("cuEventRecord", 2)
        phase("a")
        phase("b")
    assert statuses(recorder) == {
        "step": {"ok": 1},
        "step/a": {"failed": 1},
        "step/b": {"ok": 1},
    }


def test_a_failure_at_the_end_of_the_block(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step", stream=cuda.create_stream()) as phase:
        phase("a")
        phase("b")
        cuda.fail("cuEventRecord", 2)
    assert statuses(recorder) == {
        "step": {"failed": 1},
        "step/a": {"ok": 1},
        "step/b": {"failed": 1},
    }


def test_phases_after_a_lost_device_have_host_times(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("during")
        cuda.set_sticky(700)
        phase("open then")
        phase("after")
    cuda.set_sticky(0)
    cuda.last_error()  # the device's own, which is torch's to find
    found = statuses(recorder)
    assert found["step/during"] == {"failed": 1}
    assert found["step/after"] == {"host_only": 1}


@pytest.mark.parametrize("on_cuda", [True, False])
def test_a_reset_in_a_block_forgets_what_began_before(
    cuda: Simulated, recorder: Recorder, on_cuda: bool
) -> None:
    if not on_cuda:
        binding.unbind()
    with recorder.phases("step") as phase:
        phase("before")
        phase("during")
        recorder.reset()
        for _ in range(3):
            phase("after")
            cuda.advance(MS)
    cuda.advance(MS)
    assert statuses(recorder)["step/after"] == {"ok" if on_cuda else "host_only": 3}
    assert not statuses(recorder).keys() & {"step/before", "step/during"}


def test_a_full_lane_drops_phases_and_goes_on(cuda: Simulated, recorder: Recorder) -> None:
    cuda.hold(0)
    with recorder.phases("step") as phase:
        for _ in range(3000):
            phase("a")
    assert recorder.report().dropped > 0
    cuda.release(0)
    cuda.advance(1)
    report = recorder.report(wait=True)
    assert report["step/a"].count == 3000
    assert report.open == 0


def test_events_of_failed_phases_rest_while_in_flight(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with cuda.held(stream):
        with recorder.phases("step", stream=stream) as phase:
            phase("during")
            cuda.fail("cuEventRecord", 2)
            phase("next")  # begins at an event of its own
        for _ in range(500):
            with recorder.scope("after", stream=stream):
                pass
        assert cuda.rerecorded_in_flight == 0
    assert statuses(recorder)["after"] == {"ok": 500}


# --- switching off and on ---


def test_phases_do_nothing_while_switched_off(cuda: Simulated, recorder: Recorder) -> None:
    recorder.disable()
    with recorder.phases("step") as phase:
        phase("a")
        phase(None)
        recorder.enable()
        phase("b")
    assert cuda.calls("cudaEventRecord") == 0
    assert recorder.report().sites == ()


def test_an_open_block_goes_on_when_switched_off(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        recorder.disable()
        phase("b")
        with recorder.scope("off"):
            pass
        recorder.enable()
        with recorder.scope("on"):
            pass
    assert set(paths(recorder)) == {"step", "step/a", "step/b", "step/b/on"}


# --- errors ---


def test_a_phase_outside_its_block_is_an_error(recorder: Recorder) -> None:
    phases = recorder.phases("step")
    message = r"phases 'step' are not open; call phase\(name\) inside `with phases\('step'\) as"
    for argument in ("a", None):
        with pytest.raises(RuntimeError, match=message):
            phases(argument)
    with phases:
        phases("a")
    with pytest.raises(RuntimeError, match=message):
        phases("b")
    assert paths(recorder) == {"step": 1, "step/a": 1}


def test_an_exit_without_an_enter_is_an_error(recorder: Recorder) -> None:
    with pytest.raises(RuntimeError, match="scope 'step' is not open"):
        recorder.phases("step").__exit__(None, None, None)


@pytest.mark.parametrize("enabled", [True, False])
def test_phases_are_entered_once(recorder: Recorder, enabled: bool) -> None:
    phases = recorder.phases("step")
    if not enabled:
        recorder.disable()
    with phases:
        phases("a")
        with pytest.raises(RuntimeError, match=r"open already; call phase\(name\).*another `with"):
            phases.__enter__()
        with pytest.raises(RuntimeError, match="open already"):
            phases()  # type: ignore[call-arg]
    with phases:  # but may be used again
        phases("a")
    assert paths(recorder) == ({"step": 2, "step/a": 2} if enabled else {})


def test_arguments_of_phases_are_checked(recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        with pytest.raises(
            TypeError, match="name of a scope or phase must be a str, got 1 of type"
        ):
            phase(1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="must not be empty"):
            phase("")
        with pytest.raises(TypeError, match=r"got a call with 2 arguments; call phase\(name\)"):
            phase("a", "b")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"call phase\(name\) to begin"):
            phase(name="a")  # type: ignore[call-arg]
        phase("a")
    with pytest.raises(TypeError, match="must be a str"):
        recorder.phases(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes one name"):
        recorder.phases()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"__exit__ of <fasttime phases 'x'> takes"):
        recorder.phases("x").__exit__()  # type: ignore[call-arg]
    assert repr(recorder.phases("x")) == "<fasttime phases 'x'>"


def test_a_refused_name_leaves_the_phase_open(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        with pytest.raises(TypeError):
            phase(1)  # type: ignore[arg-type]
        cuda.enqueue(0, MS)
    device = recorder.report(wait=True)["step/a"].device
    assert device is not None
    assert device.mean == pytest.approx(1e-3)


class Name(str):
    """A str of another type."""


def test_a_subclass_of_str_names_a_phase(recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase(Name("a"))
        phase("a")
    assert paths(recorder) == {"step": 1, "step/a": 2}


# --- life and death ---


def test_phases_left_open_are_dropped(cuda: Simulated) -> None:
    recorder = Recorder()
    phase = recorder.phases("step").__enter__()
    phase("a")
    phase("b")
    assert recorder.report().open == 2
    del phase
    with recorder.scope("after"):
        pass
    cuda.advance(1)
    found = statuses(recorder)
    assert found == {
        "step": {"dropped": 1},
        "step/a": {"ok": 1},
        "step/b": {"dropped": 1},
        "after": {"ok": 1},
    }
    assert recorder.report().open == 0
    del recorder
    assert pool_is_whole(0)


def test_an_exit_method_keeps_its_phases(recorder: Recorder) -> None:
    leave = recorder.phases("step").__enter__().__exit__
    leave(None, None, None)
    assert paths(recorder) == {"step": 1}


def test_phases_outlive_their_recorder(cuda: Simulated) -> None:
    recorder = Recorder()
    with recorder.phases("step") as phase:
        phase("a")
        del recorder
        phase("b")
    del phase
    assert pool_is_whole(0)


def test_a_copy_of_open_phases_is_closed(recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        for other in (copy.copy(phase), copy.deepcopy(phase)):
            with pytest.raises(RuntimeError, match="not open"):
                other("b")
            with other:
                other("c")
    assert paths(recorder) == {"step": 1, "step/a": 1, "step/a/step": 2, "step/a/step/c": 2}


def test_phases_are_pickled_by_name(cuda: Simulated) -> None:
    phases = pickle.loads(pickle.dumps(fasttime.phases("pickled step")))
    assert repr(phases) == "<fasttime phases 'pickled step'>"
    with pytest.raises(TypeError, match="make it without stream="):
        pickle.dumps(fasttime.phases("step", stream=cuda.create_stream()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_block_from_before_a_fork_does_nothing(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                phase("in the child")
                phase(None)
                phase("again")
                with recorder.scope("child"):
                    pass
                if set(paths(recorder)) == {"child"} and recorder.report().open == 0:
                    code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        phase("b")
    assert set(paths(recorder)) == {"step", "step/a", "step/b"}
