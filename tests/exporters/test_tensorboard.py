# SPDX-License-Identifier: BSD-3-Clause
"""Reports in TensorBoard's own event files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simulated_cuda import Simulated

from fasttime import Recorder

events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

from torch.utils.tensorboard import SummaryWriter  # noqa: E402

from fasttime.exporters import tensorboard  # noqa: E402

TIMES_US = [3, 40, 40, 900, 7_000, 250_000]


def written(recorder: Recorder, folder: Path) -> Any:
    writer = SummaryWriter(str(folder))
    tensorboard.write(writer, recorder.report(), step=7)
    writer.close()
    sizes = {events.SCALARS: 0, events.COMPRESSED_HISTOGRAMS: 0, events.HISTOGRAMS: 0}
    read = events.EventAccumulator(str(folder), size_guidance=sizes)
    return read.Reload()


def test_histograms_have_the_figures(cuda: Simulated, recorder: Recorder, tmp_path: Path) -> None:
    for us in TIMES_US:
        with recorder.scope("step"):
            cuda.enqueue(0, us * 1000)
        cuda.advance(us * 1000)
    read = written(recorder, tmp_path)
    (event,) = read.Histograms("fasttime/step/device")
    found = event.histogram_value
    assert event.step == 7
    assert found.num == len(TIMES_US)
    assert found.sum == pytest.approx(sum(TIMES_US) * 1e-6)
    assert found.sum_squares == pytest.approx(sum((us * 1e-6) ** 2 for us in TIMES_US))
    assert (found.min, found.max) == pytest.approx((3e-6, 0.25))
    times = recorder.report()["step"].device
    assert times is not None
    below = 0.0
    for limit, count in zip(found.bucket_limit, found.bucket, strict=True):
        below += count
        assert below == times.counts_below([limit])[0]
    assert below == len(TIMES_US)


def test_scalars_have_the_figures(cuda: Simulated, recorder: Recorder, tmp_path: Path) -> None:
    with recorder.scope("step"):
        cuda.enqueue(0, 2_000_000)
    cuda.advance(2_000_000)
    read = written(recorder, tmp_path)
    scalars = recorder.report().scalars()
    assert set(read.Tags()["scalars"]) == set(scalars)
    for tag, value in scalars.items():
        (event,) = read.Scalars(tag)
        assert (event.step, event.value) == (7, pytest.approx(value))


@pytest.mark.parametrize("ns", [0, 1, 1000])
def test_equal_durations_have_one_bucket(
    cuda: Simulated, recorder: Recorder, tmp_path: Path, ns: int
) -> None:
    for _ in range(3):
        with recorder.scope("step"):
            cuda.advance(ns)
    (event,) = written(recorder, tmp_path).Histograms("fasttime/step/host")
    assert sum(event.histogram_value.bucket) == 3


def test_warnings_are_written(recorder: Recorder, tmp_path: Path) -> None:
    read = written(recorder, tmp_path)
    (tag,) = (tag for tag in read.Tags()["tensors"] if tag.startswith("fasttime/warnings"))
    text = read.Tensors(tag)[0].tensor_proto.string_val[0].decode()
    assert "host_backend" in text
