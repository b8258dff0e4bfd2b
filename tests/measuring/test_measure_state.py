# SPDX-License-Identifier: BSD-3-Clause
"""Whether a callable changes what it works on."""

from __future__ import annotations

import functools
import itertools
from collections import UserDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scripted_loop import ScriptedLoop

import fasttime
from fasttime import TimingWarning
from fasttime.measuring.state import State, judge_first_run


def tensor() -> torch.Tensor:
    return torch.zeros(2)


def test_tensors_left_alone_are_not_named() -> None:
    state = State(None, [tensor()], {"x": tensor()})
    assert state.changed() == []


def test_changed_tensors_are_named_in_order() -> None:
    first, second, by_name = tensor(), tensor(), tensor()
    state = State(None, [first, 3, second], {"out": by_name, "dim": 1})
    by_name.add_(1)
    second.add_(1)
    assert state.changed() == ["argument 2", "argument 'out'"]


@pytest.mark.parametrize(
    ("wrap", "name"),
    [
        (lambda x: [1, x], "argument 0[1]"),
        (lambda x: (x, None), "argument 0[0]"),
        (lambda x: {"ids": x}, "argument 0['ids']"),
        (lambda x: {3: x}, "argument 0[3]"),
        (lambda x: [[1, (x,)]], "argument 0[0][1][0]"),
        (lambda x: {"layers": [{"k": x}]}, "argument 0['layers'][0]['k']"),
        (lambda x: UserDict(ids=x), "argument 0['ids']"),
    ],
)
def test_tensors_in_containers_have_a_place(wrap, name: str) -> None:  # type: ignore[no-untyped-def]
    x = tensor()
    state = State(None, [wrap(x)], {})
    x.add_(1)
    assert state.changed() == [name]


def test_a_list_may_contain_itself() -> None:
    first, second = tensor(), tensor()
    items: list[object] = [[first], second]
    items.insert(0, items)
    state = State(None, [items], {})
    second.add_(1)
    first.add_(1)
    assert state.changed() == ["argument 0[1][0]", "argument 0[2]"]


def test_earlier_changes_do_not_count() -> None:
    x = tensor()
    x.add_(1)
    assert State(None, [x], {}).changed() == []


def test_a_change_through_a_view_changes_the_base() -> None:
    x = tensor()
    state = State(None, [x], {})
    x[0] = 1.0
    assert state.changed() == ["argument 0"]


def test_inference_tensors_are_skipped() -> None:
    with torch.inference_mode():
        x = tensor()
        state = State(None, [x, [x]], {"x": x})
        x.add_(1)
    assert state.changed() == []


def test_lazy_parameters_are_skipped() -> None:
    waiting = torch.nn.LazyLinear(2).weight
    assert State(None, [waiting, [waiting]], {}).changed() == []


def test_other_arguments_are_skipped() -> None:
    assert State(None, [None, object(), "text", [[]]], {"a": {1: 2}}).changed() == []


@pytest.mark.parametrize("method", ["naive", "sync", "event"])
def test_a_measurement_names_changed_arguments(method) -> None:  # type: ignore[no-untyped-def]
    def fn(x: torch.Tensor, *, state: list[torch.Tensor]) -> None:
        x.add_(1)
        state[0].add_(1)

    found = fasttime.measure(fn, tensor(), state=[tensor()], method=method, warmup=0, repeat=2)
    warning = TimingWarning(
        "arguments_changed",
        "fn changes argument 0, argument 'state'[0] in place. If fn also reads them, each run "
        "works on different data, and the changes stay: let measure(setup=) make fresh arguments, "
        "or for a model, call eval() first.",
    )
    assert warning in found.warnings


def test_unchanged_arguments_raise_no_warning() -> None:
    found = fasttime.measure(torch.add, tensor(), tensor(), warmup=0, repeat=2)
    assert "arguments_changed" not in [warning.kind for warning in found.warnings]


# --- what a callable works on beside its arguments ---


def changes(fn: Callable[[], object]) -> list[str]:
    state = State(fn)
    fn()
    return state.changed()


GLOBAL = torch.zeros(2)


def change_the_global() -> None:
    GLOBAL.add_(1)


class Normalise:
    """An object of the user with a tensor that each call changes."""

    def __init__(self) -> None:
        self.mean = tensor()
        self.calls = 0

    def __call__(self) -> None:
        self.mean.add_(1)
        self.calls += 1

    def update(self) -> None:
        self.mean.add_(1)


@dataclass
class Record:
    values: torch.Tensor


def closures() -> dict[str, tuple[Callable[[], object], list[str]]]:
    x, record, items = tensor(), Record(tensor()), [float(i) for i in range(20, 0, -1)]
    array, ends, queue = np.arange(20.0)[::-1].copy(), iter([1, 2]), deque(range(20))
    norm = torch.nn.BatchNorm1d(4)
    batch = torch.randn(8, 4)

    def inner() -> None:
        x.add_(1)

    return {
        "a closure": (lambda: x.add_(1), ["variable 'x'"]),
        "a function in a closure": (lambda: inner(), ["variable 'x'"]),
        "a global": (change_the_global, ["variable 'GLOBAL'"]),
        "a partial": (functools.partial(torch.Tensor.add_, x, 1), ["partial argument 0"]),
        "a keyword": (functools.partial(torch.add, x, 1, out=x), ["partial argument 0"]),
        "a method of a tensor": (functools.partial(x.add_, 1), ["the object of the method"]),
        "a method": (Normalise().update, ["the object of the method.mean"]),
        "an object": (Normalise(), ["the callable.mean"]),
        "a dataclass": (lambda: record.values.add_(1), ["variable 'record'.values"]),
        "a list": (items.sort, ["the object of the method"]),
        "a deque": (queue.popleft, ["the object of the method"]),
        "an array": (array.sort, ["the object of the method"]),
        "an iterator": (lambda: list(ends), ["variable 'ends'"]),
        "a module in train mode": (
            functools.partial(norm, batch),
            ["the module.num_batches_tracked"],
        ),
    }


