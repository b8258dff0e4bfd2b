# SPDX-License-Identifier: BSD-3-Clause
"""Two revisions in turns: the worktree, the processes, and where their code comes from."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import sys
import types
from collections.abc import Sequence
from pathlib import Path

import pytest

from fasttime.comparing.against import (
    AgainstError,
    Tree,
    check_imports,
    in_turns,
    trees_of,
    turns,
)

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="needs git")


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose last commit says 1 and whose working tree says 2, in a subfolder."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    top = tmp_path / "project"
    code = top / "src" / "package"
    code.mkdir(parents=True)
    git(tmp_path, "init", "--quiet", str(top))
    (code / "__init__.py").write_text("")
    (top / "src" / "number.txt").write_text("1")
    git(top, "add", ".")
    git(top, "commit", "--quiet", "-m", "one")
    (top / "src" / "number.txt").write_text("2")
    monkeypatch.chdir(top / "src")
    return top


def copy_number(tree: Tree, output: Path) -> Sequence[str]:
    return ["cp", "number.txt", str(output)]


# --- the trees ---


def test_the_revision_lies_in_a_worktree_of_its_own(repository: Path) -> None:
    with trees_of("HEAD") as trees:
        assert (trees.old.side, trees.new.side) == ("old", "new")
        assert trees.new.folder == repository / "src"
        assert (trees.old.folder / "number.txt").read_text() == "1"
        assert (trees.new.folder / "number.txt").read_text() == "2"
        assert not trees.old.top.is_relative_to(repository)
    assert not trees.old.top.exists()
    assert git(repository, "worktree", "list").count("\n") == 0


def test_the_worktree_goes_after_an_exception(repository: Path) -> None:
    with pytest.raises(KeyboardInterrupt), trees_of("HEAD") as trees:
        raise KeyboardInterrupt
    assert not trees.old.top.exists()
    assert git(repository, "worktree", "list").count("\n") == 0


def test_the_build_runs_in_the_worktree_only(repository: Path) -> None:
    with trees_of("HEAD", build="pwd > built.txt") as trees:
        assert (trees.old.top / "built.txt").read_text().strip() == str(trees.old.top)
    assert not (repository / "built.txt").exists()


def test_a_failed_build_is_an_error(repository: Path) -> None:
    message = "^the build of the old revision ended with exit code 3: exit 3$"
    with pytest.raises(AgainstError, match=message), trees_of("HEAD", build="exit 3"):
        pass
    assert git(repository, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("revision", ["no-such", "--help", "HEAD~7"])
def test_an_unknown_revision_is_an_error(repository: Path, revision: str) -> None:
    with (
        pytest.raises(AgainstError, match=f"finds no revision '{revision}'.*git fetch"),
        trees_of(revision),
    ):
        pass


def test_a_folder_without_a_repository_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(AgainstError, match="git rev-parse failed"),
        trees_of("HEAD", folder=Path("/")),
    ):
        pass


def test_a_new_folder_is_an_error(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "fresh").mkdir()
    monkeypatch.chdir(repository / "fresh")
    with pytest.raises(AgainstError, match="HEAD has no folder fresh"), trees_of("HEAD"):
        pass


def test_git_is_needed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AgainstError, match="there is no git"), trees_of("HEAD"):
        pass


def test_the_import_path_moves_with_the_tree(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{repository}/src:lib:/elsewhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "of a hook")
    with trees_of("HEAD") as trees:
        old, new = (tree.environment(trees.new.top) for tree in trees)
        assert old["PYTHONPATH"] == f"{trees.old.top}/src:lib:/elsewhere"
        assert new["PYTHONPATH"] == f"{repository}/src:lib:/elsewhere"
        assert "GIT_INDEX_FILE" not in old


# --- the turns ---


def test_each_pair_has_a_process_of_each_side(repository: Path) -> None:
    said: list[str] = []
    with trees_of("HEAD") as trees:
        done = in_turns(trees, copy_number, 2, order=random.Random(3), progress=said.append)
        found = [(turn.old.read_text(), turn.new.read_text()) for turn in done]
    assert found == [("1", "2"), ("1", "2")]
    assert said == [
        "pair 1 of 2, old side",
        "pair 1 of 2, new side",
        "pair 2 of 2, new side",
        "pair 2 of 2, old side",
    ]


def test_each_pair_is_drawn_by_itself() -> None:
    found = list(turns(400, random.Random(0)))
    assert set(found) == {(0, 1), (1, 0)}
    firsts = [first for first, _ in found]
    assert 160 < sum(firsts) < 240
    repeats = sum(one == other for one, other in itertools.pairwise(firsts))
    assert 160 < repeats < 240  # alternating turns would have none


def test_a_failing_process_is_an_error(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(tree: Tree, output: Path) -> Sequence[str]:
        return ["sh", "-c", "echo why >&2; exit 4"]

    with trees_of("HEAD") as trees:
        with pytest.raises(AgainstError, match="side: the process ended with exit code 4; its"):
            next(in_turns(trees, fail, 1))
        with pytest.raises(AgainstError, match="the process wrote no result"):
            next(in_turns(trees, lambda tree, output: ["true"], 1))
    assert capsys.readouterr().err == "why\n"


# --- where the code comes from ---


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Let modules seem imported from given files, and no others."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) and name.partition(".")[0] == "fasttime":
            monkeypatch.setattr(module, "__file__", None)  # fasttime may come from a worktree

    def seem(name: str, file: Path | None) -> None:
        module = types.ModuleType(name)
        module.__file__ = None if file is None else str(file)
        monkeypatch.setitem(sys.modules, name, module)

    return types.SimpleNamespace(seem=seem)


def test_code_of_the_tree_may_be_timed(repository: Path, imported: types.SimpleNamespace) -> None:
    imported.seem("bench_it", repository / "bench_it.py")
    imported.seem("package", repository / "src" / "package" / "__init__.py")
    imported.seem("elsewhere", Path("/usr/lib/site-packages/elsewhere.py"))
    check_imports(repository, ["bench_it"])


@pytest.mark.parametrize("file", [Path("/usr/lib/site-packages/bench_it.py"), None])
def test_a_target_from_outside_is_refused(
    repository: Path, imported: types.SimpleNamespace, file: Path | None
) -> None:
    imported.seem("bench_it", file)
    where = "Python itself" if file is None else str(file)
    with pytest.raises(
        AgainstError, match=f"^'bench_it' is imported from {where}, outside the worktree, so both"
    ):
        check_imports(repository, ["bench_it"])


def test_an_installed_copy_of_the_package_is_refused(
    repository: Path, imported: types.SimpleNamespace
) -> None:
    imported.seem("bench_it", repository / "bench_it.py")
    imported.seem("package", Path("/usr/lib/site-packages/package/__init__.py"))
    with pytest.raises(AgainstError, match=r"^'package' is imported from .* PYTHONPATH=src$"):
        check_imports(repository, ["bench_it"])


def test_code_of_the_other_tree_is_refused(
    repository: Path, imported: types.SimpleNamespace
) -> None:
    with trees_of("HEAD") as trees:
        imported.seem("bench_it", trees.old.top / "bench_it.py")
        imported.seem("numpy_like", repository / ".venv/lib/site-packages/numpy_like.py")
        check_imports(trees.old.top, ["bench_it"])
        imported.seem("helper", repository / "tools" / "helper.py")
        with pytest.raises(AgainstError, match=r"^'helper' is imported from"):
            check_imports(trees.old.top, ["bench_it"])
