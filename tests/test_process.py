# SPDX-License-Identifier: BSD-3-Clause
"""Import, host backend, fork and exit. Each test runs a process that must exit with 0."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from simulated_cuda import HERE, run_under_simulation, torch_can_be_simulated

import fasttime

needs_cuda_build = pytest.mark.skipif(
    not torch_can_be_simulated(), reason="needs torch built for CUDA 13"
)


def run(code: str, *options: str) -> str:
    """Run `code`, which must exit with 0 and print no error. Return its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", *options, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def simulate(code: str, library: Path) -> str:
    """Run `code` in the same way, with the real CUDA build of torch on simulated devices."""
    done = run_under_simulation(textwrap.dedent(code), library)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_import_starts_no_cuda_and_imports_little() -> None:
    run("""
        import sys
        import torch
        before = set(sys.modules)
        import fasttime
        assert not torch.cuda.is_initialized()
        brought = set(sys.modules) - before
        for name in ("rich", "matplotlib", "pandas", "torchvision", "torch._dynamo"):
            assert not any(m == name or m.startswith(name + ".") for m in brought), name
    """)


def test_a_copy_of_the_package_works_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(Path(fasttime.__file__).parent, tmp_path / "vendored" / "fasttime")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    run("""
        import fasttime
        import vendored.fasttime as other
        with other.scope("theirs"):
            with fasttime.scope("ours"):
                pass
        for module, name in ((fasttime, "ours"), (other, "theirs")):
            report = module.report()
            assert [site.path for site in report.walk()] == [name]
            assert report[name].host.count == 1
    """)


def test_without_cuda_host_time_is_the_time() -> None:
    out = run("""
        import torch, fasttime
        with fasttime.scope("a"):
            torch.ones(8).add_(1)
        report = fasttime.report(wait=True)
        site = report["a"]
        assert (report.backend, report.pending, report.host_only) == ("host", 0, 1)
        assert site.device is None and site.bottleneck is None
        assert site.time is site.host and site.host.count == 1
        print(report)
    """)
    assert "There are host times only" in out


@pytest.mark.parametrize("value", ["0", "off", "False"])
def test_the_environment_can_switch_scopes_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FASTTIME", value)
    run("""
        import fasttime
        with fasttime.scope("a"):
            pass
        assert fasttime.report().sites == ()
        fasttime.enable()
        with fasttime.scope("a"):
            pass
        assert fasttime.report()["a"].count == 1
    """)


