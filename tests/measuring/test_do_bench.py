# SPDX-License-Identifier: BSD-3-Clause
"""`do_bench`: triton's arguments and units, on the simulated runtime."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from simulated_cuda import Simulated
from simulated_machine import US, SimulatedMachine

import fasttime
from fasttime import TimingWarning

do_bench_module = importlib.import_module("fasttime.measuring.do_bench")


@pytest.fixture
def host(cuda: Simulated, monkeypatch: pytest.MonkeyPatch) -> SimulatedMachine:
    return SimulatedMachine(cuda, monkeypatch)


def test_times_are_milliseconds_of_the_device_alone(host: SimulatedMachine) -> None:
    assert fasttime.do_bench(lambda: host.work(100 * US, 20 * US), 1, 20) == pytest.approx(0.02)


def test_the_cache_is_cleared_before_each_run(host: SimulatedMachine) -> None:
    fasttime.do_bench(lambda: host.work(10 * US, 20 * US), 1, 20)
    assert host.log.count("clear") > 20


@pytest.mark.parametrize(
    ("mode", "expected"), [("min", 0.01), ("max", 0.04), ("mean", 0.02), ("median", 0.01)]
)
def test_the_return_mode_picks_the_statistic(
    host: SimulatedMachine, mode: Any, expected: float
) -> None:
    # Of three runs in a row one is longer; where they begin does not matter.
    calls = iter(range(10**9))
    with pytest.warns(TimingWarning) as caught:
        read = fasttime.do_bench(
            lambda: host.work(10 * US, (40 if next(calls) % 3 == 0 else 10) * US),
            1,
            200,
            return_mode=mode,
        )
    assert read == pytest.approx(expected, rel=0.02)
    kinds = {getattr(one.message, "kind", "") for one in caught}
    contains_long_runs = mode in ("mean", "max")
    assert kinds == ({"two_modes"} if contains_long_runs else {"rare_cost", "two_modes"})


def test_each_warning_reaches_python(cuda: Simulated, host: SimulatedMachine) -> None:
    other = cuda.create_stream()
    with pytest.warns(TimingWarning) as caught:
        fasttime.do_bench(lambda: host.work(10 * US, 200 * US, stream=other), 1, 20)
    assert any(getattr(one.message, "kind", "") == "other_streams" for one in caught)
    assert caught[0].filename == __file__


def test_all_times_are_a_list(host: SimulatedMachine) -> None:
    read = fasttime.do_bench(lambda: host.work(10 * US, 20 * US), 1, 20, return_mode="all")
    assert isinstance(read, list)
    assert read == pytest.approx([0.02] * len(read))


@pytest.mark.parametrize("quantiles", [np.array([0.5, 0.0]), (0.5, 0.0)])
def test_quantiles_may_be_an_array(host: SimulatedMachine, quantiles: Any) -> None:
    read = fasttime.do_bench(lambda: host.work(10 * US, 20 * US), 1, 20, quantiles=quantiles)
    assert read == pytest.approx([0.02, 0.02])


def test_empty_quantiles_count_as_none(host: SimulatedMachine) -> None:
    read = fasttime.do_bench(lambda: host.work(10 * US, 20 * US), 1, 20, quantiles=np.array([]))
    assert read == pytest.approx(0.02)


def test_a_warm_up_of_zero_is_a_single_call(
    host: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls_before: list[int] = []
    measure = do_bench_module.measure

    def measure_after(*args: Any, **kwargs: Any) -> Any:
        calls_before.append(host.runs)
        return measure(*args, **kwargs)

    monkeypatch.setattr(do_bench_module, "measure", measure_after)
    assert fasttime.do_bench(lambda: host.work(10 * US, 20 * US), 0, 20) == pytest.approx(0.02)
    assert calls_before == [1]


def test_quantiles_keep_their_order(host: SimulatedMachine) -> None:
    def bench(quantiles: list[float]) -> object:
        return fasttime.do_bench(lambda: host.work(10 * US, 20 * US), 1, 20, quantiles=quantiles)

    assert bench([0.5, 0.2, 0.8]) == pytest.approx([0.02] * 3)
    assert bench([0.5]) == pytest.approx(0.02)


@pytest.mark.filterwarnings("ignore::fasttime.TimingWarning")
def test_gradients_are_dropped_before_each_run(host: SimulatedMachine) -> None:
    class Parameter:
        grad: object = None

    weight, seen = Parameter(), []

    def fn() -> None:
        seen.append(weight.grad)
        weight.grad = "of the last run"
        host.work(10 * US, 20 * US)

    fasttime.do_bench(fn, 1, 5, grad_to_none=[weight])  # type: ignore[list-item]
    assert set(seen) == {None}


def test_bad_arguments_raise(host: SimulatedMachine) -> None:
    with pytest.raises(ValueError, match=r"return_mode must be one of min, max, .* got 'best'"):
        fasttime.do_bench(print, return_mode="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"quantiles must be between 0 and 1, got 1\.5"):
        fasttime.do_bench(print, quantiles=[1.5])
    with pytest.raises(ValueError, match="rep must be above 0"):
        fasttime.do_bench(print, rep=0)


def test_without_cuda_do_bench_raises() -> None:
    with pytest.raises(RuntimeError, match=r"CUDA is not in use; .* use fasttime\.measure\(\)"):
        fasttime.do_bench(print)
