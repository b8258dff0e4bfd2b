# SPDX-License-Identifier: BSD-3-Clause
"""What type checkers see of the public API. mypy and pyright check this file; it never runs.

A wrong type fails at `assert_type`. A wrong call that passes fails as an unused `type: ignore`.
"""

from collections.abc import Callable

import torch
from typing_extensions import assert_type

import fasttime

model = torch.nn.Linear(8, 8)
x = torch.ones(4, 8)


@fasttime.scope("decode")
def decode(tokens: list[int], *, beam: int = 1) -> str:
    return "".join(map(str, tokens[:beam]))


@fasttime.scope("stream")
async def answer(prompt: str) -> bytes:
    return prompt.encode()


assert_type(decode([1], beam=2), str)
decode("no list")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def awaits() -> None:
    assert_type(await answer("hello"), bytes)


def leaves_by_return() -> int:
    with fasttime.scope("block"):  # swallows no exception, so the function always returns
        return 1


with fasttime.phases("step") as phase:
    phase("forward")
    phase(None)
    phase(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

token = fasttime.begin("request")
fasttime.end(token)

report = fasttime.report(wait=True)
assert_type(report, fasttime.Report)
site = report["step", "forward"]
assert_type(site, fasttime.SiteReport)
assert_type(site.time, fasttime.Durations)
assert_type(site.time.mean, float)
assert_type(site.count, int)
assert_type(report.warnings, tuple[fasttime.TimingWarning, ...])
assert_type("decode" in report, bool)

m = fasttime.measure(model, x)
assert_type(m, fasttime.Measurement)
m = fasttime.measure(model, setup=lambda: (x.clone(),), bytes=lambda y: 2 * y.nbytes, calls=1)
m = fasttime.measure(model, inputs=[(x,), (x,)], flops="auto", min_time=1)
fasttime.measure(model, x, flops="many")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(m.rates["bytes"].value, float)
assert_type(m.rates["bytes"].share_of_peak, float | None)
assert_type(m.percentiles()[50], float)
assert_type(m.clock, float | None)
fasttime.compare(
    {"a": model, "b": model},
    inputs={"a": (x,), "b": (x,)},
    check=torch.testing.assert_close,
)
assert_type(m.median, float)
assert_type(m.median_interval, tuple[float, float])
fasttime.measure(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

comparison = fasttime.compare({"a": model, "b": torch.relu}, x)
assert_type(comparison, fasttime.Comparison)
assert_type(comparison.verdicts, dict[str, fasttime.Verdict])
assert_type(fasttime.compare_methods(model, x), fasttime.MethodComparison)

sweep = fasttime.sweep({"a": model}, {"rows": [1, 4]}, make=lambda rows: x[:rows])
assert_type(sweep, fasttime.Sweep)
fasttime.sweep({"a": model}, {"rows": [1]})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
assert_type(fasttime.compare_reports(report, [report, report]), fasttime.ReportComparison)
assert_type(fasttime.compare_saved(m, "old.json"), fasttime.SavedComparison)
assert_type(fasttime.samples("decode"), list[fasttime.Sample])

with fasttime.instrument(model) as handle:
    for number in fasttime.iterate([1, 2], "data"):
        assert_type(number, int)
assert_type(handle, fasttime.Handle)
assert_type(handle.table(wait=True), fasttime.ModuleTable)
assert_type(handle.steps(), fasttime.StepReport)
assert_type(fasttime.gather(handle.steps()), fasttime.RankTable | None)

with fasttime.record_timeline() as recording:
    decode([1])
assert_type(recording, fasttime.Timeline)

recorder = fasttime.Recorder(keep_samples=10)
wrap: Callable[[Callable[[int], int]], Callable[[int], int]] = recorder.scope("call")