def test_scopes_survive_memory_full_of_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The debug allocator fills fresh memory with bytes that look like an immortal count."""
    monkeypatch.setenv("PYTHONMALLOC", "debug")
    run("""
        import fasttime
        for _ in range(3):
            with fasttime.scope("a"), fasttime.phases("b") as phase:
                phase("c")
                with fasttime.scope("d"):
                    pass
        assert fasttime.report()["a/b/c/d"].count == 3
    """)


def test_an_unsupported_torch_is_refused() -> None:
    run("""
        import torch
        from torch.torch_version import TorchVersion
        torch.__version__ = TorchVersion("2.5.1")
        try:
            import fasttime
        except ImportError as error:
            assert "needs torch >= 2.6, found 2.5.1" in str(error), error
            assert "pip install --upgrade torch" in str(error)
        else:
            raise SystemExit("imported")
    """)


@pytest.mark.parametrize("version", ["2.6.0a0+df5bbc09d1.nv24.12", "2.10.0", "3.0.0.dev1"])
def test_a_build_of_a_supported_torch_is_accepted(version: str) -> None:
    run(f"""
        import torch
        from torch.torch_version import TorchVersion
        torch.__version__ = TorchVersion({version!r})
        import fasttime
    """)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("sys._is_gil_enabled = lambda: False", "needs Python's global interpreter lock"),
        ("sys.platform = 'darwin'", "supports Linux only, and this is 'darwin'"),
    ],
)
def test_an_unsupported_python_is_refused(change: str, words: str) -> None:
    run(f"""
        import sys, torch
        {change}
        try:
            import fasttime
        except ImportError as error:
            assert {words!r} in str(error), error
        else:
            raise SystemExit("imported")
    """)


def test_a_build_on_another_system_is_refused() -> None:
    pytest.importorskip("pybind11")
    setup = Path(__file__).parent.parent / "setup.py"
    run(f"""
        import runpy, sys
        import pybind11.setup_helpers  # before the change, which setuptools would not survive
        sys.platform = "win32"
        sys.path.insert(0, "")
        try:
            runpy.run_path({str(setup)!r})
        except SystemExit as ended:
            assert ended.code == "fasttime supports Linux only, and this is 'win32'", ended.code
        else:
            raise SystemExit("built")
    """)


@pytest.mark.parametrize("change", ["del _C.set_marks", "_C.set_scope_hooks = lambda: None"])
def test_a_compiled_part_of_another_version_is_named(change: str) -> None:
    run(f"""
        import importlib.util, sys, torch
        found = importlib.util.find_spec("fasttime").submodule_search_locations
        spec = importlib.machinery.PathFinder.find_spec("fasttime._C", found)
        _C = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(_C)
        {change}
        sys.modules["fasttime._C"] = _C
        try:
            import fasttime
        except ImportError as error:
            assert "belong to different versions" in str(error), error
            assert "--force-reinstall" in str(error), error
        else:
            raise SystemExit("imported")
    """)


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
def test_a_torch_for_rocm_is_not_asked_to_install_cuda(tmp_path: Path) -> None:
    from fasttime import _C

    library = tmp_path / "libc10_hip.so"
    made = ["gcc", "-shared", "-x", "c", os.devnull, "-Wl,-soname,libc10_hip.so", "-o"]
    subprocess.run([*made, str(library)], check=True)
    run(f"""
        import ctypes, importlib.util
        ctypes.CDLL({str(library)!r})
        spec = importlib.util.spec_from_file_location("fasttime._C", {_C.__file__!r})
        _C = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(_C)
        up = {{"_initialized": True, "_is_in_bad_fork": lambda: False}}
        _C.set_scope_hooks(up, print, print)
        _C.bind_if_cuda_is_up()
        assert _C.backend()["reason"].startswith("this torch was built for ROCm"), _C.backend()
    """)


def test_a_missing_extension_says_what_to_do(tmp_path: Path) -> None:
    import fasttime

    source = Path(fasttime.__file__).parent
    shutil.copytree(source, tmp_path / "fasttime", ignore=shutil.ignore_patterns("*.so"))
    run(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        try:
            import fasttime
        except ImportError as error:
            assert "pip install ." in str(error), error
        else:
            raise SystemExit("imported " + fasttime.__file__)
    """)


def test_exit_with_open_scopes_is_silent() -> None:
    run("""
        import threading, fasttime
        token = fasttime.begin("left open")
        kept = [fasttime.scope("never entered")]
        def work():
            fasttime.begin("left open by a thread")
        thread = threading.Thread(target=work)
        thread.start(); thread.join()
        stop = threading.Event()
        def forever():
            while True:
                with fasttime.scope("daemon"):
                    pass
        threading.Thread(target=forever, daemon=True).start()
    """)


def test_a_forked_child_starts_empty() -> None:
    run("""
        import os, fasttime
        with fasttime.scope("parent"):
            child = os.fork()
            if child == 0:
                with fasttime.scope("child"):
                    pass
                report = fasttime.report(wait=True)
                paths = [site.path for site in report.walk()]
                os._exit(0 if paths == ["child"] and report.open == 0 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert [s.path for s in fasttime.report().walk()] == ["parent"]
    """)


@needs_cuda_build
def test_real_torch_on_simulated_devices(simulated_library: Path) -> None:
    simulate(
        """
        import torch, fasttime
        from simulated_cuda import Simulated
        cuda = Simulated.preloaded()

        with fasttime.scope("before"):
            torch.cuda.init()          # CUDA starts inside: host time only
        assert fasttime.report()["before"].counts["host_only"] == 1

        stream = torch.cuda.Stream()
        other = torch.cuda.Stream(device=1)
        recorder = fasttime.Recorder(share_boundaries=False)
        with torch.cuda.stream(stream), recorder.scope("a"):
            cuda.enqueue(stream.cuda_stream, 2_500_000)
            with torch.cuda.device(1), recorder.scope("b", stream=other):
                cuda.enqueue(other.cuda_stream, 500_000)
        cuda.advance(10_000_000)
        report = recorder.report()
        assert report.backend == "cuda"
        assert report["a"].device.mean == 2.5e-3, report
        assert abs(report["a/b"].device.mean - 0.5e-3) < 1e-12
        """,
        simulated_library,
    )


