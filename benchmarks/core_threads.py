# SPDX-License-Identifier: BSD-3-Clause
"""What the core costs a thread when 1, 2, 4 and 8 C++ threads drive it, each on its own stream.

Beside it the same threads look up torch's current stream and record an event on it, twice. Once
while a latch holds all streams, so that there is nothing to read: recording alone; and once with
reading earlier scopes included: sustained. The core is compiled on demand, without Python.
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
from _paired import COLUMNS, Latch, Paired, said, table_row
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
# Two streams may share a launch queue of some 1,000 entries.
MOST_SECTIONS = 200


@dataclass(frozen=True)
class Result:
    """All pairs of measurements."""

    sections: int
    warmup: int
    rounds: int
    seed: int
    paired: list[Paired]

    def summary(self) -> list[dict[str, float | str | None]]:
        """Return the figures of each."""
        return [paired.summary() for paired in self.paired]


def core_sources(folder: Path) -> list[Path]:
    """Return the C++ sources that need no Python: everything outside csrc/python."""
    return sorted(path for path in folder.rglob("*.cpp") if path.parent.name != "python")


def compile_core(folder: Path) -> Path:
    """Compile the core and its drivers into `folder`; raises RuntimeError with g++'s words."""
    library = folder / "core_threads.so"
    # Nothing of it may be taken for, or replaced by, what the extension module has of the same
    # name.
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
    """The compiled library, made ready on streams of torch's."""

    def __init__(self, folder: Path, streams: Sequence[torch.cuda.Stream], sections: int) -> None:
        # Not PyDLL: the GIL is let go, as there is no Python in it.
        self._library = ctypes.CDLL(str(compile_core(folder)))
        self._library.core_threads_prepare.restype = ctypes.c_char_p
        self._library.core_threads_run.restype = ctypes.c_double
        self._library.core_threads_settle.restype = ctypes.c_int64
        handles = (ctypes.c_void_p * len(streams))(*(stream.cuda_stream for stream in streams))
        if missing := self._library.core_threads_prepare(
            torch.cuda.current_device(), handles, len(streams), sections
        ):
            raise RuntimeError(missing.decode())

    def run(self, by_core: bool, threads: int, sections: int) -> float:
        """Return the mean time of a section on a thread, in ns."""
        ns = float(self._library.core_threads_run(int(by_core), threads, sections))
        if ns < 0:
            raise RuntimeError(f"calls of {'the core' if by_core else 'raw C'} failed")
        return ns

    def settle(self) -> int:
        """Read what is ready; return how many scopes are not."""
        return int(self._library.core_threads_settle())


def measure(
    threads: Threads,
    streams: Sequence[torch.cuda.Stream],
    *,
    sections: int,
    warmup: int,
    rounds: int,
    seed: int,
) -> Result:
    """Let all numbers of threads take turns, core and raw C side by side."""
    latch, order = Latch(), random.Random(seed)
    handles = [stream.cuda_stream for stream in streams]
    made = {
        (count, condition): Paired(
            f"{count} C++ thread{'s' if count > 1 else ''}",
            condition,
            "raw C, as many threads",
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
            return threads.run(by_core, count, sections)
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
    return Result(sections, warmup, rounds, seed, list(made.values()))


def main() -> int:
    parser = make_parser(__doc__ or "")
    parser.add_argument("--repeat", type=int, default=100, help="sections a thread; default: 100")
    parser.add_argument("--warmup", type=int, default=3, help="pairs not counted; default: 3")
    parser.add_argument("--rounds", type=int, default=9, help="default: 9")
    options = parser.parse_args()
    if not 1 <= options.repeat <= MOST_SECTIONS or options.warmup < 0 or options.rounds < 1:
        parser.error(f"--repeat must lie between 1 and {MOST_SECTIONS}, --rounds at 1 or more")
    try:
        device = resolve_device(options.device)
    except ValueError as error:
        parser.error(str(error))
    if device == "cpu":
        parser.error("this one needs a CUDA device")
    console = Console(width=120)
    with torch.cuda.device(device), tempfile.TemporaryDirectory() as folder:
        torch.cuda.synchronize()
        streams = [torch.cuda.Stream() for _ in range(max(THREADS))]
        try:
            # One section more: each thread does one before the clock is read.
            threads = Threads(Path(folder), streams, options.repeat)
            result = measure(
                threads,
                streams,
                sections=options.repeat,
                warmup=options.warmup,
                rounds=options.rounds,
                seed=options.seed,
            )
        except (OSError, RuntimeError) as error:
            print(f"{parser.prog}: error: {error}", file=sys.stderr)
            return 1
    rows = [table_row(paired) for paired in result.paired]
    console.print(output.table("A section on each thread", COLUMNS, rows))
    sentence = said(result.paired)
    if options.json:
        here = environment.describe(device)
        output.save(output.document("core_threads", here, [result], sentence), options.json)
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
