# SPDX-License-Identifier: BSD-3-Clause
"""The table of ranks: its figures, its conclusion and its warnings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_ranks import MS, summary

import fasttime
from fasttime import RankTable, TimingWarning
from fasttime.documents import Fields
from fasttime.ranks.build import build_table
from fasttime.ranks.rank_table import from_content
from fasttime.ranks.summary import NO_TIMES, RankedSite, RankSummary, SiteColumns, Total, unpacked


def kinds(table: RankTable) -> list[str]:
    return [warning.kind for warning in table.warnings]


def ranks_with(*times: dict[str, float]) -> RankTable:
    return build_table([summary(rank, one) for rank, one in enumerate(times)])


# --- figures ---


def test_a_site_has_its_figures_over_ranks() -> None:
    table = ranks_with(*({"step": time} for time in (2.0, 8.0, 3.0, 4.0)))
    site = table["step"]
    assert (site.min, site.median, site.max) == pytest.approx((2e-3, 3.5e-3, 8e-3))
    assert site.slowest == 1
    assert site.imbalance == pytest.approx(5 / 8)
    assert site.excess == pytest.approx(5e-3)
    assert site.times == pytest.approx({0: 2e-3, 1: 8e-3, 2: 3e-3, 3: 4e-3})
    assert site.calls == {0: 10, 1: 10, 2: 10, 3: 10}
    assert table.warnings == ()
    assert (table.world_size, table.missing, table.ranks) == (4, (), (0, 1, 2, 3))


def test_ranks_may_have_different_sites() -> None:
    table = ranks_with(
        {"a": 1, "a/x": 0.5}, {"a": 2, "a/y": 0.25, "b": 4}, {"a": 3, "a/x": 0.75, "b": 5}
    )
    assert [site.path for site in table] == ["a", "a/x", "a/y", "b"]
    assert table["a/x"].times == pytest.approx({0: 0.5e-3, 2: 0.75e-3})
    assert table["a/y"].times == pytest.approx({1: 0.25e-3})
    assert table["a/y"].slowest is None
    assert table["a/y"].imbalance == 0
    (warning,) = table.warnings
    assert warning.kind == "different_sites"
    assert warning.message.startswith("There is no time on ranks 0-2 for 3 sites (a/x, a/y, b), so")


def test_equal_paths_of_different_names_stay_apart() -> None:
    def of(rank: int, time_ns: int) -> RankSummary:
        sites = (
            RankedSite("a/b", "a/b", None, Total(1, time_ns)),
            RankedSite("a", "a", None, Total(1, 10 * time_ns)),
            RankedSite("b", "a/b", 1, Total(1, 3 * time_ns)),
        )
        return RankSummary(rank, "report", "", SiteColumns.of(sites), ())

    table = build_table([of(0, MS), of(1, 2 * MS)])
    assert table[("a/b",)].max == pytest.approx(2e-3)
    assert table["a", "b"].max == pytest.approx(6e-3)
    with pytest.raises(KeyError, match="2 sites have the path 'a/b'"):
        table["a/b"]


def test_device_and_host_times_never_mix() -> None:
    table = build_table(
        [
            summary(0, {"step": 5.0, "load": 1.0}),
            summary(1, {"step": 7.0, "load": 1.0}, device=False),
        ]
    )
    assert table["step"].clock == "host"
    assert table["step"].times == pytest.approx({0: 0.5e-3, 1: 7e-3})
    assert kinds(table) == ["different_clocks"]
    assert "Device times are missing on rank 1," in table.warnings[0].message


def test_a_site_without_times_is_left_out() -> None:
    """A scope that is still open has no times yet, but its children have."""
    sites = (
        RankedSite("job", "job", None, NO_TIMES),
        RankedSite("step", "job/step", 0, Total(4, 8 * MS)),
        RankedSite("open", "job/open", 0, NO_TIMES),
    )
    table = build_table([RankSummary(0, "report", "", SiteColumns.of(sites), ())])
    assert [(site.path, site.parent, site.depth) for site in table] == [("job/step", None, 0)]
    assert table["job/step"].max == pytest.approx(2e-3)


def test_many_sites_on_256_ranks() -> None:
    times = {f"s{number}": 1.0 for number in range(3000)}
    like_all = unpacked(summary(0, times).packed())
    parts = [replace(like_all, rank=rank) for rank in range(255)]
    slow = summary(255, {**times, "s2000": 900.0}, host_name="node-9")
    table = build_table([slow, *parts])
    assert len(table) == 3000
    assert table["s2000"].slowest == 255
    assert "Rank 255 on node-9 is slowest: 900.0 ms per call in s2000." in table.conclusion
    shown = str(table)
    assert "200 of 3,000 sites are shown" in shown
    assert "s2000" in shown


# --- the conclusion ---


def test_the_sentence_names_rank_and_site() -> None:
    fast = {"step": 10.0, "step/data": 1.0, "step/forward": 2.0}
    slow = {**fast, "step/data": 6.0}
    table = ranks_with(fast, fast, slow, {**fast, "step/data": 1.2})
    assert table.conclusion == (
        "Rank 2 is slowest: 6.000 ms per call in step/data. The other ranks take 1.000 ms to "
        "1.200 ms."
    )


def test_the_innermost_cause_is_named() -> None:
    fast = {"step": 5.0, "step/forward": 4.0, "step/forward/a": 2.0, "step/forward/b": 2.0}
    slow = {"step": 25.0, "step/forward": 24.0, "step/forward/a": 2.0, "step/forward/b": 22.0}
    assert "in step/forward/b. The other" in ranks_with(fast, slow, fast).conclusion


def test_a_wait_is_never_the_cause() -> None:
    """Rank 1 computes, and the other ranks wait for its gradients as long."""
    waits = ("step/backward/wait",)

    def of(rank: int, compute: float) -> RankSummary:
        times = {
            "step": 60.0,
            "step/backward": 52.0,
            "step/backward/wait": 52.0 - compute,
            "step/backward/compute": compute,
        }
        return summary(rank, times, waits=waits)

    table = build_table([of(0, 0.8), of(1, 51.2)])
    assert table["step/backward/wait"].slowest == 0
    assert "Rank 1 is slowest: 51.20 ms per call in step/backward/compute." in table.conclusion


def test_of_equal_differences_the_first_is_the_cause() -> None:
    """Without the wait apart, a rank that is late in forward waits less in backward."""
    table = ranks_with({"forward": 1.0, "backward": 25.0}, {"forward": 21.0, "backward": 5.0})
    assert table["backward"].slowest == 0
    assert table.conclusion.startswith("Rank 1 is slowest: 21.00 ms per call in forward.")


def test_equal_ranks_stand_out_nowhere() -> None:
    table = ranks_with({"step": 10.0}, {"step": 10.2}, {"step": 10.1})
    assert table.conclusion.startswith(
        "No rank stands out: in every site, the ranks differ by less"
    )
    assert "fasttime.instrument()" in table.conclusion


@pytest.mark.parametrize(("spread_ms", "named"), [(0.5, 1), (3.0, None)])
def test_noise_names_no_rank(spread_ms: float, named: int | None) -> None:
    """Rank 1 exceeds the others by 2 ms. The standard error of that is 1.22 / sqrt(10) spreads."""
    table = build_table(
        [
            summary(rank, {"step": time}, spread_ms=spread_ms)
            for rank, time in enumerate((4.0, 6.0, 4.0))
        ]
    )
    assert table["step"].slowest == named
    assert ("rank 1" in str(table)) == (named == 1)
    assert table.conclusion.startswith("Rank 1 is" if named else "No rank stands out")
    assert from_content(Fields(json.loads(json.dumps(table.to_dict()))))["step"].slowest == named


def test_one_call_per_rank_names_no_rank() -> None:
    table = build_table([summary(rank, {"step": 1.0 + rank}, calls=1) for rank in range(2)])
    assert table["step"].slowest is None
    assert "errors_s" in table.to_dict()["sites"][0]


def test_a_spread_over_all_ranks_is_no_straggler() -> None:
    table = ranks_with(*({"step": time} for time in (1.0, 4.0, 7.0, 9.0)))
    assert table.conclusion.startswith("Several ranks differ: rank 3 takes longest, 9.000 ms")


def test_one_rank_has_nothing_to_compare() -> None:
    assert "only one rank" in ranks_with({"step": 1.0}).conclusion


# --- warnings ---


def test_warnings_of_ranks_are_named_once_per_kind() -> None:
    lost = TimingWarning("dropped", "2 scopes were dropped.")
    more = TimingWarning("dropped", "5 scopes were dropped.")
    cpu = TimingWarning("cpu", "Host only.")
    table = build_table(
        [
            summary(0, {"step": 1.0}, warnings=(cpu,)),
            summary(1, {"step": 1.0}, warnings=(lost, cpu)),
            summary(2, {"step": 1.0}, warnings=(lost, cpu)),
            summary(3, {"step": 1.0}, warnings=(more, cpu)),
        ]
    )
    assert [str(warning) for warning in table.warnings] == [
        "warning (cpu): Host only.",
        "warning (dropped): Ranks 1-2 (likewise rank 3): 2 scopes were dropped.",
    ]


def test_different_kinds_of_results_are_named() -> None:
    table = build_table([summary(0, {"a": 1.0}), summary(1, {"b": 1.0}, source="steps")])
    assert kinds(table)[0] == "different_sources"
    assert "(rank 0: report; rank 1: steps)" in table.warnings[0].message


# --- output ---


def test_the_table_is_printed() -> None:
    fast = {"step": 10.0, "step/data": 1.0}
    table = ranks_with(fast, {**fast, "step/data": 7.0})
    assert str(table).splitlines() == [
        "2 ranks: mean device time per call",
        "site         min    median       max  slowest  imbalance",
        "step    10.00 ms  10.00 ms  10.00 ms        -         0%",
        "  data  1.000 ms  4.000 ms  7.000 ms   rank 1        86%",
        "Rank 1 is slowest: 7.000 ms per call in step/data. The other ranks take 1.000 ms.",
    ]


def test_pages_have_whole_paths() -> None:
    table = ranks_with({"step": 10.0, "step/data": 1.0}, {"step": 10.0, "step/data": 7.0})
    assert 'title="step/data"><bdi>data</bdi>' in table.to_html()
    assert "| `step/data` | 1.000 ms |" in table.to_markdown()


def test_a_narrow_table_hides_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = str(ranks_with({"a long name of a site": 1.0}, {"a long name of a site": 2.0}))
    assert "Hidden columns (narrow terminal): min" in shown
    assert all(len(line) <= 40 for line in shown.splitlines())


def test_names_cannot_write_markup() -> None:
    shown = str(ranks_with({"[red]x\x1b[31m": 1.0}, {"[red]x\x1b[31m": 1.0}))
    assert r"[red]x\x1b[31m" in shown


def test_a_frame_has_a_row_per_site_and_rank() -> None:
    pytest.importorskip("pandas")
    frame = ranks_with({"a": 1.0, "b": 1.0}, {"a": 2.0}).to_pandas()
    assert list(frame["path"]) == ["a", "a", "b"]
    assert list(frame["rank"]) == [0, 1, 0]
    assert list(frame["time"]) == pytest.approx([1e-3, 2e-3, 1e-3])


def test_a_saved_table_is_loaded(tmp_path: Path) -> None:
    table = build_table(
        [summary(0, {"a": 1.0, "a/w": 0.5}, waits=("a/w",)), summary(2, {"b": 3.0}, device=False)],
        world_size=4,
        missing=(1, 3),
    )
    table.save(tmp_path / "ranks.json")
    loaded = fasttime.load(tmp_path / "ranks.json")
    assert isinstance(loaded, RankTable)
    assert loaded.to_dict() == table.to_dict()
    assert loaded.missing == (1, 3)
    assert loaded["a/w"].is_wait
    assert loaded["a"].contains_wait


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("parent", 0, "parent should be the position of a site before this one"),
        ("calls", [1], "should be 2 numbers or nulls"),
        ("calls", [0, 10], "null where there are no calls"),
        ("times_s", [None, "x"], "should be 2 numbers"),
        ("calls", [-1, 10], "at least 0"),
        ("clock", "moon", "one of device, host"),
    ],
)
def test_a_damaged_table_is_refused(place: str, value: object, message: str) -> None:
    content = json.loads(json.dumps(ranks_with({"a": 1.0}, {"a": 2.0}).to_dict()))
    content["sites"][0][place] = value
    with pytest.raises(ValueError, match=message):
        from_content(Fields(content))


# --- what travels ---


def test_a_summary_survives_packing() -> None:
    sent = summary(
        7,
        {"a": 1.0, "a/\udc80\n": 0.5},
        waits=("a/\udc80\n",),
        warnings=(TimingWarning("cpu", "Host only."),),
    )
    assert unpacked(sent.packed()).packed() == sent.packed()


def test_thousands_of_sites_stay_small() -> None:
    times = {f"model/layer_{number}": 1.0 + number / 977 for number in range(4000)}
    assert len(summary(1, {"model": 1.0, **times}).packed()) < 200_000


@pytest.mark.parametrize("value", [b"", b"nonsense", summary(1, {"a": 1.0}).packed()[:-5]])
def test_a_damaged_value_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged|cut short"):
        unpacked(value)
