# SPDX-License-Identifier: BSD-3-Clause
"""Whether a callable changes what it is given."""

from __future__ import annotations

from collections import UserDict

import pytest
import torch

import fasttime
from fasttime.measuring.tensors import ArgumentVersions


def tensor() -> torch.Tensor:
    return torch.zeros(2)


def test_tensors_left_alone_are_not_named() -> None:
    versions = ArgumentVersions([tensor()], {"x": tensor()})
    assert versions.changed() == []


def test_positions_and_names_of_changed_tensors_are_named_in_order() -> None:
    first, second, by_name = tensor(), tensor(), tensor()
    versions = ArgumentVersions([first, 3, second], {"out": by_name, "dim": 1})
    by_name.add_(1)
    second.add_(1)
    assert versions.changed() == ["argument 2", "argument 'out'"]


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
def test_tensors_in_lists_tuples_and_dicts_are_named_by_their_place(wrap, name: str) -> None:  # type: ignore[no-untyped-def]
    x = tensor()
    versions = ArgumentVersions([wrap(x)], {})
    x.add_(1)
    assert versions.changed() == [name]


def test_tensors_in_a_list_that_holds_itself_are_named_in_order() -> None:
    first, second = tensor(), tensor()
    items: list[object] = [[first], second]
    items.insert(0, items)
    versions = ArgumentVersions([items], {})
    second.add_(1)
    first.add_(1)
    assert versions.changed() == ["argument 0[1][0]", "argument 0[2]"]


def test_a_change_before_is_no_change() -> None:
    x = tensor()
    x.add_(1)
    assert ArgumentVersions([x], {}).changed() == []


def test_a_change_through_a_view_is_one_of_its_base() -> None:
    x = tensor()
    versions = ArgumentVersions([x], {})
    x[0] = 1.0
    assert versions.changed() == ["argument 0"]


def test_of_inference_tensors_nothing_is_known() -> None:
    with torch.inference_mode():
        x = tensor()
        versions = ArgumentVersions([x, [x]], {"x": x})
        x.add_(1)
    assert versions.changed() == []


def test_of_parameters_that_wait_for_their_shape_nothing_is_known() -> None:
    waiting = torch.nn.LazyLinear(2).weight
    assert ArgumentVersions([waiting, [waiting]], {}).changed() == []


def test_arguments_that_are_no_tensors_are_looked_over() -> None:
    assert ArgumentVersions([None, object(), "text", [[]]], {"a": {1: 2}}).changed() == []


@pytest.mark.parametrize("method", ["naive", "sync", "event"])
def test_a_measurement_says_which_arguments_its_callable_changes(method) -> None:  # type: ignore[no-untyped-def]
    def fn(x: torch.Tensor, *, state: list[torch.Tensor]) -> None:
        x.add_(1)
        state[0].add_(1)

    found = fasttime.measure(fn, tensor(), state=[tensor()], method=method, warmup=0, repeat=2)
    assert (
        "arguments_changed",
        "fn changes argument 0, argument 'state'[0] in place, so that each run works on other "
        "data; give it a clone if times depend on values",
    ) in found.warnings


def test_a_measurement_of_a_callable_that_changes_nothing_does_not_say_so() -> None:
    found = fasttime.measure(torch.add, tensor(), tensor(), warmup=0, repeat=2)
    assert "arguments_changed" not in [warning.kind for warning in found.warnings]


# --- of those that are compared ---


def test_a_candidate_that_changes_what_all_are_given_is_named_once() -> None:
    def tidy(x: torch.Tensor, state: list[torch.Tensor]) -> None:
        x.copy_(x.sort().values)
        state[0].add_(1)

    def plain(x: torch.Tensor, state: list[torch.Tensor]) -> None:
        x.sort()

    found = fasttime.compare({"plain": plain, "tidy": tidy}, tensor(), [tensor()], rounds=1)
    warning = (
        "arguments_changed",
        "tidy changes argument 0, argument 1[0] in place, so that all candidates work on other "
        "data from then on; let it work on a clone if times depend on values",
    )
    assert [warning in measured.warnings for measured in found.measurements.values()] == [
        True,
        True,
    ]
    assert " ".join(str(found).split()).count("warning (arguments_changed): tidy changes") == 1


def test_candidates_that_change_nothing_leave_no_warning() -> None:
    found = fasttime.compare({"sin": torch.sin, "cos": torch.cos}, tensor(), rounds=1)
    for measured in found.measurements.values():
        assert "arguments_changed" not in [warning.kind for warning in measured.warnings]


def test_a_comparison_of_methods_says_what_its_callable_changes() -> None:
    found = fasttime.compare(lambda x: x.add_(1), tensor(), repeat=10, rounds=1)
    assert "\nwarning (arguments_changed): fn changes argument 0 in place" in str(found)
