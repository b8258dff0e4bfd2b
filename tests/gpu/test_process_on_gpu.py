# SPDX-License-Identifier: BSD-3-Clause
"""Fork, exit and torch's own threads after CUDA has started. The exit code is the result."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from latch import long_work

from fasttime import Recorder

pytestmark = pytest.mark.gpu


def run(code: str, timeout_s: float = 120) -> str:
    """Run `code` in a process that can import latch. It must exit with 0 and print no errors."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_forked_child_starts_empty_on_the_host() -> None:
    run("""
        import os, warnings, torch, fasttime
        from latch import Latch
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of a fork with threads
        stream, latch = torch.cuda.Stream(), Latch()
        with torch.cuda.stream(stream):
            latch.hold(stream)
            for _ in range(100):
                with fasttime.scope("parent"):
                    pass
            token = fasttime.begin("parent")
            child = os.fork()
            if child == 0:
                fasttime.end(token)
                with fasttime.scope("child"):
                    pass
                report = fasttime.report(wait=True)
                good = [site.path for site in report.walk()] == ["child"]
                good = good and (report.backend, report.open, report.pending) == ("host", 0, 0)
                os._exit(0 if good else 1)
            assert os.waitpid(child, 0)[1] == 0
            assert fasttime.report().pending == 100
            fasttime.end(token)
            latch.release()
        report = fasttime.report(wait=True)
        assert (report.backend, report["parent"].counts["ok"]) == ("cuda", 101), report
    """)


def test_data_loader_workers_time_on_the_host() -> None:
    run("""
        import warnings, torch, fasttime
        warnings.simplefilter("ignore")  # torch and Python warn of forks
        torch.zeros(1, device="cuda")

        class Data(torch.utils.data.Dataset):
            def __len__(self):
                return 8
            def __getitem__(self, index):
                with fasttime.scope("load"):
                    report = fasttime.report(wait=True)
                return report.backend == "host" and report.open == 1

        loader = torch.utils.data.DataLoader(Data(), num_workers=2, multiprocessing_context="fork")
        for _ in range(2):
            with fasttime.scope("epoch"):
                assert all(bool(batch) for batch in loader)
        report = fasttime.report(wait=True)
        assert [site.path for site in report.walk()] == ["epoch"]
        assert report["epoch"].counts["ok"] == 2
    """)


def test_exit_is_silent_with_unfinished_scopes() -> None:
    run("""
        import faulthandler, torch, fasttime
        from latch import Latch, long_work
        faulthandler.dump_traceback_later(60, exit=True)
        stream, latch = torch.cuda.Stream(), Latch()
        with torch.cuda.stream(stream):
            long_work()  # loads its kernel; CUDA may block that while a stream is held
            latch.hold(stream)
            for _ in range(20):
                long_work()
            for _ in range(100):
                with fasttime.scope("pending"):
                    pass
            kept = fasttime.begin("open")
            fasttime.begin("begun and dropped")
        assert fasttime.report().pending >= 100
        latch.release()  # the device is still busy when the process ends
    """)


def test_phases_after_the_start_of_cuda_are_timed() -> None:
    run("""
        import torch, fasttime
        from latch import long_work
        with fasttime.phases("training") as phase:
            phase("during")
            torch.cuda.init()
            for _ in range(3):
                phase("after")
                long_work()
        report = fasttime.report(wait=True)
        assert report["training"].counts["host_only"] == 1
        assert report["training/during"].counts["host_only"] == 1
        assert report["training/after"].counts["ok"] == 3
        assert report["training/after"].device.min > 1e-3
    """)


def test_workers_forked_before_the_first_scope() -> None:
    run("""
        import warnings, torch, fasttime
        warnings.simplefilter("ignore")  # torch and Python warn of forks
        torch.zeros(1, device="cuda")  # CUDA has started, but nothing was timed yet

        class Data(torch.utils.data.Dataset):
            def __len__(self):
                return 8
            def __getitem__(self, index):
                with fasttime.scope("load"):
                    pass
                report = fasttime.report(wait=True)
                site = report["load"]
                return report.backend == "host" and site.counts["host_only"] == site.count

        loader = torch.utils.data.DataLoader(Data(), num_workers=2, multiprocessing_context="fork")
        assert all(bool(good) for batch in loader for good in batch)
    """)


