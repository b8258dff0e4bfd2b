# SPDX-License-Identifier: BSD-3-Clause
"""Count how often `fasttime_check` fails although the code is identical.

Python processes that were started for this, each with a memory layout of its own, measure the same
function. Each run draws some of them at random for the baseline and others for the check:

* one process against one process, as whole sessions of pytest
* several processes against several, the baseline first
* pairs of processes in turns, as with --fasttime-against

A run that fails is a false alarm. The table also shows how many runs decide. The machine should be
idle, but need not be: noise makes checks undecided, not false. Takes less than four minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import torch
from _common import json_path
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fasttime import Measurement, compare_saved, load, measure
from fasttime.comparing.against import turns
from fasttime.comparing.saved_verdict import FEWEST_PAIRS, judge_saved
from fasttime.comparing.verdict import MARGIN
from fasttime.environment import describe as environment
from fasttime.pytest_checks.judging import judge
from fasttime.pytest_checks.judging import judge_saved as judge_comparison

LIMIT = 0.05  # a check fails above 5 %
MOST_FALSE = 0.01
CHECKS_PER_SESSION = 10

TEST_FILE = f"""
import sys
import pytest
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pytest_false_alarms import make_work

@pytest.mark.parametrize("n", range({CHECKS_PER_SESSION}))
def test_work(fasttime_check, n, request):
    device = request.config.getoption("--work-device")
    budget = request.config.getoption("--work-budget")
    fasttime_check(make_work(device), fail_above={LIMIT}, budget=budget)
"""
CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--work-device")
    parser.addoption("--work-budget", type=float)
"""


def make_work(device: str) -> Callable[[], object]:
    """Return the function that every process measures."""
    x = torch.randn(192, 192, device=device)

    def work() -> object:
        return x @ x

    return work


class Worker:
    """A Python process that measures on request."""

    def __init__(self, folder: Path, number: int, device: str, budget: float) -> None:
        self._path = folder / f"{number}.json"
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker", device, str(budget)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> str:
        """Wait for the answer to a request, or for the start."""
        answer = _file(self._process.stdout).readline().strip()
        if not answer:
            raise RuntimeError("a process ended early; its messages are above")
        return answer

    def take(self) -> Measurement:
        """Measure the function once."""
        self._ask({"measure": str(self._path)})
        measurement = load(self._path)
        assert isinstance(measurement, Measurement)
        return measurement

    def session(self, arguments: Sequence[str]) -> dict[str, int]:
        """Run a session of pytest and return how many tests had each outcome."""
        counts: dict[str, int] = json.loads(self._ask({"pytest": list(arguments)}))
        return counts

    def end(self) -> None:
        """End the process."""
        _file(self._process.stdin).close()
        self._process.wait()

    def _ask(self, request: object) -> str:
        stdin = _file(self._process.stdin)
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        return self.wait()


