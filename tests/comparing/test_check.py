# SPDX-License-Identifier: BSD-3-Clause
"""`compare` with `check`, `setup`, `inputs` and rates."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime import Comparison
from fasttime.comparing.checking import check_results

candidates_module = importlib.import_module("fasttime.comparing.candidates")
rounds_module = importlib.import_module("fasttime.comparing.rounds")

Timing = list[str]
close = torch.testing.assert_close


@pytest.fixture
def timing(monkeypatch: pytest.MonkeyPatch) -> Timing:
    """Note when timing begins, and end it there."""
    begun: Timing = []

    class Begun(Exception):
        pass

    def open_samplers(*_: Any, **__: Any) -> Any:
        begun.append("timing")
        raise Begun

    monkeypatch.setattr(candidates_module, "open_samplers", open_samplers)
    monkeypatch.setattr(candidates_module, "Begun", Begun, raising=False)
    return begun


def checked(candidates: dict[str, Callable[..., object]], *args: Any, **options: Any) -> None:
    """Compare as far as the beginning of the timing."""
    with pytest.raises(candidates_module.Begun):
        fasttime.compare(candidates, *args, **options)


def double(x: torch.Tensor) -> torch.Tensor:
    return x + x


def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def wrong(x: torch.Tensor) -> torch.Tensor:
    return x * 3


X = torch.arange(4.0)


def test_equal_results_are_timed(timing: Timing) -> None:
    checked({"a": double, "b": twice}, X, check=close)
    assert timing == ["timing"]


def test_different_results_name_the_candidates(timing: Timing) -> None:
    with pytest.raises(AssertionError, match=r'^the results of "bad" and "good" differ, so noth'):
        fasttime.compare({"good": double, "fine": twice, "bad": wrong}, X, check=close)
    assert timing == []


@pytest.mark.parametrize("check", [torch.equal, lambda a, b: a == b, lambda a, b: (a == b).numpy()])
def test_a_check_may_return_false(timing: Timing, check: Any) -> None:
    checked({"a": double, "b": twice}, X, check=check)
    with pytest.raises(AssertionError, match=r'"b" and "a" differ, .*: check returned'):
        fasttime.compare({"a": double, "b": wrong}, X, check=check)


def test_a_check_that_raises_names_the_candidates(timing: Timing) -> None:
    def check(one: Any, other: Any) -> None:
        raise KeyError("no such part")

    with pytest.raises(
        RuntimeError, match=r'^check= failed on the results of "b" and "a", .*KeyError: .no such'
    ):
        fasttime.compare({"a": double, "b": twice}, X, check=check)
    assert timing == []


def test_a_shared_output_hides_no_difference(timing: Timing) -> None:
    out, array = torch.empty(4), np.empty(4)

    def into(factor: float) -> Callable[[], object]:
        def run() -> object:
            array[:] = factor
            return {"tensor": torch.mul(X, factor, out=out), "array": [array]}

        return run

    with pytest.raises(AssertionError, match='"b" and "a" differ'):
        fasttime.compare({"a": into(2.0), "b": into(3.0)}, check=close)


def test_random_numbers_are_the_same(timing: Timing) -> None:
    def one(x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(4)

    def other(x: torch.Tensor) -> torch.Tensor:
        return torch.rand(4) + x

    checked({"a": one, "b": other}, setup=lambda: (torch.rand(4),), check=close)


def test_arguments_are_compared_if_all_return_none(timing: Timing) -> None:
    def add(amount: float) -> Callable[[torch.Tensor], None]:
        def run(x: torch.Tensor) -> None:
            x.add_(amount)

        return run

    candidates = {"a": add(1), "b": add(1), "c": add(2)}
    with pytest.raises(AssertionError, match='"c" and "a" differ'):
        fasttime.compare(candidates, setup=lambda: (X.clone(),), check=close)
    own = {name: (X.clone(),) for name in "ab"}
    checked({"a": candidates["a"], "b": candidates["b"]}, inputs=own, check=close)
    with pytest.raises(ValueError, match="all of them return None; return the result, or give"):
        fasttime.compare(candidates, X.clone(), check=close)


def test_the_first_result_is_the_expected_one() -> None:
    seen: list[Any] = []
    check_results(lambda *pair: seen.append(pair), {"a": 1, "b": 2, "c": 3})
    assert seen == [(2, 1), (3, 1)]


# --- setup and inputs ---


def test_each_candidate_has_its_own_arguments(timing: Timing) -> None:
    seen: list[Any] = []
    both = {name: lambda *args, key=name: seen.append((key, args)) for name in ("a", "b")}
    checked(both, inputs={"b": (2,), "a": (1,)})
    assert seen == [("a", (1,)), ("b", (2,))]
    seen.clear()
    checked(both, inputs={"a": (1,), "b": (2,)}, setup=lambda number: (10 * number,))
    assert seen == [("a", (10,)), ("b", (20,))]


def test_setup_makes_in_place_work_comparable() -> None:
    x = torch.zeros(8)
    found = fasttime.compare(
        {"a": torch.Tensor.add_, "b": torch.Tensor.mul_},
        x,
        2,
        setup=lambda y, n: (y.clone(), n),
        rounds=6,
    )
    assert not x.any()
    assert all(one.has_setup for one in found.measurements.values())
    assert "arguments_changed" not in [warning.kind for warning in found.warnings]


def test_the_work_of_setup_is_not_compared(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds_module, "_new_random", lambda: random.Random(0))

    def setup() -> tuple[()]:
        simulated.cuda.advance(50 * US)
        simulated.cuda.enqueue(simulated.stream, 1 * MS)
        return ()

    found = fasttime.compare(
        {
            "a": lambda: simulated.work(10 * US, 100 * US),
            "b": lambda: simulated.work(10 * US, 300 * US),
        },
        setup=setup,
        rounds=8,
    )
    assert found.ratio("b") == pytest.approx(3, rel=1e-3)
    assert found.measurements["a"].held


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"inputs": {"a": ()}}, ValueError, r"has none for \['b'\]"),
        ({"inputs": {"a": (), "b": (), "c": ()}}, ValueError, r"names unknown \['c'\]"),
        ({"inputs": {"a": (), "b": 3}}, TypeError, "list of tuples of arguments"),
        ({"setup": tuple, "method": "graph"}, ValueError, "graph replays with the arguments"),
        ({"check": 3}, TypeError, "check must be a function of two results, got int"),
        ({"bytes": -1}, ValueError, "bytes must be above 0"),
    ],
)
def test_arguments_that_cannot_be_right(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        fasttime.compare({"a": list, "b": tuple}, **options)


def test_arguments_and_inputs_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="put all into inputs"):
        fasttime.compare({"a": abs, "b": abs}, 1, inputs={"a": (1,), "b": (1,)})


# --- rates ---


@pytest.fixture
def compared() -> Comparison:
    return fasttime.compare(
        {"product": torch.mm, "other": torch.matmul},
        torch.ones(8, 8),
        torch.ones(8, 8),
        bytes=lambda a, b: a.nbytes + b.nbytes,
        flops="auto",
        rounds=6,
    )


def test_each_candidate_has_rates(compared: Comparison, tmp_path: Any) -> None:
    for measurement in compared.measurements.values():
        assert measurement.work == {"bytes": 512.0, "flops": 1024.0}
    (line,) = [line for line in str(compared).splitlines() if line.startswith("bytes:")]
    rates = {name: one.rates["bytes"] for name, one in compared.measurements.items()}
    assert line == f'bytes: "product" {rates["product"]}, "other" {rates["other"]}'
    (row, _) = compared._records()
    assert row["bytes_per_second"] == rates["product"].value
    compared.save(tmp_path / "c.json")
    loaded = fasttime.load(tmp_path / "c.json")
    assert isinstance(loaded, Comparison)
    assert loaded.measurements["other"].rates == compared.measurements["other"].rates
