# SPDX-License-Identifier: BSD-3-Clause
"""Scopes in a program that loses its device. Each test is a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.gpu

# Prints the backend, its reason, the pending scopes and the counts of each site.
PRINT = """
    def show(report):
        import json
        names = {site.path: site.counts for site in report.walk()}
        print(json.dumps([report.backend, report.backend_reason, report.pending, names]))
"""


def run(*arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def shown_by(code: str) -> list[Any]:
    done = run("-c", textwrap.dedent(PRINT) + textwrap.dedent(code))
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


BEGIN = """
    import time, torch, fasttime
    from fault import Fault
    fault, stream = Fault(), torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(50):
            with fasttime.scope("before"):
                torch.cuda._sleep(1000)
        torch.cuda.synchronize()
        fasttime.report(wait=True)
"""


def test_scopes_have_host_time_after_a_fault() -> None:
    backend, reason, pending, names = shown_by(
        BEGIN
        + """
        with fasttime.scope("faulty"):
            fault.launch(stream)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            with fasttime.scope("after"):
                time.sleep(0.01)
    show(fasttime.report(wait=True))
    """
    )
    assert (backend, pending) == ("host", 0)
    assert "700 (cudaErrorIllegalAddress" in reason
    assert "times the host only" in reason
    assert names["before"]["ok"] == 50
    assert names["faulty"]["failed"] == 1
    assert names["after"]["host_only"] > 50


@pytest.mark.parametrize("busy_ms", [0, 200])
def test_a_drain_ends_after_a_fault(busy_ms: int) -> None:
    backend, reason, pending, names = shown_by(
        BEGIN
        + f"""
        torch.cuda._sleep({busy_ms} * 1_500_000)
        with fasttime.scope("faulty"):
            fault.launch(stream)
        with fasttime.scope("behind"):
            pass
    show(fasttime.report(wait=True))  # nothing records any more, and there is no timeout
    """
    )
    assert (backend, pending) == ("host", 0)
    assert "700 (cudaErrorIllegalAddress" in reason
    assert names["before"]["ok"] == 50
    assert names["faulty"]["failed"] == 1
    assert sum(names["behind"].values()) == 1


def test_torch_raises_only_its_own_error() -> None:
    """Its messages are the same with and without fasttime."""
    code = (
        BEGIN
        + """
        fault.launch(stream)
        try:
            torch.cuda.synchronize()
        except RuntimeError as error:
            print(str(error).splitlines()[0])
        with fasttime.scope("after"):
            pass
        try:
            torch.zeros(3, device="cuda")
        except RuntimeError as error:
            print(str(error).splitlines()[0])
        fasttime.report(wait=True)
    """
    )
    with_scopes = run("-c", textwrap.dedent(code))
    without = run("-c", "import fasttime; fasttime.disable()\n" + textwrap.dedent(code))
    assert (with_scopes.returncode, with_scopes.stderr) == (0, "")
    assert with_scopes.stdout == without.stdout
    assert len(with_scopes.stdout.splitlines()) == 2


def test_fasttime_run_reports_after_a_fault(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            BEGIN
            + """
        with fasttime.scope("faulty"):
            fault.launch(stream)
    torch.cuda.synchronize()
    """
        ),
        encoding="utf-8",
    )
    done = run("-m", "fasttime", "run", "--json", str(tmp_path / "report.json"), str(script))
    assert done.returncode == 1
    assert "illegal memory access" in done.stderr
    assert "before" in done.stderr
    counts = {
        site["path"]: site["counts"]
        for site in json.loads((tmp_path / "report.json").read_text())["sites"]
    }
    assert counts["before"]["ok"] == 50
    assert counts["faulty"]["failed"] == 1