@needs_cuda_build
def test_phases_around_the_start_of_cuda(simulated_library: Path) -> None:
    simulate(
        """
        import torch, fasttime
        from simulated_cuda import Simulated
        cuda = Simulated.preloaded()

        with fasttime.phases("training") as phase:
            phase("before")
            phase("during")
            torch.cuda.init()
            for _ in range(3):
                phase("after")
                cuda.enqueue(0, 2_000_000)
                cuda.advance(2_000_000)
        report = fasttime.report(wait=True)
        counts = {
            site.path: {status: count for status, count in site.counts.items() if count}
            for site in report.walk()
        }
        assert counts == {
            "training": {"host_only": 1},
            "training/before": {"host_only": 1},
            "training/during": {"host_only": 1},
            "training/after": {"ok": 3},
        }, counts
        assert abs(report["training/after"].device.mean - 2e-3) < 1e-9
        """,
        simulated_library,
    )


@needs_cuda_build
def test_a_forked_child_has_its_own_interval() -> None:
    run("""
        import os, fasttime
        recorder = fasttime.Recorder()
        # Pretend that it was made an hour ago.
        interval = recorder._interval
        began = interval.start
        interval.start = began._replace(begin_ns=began.begin_ns - 3_600_000_000_000)
        assert recorder.report().duration >= 3600
        child = os.fork()
        if child == 0:
            os._exit(0 if recorder.report(reset=True).duration < 3600 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert recorder.report().duration >= 3600
    """)


def test_a_fork_waits_for_a_report_under_way() -> None:
    """Otherwise the child could inherit a lock without its holder."""
    run("""
        import os
        held = []
        # Runs before the package's own hook, because it is registered first.
        os.register_at_fork(after_in_child=lambda: held.append(taking._is_owned()))
        from fasttime.current_interval import taking
        child = os.fork()
        is_held = taking._is_owned()
        if child == 0:
            os._exit(0 if held == [True] and not is_held else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not is_held
    """)


def test_a_fork_after_cuda_started_times_the_host(simulated_library: Path) -> None:
    simulate(
        """
        import os, torch, fasttime
        torch.cuda.init()
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
            good = [s.path for s in report.walk()] == ["child"] and report.backend == "host"
            words = " ".join(str(report).split())
            good = good and "forked after CUDA had started" in words
            os._exit(0 if good else 1)
        fasttime.end(token)
        assert os.waitpid(child, 0)[1] == 0
        assert fasttime.report().backend == "cuda"
        """,
        simulated_library,
    )


@needs_cuda_build
def test_a_fork_leaves_a_held_stream_to_its_parent(
    simulated_library: Path,
) -> None:
    simulate(
        """
        import os, signal, warnings, torch, fasttime
        from fasttime import _native
        from simulated_cuda import Simulated
        torch.cuda.init()
        cuda = Simulated.preloaded()
        hold = _native.StreamHold(3600.0)
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's, on forking with threads
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # in case the child waits for a thread that it does not have
            raise SystemExit(0)
        assert os.waitpid(child, 0)[1] == 0
        cuda.enqueue(0, 1_000_000)
        assert cuda.backlog_ns(0) is None, "the child released the stream"
        assert hold.release() is True
        assert cuda.backlog_ns(0) == 1_000_000
        """,
        simulated_library,
    )


@needs_cuda_build
def test_data_loader_workers_time_on_the_host(simulated_library: Path) -> None:
    simulate(
        """
        import warnings, torch, fasttime
        warnings.simplefilter("ignore")  # torch's own, on forking
        torch.cuda.init()

        class Data(torch.utils.data.Dataset):
            def __len__(self):
                return 4
            def __getitem__(self, index):
                with fasttime.scope("load"):
                    return fasttime.report().backend == "host"

        with fasttime.scope("epoch"):
            loader = torch.utils.data.DataLoader(Data(), num_workers=2)
            assert all(bool(batch) for batch in loader)
        """,
        simulated_library,
    )


