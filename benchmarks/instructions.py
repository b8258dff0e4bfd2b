# SPDX-License-Identifier: BSD-3-Clause
"""The library's own instructions a scope, counted by valgrind's callgrind.

A runtime that does nothing stands in for CUDA. Each way runs twice, with more scopes the second
time; the difference, divided by the further scopes, is what one takes, start-up left out. Counted
is what lies in the extension `_C`, whatever it inlines included; Python and CUDA are not. Unlike
times, the counts are the same on every run of one build.
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
SCOPE = 'with scope("name"):\n        pass'
# Settings, and the statement that is repeated. `phase` is inside a block of its own.
WAYS = {
    "scope, two records": ("core.set_share_window_ns(0)", SCOPE),
    "scope, shared boundary": ("", SCOPE),
    "scope, disabled": ("_C.set_enabled(scope, False)", SCOPE),
    "phase": ("core.set_share_window_ns(0)", 'phase("name")'),
}
WARM = 2_000
NEEDED = {
    "valgrind": "apt install valgrind   (or dnf install valgrind)",
    "g++": "apt install g++   (or dnf install gcc-c++)",
}

# The extension is loaded without the package: under valgrind, importing torch takes minutes.
PROGRAM = """
import ctypes, importlib.util, sys
spec = importlib.util.spec_from_file_location("fasttime._C", sys.argv[1])
_C = importlib.util.module_from_spec(spec)
spec.loader.exec_module(_C)
ctypes.PyDLL(sys.argv[1]).fasttime_testing_bind_library(sys.argv[2].encode())
core = _C.Recorder()
scope, _, _, phases = core.scope_functions()
phase = phases("block")
if "phase(" in sys.argv[4]:
    phase.__enter__()
exec(sys.argv[3])
exec(f"for _ in range(int(sys.argv[5])):\\n    {sys.argv[4]}")
"""


@dataclass(frozen=True)
class Result:
    """Instructions by way and function, over so many scopes."""

    scopes: int
    by_function: dict[str, dict[str, int]]

    def summary(self) -> dict[str, float]:
        """Return the instructions a scope takes, by way."""
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
    """Return the instructions that callgrind counted in the functions of one shared library.

    The format: https://valgrind.org/docs/manual/cl-format.html. A name stands in full where it is
    first used, as `(number) name`, and is `(number)` from then on, for callees too (`cob=`).
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
            # The line after `calls=` is what the callee took, which has an entry of its own.
            if not is_of_call and here["ob"] == library:
                counted[here["fn"]] += int(cost[1])
            is_of_call = False
    return counted


def profiled(
    library: Path, runtime: Path, way: tuple[str, str], scopes: int, folder: Path
) -> Counter[str]:
    """Return the instructions in `library` of a process that runs so many scopes."""
    profile = folder / "callgrind.out"
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"]
    program = [sys.executable, "-S", "-c", PROGRAM, library, runtime, *way, scopes]
    subprocess.run(
        [*tool, *map(str, program)],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=True,
        capture_output=True,
        text=True,
    )
    return own_instructions(profile.read_text(), str(library))


def count(scopes: int) -> Result:
    """Count for each way."""
    library = extension().resolve()
    by_function = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runtime = folder / "instant_cudart.so"
        subprocess.run(["g++", "-O2", "-shared", "-fPIC", RUNTIME, "-o", runtime], check=True)
        for way in output.track(list(WAYS), "instructions"):
            fewer = profiled(library, runtime, WAYS[way], WARM, folder)
            more = profiled(library, runtime, WAYS[way], WARM + scopes, folder)
            more.subtract(fewer)
            by_function[way] = {name: n for name, n in more.most_common() if n}
    return Result(scopes, by_function)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scopes", type=int, default=16_000, help="default: 16000")
    parser.add_argument("--json", type=json_path, metavar="PATH", help="write raw data there")
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
    console.print(output.table("", ["empty scope", "the library's own instructions"], rows))
    two, shared, off, phase = (summary[way] for way in WAYS)
    said = (
        f"A scope with two records takes {two:,.0f} instructions of the library's own, "
        f"one that shares a boundary {shared:,.0f}, a disabled one {off:,.0f}. "
        f"A phase takes {phase:,.0f}."
    )
    if options.json:
        here = environment.describe("cpu")
        output.save(output.document("instructions", here, [result], said), options.json)
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
