# SPDX-License-Identifier: BSD-3-Clause
"""Timelines with the real torch on simulated devices, and across a fork."""

from __future__ import annotations

import textwrap

import pytest
from forked import Forking
from simulated_cuda import torch_can_be_simulated

needs_cuda_build = pytest.mark.skipif(
    not torch_can_be_simulated(), reason="torch here is not built for CUDA 13"
)


def run(forking: Forking, code: str) -> None:
    """Run code in a forked process, which must end well and write nothing."""
    done = forking.run(textwrap.dedent(code))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_cuda_build
def test_real_torch_on_devices_whose_clock_jumps(forking_with_gpus: Forking) -> None:
    run(
        forking_with_gpus,
        """
        import torch, fasttime
        from simulated_cuda import Simulated
        cuda = Simulated.preloaded()
        torch.cuda.init()
        streams = [torch.cuda.Stream(device=i) for i in range(2)]
        recorder = fasttime.Recorder(share_boundaries=False)
        with recorder.record_timeline() as timeline:
            for stream in streams:
                handle = stream.cuda_stream
                cuda.enqueue(handle, 2_000_000)
                with torch.cuda.stream(stream), recorder.scope("a"):
                    cuda.enqueue(handle, 3_000_000)
                    cuda.advance(1_000_000)
                cuda.advance(5_000_000_000)  # longer than the host needs for this loop
        assert len(timeline) == 2
        for span, stream in zip(timeline.spans, streams):
            assert (span.device, span.stream) == (stream.device_index, stream.cuda_stream)
            assert span.host_begin <= span.host_end
            assert span.device_begin <= span.device_end
            # Only the device is on virtual time here, so the clocks drift apart.
            assert span.uncertainty > 1e-3, span
        """,
    )


@needs_cuda_build
def test_a_recording_does_not_disturb_a_capture(forking_with_gpus: Forking) -> None:
    run(
        forking_with_gpus,
        """
        import torch, fasttime
        from simulated_cuda import Simulated
        cuda = Simulated.preloaded()
        torch.cuda.init()
        with fasttime.scope("warm-up"):
            pass
        x = torch.ones(8, device="cuda")
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            with fasttime.record_timeline() as timeline:
                with fasttime.scope("captured"):
                    y = x + x
        assert [(s.path, s.status) for s in timeline.spans] == [("captured", "captured")]
        assert timeline.spans[0].device_begin is None
        graph.replay()
        """,
    )


def test_a_forked_child_records_its_own_timeline(forking: Forking) -> None:
    run(
        forking,
        """
        import os, threading, fasttime
        recording = fasttime.record_timeline()
        recording.start()
        with fasttime.scope("parent"):
            child = os.fork()
            if child == 0:
                with fasttime.scope("lost"):  # only the parent records
                    pass
                mine = recording.stop(wait=True)
                with fasttime.record_timeline() as timeline:
                    with fasttime.scope("child"):
                        pass
                (span,) = timeline.spans
                good = len(mine) == 0 and span.path == "child"
                os._exit(0 if good and span.thread == os.getpid() else 1)
        assert os.waitpid(child, 0)[1] == 0
        (span,) = recording.stop(wait=True).spans
        assert (span.path, span.thread) == ("parent", os.getpid())
    """,
    )


def test_exit_while_a_timeline_is_recorded_is_silent(forking: Forking) -> None:
    run(
        forking,
        """
        import fasttime
        fasttime.record_timeline().start()
        with fasttime.scope("a"):
            pass
    """,
    )
