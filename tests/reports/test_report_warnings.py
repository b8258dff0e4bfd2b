# SPDX-License-Identifier: BSD-3-Clause
"""Warnings of a report: when they appear, what they say, and that every format shows them."""

from __future__ import annotations

import html
import re
import typing
import warnings

import pytest
from made_up_report import DEVICE_BOUND, UNCLEAR, report, site
from simulated_cuda import Simulated
from simulated_work import MS, run

from fasttime import Recorder, Report, TimingWarning
from fasttime.reports.warnings import WarningKind

MAY_WAIT = DEVICE_BOUND._replace(host_may_wait=True)
CASES: list[tuple[Report, str, str]] = [
    (report(switched_off=True), "switched_off", "by FASTTIME=0 in the environment, so nothing"),
    (
        report(backend="host", backend_reason="there is no driver"),
        "host_backend",
        "There are host times only, because there is no driver.",
    ),
    (
        report(backend="mixed", backend_reason="there is no driver"),
        "host_backend",
        "Some of the merged reports have host times only, because there is no driver.",
    ),
    (report(differs=("torch",)), "environments_differ", "environments that differ in torch, so"),
    (report(open=1), "unfinished", "do not include 1 scope that is still open. Call"),
    (report(pending=2), "unfinished", "do not include 2 scopes that the device has"),
    (report(site("a", dropped=3)), "dropped", "3 scopes have no device time: fasttime had no room"),
    (report(site("a", captured=3)), "captured", "no device time: the stream was capturing"),
    (
        report(site("a", captured=3), captured_reason="all stamps are in use"),
        "captured",
        "the stream was capturing a CUDA graph, and all stamps are in use.",
    ),
    (report(site("a", lost=3)), "lost", "3 scopes in replays of CUDA graphs have no time:"),
    (report(site("a", failed=1)), "failed", "1 scope has no device time: a CUDA call failed"),
    (report(site("a", host_only=3)), "host_only", "no device time: CUDA was not up yet. Call"),
    (report(last_failure="no"), "last_failure", "The last CUDA call that failed: no."),
    (report(refused_sites=1), "refused_sites", "counts 1 scope at new sites together under (more)"),
    (report(scopes_were_compiled=True), "compiled", "Put the scope around the compiled call."),
    (report(site("a", bottleneck=UNCLEAR)), "unclear", "The bottleneck is unclear at 1 of 1"),
    (report(site("a", self_time=None)), "overlap", "no self time at 1 of 1 sites, because the"),
    (
        report(site("a", self_time=None, began_earlier=True)),
        "began_earlier",
        "There is no self time at 1 of 1 sites: a scope that began before this interval",
    ),
    (
        report(site("request", device=1.0, calls=5)),
        "concurrent",
        "The outermost scopes overlap: they took 5.000 s in 2.500 s. Shares are",
    ),
    (report(site("a", bottleneck=MAY_WAIT)), "host_may_wait", "Host times marked * may include"),
]
each = pytest.mark.parametrize(
    ("made", "kind", "message"), CASES, ids=[f"{kind}-{i}" for i, (_, kind, _) in enumerate(CASES)]
)


def test_every_kind_has_a_case() -> None:
    assert {kind for _, kind, _ in CASES} == set(typing.get_args(WarningKind))


@each
def test_every_format_shows_each_warning(made: Report, kind: str, message: str) -> None:
    (warning,) = made.warnings
    assert isinstance(warning, TimingWarning)
    assert warning.kind == kind
    assert message in warning.message
    for text in (str(made), html.unescape(made.to_markdown())):
        assert str(warning) in " ".join(text.split())
    assert warning.message in html.unescape(made.to_html())
    assert warning.message in html.unescape(made._repr_html_())
    assert made.to_dict()["warnings"] == [{"kind": kind, "message": warning.message}]


@each
def test_a_message_has_at_most_two_sentences(made: Report, kind: str, message: str) -> None:
    text = made.warnings[0].message
    assert text.endswith(".")
    assert len(re.findall(r"\.(?= |$)", text)) <= 2, text


def test_a_warning_can_be_raised_as_one() -> None:
    (warning,) = report(open=1).warnings
    with pytest.warns(TimingWarning, match=r"warning \(unfinished\): The figures do not"):
        warnings.warn(warning, stacklevel=1)


def test_all_is_well_without_a_warning(cuda: Simulated, recorder: Recorder) -> None:
    for _ in range(20):
        run(cuda, recorder, "a", 5 * MS, host_ns=MS)
    assert recorder.report(wait=True).warnings == ()


def test_warnings_count_missing_figures(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    run(cuda, recorder, "a", MS)
    cuda.begin_capture(stream)
    with recorder.scope("a", stream=stream):
        pass
    cuda.end_capture(stream)
    recorder.begin("a")
    cuda.advance(2 * MS)
    recorder.report()
    run(cuda, recorder, "a", 50 * MS)
    token = recorder.begin("b")
    text = " ".join(str(recorder.report()).split())
    assert "do not include 1 scope that is still open and 1 scope that the device has not" in text
    assert "(dropped): 1 scope has no device time" in text
    assert "(captured): 1 scope has no device time" in text
    recorder.end(token)
    recorder.report(wait=True)


def test_processes_of_one_job_raise_no_warning() -> None:
    assert report(differs=("gpu_index", "gpu_uuid", "host_name", "process_id")).warnings == ()
