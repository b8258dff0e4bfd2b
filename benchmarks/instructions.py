# SPDX-License-Identifier: BSD-3-Clause
"""Count the library's own instructions per scope, with valgrind's callgrind.

A runtime that does nothing replaces CUDA. Each way runs twice, the second time with more scopes.
The difference, divided by the number of additional scopes, is the count per scope, without
start-up. Only instructions in the extension `_C` count, not those of Python and CUDA. Unlike times,
the counts are the same in every run of one build.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from _common import json_path
from rich.console import Console

from fasttime.environment import describe as environment
from fasttime.experiments import output

RUNTIME = Path(__file__).parent.parent / "tests" / "stress" / "instant_cudart.cpp"
# By name: the code that prepares a way, and the code that runs `count` scopes or phases.
SCOPES = """
for _ in range(count):
    with scope("name"):
        pass
"""
# As in a decorated function.
SCOPES_ON_STREAM = SCOPES.replace('"name"', '"name", stream=None')
PHASES = """
with phases("step") as phase:
    for _ in range(count):
        phase("name")
"""
NO_SHARING = "core.set_share_window_ns(0)"
TWO_RECORDS, SHARED, DISABLED = "scope, two records", "scope, shared boundary", "scope, disabled"
ON_STREAM, PHASE = "scope, two records, stream=None", "phase"
WAYS = {
    TWO_RECORDS: (NO_SHARING, SCOPES),
    ON_STREAM: (NO_SHARING, SCOPES_ON_STREAM),
    SHARED: ("", SCOPES),
    PHASE: (NO_SHARING, PHASES),
    DISABLED: ("_C.set_enabled(scope, False)", SCOPES),
}
WARM = 2_000
NEEDED = {
    "valgrind": "apt install valgrind   (or dnf install valgrind)",
    "g++": "apt install g++   (or dnf install gcc-c++)",
}

# Loads the extension without the package: under valgrind, importing torch takes minutes.
PROGRAM = """
import ctypes, importlib.util, sys
spec = importlib.util.spec_from_file_location("fasttime._C", sys.argv[1])
_C = importlib.util.module_from_spec(spec)
spec.loader.exec_module(_C)
ctypes.PyDLL(sys.argv[1]).fasttime_testing_bind_library(sys.argv[2].encode())
assert _C.backend()["has_cuda"], _C.backend()["reason"]
core = _C.Recorder()
scope, begin, end, phases = core.scope_functions()
exec(sys.argv[3])
count = int(sys.argv[5])
exec(sys.argv[4])
"""


@dataclass(frozen=True)
class Result:
    """Instructions of `scopes` scopes, by way and function."""

    scopes: int
    by_function: dict[str, dict[str, int]]

    def summary(self) -> dict[str, float]:
        """Return the instructions per scope, by way."""
        return {way: sum(of.values()) / self.scopes for way, of in self.by_function.items()}


def extension() -> Path:
    """Return the path of the installed extension, without importing it."""
    package = importlib.util.find_spec("fasttime")
    folders = package.submodule_search_locations if package else None
    for folder in folders or ():
        for path in Path(folder).glob("_C.*"):
            if path.suffix in {".so", ".pyd"}:
                return path
    raise FileNotFoundError("the extension fasttime._C is not built: pip install .")


def own_instructions(profile: str, library: str) -> Counter[str]:
    """Return callgrind's counts for the functions of one shared library.

    The format: https://valgrind.org/docs/manual/cl-format.html. A name is written as
    `(number) name` at its first use and as `(number)` from then on, for callees too (`cob=`).
    """
    names: dict[tuple[str, str], str] = {}
    here = {"ob": "", "fn": ""}
    counted: Counter[str] = Counter()
    is_of_call = False
    for line in profile.splitlines():
        if named := re.fullmatch(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?", line):
            is_callee, kind, number, name = named.groups()
            if name is not None:
                names[kind, number] = name
            if not is_callee:
                here[kind] = names[kind, number]
        elif line.startswith("calls="):
            is_of_call = True
        elif cost := re.fullmatch(r"[+*-]?\d* (\d+)", line):
            # The line after `calls=` is the cost of the callee, which has an entry of its own.
            if not is_of_call and here["ob"] == library:
                counted[here["fn"]] += int(cost[1])
            is_of_call = False
    return counted


def profiled(library: Path, runtime: Path, way: str, scopes: int, folder: Path) -> Counter[str]:
    """Return the instructions in `library` of a process that runs `scopes` scopes or phases."""
    profile = folder / "callgrind.out"
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"]
    program = [sys.executable, "-S", "-c", PROGRAM, library, runtime, *WAYS[way], scopes]
    subprocess.run(
        [*tool, *map(str, program)],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=True,
        capture_output=True,
        text=True,
    )
    return own_instructions(profile.read_text(), str(library))


def count(scopes: int) -> Result:
    """Count the instructions of each way."""
    library = extension().resolve()
    by_function = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runtime = folder / "instant_cudart.so"
        subprocess.run(["g++", "-O2", "-shared", "-fPIC", RUNTIME, "-o", runtime], check=True)
        for way in output.track(list(WAYS), "instructions"):
            fewer = profiled(library, runtime, way, WARM, folder)
            more = profiled(library, runtime, way, WARM + scopes, folder)
            more.subtract(fewer)
            by_function[way] = {name: n for name, n in more.most_common() if n}
    return Result(scopes, by_function)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scopes", type=int, default=16_000, help="default: 16000")
    parser.add_argument("--json", type=json_path, metavar="PATH", help="save the raw data here")
    options = parser.parse_args()
    if options.scopes < 1:
        parser.error(f"--scopes must be at least 1, got {options.scopes}")
    for tool, install in NEEDED.items():
        if shutil.which(tool) is None:
            print(f"{parser.prog}: error: {tool} is missing: {install}", file=sys.stderr)
            return 1
    try:
        result = count(options.scopes)
    except FileNotFoundError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"{parser.prog}: error: {error}\n{error.stderr or ''}", file=sys.stderr)
        return 1
    console = Console()
    summary = result.summary()
    rows = [(way, f"{each:,.1f}") for way, each in summary.items()]
    console.print(
        output.table("", ["empty scope or phase", "the library's own instructions"], rows)
    )
    sentence = (
        f"A scope with two records takes {summary[TWO_RECORDS]:,.0f} of the library's own "
        f"instructions, the same with stream=None {summary[ON_STREAM]:,.0f}, a scope that shares "
        f"a boundary {summary[SHARED]:,.0f}, a phase {summary[PHASE]:,.0f} and a disabled scope "
        f"{summary[DISABLED]:,.0f}."
    )
    if options.json:
        here = environment.describe("cpu")
        output.save(output.document("instructions", here, [result], sentence), options.json)
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
