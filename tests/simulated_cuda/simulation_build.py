# SPDX-License-Identifier: BSD-3-Clause
"""Compile the simulated CUDA runtime, and run Python with the real torch on it."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / "build" / "simulated_cuda"
LIBRARY = "libsimulated_cudart.so"
PRELOADED_LIBRARY = "libsimulated_cudart_preload.so"

_FLAGS = ["-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden"]


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stderr}")


def build(directory: str | os.PathLike[str]) -> Path:
    """Compile the simulation into `directory`, if needed; return the library for unit tests.

    Needs g++ but not CUDA. The library to preload and the stub driver lie beside the returned one.
    """
    out = Path(directory)
    out.mkdir(parents=True, exist_ok=True)
    library, preloaded, driver = out / LIBRARY, out / PRELOADED_LIBRARY, out / "libcuda.so.1"
    nvml = out / "libnvidia-ml.so.1"
    newest = max(
        path.stat().st_mtime for path in HERE.iterdir() if path.suffix in {".c", ".cpp", ".h"}
    )
    products = (library, preloaded, driver, nvml)
    if all(path.exists() and path.stat().st_mtime >= newest for path in products):
        return library

    sources = sorted(HERE.glob("*.cpp"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = [out / f"{source.stem}.o" for source in sources]
        compile_: list[str | Path] = ["g++", "-std=c++17", *_FLAGS, "-c"]
        list(
            pool.map(
                lambda pair: _run([*compile_, pair[0], "-o", pair[1]]),
                zip(sources, objects, strict=True),
            )
        )
    link: list[str | Path] = ["g++", "-shared", "-pthread"]
    _run([*link, *objects, "-ldl", "-o", library])
    for_preload = [path for path in objects if path.stem != "torch_streams"]
    _run([*link, f"-Wl,-soname,{PRELOADED_LIBRARY}", *for_preload, "-ldl", "-o", preloaded])
    for stub in (driver, nvml):
        flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{stub.name}"]
        depends: list[str | Path] = ["-Wl,--no-as-needed", preloaded, "-Wl,-rpath,$ORIGIN"]
        _run(["gcc", *flags, HERE / "stub_libcuda.c", *depends, "-o", stub])
    return library


def cached_build() -> Path:
    """Return the unit tests' library, compiled at most once for these sources.

    Test sessions and their worker processes share the result. A process that finds another one
    compiling waits for it.
    """
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for path in sorted(HERE.iterdir()):
        if path.suffix in {".c", ".cpp", ".h", ".py"}:
            digest.update(path.name.encode() + path.read_bytes())
    folder = CACHE / digest.hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = CACHE / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            build(unfinished)
            unfinished.rename(folder)
    return folder / LIBRARY


def torch_can_be_simulated() -> bool:
    """Return whether torch is built for CUDA 13, like the simulation, without importing torch."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    version = (Path(found.origin).parent / "version.py").read_text(encoding="utf-8")
    return re.search(r"^cuda\b.*=\s*'13\.", version, re.MULTILINE) is not None


def run_under_simulation(
    code_or_path: str | Path,
    library: str | os.PathLike[str],
    *arguments: str,
    env: dict[str, str] | None = None,
    timeout: float = 120.0,
) -> subprocess.CompletedProcess[str]:
    """Run Python with torch's CUDA build on simulated devices; return the finished process.

    `code_or_path` is source text, or the Path of a script. `library` is the result of `build`. In
    the subprocess, `from simulated_cuda import Simulated; Simulated.preloaded()` steers the
    simulation.
    """
    target = [str(code_or_path)] if isinstance(code_or_path, Path) else ["-c", code_or_path]
    return subprocess.run(
        [sys.executable, *target, *arguments],
        env=simulation_environment(library, env),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def simulation_environment(
    library: str | os.PathLike[str], env: dict[str, str] | None = None
) -> dict[str, str]:
    """Return the environment variables of a process with simulated devices."""
    folder = Path(library).resolve().parent
    environment = {**os.environ, **(env or {})}
    # The machine's setting would also hide simulated devices.
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    environment["LD_PRELOAD"] = _joined(folder / PRELOADED_LIBRARY, environment.get("LD_PRELOAD"))
    environment["LD_LIBRARY_PATH"] = _joined(folder, environment.get("LD_LIBRARY_PATH"))
    environment["PYTHONPATH"] = _joined(HERE, environment.get("PYTHONPATH"))
    return environment


def _joined(first: Path, rest: str | None) -> str:
    return f"{first}:{rest}" if rest else str(first)