@pytest.mark.parametrize("threads", [1, 4])
def test_exit_while_daemons_record_without_the_gil(threads: int) -> None:
    run(f"""
        import threading, time, torch, fasttime
        torch.zeros(1, device="cuda")
        started, done = threading.Semaphore(0), threading.Semaphore(0)
        def forever():
            stream = torch.cuda.Stream()
            with torch.cuda.stream(stream):
                torch.cuda._sleep(4_000_000_000)  # 2 s, so the queue could be full
            started.release()
            while True:
                with fasttime.scope("daemon", stream=stream):
                    end = time.perf_counter() + 400e-6
                    while time.perf_counter() < end:
                        pass
                done.release()
        for _ in range({threads}):
            threading.Thread(target=forever, daemon=True).start()
        for _ in range({threads}):  # torch must not run in these threads at exit
            started.acquire()
        for _ in range(500):
            done.acquire()
    """)


def test_exit_while_daemons_wait_for_a_report() -> None:
    run("""
        import threading, torch, fasttime
        from latch import Latch, long_work
        stream, latch = torch.cuda.Stream(), Latch()
        long_work()
        latch.hold(stream)
        with fasttime.scope("pending", stream=stream):
            pass
        done = threading.Semaphore(0)
        def forever():
            while True:
                fasttime.report(wait=True, timeout=0.001)
                done.release()
        for _ in range(4):
            threading.Thread(target=forever, daemon=True).start()
        for _ in range(100):
            done.acquire()
        latch.release()
    """)


def test_exit_while_a_daemon_records() -> None:
    run("""
        import threading, torch, fasttime
        torch.zeros(1, device="cuda")
        begun = threading.Event()
        def forever():
            stream = torch.cuda.Stream()
            while True:
                with fasttime.scope("daemon", stream=stream):
                    pass
                begun.set()
        threading.Thread(target=forever, daemon=True).start()
        assert begun.wait(60)
    """)


def test_exit_after_threads_left_scopes_open() -> None:
    run("""
        import threading, torch, fasttime
        torch.zeros(1, device="cuda")
        kept = []
        def work(keep):
            token = fasttime.begin("left open")
            if keep:
                kept.append(token)
        for keep in (True, False):
            thread = threading.Thread(target=work, args=(keep,))
            thread.start()
            thread.join()
        report = fasttime.report(wait=True)
        assert (report.open, report.dropped) == (1, 1), report
    """)


class _Timed(torch.autograd.Function):
    """Its backward does long work inside a scope, and inside a scope on another stream."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, seen: dict[str, Any]) -> torch.Tensor:
        ctx.seen = seen
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        seen = ctx.seen
        seen["thread"] = threading.get_ident()
        seen["stream"] = torch.cuda.current_stream().cuda_stream
        recorder: Recorder = seen["recorder"]
        with recorder.scope("here"), recorder.scope("elsewhere", stream=seen["other"]):
            long_work()
        return gradient, None


def test_backward_is_timed_on_the_forward_stream(
    recorder: Recorder, stream: torch.cuda.Stream
) -> None:
    seen: dict[str, Any] = {"recorder": recorder, "other": torch.cuda.Stream()}
    x = torch.ones(16, device="cuda", requires_grad=True)
    for _ in range(3):
        with recorder.scope("step"):
            _Timed.apply(x, seen).sum().backward()
        torch.cuda.synchronize()
    assert seen["thread"] != threading.get_ident()
    assert seen["stream"] == stream.cuda_stream
    recorder.report(wait=True)
    for path, is_long in (("here", True), ("here/elsewhere", False)):
        samples = recorder.samples(path)
        assert [sample.status for sample in samples] == ["ok"] * 3
        shortest = min(sample.device_time or 0.0 for sample in samples)
        assert (shortest > 1e-3) == is_long, (path, shortest)
    assert recorder.report()["step"].counts["ok"] == 3
