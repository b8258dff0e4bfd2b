# SPDX-License-Identifier: BSD-3-Clause
"""Fresh and cycled arguments, checks, rates and clocks on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from known_kernels import kernel, stream_time

import fasttime
from fasttime.environment import nvml
from fasttime.rates.measured_peaks import measure_peaks

pytestmark = pytest.mark.gpu

US = 1e-6
MOST_OFF = 0.25 * US  # as in test_measure_on_gpu.py
LARGE = 128 << 20  # elements of float32: ten times the L2 cache


def kinds(found: fasttime.Measurement) -> set[str]:
    return {warning.kind for warning in found.warnings}


# --- setup ---


@pytest.mark.parametrize("length_ns", [5_000, 50_000])
def test_a_kernel_of_setup_is_not_timed(length_ns: int) -> None:
    fn, before = kernel(length_ns), kernel(100_000)

    def setup() -> tuple[()]:
        before()
        return ()

    def both() -> None:
        before()
        fn()

    truth = stream_time(fn)
    found = fasttime.measure(fn, setup=setup, budget=0.3)
    assert found.held
    assert abs(found.median - truth) <= MOST_OFF, (found.median, truth)
    assert found.wall_time is None
    # The negative control: in the call, the kernel is timed.
    assert fasttime.measure(both, budget=0.3).median > truth + 90 * US


def test_setup_stays_out_without_a_hold() -> None:
    fn, before = kernel(50_000), kernel(100_000)

    def setup() -> tuple[()]:
        before()
        return ()

    found = fasttime.measure(fn, setup=setup, hold=False, warmup=20, repeat=220)
    # The event overhead of about 2 us may be in the time.
    assert found.median < stream_time(fn) + 5 * US, found


def test_in_place_work_on_a_clone_is_read_alone() -> None:
    x = torch.zeros(LARGE, device="cuda")
    found = fasttime.measure(
        torch.Tensor.add_, setup=lambda: (x.clone(), 1), budget=0.5, bytes=lambda y, n: 2 * y.nbytes
    )
    assert "arguments_changed" not in kinds(found)
    assert not x.any()
    alone = fasttime.measure(x.add_, 1, budget=0.5)
    assert "arguments_changed" in kinds(alone)
    assert abs(found.median / alone.median - 1) < 0.08, (found.median, alone.median)
    # The negative control: a clone and an addition.
    whole = fasttime.measure(lambda: x.clone().add_(1), budget=0.5)
    assert whole.median > 1.5 * found.median, (whole.median, found.median)


def test_setup_may_wait_for_the_device() -> None:
    found = fasttime.measure(
        torch.Tensor.add_, setup=lambda: (torch.ones(1000).to("cuda"), 1), budget=0.2
    )
    assert found.held
    assert "not_held" not in kinds(found)
    assert found.median < 20 * US, found


def test_fresh_arguments_do_not_pile_up() -> None:
    x = torch.zeros(LARGE, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    fasttime.measure(torch.Tensor.add_, setup=lambda: (x.clone(), 1), warmup=1, repeat=12)
    fasttime.measure(
        torch.Tensor.add_, setup=lambda: (x.clone(), 1), warmup=1, repeat=12, hold=True
    )
    assert torch.cuda.max_memory_allocated() < 2.5 * x.nbytes


# --- inputs and calls ---


def test_inputs_are_cycled_on_the_device() -> None:
    inputs = [torch.zeros(1000, device="cuda") for _ in range(3)]
    fasttime.measure(torch.Tensor.add_, inputs=[(x, 1) for x in inputs], warmup=0, repeat=30)
    assert [float(x.max()) for x in inputs] == [10, 10, 10]


@pytest.mark.parametrize("calls", [10, 50])
def test_calls_in_a_row_read_the_time_of_one(calls: int) -> None:
    fn = kernel(20_000)
    truth = stream_time(fn)
    found = fasttime.measure(fn, calls=calls, budget=0.3)
    assert abs(found.median - truth) <= MOST_OFF, (found.median, truth)


def test_kept_runs_reach_the_minimum() -> None:
    found = fasttime.measure(kernel(100_000), budget=0.1, min_time=0.3)
    assert found.times.sum() >= 0.29


# --- checks ---


def test_a_check_compares_before_timing() -> None:
    x = torch.randn(512, 512, device="cuda")
    options: dict[str, Any] = {"check": torch.testing.assert_close, "budget": 0.2}
    found = fasttime.compare({"a": torch.softmax, "b": _by_hand}, x, -1, **options)
    assert set(found.measurements) == {"a", "b"}
    with pytest.raises(AssertionError, match='"wrong" and "a" differ'):
        fasttime.compare({"a": torch.softmax, "wrong": torch.log_softmax}, x, -1, **options)


def _by_hand(x: torch.Tensor, dim: int) -> torch.Tensor:
    e = (x - x.amax(dim, keepdim=True)).exp()
    return e / e.sum(dim, keepdim=True)


def test_random_numbers_of_the_device_repeat() -> None:
    def setup() -> tuple[torch.Tensor]:
        return (torch.rand(1000, device="cuda"),)

    torch.zeros(1, device="cuda")  # the generators exist once CUDA is up
    fasttime.compare(
        {"a": torch.neg, "b": lambda x: 0 - x},
        setup=setup,
        check=torch.testing.assert_close,
        budget=0.2,
    )


# --- rates and clocks ---


def test_a_large_copy_is_near_the_peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)

    def copy() -> fasttime.Measurement:
        return fasttime.measure(target.copy_, source, budget=0.5, bytes=lambda x: 2 * x.nbytes)

    unknown = copy().rates["bytes"]
    assert unknown.share_of_peak is None
    measure_peaks()
    known = copy().rates["bytes"]
    assert known.share_of_peak is not None
    assert 0.95 <= known.share_of_peak <= 1.02, known
    assert "of peak" in str(known)


def test_matrix_products_are_counted() -> None:
    a = torch.randn(1024, 1024, device="cuda", dtype=torch.bfloat16)
    found = fasttime.measure(torch.mm, a, a, flops="auto", budget=0.2)
    assert found.work == {"flops": 2.0 * 1024**3}
    assert found.rates["flops"].value == pytest.approx(2.0 * 1024**3 / found.median)


@pytest.fixture
def with_clock() -> None:
    torch.zeros(1, device="cuda")
    if nvml.sm_clock(torch.cuda.current_device()) is None:
        pytest.skip("the driver does not report the clock")


def test_the_clock_is_sampled_between_batches(with_clock: None, tmp_path: Path) -> None:
    found = fasttime.measure(kernel(100_000), budget=1.0)
    assert len(found.clocks) >= 5
    assert found.clock is not None
    assert 200 <= found.clock <= 4000
    assert "SM clock" in str(found)
    pytest.importorskip("matplotlib")
    found.plot().savefig(tmp_path / "m.png")


def test_each_side_of_a_comparison_has_a_clock(with_clock: None) -> None:
    found = fasttime.compare({"a": kernel(50_000), "b": kernel(100_000)}, budget=0.5)
    for measurement in found.measurements.values():
        assert measurement.clock is not None


def test_reading_the_clock_is_short(with_clock: None) -> None:
    """One reading per round of 60 ms must not matter."""
    found = fasttime.measure(nvml.sm_clock, torch.cuda.current_device(), method="sync", budget=0.2)
    assert found.median < 3e-3, found
