# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime run` in a process of its own: forks, threads and workers that outlast a script."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import PACKAGE, Done, Forking
from simulated_cuda import torch_can_be_simulated

pytestmark = pytest.mark.usefixtures("clean_start")

Write = Callable[..., str]
Run = Callable[..., Done]

# What `python -m fasttime run` does.
RUN = """
import sys
from fasttime.cli import main
sys.argv[:1] = ["fasttime", "run"]
sys.exit(main())
"""


def run_fresh(*arguments: str) -> Done:
    """Run the command in a fresh process."""
    return subprocess.run(
        [sys.executable, "-m", "fasttime", "run", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": PACKAGE},
        check=False,
    )


@pytest.fixture
def run(forking: Forking) -> Run:
    """Run the command in a forked process."""
    return lambda *arguments: forking.run(RUN, *arguments)


def test_a_forked_child_writes_no_report(write: Write, run: Run) -> None:
    code = """
        import os, sys
        import fasttime
        child = os.fork()
        name = "parent" if child else "child"
        with fasttime.scope(name):
            pass
        if not child:
            sys.exit(5)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = run("--json", "r.json", "--trace", "t.json", write(code))
    assert done.returncode == 5, done.stderr
    assert "child" not in done.stderr
    assert done.stderr.count("saved r.json") == 1
    assert [site["name"] for site in json.loads(Path("r.json").read_text())["sites"]] == ["parent"]


@pytest.mark.parametrize("how", ["threading.Thread(target=late).start()", "atexit.register(late)"])
def test_late_code_has_the_arguments_and_path(how: str, write: Write, run: Run) -> None:
    write("VALUE = 7", "inner/late_neighbour.py")
    code = f"""
        import atexit, sys, threading
        def late():
            if how != "atexit":
                threading.main_thread().join()
            import late_neighbour
            print(late_neighbour.VALUE, sys.argv)
        how = "{how.partition(".")[0]}"
        {how}
    """
    done = run(write(code, "inner/s.py"), "-x")
    assert done.stdout == "7 ['inner/s.py', '-x']\n", done.stderr


def test_worker_processes_find_the_functions(write: Write) -> None:
    code = """
        import multiprocessing
        def double(x):
            return 2 * x
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(double, [1, 2]))
    """
    done = run_fresh(write(code))
    assert (done.returncode, done.stdout) == (0, "[2, 4]\n"), done.stderr


LATE = """
    import sys, threading
    from concurrent.futures import ThreadPoolExecutor
    import fasttime
    script_is_over = threading.Event()
    def job():
        script_is_over.wait()
        with fasttime.scope("late"):
            pass
"""


@pytest.mark.parametrize(
    ("how", "code"),
    [
        # Python calls the function after the script, before it lets a pool's threads end.
        ("ThreadPoolExecutor().submit(job); threading._register_atexit(script_is_over.set)", 3),
        (
            "threading.Thread(target=job).start()\n"
            "    over = lambda: (threading.main_thread().join(), script_is_over.set())\n"
            "    threading.Thread(target=over).start()",
            0,
        ),
    ],
    ids=["pool", "thread"],
)
def test_threads_after_the_script_are_reported(how: str, code: int, write: Write, run: Run) -> None:
    done = run(
        "--json", "r.json", "--trace", "t.json", write(f"{LATE}    {how}\n    sys.exit({code})")
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\nlate ") == 1
    assert [site["name"] for site in json.loads(Path("r.json").read_text())["sites"]] == ["late"]
    assert '"late"' in Path("t.json").read_text()


def test_an_idle_pool_does_not_delay_the_report(write: Write, run: Run) -> None:
    done = run(write(LATE + "    script_is_over.set(); ThreadPoolExecutor().submit(job).result()"))
    assert (done.returncode, done.stderr.count("\nlate ")) == (0, 1), done.stderr


def test_a_child_forked_at_exit_writes_no_report(write: Write, run: Run) -> None:
    code = (
        LATE
        + """
    import atexit, os
    def fork():
        child = os.fork()
        if child:
            os.waitpid(child, 0)
    def late():
        threading.main_thread().join()
        atexit.register(fork)
        script_is_over.set()
    threading.Thread(target=job).start()
    threading.Thread(target=late).start()
    """
    )
    done = run("--json", "r.json", write(code))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("saved r.json") == 1


@pytest.mark.skipif(not torch_can_be_simulated(), reason="needs torch built for CUDA 13")
def test_the_report_waits_for_the_device(write: Write, forking_with_gpus: Forking) -> None:
    name = write("""
        import torch, fasttime
        from simulated_cuda import Simulated
        torch.cuda.init()
        device = Simulated.preloaded()
        with fasttime.scope("step"):
            device.enqueue(0, 3_000_000)
        device.advance(10_000_000)
    """)
    done = forking_with_gpus.run(RUN, name)
    assert (done.returncode, done.stdout) == (0, "")
    assert "3.000 ms" in done.stderr


@pytest.mark.skipif(not torch_can_be_simulated(), reason="needs torch built for CUDA 13")
def test_device_work_is_in_all_files(
    write: Write, tmp_path: Path, forking_with_gpus: Forking
) -> None:
    pytest.importorskip("matplotlib")
    name = write("""
        import torch, fasttime
        from simulated_cuda import Simulated
        torch.cuda.init()
        device = Simulated.preloaded()
        for _ in range(2):
            with fasttime.scope("step"):
                device.enqueue(0, 3_000_000)
            device.advance(5_000_000)
    """)
    page, data, trace = (str(tmp_path / f"run.{suffix}") for suffix in ("html", "json", "json.gz"))
    done = forking_with_gpus.run(RUN, "--html", page, "--json", data, "--trace", trace, name)
    assert done.returncode == 0, done.stderr
    with gzip.open(trace, "rt") as file:
        events = json.load(file)["traceEvents"]
    # Where they lie is not asked: the host's clock is the real one here, the device's virtual.
    assert [e["name"] for e in events if e.get("cat") == "device"] == ["step", "step"]
    assert json.loads(Path(data).read_text())["sites"][0]["device"]["mean_s"] == 3e-3
    assert "data:image/svg+xml" in Path(page).read_text()
