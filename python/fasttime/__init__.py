# SPDX-License-Identifier: BSD-3-Clause
"""Time GPU code in PyTorch: host time, device time and the bottleneck, without ever waiting.

with fasttime.scope("model_large"):
    y = model(x)

print(fasttime.report())
"""

from __future__ import annotations

from ._version import __version__ as __version__
from .bottleneck import Bottleneck
from .comparing.candidates import compare
from .comparing.comparison import Comparison
from .comparing.method_findings import MethodFinding
from .comparing.methods import MethodComparison, compare_methods
from .comparing.saved import SavedComparison, compare_saved
from .comparing.site_by_site import compare_reports
from .comparing.site_changes import ReportComparison, SiteChange
from .comparing.verdict import Verdict
from .loading import load
from .measuring.do_bench import do_bench
from .measuring.interrupted import Interrupted
from .measuring.measure import measure
from .measuring.measurement import Measurement
from .modules.handle import Handle
from .modules.instrument import instrument
from .modules.iterating import iterate
from .modules.rows import ModuleRow
from .modules.step_report import StepReport, StepRow
from .modules.table import ModuleTable
from .ranks.gathering import gather
from .ranks.rank_site import RankSite
from .ranks.rank_table import RankTable
from .recorder import Recorder
from .recorder import default_recorder as _default_recorder
from .reports.durations import Durations
from .reports.report import Report
from .reports.site import SiteReport
from .sample import Sample
from .stream_check import StreamCheck
from .sweeping.result import Sweep
from .sweeping.sweep import sweep
from .timelines.recording import TimelineRecording
from .timelines.span import Span
from .timelines.timeline import Timeline
from .timing_warning import TimingWarning

__all__ = [
    "Bottleneck",
    "Comparison",
    "Durations",
    "Handle",
    "Interrupted",
    "Measurement",
    "MethodComparison",
    "MethodFinding",
    "ModuleRow",
    "ModuleTable",
    "RankSite",
    "RankTable",
    "Recorder",
    "Report",
    "ReportComparison",
    "Sample",
    "SavedComparison",
    "SiteChange",
    "SiteReport",
    "Span",
    "StepReport",
    "StepRow",
    "StreamCheck",
    "Sweep",
    "Timeline",
    "TimelineRecording",
    "TimingWarning",
    "Verdict",
    "begin",
    "check_streams",
    "compare",
    "compare_methods",
    "compare_reports",
    "compare_saved",
    "disable",
    "do_bench",
    "drain_samples",
    "enable",
    "end",
    "gather",
    "graph_timing",
    "instrument",
    "iterate",
    "keep_samples",
    "load",
    "mark_nvtx",
    "measure",
    "phases",
    "record_timeline",
    "report",
    "reset",
    "samples",
    "scope",
    "sweep",
]


def __dir__() -> list[str]:
    """Return the public names. Completion then leaves out modules."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])


_default = _default_recorder()
scope = _default.scope
begin = _default.begin
end = _default.end
phases = _default.phases
report = _default.report
samples = _default.samples
drain_samples = _default.drain_samples
record_timeline = _default.record_timeline
graph_timing = _default.graph_timing
keep_samples = _default.keep_samples
reset = _default.reset
enable = _default.enable
disable = _default.disable
mark_nvtx = _default.mark_nvtx
check_streams = _default.check_streams