def _file(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def serve(device: str, budget: float) -> int:
    """Answer requests, one per line, until the input ends."""
    import pytest

    answers, sys.stdout = sys.stdout, sys.stderr  # pytest prints to sys.stdout
    work = make_work(device)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "measure" in request:
            measure(work, budget=budget).save(request["measure"])
            print("done", file=answers, flush=True)
        else:
            counter = _Counter()
            with contextlib.redirect_stdout(open("/dev/null", "w")):
                pytest.main(request["pytest"], plugins=[counter])
            print(json.dumps(counter.counts), file=answers, flush=True)
    return 0


class _Counter:
    """A plugin for pytest that counts outcomes."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: object) -> None:
        if getattr(report, "when", "") == "call":
            self.counts[getattr(report, "outcome", "")] += 1


class Runs(NamedTuple):
    """How many runs of one kind had each outcome."""

    kind: str
    outcomes: dict[str, int]

    @property
    def count(self) -> int:
        return sum(self.outcomes.values())

    @property
    def false_alarms(self) -> int:
        return self.outcomes.get("failed", 0)


Take = Callable[[int], Measurement]  # measures once in the worker of a number


def against_baselines(
    take: Take, workers: int, count: int, processes: int, draw: random.Random
) -> Iterator[str]:
    """Yield the outcome of each run: several processes against several, the baseline first."""
    for _ in range(count):
        drawn = draw.sample(range(workers), 2 * processes)
        old = Measurement.merge(*map(take, drawn[:processes]))
        new = Measurement.merge(*map(take, drawn[processes:]))
        yield judge_comparison(compare_saved(old, new), LIMIT).word


def in_pairs(take: Take, workers: int, count: int, draw: random.Random) -> Iterator[str]:
    """Yield the outcome of each run: pairs of processes, each pair in random order."""
    for _ in range(count):
        drawn = iter(draw.sample(range(workers), 2 * FEWEST_PAIRS))
        sides: tuple[list[Measurement], list[Measurement]] = ([], [])
        for order in turns(FEWEST_PAIRS, draw):
            for side in order:
                sides[side].append(take(next(drawn)))
        old, new = (Measurement.merge(*side) for side in sides)
        yield judge(judge_saved(old, new, MARGIN, 0.0, in_pairs=True), LIMIT).word


def in_sessions(
    workers: Sequence[Worker], count: int, options: Sequence[str], folder: Path, draw: random.Random
) -> Iterator[dict[str, int]]:
    """Yield the outcomes of each session that follows a session which saved baselines."""
    (folder / "conftest.py").write_text(CONFTEST)
    test = folder / "test_work.py"
    test.write_text(TEST_FILE)
    common = [str(test), f"--rootdir={folder}", "-p", "no:cacheprovider", *options]
    # Without this, pytest collects garbage five times at the end of each session.
    common += ["-p", "no:unraisableexception"]
    for _ in range(count):
        first, second = draw.sample(list(workers), 2)
        first.session([*common, "--fasttime-update"])
        yield second.session(common)


def main() -> int:
    """Run everything, print and save the counts. Return 1 if there are too many false alarms."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", help="cpu or cuda; default: cuda, or cpu without a GPU")
    parser.add_argument("--count", type=int, default=300, help="runs per kind; default: 300")
    parser.add_argument("--workers", type=int, default=12, help="Python processes, at least 12")
    parser.add_argument("--processes", type=int, default=3, help="processes per side; default: 3")
    parser.add_argument("--budget", type=float, default=0.03, help="seconds; default: 0.03")
    parser.add_argument("--seed", type=int, default=0, help="random seed; default: 0")
    parser.add_argument("--json", type=json_path, metavar="PATH", help="save the counts here")
    options = parser.parse_args()
    if options.workers < 2 * max(FEWEST_PAIRS, options.processes):
        parser.error(f"--workers must be at least {2 * max(FEWEST_PAIRS, options.processes)}")
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    draw = random.Random(options.seed)
    console = Console()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fasttime-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        workers = [
            Worker(folder, number, device, options.budget) for number in range(options.workers)
        ]
        for worker in workers:
            stack.callback(worker.end)
        for worker in workers:
            worker.wait()

        def take(number: int) -> Measurement:
            return workers[number].take()

        def counted(kind: str, outcomes: Iterator[str], total: int) -> Runs:
            shown = track(outcomes, kind, total=total, console=console, transient=True)
            return Runs(kind, dict(Counter(shown)))

        sessions = -(-options.count // CHECKS_PER_SESSION)
        of_sessions: Counter[str] = Counter()
        work = ["--work-device", device, "--work-budget", str(options.budget), *_plugin()]
        made = in_sessions(workers, sessions, work, folder, draw)
        for counts in track(made, "sessions", total=sessions, console=console, transient=True):
            of_sessions.update(counts)
        processes = options.processes
        pairs = max(1, options.count // 3)
        found = [
            Runs("1 process, whole sessions", dict(of_sessions)),
            counted(
                f"{processes} processes, baseline first",
                against_baselines(take, len(workers), options.count, processes, draw),
                options.count,
            ),
            counted(
                f"{FEWEST_PAIRS} pairs in turns",
                in_pairs(take, len(workers), pairs, draw),
                pairs,
            ),
        ]
    seconds = time.monotonic() - start
    console.print(table(found))
    if options.json:
        content = {
            "environment": vars(environment.describe(device)),
            "limit": LIMIT,
            "budget": options.budget,
            "workers": options.workers,
            "seconds": seconds,
            "runs": [one._asdict() for one in found],
        }
        options.json.write_text(json.dumps(content, indent=1))
    print(sentence(found))
    return 0 if all(one.false_alarms <= MOST_FALSE * one.count for one in found) else 1


def _plugin() -> list[str]:
    """Return the option that loads the plugin where fasttime is not installed."""
    from importlib.metadata import entry_points

    points = entry_points(group="pytest11")
    is_installed = any(point.value == "fasttime_pytest" for point in points)
    return [] if is_installed else ["-p", "fasttime_pytest"]


def table(found: Sequence[Runs]) -> Table:
    """Return a table of the outcomes, in percent."""
    made = Table(title="Identical code", box=None, title_justify="left")
    made.add_column("", no_wrap=True)
    for heading in ("runs", "false alarms", "proven equal", "undecided"):
        made.add_column(heading, justify="right")
    for one in found:
        passed = one.outcomes.get("passed", 0)
        rest = one.count - passed - one.false_alarms
        shares = (
            f"{100 * number / one.count:.1f} %" for number in (one.false_alarms, passed, rest)
        )
        made.add_row(one.kind, str(one.count), *shares)
    return made


def sentence(found: Sequence[Runs]) -> str:
    """Return the result in one sentence."""
    false_alarms = sum(one.false_alarms for one in found)
    count = sum(one.count for one in found)
    return (
        f"{false_alarms} of {count} checks of identical code failed "
        f"({100 * false_alarms / count:.1f} %; the limit is {100 * MOST_FALSE:g} % of each kind)."
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        sys.exit(serve(sys.argv[2], float(sys.argv[3])))
    sys.exit(main())
