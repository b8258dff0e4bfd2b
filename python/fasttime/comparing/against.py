# SPDX-License-Identifier: BSD-3-Clause
"""Measure two revisions in turns: the machine that `fasttime bench --against` and tests share.

Two measurements that were made one after the other differ by all that changed in between: the
clock, the temperature, other programs. Here the revisions take turns in fresh processes. Each pair
runs in random order, so a drift of the machine is as likely to favour either side. The ratio of
each pair is then symmetric about the true ratio, whatever the noise is like.

A typical use, with the trees kept for as long as processes run:

    with trees_of("main") as trees:
        for old, new in in_turns(trees, command, pairs=10):
            ...  # read what the two processes wrote to the paths `old` and `new`
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .import_check import check_imports
from .worktree import AgainstError, Tree, Trees, how_it_ended, run_in, trees_of

__all__ = [
    "AgainstError",
    "Tree",
    "Trees",
    "Turn",
    "check_imports",
    "in_turns",
    "trees_of",
]

# Takes the tree, and the path to which the process must write. Returns the process's arguments.
Command = Callable[[Tree, Path], Sequence[str]]


class Turn(NamedTuple):
    """What one process of each side wrote: a file or a folder, as the command chose."""

    old: Path
    new: Path


def in_turns(
    trees: Trees,
    command: Command,
    pairs: int,
    *,
    order: random.Random | None = None,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Turn]:
    """Run a command once in each tree, pair after pair, each time in a fresh process.

    Args:
        trees: from `trees_of`.
        command: returns the arguments of a process, which must write to the path that it is given.
            The process should call `check_imports` with the top folder of its tree at its end.
        pairs: how many processes each side gets.
        order: decides which side of a pair goes first. By default, the system's randomness.
        progress: called before each process with a few words on it.

    Yields what the processes of a pair wrote. The paths stay valid until the generator is closed.
    Stop early to keep the pairs that are done. Waits for the processes. Raises AgainstError if a
    process fails or writes nothing. The messages of the process go to stderr first.
    """
    with tempfile.TemporaryDirectory(prefix="fasttime-") as folder:
        for pair, sides in enumerate(turns(pairs, order), start=1):
            turn = Turn(Path(folder, f"{pair}-old.json"), Path(folder, f"{pair}-new.json"))
            for side in sides:
                tree, output = trees[side], turn[side]
                name = f"pair {pair} of {pairs}, {tree.side} side"
                if progress is not None:
                    progress(name)
                _run(trees, tree, command(tree, output), output, name)
            yield turn


def turns(pairs: int, order: random.Random | None = None) -> Iterator[tuple[int, int]]:
    """Yield who goes first and second in each pair: 0 is the old side, 1 the new side.

    Each pair is drawn by itself. If the sides alternated, a drift would favour one of them.
    """
    draw = order or random.SystemRandom()
    for _ in range(pairs):
        yield (0, 1) if draw.random() < 0.5 else (1, 0)


def _run(trees: Trees, tree: Tree, command: Sequence[str], output: Path, name: str) -> None:
    done = run_in(tree, trees, command)
    if done.returncode != 0:
        raise AgainstError(
            f"{name}: the process {how_it_ended(done.returncode)}; its messages are above"
        )
    if not output.exists():
        raise AgainstError(f"{name}: the process wrote no result; it must write to {output.name}")
