# SPDX-License-Identifier: BSD-3-Clause
"""Reports are saved whole or not at all, in the format of the suffix."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from made_up_report import ENVIRONMENT, training
from page_reader import Page

from fasttime import Timeline
from fasttime.atomic_file import open_for_replacement
from fasttime.reports.formats.rows import as_csv
from fasttime.reports.formats.table import as_text

NO_SCOPES = Timeline.from_spans([])


def test_the_suffix_names_the_format(tmp_path: Path) -> None:
    made = training()
    for name in ("r.html", "r.md", "r.json", "r.csv", "r.txt"):
        made.save(tmp_path / name)
    read = {path.suffix: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert read[".html"] == made.to_html()
    assert read[".md"] == made.to_markdown()
    assert read[".csv"] == as_csv(made)
    assert read[".txt"] == as_text(made, None) + "\n"
    content = json.loads(read[".json"])
    assert content.pop("environment")["gpu"] == ENVIRONMENT.gpu
    for one in content["sites"]:
        for times in filter(None, (one["host"], one["device"])):
            assert re.fullmatch(r"\d+:10", times.pop("histogram"))
            for exact in ("total_ns", "squares_ns2", "min_ns", "max_ns", "first_ns"):
                times.pop(exact)
    assert content == made.to_dict()


def test_the_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    training().save(str(tmp_path / "R.HTML"))
    assert Page((tmp_path / "R.HTML").read_text(encoding="utf-8")).rows


@pytest.mark.parametrize("name", ["report", "report.pdf", "report.html.gz", ".html"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        ValueError, match=r"one of \.html, \.md, \.json, \.csv, \.txt; got '.*' with the suffix"
    ):
        training().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_text_file_has_all_columns(tmp_path: Path) -> None:
    training().save(tmp_path / "r.txt")
    text = (tmp_path / "r.txt").read_text(encoding="utf-8")
    assert "Hidden columns" not in text
    assert str(training().warnings[-1]) in text.splitlines()


def test_other_formats_refuse_a_timeline(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"only an HTML page shows a timeline, got .*r\.md"):
        training().save(tmp_path / "r.md", timeline=NO_SCOPES)


def test_a_picture_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "r.html").write_text("old")
    with pytest.raises(ValueError, match="there is nothing to draw"):
        training().save(tmp_path / "r.html", timeline=NO_SCOPES)
    assert os.listdir(tmp_path) == ["r.html"]
    assert (tmp_path / "r.html").read_text() == "old"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "r.md"
    with pytest.raises(FileNotFoundError) as caught:
        training().save(target)
    assert caught.value.filename == str(target)


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.md").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        training().save(tmp_path / "r.md")
    assert caught.value.filename == str(tmp_path / "r.md")
    assert os.listdir(tmp_path) == ["r.md"]


def test_a_read_only_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)  # tests may run as root, who may write anywhere
    with pytest.raises(PermissionError) as caught:
        training().save(tmp_path / "r.md")
    assert caught.value.filename == str(tmp_path / "r.md")


def test_a_read_only_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "r.md"
    target.write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(target))
    with pytest.raises(PermissionError) as caught:
        training().save(target)
    assert caught.value.filename == str(target)
    assert target.read_text() == "old"


def test_an_error_in_the_block_passes_unchanged(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="words of its own"):
        with open_for_replacement(tmp_path / "a.txt"):
            raise OSError("words of its own")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "r.md"
    target.write_text("old")
    with pytest.raises(OSError, match="No space left") as caught:
        with open_for_replacement(target) as file:
            file.write("new")
            file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(target)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["r.md"]


def test_a_disk_full_at_closing_is_noticed(tmp_path: Path) -> None:
    target = tmp_path / "r.md"
    target.write_text("old")
    with pytest.raises(OSError, match="No space left") as caught:
        with open_for_replacement(target) as file:
            file.write("new")  # stays in the buffer
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, file.fileno())
            os.close(full)
    assert caught.value.filename == str(target)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["r.md"]


def test_a_full_device_is_named() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        with open_for_replacement("/dev/full") as file:
            file.write("new")
    assert caught.value.filename == "/dev/full"


def test_a_pipe_is_written_under_its_name_in_dev() -> None:
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as end:
        with open_for_replacement(f"/dev/fd/{writing}") as file:
            file.write("new")
        os.close(writing)
        assert end.read() == "new"


def test_an_error_in_the_block_passes_a_device() -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        with open_for_replacement(os.devnull):
            raise FileNotFoundError(2, "No such file", "elsewhere")


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        with open_for_replacement(tmp_path / "a.txt") as file:
            file.write("half")
            raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_a_new_file_has_ordinary_permissions(tmp_path: Path) -> None:
    with open_for_replacement(tmp_path / "a.txt") as file:
        file.write("a")
    (tmp_path / "b.txt").write_text("b")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "b.txt")}
    assert len(modes) == 1


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "a.txt").chmod(0o640)
    with open_for_replacement(tmp_path / "a.txt") as file:
        file.write("new")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_link_still_points_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with open_for_replacement(tmp_path / "link.txt") as file:
        file.write("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_the_longest_possible_name_works(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 125 + ".md")
    training().save(target)
    assert os.listdir(tmp_path) == [target.name]


def test_lone_surrogates_are_written_as_escapes(tmp_path: Path) -> None:
    with open_for_replacement(tmp_path / "a.txt") as file:
        file.write("a\udc80b\n")
    assert (tmp_path / "a.txt").read_bytes() == b"a\\udc80b\n"


@pytest.mark.parametrize("wrong", [3, "timeline.json", Timeline])
def test_a_page_takes_a_timeline_only(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^timeline must be a fasttime\.Timeline, got "):
        training().save(tmp_path / "r.html", timeline=wrong)
    assert list(tmp_path.iterdir()) == []