@needs_cuda_build
def test_exit_with_pending_scopes_is_silent(simulated_library: Path) -> None:
    simulate(
        """
        import torch, fasttime
        from simulated_cuda import Simulated
        torch.cuda.init()
        Simulated.preloaded().hold(0)
        for _ in range(100):
            with fasttime.scope("pending"):
                pass
        token = fasttime.begin("open")
        assert fasttime.report().pending == 100
        """,
        simulated_library,
    )


def test_a_report_can_wait_after_a_sub_interpreter(
    simulated_library: Path,
) -> None:
    run(f"""
        import sys
        sys.path.append({str(HERE)!r})
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            import _interpreters as interpreters
        import fasttime
        import binding
        from simulated_cuda import Simulated
        library = {str(simulated_library)!r}
        cuda = Simulated(library)
        binding.bind_library(library)
        interpreters.destroy(interpreters.create())
        with fasttime.scope("a"):
            pass
        cuda.advance(300_000_000)  # ns: the drain has to take an anchor
        assert fasttime.report(wait=True)["a"].counts["ok"] == 1
    """)


@needs_cuda_build
def test_a_fork_before_the_first_scope_times_the_host(
    simulated_library: Path,
) -> None:
    out = simulate(
        """
        import os, torch, fasttime
        from simulated_cuda import Simulated
        torch.cuda.init()  # as model.cuda() does; no scope yet
        child = os.fork()  # such as a worker of a DataLoader
        if child == 0:
            Simulated.preloaded().set_sticky(3)  # what every call returns in such a child
            with fasttime.scope("load"):
                pass
            report = fasttime.report()
            print(report.backend, report["load"].counts["host_only"], report.last_failure)
            print(report.backend_reason, flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        with fasttime.scope("step"):
            pass
        assert fasttime.report(wait=True)["step"].counts["ok"] == 1
        """,
        simulated_library,
    )
    first, second = out.splitlines()
    assert first == "host 1 "
    assert "forked after CUDA had started" in second


@needs_cuda_build
@pytest.mark.parametrize("threads", [1, 8])
def test_daemon_threads_may_record_at_exit(simulated_library: Path, threads: int) -> None:
    simulate(
        f"""
        import threading, torch, fasttime
        from simulated_cuda import Simulated
        torch.cuda.init()
        # No record is known to be quick, so each one releases the GIL.
        Simulated.preloaded().set_host_cost(400_000)  # ns
        Simulated.preloaded().fail("cuStreamQuery", 201, times=-1)
        done = threading.Semaphore(0)

        def work():
            while True:
                with fasttime.scope("daemon"):
                    pass
                done.release()

        for _ in range({threads}):
            threading.Thread(target=work, daemon=True).start()
        for _ in range(2_000):
            done.acquire()
        """,
        simulated_library,
    )


@pytest.mark.parametrize(("connections", "released"), [("1", 42), ("8", 1)])
def test_streams_may_share_one_launch_queue(
    simulated_library: Path,
    monkeypatch: pytest.MonkeyPatch,
    connections: str,
    released: int,
) -> None:
    """An idle stream may then have a full queue, so long scopes release the GIL."""
    monkeypatch.setenv("CUDA_DEVICE_MAX_CONNECTIONS", connections)
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
    out = run(
        f"""
        import binding, fasttime
        from pathlib import Path
        from simulated_cuda import Simulated
        cuda = Simulated(Path({str(simulated_library)!r}))
        binding.bind_library({str(simulated_library)!r})
        recorder = fasttime.Recorder()
        for _ in range(21):
            with recorder.scope("plain Python"):
                cuda.advance(400_000)
            cuda.advance(400_000)
        clock_events = cuda.calls("cudaEventRecord") - 42
        print(cuda.calls_without_gil("cudaEventRecord") - clock_events)
        """
    )
    assert int(out) == released


@needs_cuda_build
def test_daemon_threads_may_wait_for_a_report_at_exit(
    simulated_library: Path,
) -> None:
    simulate(
        """
        import threading, torch, fasttime
        from simulated_cuda import Simulated
        torch.cuda.init()
        Simulated.preloaded().hold(0)
        with fasttime.scope("never done"):
            pass
        done = threading.Semaphore(0)

        def work():
            while True:
                fasttime.report(wait=True, timeout=0.001)
                done.release()

        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        for _ in range(100):
            done.acquire()
        """,
        simulated_library,
    )
