# SPDX-License-Identifier: BSD-3-Clause
"""Measure what the core costs each of 1, 2, 4 and 8 C++ threads, each on its own stream.

The yardstick: the same threads look up torch's current stream and record an event on it, twice.
There are two conditions. Recording alone: a latch holds all streams, so there is nothing to read.
Sustained: scopes read earlier scopes. The script compiles the core, without Python.
"""

from __future__ import annotations

import ctypes
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from _common import make_parser
from _paired import COLUMNS, Latch, Paired, table_row, targets_sentence
from rich.console import Console

from fasttime.environment import describe as environment
from fasttime.experiments import output
from fasttime.experiments.settings import resolve_device

THREADS = (1, 2, 4, 8)
TARGET = 1.15
ALONE, SUSTAINED = "recording alone", "sustained"
HERE = Path(__file__).parent
CORE = HERE.parent / "csrc"
ROWS = 20
# Two streams may share a launch queue of about 1,000 entries.
MOST_SCOPES = 200


@dataclass(frozen=True)
class Result:
    """All pairs of measurements.

    Attributes:
        scopes: per thread and row.
        warmup: pairs of rows that are not counted, per round.
        paired: ns per scope and thread.
    """

    scopes: int
    warmup: int
    rounds: int
    seed: int
    paired: list[Paired]

    def summary(self) -> list[dict[str, float | str | None]]:
        """Return the figures of each pair."""
        return [paired.summary() for paired in self.paired]


def core_sources(folder: Path) -> list[Path]:
    """Return the C++ sources outside csrc/python. They need no Python."""
    return sorted(path for path in folder.rglob("*.cpp") if path.parent.name != "python")


def compile_core(folder: Path) -> Path:
    """Compile the core and its drivers into `folder`. Raises RuntimeError with g++'s message."""
    library = folder / "core_threads.so"
    # The extension module has symbols of the same names. The two must not replace each other's.
    flags = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread"]
    flags += ["-fvisibility=hidden", "-fno-gnu-unique", "-Wl,-Bsymbolic", f"-I{CORE}"]
    command: list[str | Path] = [
        "g++",
        *flags,
        HERE / "core_threads.cpp",
        *core_sources(CORE),
        "-ldl",
    ]
    command += ["-o", library]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return library


class Threads:
    """The compiled library, which uses torch's streams."""

    def __init__(self, folder: Path, streams: Sequence[torch.cuda.Stream], scopes: int) -> None:
        # CDLL and not PyDLL: it releases the GIL. The library has no Python in it.
        self._library = ctypes.CDLL(str(compile_core(folder)))
        self._library.core_threads_prepare.restype = ctypes.c_char_p
        self._library.core_threads_run.restype = ctypes.c_double
        self._library.core_threads_settle.restype = ctypes.c_int64
        handles = (ctypes.c_void_p * len(streams))(*(stream.cuda_stream for stream in streams))
        if missing := self._library.core_threads_prepare(
            torch.cuda.current_device(), handles, len(streams), scopes
        ):
            raise RuntimeError(missing.decode())

    def run(self, by_core: bool, threads: int, scopes: int) -> float:
        """Return the mean time of a scope on a thread, in ns. Raises RuntimeError."""
        ns = float(self._library.core_threads_run(int(by_core), threads, scopes))
        if ns < 0:
            raise RuntimeError(f"a call of {'the core' if by_core else 'raw C'} failed")
        return ns

    def settle(self) -> int:
        """Read the scopes that are ready. Return how many are not."""
        return int(self._library.core_threads_settle())


def measure(
    threads: Threads,
    streams: Sequence[torch.cuda.Stream],
    *,
    scopes: int,
    warmup: int,
    rounds: int,
    seed: int,
) -> Result:
    """Let all numbers of threads take turns, with core and raw C side by side."""
    latch, order = Latch(), random.Random(seed)
    handles = [stream.cuda_stream for stream in streams]
    made = {
        (count, condition): Paired(
            f"{count} C++ thread{'s' if count > 1 else ''}",
            condition,
            "raw C, same threads",
            "ns",
            TARGET if condition == ALONE else None,
        )
        for count in THREADS
        for condition in (ALONE, SUSTAINED)
    }

    def row(by_core: bool, count: int, condition: str) -> float:
        if condition == ALONE:
            threads.settle()
            latch.hold(*handles[:count])
        try:
            return threads.run(by_core, count, scopes)
        finally:
            latch.release()
            torch.cuda.synchronize()

    plan = [key for _ in range(rounds) for key in order.sample(list(made), len(made))]
    for key in output.track(plan, "core threads"):
        pairs = []
        for index in range(warmup + ROWS):
            first = index % 2 == 0
            one = row(first, *key)
            other = row(not first, *key)
            pairs.append((one, other) if first else (other, one))
        made[key].values.append([core for core, _ in pairs[warmup:]])
        made[key].yardsticks.append([raw for _, raw in pairs[warmup:]])
    torch.cuda.synchronize()
    if left := threads.settle():
        raise RuntimeError(f"{left} scopes were never resolved")
    return Result(scopes, warmup, rounds, seed, list(made.values()))


def main() -> int:
    parser = make_parser(__doc__ or "")
    parser.add_argument("--repeat", type=int, default=100, help="scopes per row; default: 100")
    parser.add_argument("--warmup", type=int, default=3, help="rows not counted; default: 3")
    parser.add_argument("--rounds", type=int, default=9, help="default: 9")
    options = parser.parse_args()
    if not 1 <= options.repeat <= MOST_SCOPES or options.warmup < 0 or options.rounds < 1:
        parser.error(f"--repeat must lie between 1 and {MOST_SCOPES}, --rounds at 1 or more")
    try:
        device = resolve_device(options.device)
    except ValueError as error:
        parser.error(str(error))
    if device == "cpu":
        parser.error("needs a CUDA device")
    console = Console(width=130)
    with torch.cuda.device(device), tempfile.TemporaryDirectory() as folder:
        torch.cuda.synchronize()
        streams = [torch.cuda.Stream() for _ in range(max(THREADS))]
        try:
            threads = Threads(Path(folder), streams, options.repeat)
            result = measure(
                threads,
                streams,
                scopes=options.repeat,
                warmup=options.warmup,
                rounds=options.rounds,
                seed=options.seed,
            )
        except (OSError, RuntimeError) as error:
            print(f"{parser.prog}: error: {error}", file=sys.stderr)
            return 1
    rows = [table_row(paired) for paired in result.paired]
    console.print(output.table("A scope on each thread", COLUMNS, rows))
    sentence = targets_sentence(result.paired)
    if options.json:
        here = environment.describe(device)
        output.save(output.document("core_threads", here, [result], sentence), options.json)
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