@pytest.mark.parametrize("name", closures())
def test_state_beside_the_arguments_is_watched(name: str) -> None:
    fn, expected = closures()[name]
    assert changes(fn) == expected


def test_a_module_in_eval_mode_does_not_change() -> None:
    norm = torch.nn.BatchNorm1d(4).eval()
    assert changes(functools.partial(norm, torch.randn(8, 4))) == []


def test_a_model_inside_an_argument_is_watched() -> None:
    norm, batch = torch.nn.BatchNorm1d(4), torch.randn(8, 4)
    state = State(None, [{"model": norm}])
    norm(batch)
    assert state.changed() == ["argument 0['model'].num_batches_tracked"]


def test_counters_and_collected_results_do_not_count() -> None:
    calls, few, many = [0], [], list(range(20))

    def fn() -> None:
        calls[0] += 1
        few.append(torch.zeros(1))
        many.append(1)

    assert changes(fn) == []


def test_the_history_of_an_object_does_not_count() -> None:
    machine = SimpleNamespace(log=list(range(20)))
    assert changes(lambda: machine.log.append(1)) == []


def test_a_change_in_a_large_array_is_seen() -> None:
    array = np.zeros((2000, 2000))
    state = State(None, [array])
    array += 1
    assert state.changed() == ["argument 0"]


def test_many_changes_are_counted() -> None:
    model = torch.nn.Sequential(*(torch.nn.BatchNorm1d(4) for _ in range(6)))
    found = fasttime.measure(model, torch.randn(8, 4), warmup=0, repeat=2)
    [warning] = [warning for warning in found.warnings if warning.kind == "arguments_changed"]
    assert "the module.3.num_batches_tracked and 2 more in place" in warning.message


class Awkward:
    """An object that cannot be looked into, and an attribute that can."""

    def __init__(self) -> None:
        self.mean = tensor()

    def __getattribute__(self, name: str) -> object:
        if name == "__dict__":
            raise OSError("the file is gone")
        return super().__getattribute__(name)


def test_an_object_may_refuse_to_be_looked_into() -> None:
    awkward, x = Awkward(), tensor()
    state = State(None, [awkward, x])
    x.add_(1)
    assert state.changed() == ["argument 1"]


def test_looking_at_state_has_a_limit() -> None:
    lists = [[object()] for _ in range(100_000)]
    assert len(State(None, [lists])._visited) <= 20_001


@pytest.mark.parametrize(
    ("first", "usual", "warned"),
    [(9e-3, 1e-3, False), (11e-3, 1e-3, True), (100e-6, 1e-6, False), (300e-6, 1e-6, True)],
)
def test_a_first_run_ten_times_as_long(first: float, usual: float, warned: bool) -> None:
    assert (judge_first_run(first, usual) is not None) is warned


def test_a_first_run_is_told_with_its_ratio(script: ScriptedLoop) -> None:
    lengths = itertools.chain([2.0], itertools.repeat(0.0625))
    found = fasttime.measure(lambda: script.sleep(next(lengths)), method="sync", repeat=20)
    [warning] = [warning for warning in found.warnings if warning.kind == "first_run"]
    assert "The first run took 2.000 s, 32 times as long as the others" in warning.message


# --- compare ---


def test_a_candidate_that_changes_arguments_is_named() -> None:
    def tidy(x: torch.Tensor, state: list[torch.Tensor]) -> None:
        x.copy_(x.sort().values)
        state[0].add_(1)

    def plain(x: torch.Tensor, state: list[torch.Tensor]) -> None:
        x.sort()

    found = fasttime.compare({"plain": plain, "tidy": tidy}, tensor(), [tensor()], rounds=1)
    warning = TimingWarning(
        "arguments_changed",
        "tidy changes argument 0, argument 1[0] in place. Candidates that read them work on "
        "different data from then on: let compare(setup=) make fresh arguments, or for a model, "
        "call eval() first.",
    )
    assert [warning in measured.warnings for measured in found.measurements.values()] == [
        True,
        True,
    ]
    assert " ".join(str(found).split()).count("warning (arguments_changed): tidy changes") == 1


def test_harmless_candidates_raise_no_warning() -> None:
    found = fasttime.compare({"sin": torch.sin, "cos": torch.cos}, tensor(), rounds=1)
    for measured in found.measurements.values():
        assert "arguments_changed" not in [warning.kind for warning in measured.warnings]


def test_compare_methods_names_changed_arguments() -> None:
    found = fasttime.compare_methods(lambda x: x.add_(1), tensor(), repeat=10, rounds=1)
    assert "\nwarning (arguments_changed): fn changes argument 0 in place" in str(found)
