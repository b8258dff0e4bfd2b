# SPDX-License-Identifier: BSD-3-Clause
"""Embed the kernels of csrc/cuda/graph_stamps.cu as PTX. Needs nvcc.

    python tests/helpers/stamp_ptx.py

The header of the text asks for the oldest PTX and the oldest GPUs that the kernels need, because
the driver translates the text, and a driver refuses newer PTX than its own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent / "csrc" / "cuda"
SOURCE = FOLDER / "graph_stamps.cu"
EMBEDDED = FOLDER / "graph_stamps_ptx.cpp"
HEADER = ".version 6.0\n.target sm_60\n.address_size 64\n"


def compiler() -> str | None:
    """Return the path of nvcc, or None."""
    return shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")


def compiled() -> str:
    """Return the PTX that nvcc makes of the source, with the embedded text's header."""
    found = compiler()
    assert found is not None, "nvcc is missing"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "stamps.ptx"
        # Not in the source's folder: nvcc would take its cuda_runtime.h for CUDA's.
        subprocess.run([found, "-ptx", "-O3", SOURCE, "-o", out], check=True, cwd=folder)
        return HEADER + body(out.read_text())


def body(ptx: str) -> str:
    """Return PTX without comments, blank lines and the lines of the header."""
    lines = [re.sub(r"//.*", "", line).rstrip() for line in ptx.splitlines()]
    header = (".version", ".target", ".address_size")
    return "".join(f"{line}\n" for line in lines if line and not line.startswith(header))


def embedded() -> str:
    """Return the PTX in the extension's source."""
    found = re.search(r'R"PTX\((.*)\)PTX"', EMBEDDED.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def main() -> None:
    EMBEDDED.write_text(
        "// SPDX-License-Identifier: BSD-3-Clause\n"
        "// Made from graph_stamps.cu by tests/helpers/stamp_ptx.py; a test compares the two.\n"
        '#include "cuda/graph_stamps_ptx.h"\n\n'
        "namespace fasttime {\n\n"
        f'const char kGraphStampsPtx[] = R"PTX({compiled()})PTX";\n\n'
        "}  // namespace fasttime\n"
    )


if __name__ == "__main__":
    main()
