# SPDX-License-Identifier: BSD-3-Clause
"""Run the README's first example. Its output is the report in the README."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def main() -> None:
    """Run the first Python block of the README."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(blocks[0], str(README), "exec"), {"__name__": "example"})


if __name__ == "__main__":
    main()
