# SPDX-License-Identifier: BSD-3-Clause
"""JSON documents: their names, versions and fields."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import fasttime
from fasttime.documents import (
    MEASUREMENT,
    REPORT,
    VERSIONS,
    Fields,
    plain,
    read_document,
    write_document,
)


def test_a_document_names_format_and_version(tmp_path: Path) -> None:
    write_document(tmp_path / "a.json", REPORT, {"sites": ()})
    expected = {"format": "fasttime report", "version": 3, "sites": []}
    assert read_document(tmp_path / "a.json") == expected


def test_numbers_that_json_lacks_come_back(tmp_path: Path) -> None:
    values = [1.0, math.inf, -math.inf, math.nan]
    write_document(tmp_path / "a.json", MEASUREMENT, {"values": values})
    fields = Fields(read_document(tmp_path / "a.json"))
    assert fields.numbers("values")[:3] == values[:3]
    assert math.isnan(fields.numbers("values")[3])
    assert plain({1: (math.nan,)}) == {"1": ["nan"]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"is not JSON, or was cut short \(.*\); save the result again"),
        ('{"format": "fasttime report", "version": NaN}', "is not JSON.*JSON has no NaN"),
        ("[]", "was not saved by fasttime: its format is None"),
        ('{"format": "other"}', r"its format is 'other', not one of fasttime measurement, .*"),
    ],
)
def test_other_files_are_refused(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"a\.json .*{reason}"):
        read_document(tmp_path / "a.json")


@pytest.mark.parametrize("kind", VERSIONS)
@pytest.mark.parametrize("version", [None, True, 0, 99, "1"])
def test_other_versions_are_refused(kind: str, version: Any, tmp_path: Path) -> None:
    text = json.dumps({"format": kind, "version": version})
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    message = f"this fasttime reads version {VERSIONS[kind]}; load it with the fasttime that saved"
    with pytest.raises(ValueError, match=message):
        fasttime.load(tmp_path / "a.json")


def test_damage_names_file_and_field(tmp_path: Path) -> None:
    write_document(tmp_path / "a.json", MEASUREMENT, {})
    with pytest.raises(ValueError, match=r"a\.json is damaged or was edited: times is missing; "):
        fasttime.load(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        (Fields.text, 1, "a string"),
        (Fields.flag, 1, "true or false"),
        (Fields.count, -1, "a whole number of at least 0"),
        (Fields.count, True, "a whole number of at least 0"),
        (Fields.whole, 1.5, "a whole number"),
        (Fields.number, "1", "a number"),
        (Fields.number, 10**400, "a number"),
        (Fields.items, {}, "a list"),
        (Fields.object, [], "an object"),
    ],
)
def test_a_field_has_its_type(read: Any, value: Any, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^inner.field should be {wanted}, not "):
        read(Fields({"field": value}, "inner."), "field")


def test_a_file_of_another_format_names_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("<html>", encoding="utf-8")
    with pytest.raises(ValueError, match=r"report\.html is not JSON; load\(\) reads \.json files"):
        fasttime.load(path)


def test_a_merged_trace_is_for_perfetto(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('{"otherData": {"made_by": "fasttime merge"}, "traceEvents": []}')
    with pytest.raises(ValueError, match="is a merged trace; open it at"):
        read_document(path)
