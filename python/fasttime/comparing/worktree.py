# SPDX-License-Identifier: BSD-3-Clause
"""Two trees of one git repository: your working tree, and another revision in a worktree."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

# A hook of git sets these for its own repository. The worktree must not inherit them.
_OF_GIT_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


class AgainstError(RuntimeError):
    """The two revisions cannot be measured. The message names the remedy."""


@dataclass(frozen=True)
class Tree:
    """One side: the files of a revision, or your working tree.

    Attributes:
        side: ``old`` for the revision, ``new`` for your working tree.
        top: the tree's top folder.
        folder: the folder in which commands run. It is the current folder, or the same folder of
            the other revision.
    """

    side: Literal["old", "new"]
    top: Path
    folder: Path

    def environment(self, of: Path) -> dict[str, str]:
        """Return the variables for a process in this tree.

        ``PYTHONPATH`` may name folders of the working tree, whose top folder is `of`. They become
        the same folders of this tree.
        """
        variables = {name: text for name, text in os.environ.items() if name not in _OF_GIT_HOOKS}
        if path := variables.get("PYTHONPATH"):
            entries = [self._moved(entry, of) for entry in path.split(os.pathsep)]
            variables["PYTHONPATH"] = os.pathsep.join(entries)
        return variables

    def _moved(self, entry: str, of: Path) -> str:
        place = Path(os.path.realpath(entry))
        if os.path.isabs(entry) and place.is_relative_to(of):
            return str(self.top / place.relative_to(of))
        return entry  # a relative entry starts at the folder of the process


class Trees(NamedTuple):
    """Both sides."""

    old: Tree
    new: Tree


@contextlib.contextmanager
def trees_of(
    revision: str, *, build: str | None = None, folder: Path | None = None
) -> Iterator[Trees]:
    """Check out a revision into a temporary git worktree, and yield both trees.

    The worktree holds the files of the revision and nothing else. If the code must be built, or
    submodules are needed, `build` has to do that. The worktree is removed at the end.

    Args:
        revision: a branch, a tag or a commit.
        build: a shell command that runs once, in the worktree's top folder.
        folder: a folder of the repository; the current folder by default.

    Waits for git and for the build. Raises AgainstError if there is no git, no repository or no
    such revision, and if the build fails.
    """
    here = Path(os.path.realpath(folder or Path.cwd()))
    top = Path(os.path.realpath(_git(here, "rev-parse", "--show-toplevel")))
    commit = _commit(top, revision)
    with tempfile.TemporaryDirectory(prefix="fasttime-") as temporary:
        other = Path(os.path.realpath(temporary), top.name)
        # A hook of the repository could change either tree.
        nothing = f"core.hooksPath={os.devnull}"
        _git(top, "-c", nothing, "worktree", "add", "--quiet", "--detach", str(other), commit)
        try:
            there = other / here.relative_to(top)
            if not there.is_dir():
                raise AgainstError(
                    f"{revision} has no folder {here.relative_to(top)}; start in a folder that "
                    "both revisions have"
                )
            trees = Trees(Tree("old", other, there), Tree("new", top, here))
            if build:
                _build(build, trees)
            yield trees
        finally:
            shutil.rmtree(other, ignore_errors=True)
            _git(top, "worktree", "prune")


def run_in(tree: Tree, trees: Trees, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a tree; see `run_quietly`."""
    return run_quietly(command, cwd=tree.folder, env=tree.environment(trees.new.top))


def run_quietly(
    command: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command without input; its messages go to stderr only if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",  # libraries may write bytes that are not text
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
    return done


def how_it_ended(code: int) -> str:
    """Describe the exit code of a process that failed."""
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _commit(top: Path, revision: str) -> str:
    try:
        if revision.startswith("-"):  # git would take it for an option
            raise AgainstError("")
        return _git(top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except AgainstError:
        raise AgainstError(
            f"git finds no revision {revision!r} in {top}; fetch it first, as a shallow clone has "
            "only its last commit: git fetch --unshallow"
        ) from None


def _build(command: str, trees: Trees) -> None:
    done = subprocess.run(
        command,
        shell=True,
        cwd=trees.old.top,
        env=trees.old.environment(trees.new.top),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno() if _has_file(sys.stderr) else subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        raise AgainstError(
            f"the build of the old revision {how_it_ended(done.returncode)}: {command}"
        )


def _has_file(stream: object) -> bool:
    try:
        stream.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
    return True


def _git(folder: Path, *arguments: str) -> str:
    variables = {name: text for name, text in os.environ.items() if name not in _OF_GIT_HOOKS}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise AgainstError(
            "there is no git, which checks out the old revision; install it"
        ) from None
    if done.returncode != 0:
        raise AgainstError(f"git {arguments[0]} failed: {' '.join(done.stderr.split())}")
    return done.stdout.strip()


def tracked_packages(top: Path) -> frozenset[str]:
    """Return the names of the top-level packages that a tree holds in the usual places."""
    found = _git(top, "ls-files", "--", *(f"{root}*/__init__.py" for root in _ROOTS))
    names = (Path(line).parts for line in found.splitlines())
    return frozenset(
        parts[-2]
        for parts in names
        if len(parts) == 2 or (len(parts) == 3 and f"{parts[0]}/" in _ROOTS)
    )


_ROOTS = ("", "src/", "python/", "lib/")


def other_tops(top: Path) -> list[Path]:
    """Return the top folders of the repository's other worktrees."""
    lines = _git(top, "worktree", "list", "--porcelain").splitlines()
    tops = [Path(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")]
    return [found for found in tops if found != top]
