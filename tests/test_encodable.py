# SPDX-License-Identifier: BSD-3-Clause
"""Results can be printed to streams with any encoding, even ASCII."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up import measurement
from made_up_report import report, site

from fasttime import (
    Comparison,
    MethodComparison,
    Span,
    Timeline,
    compare_saved,
)
from fasttime.measuring.bottleneck import judge
from fasttime.text import encodable

PAIR = {
    "größe": measurement(np.full(20, 2e-6), label="größe"),
    "b": measurement(np.full(20, 3e-6)),
}
SPAN = Span(
    path="a",
    name="a",
    parent=None,
    depth=0,
    status="host_only",
    thread=1,
    thread_name="main",
    device=None,
    stream=None,
    host_begin=1.0,
    host_end=1.000002,
    device_begin=None,
    device_end=None,
    uncertainty=None,
    shares_boundary=False,
)
EVENT = measurement(np.full(20, 2e-6), method="event")

PRINTED = {
    "report": report(site("größe", site("b", device=2e-6))),
    "measurement": EVENT,
    "comparison": Comparison(PAIR, 2, 0.01, 0.95, 1.0),
    "methods": MethodComparison({"event": EVENT}, {"untimed": (2e-6,), "event": (2e-6,)}),
    "saved": compare_saved(EVENT, EVENT),
    "bottleneck": judge(2e-6, 3e-6, True),
    "timeline": Timeline.from_spans([SPAN]),
}


@pytest.mark.parametrize("printed", PRINTED.values(), ids=PRINTED)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_results_print_in_any_encoding(
    printed: object, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    print(printed)
    stream.seek(0)
    text = stream.read()
    assert "µs" in text or "us" in text
    assert text.isascii() or encoding != "ascii"


def test_a_tree_in_ascii_keeps_its_columns() -> None:
    text = "├ größe  2 µs\n└ b…     1 µs"
    assert encodable(text, "utf-8") == encodable(text, None) == text
    assert encodable(text, "ascii") == "| gr??e  2 us\n` b.     1 us"


def test_a_report_prints_without_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert "2.000 µs" in str(PRINTED["report"])


def test_a_file_is_utf8_whatever_stdout_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    PRINTED["report"].save(tmp_path / "report.txt")
    text = (tmp_path / "report.txt").read_text(encoding="utf-8")
    assert "größe" in text
    assert "2.000 µs" in text
