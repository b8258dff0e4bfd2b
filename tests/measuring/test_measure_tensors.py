# SPDX-License-Identifier: BSD-3-Clause
"""Whether a callable changes its tensor arguments."""

from __future__ import annotations

from collections import UserDict

import pytest
import torch

import fasttime
from fasttime import TimingWarning
from fasttime.measuring.tensors import ArgumentVersions


def tensor() -> torch.Tensor:
    return torch.zeros(2)


def test_tensors_left_alone_are_not_named() -> None:
    versions = ArgumentVersions([tensor()], {"x": tensor()})
    assert versions.changed() == []


def test_changed_tensors_are_named_in_order() -> None:
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
def test_tensors_in_containers_have_a_place(wrap, name: str) -> None:  # type: ignore[no-untyped-def]
    x = tensor()
    versions = ArgumentVersions([wrap(x)], {})
    x.add_(1)
    assert versions.changed() == [name]


def test_a_list_may_contain_itself() -> None:
    first, second = tensor(), tensor()
    items: list[object] = [[first], second]
    items.insert(0, items)
    versions = ArgumentVersions([items], {})
    second.add_(1)
    first.add_(1)
    assert versions.changed() == ["argument 0[1][0]", "argument 0[2]"]


def test_earlier_changes_do_not_count() -> None:
    x = tensor()
    x.add_(1)
    assert ArgumentVersions([x], {}).changed() == []


def test_a_change_through_a_view_changes_the_base() -> None:
    x = tensor()
    versions = ArgumentVersions([x], {})
    x[0] = 1.0
    assert versions.changed() == ["argument 0"]


def test_inference_tensors_are_skipped() -> None:
    with torch.inference_mode():
        x = tensor()
        versions = ArgumentVersions([x, [x]], {"x": x})
        x.add_(1)
    assert versions.changed() == []


def test_lazy_parameters_are_skipped() -> None:
    waiting = torch.nn.LazyLinear(2).weight
    assert ArgumentVersions([waiting, [waiting]], {}).changed() == []


def test_other_arguments_are_skipped() -> None:
    assert ArgumentVersions([None, object(), "text", [[]]], {"a": {1: 2}}).changed() == []


@pytest.mark.parametrize("method", ["naive", "sync", "event"])
def test_a_measurement_names_changed_arguments(method) -> None:  # type: ignore[no-untyped-def]
    def fn(x: torch.Tensor, *, state: list[torch.Tensor]) -> None:
        x.add_(1)
        state[0].add_(1)

    found = fasttime.measure(fn, tensor(), state=[tensor()], method=method, warmup=0, repeat=2)
    warning = TimingWarning(
        "arguments_changed",
        "fn changes argument 0, argument 'state'[0] in place, so each run works on different data. "
        "If times depend on values, clone inside fn.",
    )
    assert warning in found.warnings


def test_unchanged_arguments_raise_no_warning() -> None:
    found = fasttime.measure(torch.add, tensor(), tensor(), warmup=0, repeat=2)
    assert "arguments_changed" not in [warning.kind for warning in found.warnings]


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
        "tidy changes argument 0, argument 1[0] in place, so all candidates work on different data "
        "from then on. If times depend on values, clone inside the candidate.",
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
