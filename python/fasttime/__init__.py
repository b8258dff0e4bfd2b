# SPDX-License-Identifier: BSD-3-Clause
"""Time GPU code in PyTorch: host time, device time and the bottleneck, without ever waiting.

with fasttime.scope("model_large"):
    y = model(x)

print(fasttime.report())
"""

from __future__ import annotations

from .comparing.compare import MethodComparison, compare
from .comparing.comparison import Comparison
from .comparing.findings import Finding
from .comparing.judgement import Judgement
from .comparing.saved import SavedComparison, compare_saved
from .measuring.do_bench import do_bench
from .measuring.doubts import Doubt
from .measuring.measure import measure
from .measuring.measurement import Measurement
from .recorder import Recorder
from .recorder import default_recorder as _default_recorder
from .reporting.durations import Durations
from .reporting.report import Report
from .reporting.site_report import SiteReport
from .reporting.verdict import Verdict
from .sample import Sample
from .saving.load import load
from .timelines.recording import TimelineRecording
from .timelines.span import Span
from .timelines.timeline import Timeline

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "Doubt",
    "Durations",
    "Finding",
    "Judgement",
    "Measurement",
    "MethodComparison",
    "Recorder",
    "Report",
    "Sample",
    "SavedComparison",
    "SiteReport",
    "Span",
    "Timeline",
    "TimelineRecording",
    "Verdict",
    "begin",
    "compare",
    "compare_saved",
    "disable",
    "do_bench",
    "enable",
    "end",
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
]


def __dir__() -> list[str]:
    """Return what completion is to offer: neither modules of ours nor those that we import."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])


_default = _default_recorder()
scope = _default.scope
begin = _default.begin
end = _default.end
phases = _default.phases
report = _default.report
samples = _default.samples
record_timeline = _default.record_timeline
keep_samples = _default.keep_samples
reset = _default.reset
enable = _default.enable
disable = _default.disable
mark_nvtx = _default.mark_nvtx
