# SPDX-License-Identifier: BSD-3-Clause
"""Reports as flat dicts for experiment trackers."""

from __future__ import annotations

import posixpath
import re

import pytest
from made_up_report import report, site, training


def test_keys_and_values() -> None:
    made = report(site("step", site("forward"), device=4e-3, host=1e-3, calls=10))
    found = made.scalars()
    assert found["fasttime/step/calls"] == 10
    assert found["fasttime/step/device_mean"] == pytest.approx(4e-3)
    assert found["fasttime/step/device_p50"] == made["step"].device.median  # type: ignore[union-attr]
    assert found["fasttime/step/host_p95"] == made["step"].host.p95
    assert found["fasttime/step/forward/host_p99"] == made["step/forward"].host.p99
    assert found["fasttime/warnings"] == 0
    assert len(found) == 2 * 9 + 1


def test_the_prefix_is_yours() -> None:
    assert set(report(site("a")).scalars("")) == {
        key.removeprefix("fasttime/") for key in report(site("a")).scalars()
    }


def test_a_site_without_device_times() -> None:
    keys = training().scalars()
    assert not [key for key in keys if key.startswith("fasttime/tokenise/device")]
    assert "fasttime/tokenise/host_mean" in keys


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("a:b(c)", "a_b_c_"),
        ("/a", "_/a"),
        ("a//b", "a/_/b"),
        ("..", "_"),
        ("µs", "µs"),
        ("\udc80", "_udc80"),
        ("[Strategy]X", "_Strategy_X"),
    ],
)
def test_keys_are_what_mlflow_takes(name: str, key: str) -> None:
    for found in report(site(name)).scalars():
        assert re.fullmatch(r"[/\w.\- :]+", found)
        assert posixpath.normpath(found) == found
        assert found == "fasttime/warnings" or found.rpartition("/")[0] == f"fasttime/{key}"


def test_sites_with_one_key_are_merged() -> None:
    found = report(site("a:b", device=1e-3), site("a_b", device=3e-3)).scalars()
    assert found["fasttime/a_b/calls"] == 20
    assert found["fasttime/a_b/device_mean"] == pytest.approx(2e-3)
