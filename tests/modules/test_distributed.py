# SPDX-License-Identifier: BSD-3-Clause
"""Modules of DDP and FSDP2, in two processes over gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch.distributed

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch here has no torch.distributed"
)

PROGRAM = Path(__file__).with_name("distributed_step.py")


def train(how: str, folder: Path) -> list[dict[str, Any]]:
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), how, str(rank), str(folder / "store")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    found = []
    for process in processes:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors[-3000:]
        found.append(json.loads(out.splitlines()[-1]))
    return found


def test_ddp_waits_for_gradients_in_a_part_of_its_own(tmp_path: Path) -> None:
    fast, slow = train("ddp", tmp_path)
    for found in (fast, slow):
        assert found["steps"] == 3
        assert found["calls"]["module.1.linear"] == 3
        assert found["backward"]["module.1"] == found["backward"]["module.0"] == 3
        assert found["parts"]["gradient wait"] > 0
    # The slow rank sleeps 0.05 s per step in its backward pass.
    assert slow["parts"]["backward"] >= 0.15


def test_fsdp_modules_are_timed_under_their_names(tmp_path: Path) -> None:
    for found in train("fsdp", tmp_path):
        assert found["types"] == {
            "": "Sequential",
            "0": "Linear",
            "1": "Middle",
            "1.linear": "Linear",
            "2": "Linear",
        }
        assert set(found["calls"].values()) == {3}
        assert set(found["backward"].values()) == {3}
        assert found["steps"] == 3
