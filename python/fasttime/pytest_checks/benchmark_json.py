# SPDX-License-Identifier: BSD-3-Clause
"""The JSON format of pytest-benchmark, which github-action-benchmark and Bencher read."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..environment.describe import cpu_name
from ..measuring.measurement import Measurement


def benchmark(
    measurement: Measurement, name: str, fullname: str, parameters: Mapping[str, object]
) -> dict[str, Any]:
    """Return one entry. Times are in seconds, one per kept run.

    Args:
        measurement: the times.
        name: the test's name.
        fullname: the test's node id.
        parameters: the parameters of the test, by name.
    """
    times = measurement.times
    q1, q3 = (float(np.quantile(times, q)) for q in (0.25, 0.75))
    far = 1.5 * (q3 - q1)
    near = times[(times >= q1 - far) & (times <= q3 + far)]
    std = float(times.std(ddof=1)) if len(times) > 1 else 0.0
    std_outliers = int((np.abs(times - times.mean()) > std).sum())
    total = float(times.sum())
    shown = {key: _plain(value) for key, value in parameters.items()}
    return {
        "group": None,
        "name": name,
        "fullname": fullname,
        "params": shown or None,
        "param": "-".join(map(str, shown.values())) or None,
        "extra_info": {
            "fasttime_method": measurement.method,
            "fasttime_device": measurement.device,
            "fasttime_host_time": measurement.host_time if len(measurement.host_times) else None,
            "fasttime_warnings": [str(warning) for warning in measurement.warnings],
        },
        "options": {
            "disable_gc": False,
            "timer": f"fasttime {measurement.method}",
            "min_rounds": 1,
            "max_time": 0.0,
            "min_time": 0.0,
            "warmup": measurement.warmup > 0,
        },
        "stats": {
            "min": measurement.min,
            "max": measurement.max,
            "mean": measurement.mean,
            "stddev": std,
            "rounds": len(times),
            "median": float(np.median(times)),
            "iqr": q3 - q1,
            "q1": q1,
            "q3": q3,
            "iqr_outliers": len(times) - len(near),
            "stddev_outliers": std_outliers,
            "outliers": f"{std_outliers};{len(times) - len(near)}",
            "ld15iqr": float(near.min()),
            "hd15iqr": float(near.max()),
            "ops": len(times) / total if total > 0 else 0.0,
            "total": total,
            "data": times.tolist(),
            "iterations": 1,
        },
    }


def document(benchmarks: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Return the whole file.

    Args:
        benchmarks: the entries.
        folder: a folder of the git repository.
    """
    return {
        "machine_info": {
            "node": platform.node(),
            "processor": platform.processor(),
            "machine": platform.machine(),
            "python_compiler": platform.python_compiler(),
            "python_implementation": platform.python_implementation(),
            "python_implementation_version": platform.python_version(),
            "python_version": platform.python_version(),
            "python_build": list(platform.python_build()),
            "release": platform.release(),
            "system": platform.system(),
            "cpu": {"brand_raw": cpu_name(), "count": os.cpu_count()},
        },
        "commit_info": _commit_info(folder),
        "benchmarks": list(benchmarks),
        "datetime": datetime.now(timezone.utc).isoformat(),
        "version": f"fasttime {__version__}",
    }


def _commit_info(folder: Path) -> dict[str, Any]:
    commit = _git(folder, "rev-parse", "HEAD")
    return {
        "id": commit or "unversioned",
        "time": _git(folder, "show", "-s", "--format=%cI"),
        "author_time": _git(folder, "show", "-s", "--format=%aI"),
        "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no")),
        "project": folder.name,
        "branch": _git(folder, "rev-parse", "--abbrev-ref", "HEAD") or "(unknown)",
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints; None without git, outside a repository and before a commit."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)
