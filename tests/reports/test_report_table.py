# SPDX-License-Identifier: BSD-3-Clause
"""The table in a terminal: what it shows, and what it hides in narrow terminals."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_report import DEVICE_BOUND, HOST_BOUND, chain, report, site, training, unplaced
from rich.cells import cell_len
from rich.console import Console

from fasttime import Recorder, Report
from fasttime.reports.formats.table import as_text


def titles(text: str) -> list[str]:
    return text.splitlines()[1].split()


def printed(made: Report, width: int, **options: object) -> str:
    console = Console(width=width, file=io.StringIO(), **options)
    console.print(made)
    return console.file.getvalue()


def test_the_table_reads_like_this() -> None:
    made = report(
        site(
            "step",
            site("forward", calls=1000, device=2e-3, share=0.25, self_time=2.0),
            site("backward", calls=1000, device=5e-3, host=2e-3, share=0.625, self_time=5.0),
            calls=1000,
            device=8e-3,
            host=3e-3,
            share=1.0,
            self_time=1.0,
        ),
        duration=25.0,
    )
    assert as_text(made, 80) == "\n".join(
        [
            "                     device    device    device      host",
            "scope       calls       p50      mean       p95      mean   share  bottleneck",
            "step        1,000  8.000 ms  8.000 ms  8.000 ms  3.000 ms  100.0%  device-bound",
            "├ forward   1,000  2.000 ms  2.000 ms  2.000 ms  1.000 ms   25.0%  device-bound",
            "└ backward  1,000  5.000 ms  5.000 ms  5.000 ms  2.000 ms   62.5%  device-bound",
            "3,000 calls in 25.00 s. Timing itself took about 11 ms on the host and 9.6 ms on",
            "the device (estimate). Hidden columns (narrow terminal): first, max, total,",
            "backlog, p99, self.",
        ]
    )


def test_a_single_call_is_one_call() -> None:
    assert "\n1 call in 2.500 s." in as_text(report(site("a", calls=1)), 100)


def test_short_names_keep_their_place_in_the_tree() -> None:
    text = as_text(report(site("a", site("b", site("c")), site("d"))), 100)
    assert [line.split("  ")[0] for line in text.splitlines()[2:6]] == ["a", "├ b", "│ └ c", "└ d"]


def test_wide_terminals_show_all() -> None:
    text = as_text(training(), 200)
    shown = "scope calls p50 mean first max p95 p99 total self mean backlog share bottleneck"
    assert " ".join(titles(text)) == shown
    assert "Hidden" not in text


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 120])
def test_it_fits_the_width_and_names_hidden_columns(width: int) -> None:
    text = as_text(training(), width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert titles(text)[0] == "scope"
    assert {"mean", "bottleneck"} <= set(titles(text))
    assert "Hidden columns (narrow terminal): first, max, total" in " ".join(text.split())


def test_the_least_important_columns_go_first() -> None:
    gone: list[str] = []
    for width in range(140, 20, -1):
        text = " ".join(as_text(training(), width).split())
        hidden = re.findall(r"Hidden columns \(narrow terminal\): ([^.]*)\.", text)
        columns = hidden[0].split(", ") if hidden else []
        assert columns[: len(gone)] == gone, "a narrower table hides the same columns and more"
        gone = columns
    assert " ".join(gone) == "first max total backlog p99 self p95 host calls p50 share bottleneck"


def test_columns_go_before_names_are_cut() -> None:
    names = [f"encoder.layers.{number}.attention" for number in (10, 11)]
    text = as_text(report(*map(site, names)), 80)
    assert [row.split()[0] for row in text.splitlines()[2:4]] == names
    assert "total, backlog, p99, p95, host." in " ".join(text.split())


def test_long_names_are_cut_in_the_middle() -> None:
    names = [f"a_model_with_a_rather_long_name/of_layer_{i}_which_differs_in_{i}" for i in (1, 2)]
    rows = as_text(report(*map(site, names)), 80).splitlines()[2:4]
    assert all(row.startswith("a_model_with_a_ra") for row in rows)
    assert [row.split("…")[1].split()[0][-4:] for row in rows] == ["in_1", "in_2"]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_cut_names_stay_different(width: int) -> None:
    names = [f"transformer.encoder.layers.{n}.self_attention.projection.dense" for n in range(12)]
    rows = as_text(report(*map(site, names)), width).splitlines()[2:14]
    shown = [row.split()[0] for row in rows]
    assert len(set(shown)) == 12
    assert all(f".{n}." in text for n, text in enumerate(shown))


def test_wide_characters_keep_the_columns_in_line() -> None:
    rows = as_text(report(site("日本語"), site("plain")), 200).splitlines()[2:4]
    ends = {cell_len(row[: row.index("device-bound")]) for row in rows}
    assert len(ends) == 1


def test_a_mark_does_not_move_figures() -> None:
    marked = DEVICE_BOUND._replace(host_may_wait=True)
    rows = as_text(report(site("a", bottleneck=marked), site("b")), 200).splitlines()[2:4]
    assert "*1.000 ms" in rows[0]
    assert rows[0].index("1.000 ms") == rows[1].index("1.000 ms")


def test_unknown_values_are_dashes() -> None:
    made = report(site("a", site("below"), self_time=None), site("b", device=None))
    row = as_text(made, 200).replace("└ below", "below").splitlines()
    assert row[2].split()[16] == "-"
    assert row[4].split().count("-") == 10


def test_self_time_is_shown_for_nested_sites() -> None:
    assert "self" not in titles(as_text(report(site("a"), site("b")), 200))
    assert "self" in titles(as_text(report(site("a"), site("b", site("below"))), 200))


def test_without_device_times_host_times_are_shown() -> None:
    text = as_text(report(site("a", device=None, host=2e-3), backend="host"), 100)
    assert text.splitlines()[0].split() == ["host"] * 7
    assert " ".join(titles(text)) == "scope calls p50 mean first max p95 p99 total share"
    assert "2.000 ms" in text
    assert "on the device" not in text


def test_a_negative_backlog_is_zero() -> None:
    behind = HOST_BOUND._replace(backlog=-1e-6)
    assert "0 s  50.0%  host-bound" in as_text(report(site("a", bottleneck=behind)), 200)


def test_very_deep_sites_show_their_last_levels() -> None:
    text = as_text(unplaced(chain(150)), 80)
    rows = text.splitlines()[2:152]
    assert all(f"level {depth}"[-3:] in row for depth, row in enumerate(rows))
    assert rows[149].startswith("… ")
    assert max(map(cell_len, rows)) <= 80


def test_of_many_sites_the_greatest_are_shown() -> None:
    made = report(*(site(f"site {number}", device=1e-6 * number) for number in range(8192)))
    text = as_text(made, 100)
    assert [row.split("  ")[0] for row in text.splitlines()[2:202]] == [
        f"site {number}" for number in range(8192 - 200, 8192)
    ]
    words = '200 of 8,192 sites are shown. report.save("report.html") writes all of them.'
    assert words in " ".join(text.split())


def test_parents_of_shown_sites_are_shown() -> None:
    greatest = site("open", site("inside", site("greatest", device=1.0)), device=None, calls=0)
    others = (site(f"site {number}", device=0.5) for number in range(300))
    rows = as_text(report(*others, greatest), 100).splitlines()
    for row, start in zip(rows[199:202], ("open ", "└ inside ", "  └ greatest "), strict=True):
        assert row.startswith(start)


def test_a_cut_tree_keeps_its_order_and_guides() -> None:
    small = (site(f"small {number}", device=1e-6) for number in range(250))
    made = report(site("root", site("first"), *small, site("last"), device=1.0))
    rows = as_text(made, 100).splitlines()[2:202]
    assert rows[1].startswith("├ first ")
    assert rows[2].startswith("├ small 0 ")
    assert rows[-1].startswith("└ last ")


def test_print_in_a_notebook_writes_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert as_text(training(), 100).splitlines()[2].startswith("step ")


def test_an_empty_report_says_so() -> None:
    assert "no scope has ended in this interval" in str(Recorder().report())


def test_printing_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert str(training()) == as_text(training(), 60)
    monkeypatch.setenv("COLUMNS", "150")
    assert str(training()) == as_text(training(), 150)


def test_rich_prints_the_same_in_colours() -> None:
    plain = printed(training(), 100)
    assert [line.rstrip() for line in plain.splitlines()] == as_text(training(), 100).splitlines()
    coloured = printed(training(), 100, force_terminal=True, color_system="standard")
    assert "\x1b[33mhost-bound" in coloured


def test_rich_ignores_markup_in_names() -> None:
    assert "[red]a[/red]" in printed(report(site("[red]a[/red]")), 120)


class AsciiFile(io.StringIO):
    encoding = "ascii"


def test_an_ascii_terminal_gets_ascii() -> None:
    file = AsciiFile()
    Console(width=100, file=file).print(report(site("größe", site("b", device=2e-6))))
    text = file.getvalue()
    assert text.isascii()
    assert "gr??e" in text
    assert "2.000 us" in text
    assert "` b" in text


@given(st.integers(20, 160), st.recursive(st.just(()), lambda inner: st.lists(inner, max_size=4)))
def test_no_line_is_wider_than_the_terminal(width: int, tree: list[object]) -> None:
    def grown(level: object) -> list[object]:
        return [site("name" * 3, *grown(inner)) for inner in level]

    made = report(*grown(tree))
    assert all(cell_len(line) <= width for line in as_text(made, width).splitlines())
