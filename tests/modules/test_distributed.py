# SPDX-License-Identifier: BSD-3-Clause
"""Modules of DDP and FSDP2, in two processes over gloo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch.distributed
from forked import Forking

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch here has no torch.distributed"
)

CODE = """
import os
import sys

os.environ["GLOO_SOCKET_IFNAME"] = "lo"
sys.path.insert(0, sys.argv[1])
import torch._dynamo  # once, because DDP imports it in every process
from distributed_step import main

other = os.fork()
main(sys.argv[2], 0 if other else 1, sys.argv[3])
if other:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
"""


def train(how: str, folder: Path, forking: Forking) -> list[dict[str, Any]]:
    """Return what each rank counted."""
    done = forking.run(CODE, str(Path(__file__).parent), how, str(folder))
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_ddp_waits_for_gradients_in_a_part_of_its_own(tmp_path: Path, forking: Forking) -> None:
    for found in train("ddp", tmp_path, forking):
        assert found["steps"] == 3
        assert found["calls"]["module.1.linear"] == 3
        assert found["backward"]["module.1"] == found["backward"]["module.0"] == 3
        assert found["parts"]["backward"] > 0
        assert found["parts"]["gradient wait"] > 0


def test_fsdp_modules_are_timed_under_their_names(tmp_path: Path, forking: Forking) -> None:
    for found in train("fsdp", tmp_path, forking):
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
