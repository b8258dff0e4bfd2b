# SPDX-License-Identifier: BSD-3-Clause
"""Whether a callable takes the arguments with which fasttime will call it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from fasttime.signatures import refusal


def taking(a: int, b: int = 0) -> int:
    return a + b


def with_a(function: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(function)
    def call(**kwargs: int) -> int:
        return function(a=1, **kwargs)

    return call


def test_a_refusal_says_why() -> None:
    assert refusal(taking, 1) == ""
    assert refusal(taking, a=1, b=2) == ""
    assert "'a'" in refusal(taking)
    assert "'c'" in refusal(taking, 1, c=2)


def test_a_decorator_may_pass_arguments_of_its_own() -> None:
    assert refusal(with_a(taking)) == ""
    assert with_a(taking)(b=2) == 3


def test_a_module_takes_what_its_forward_takes() -> None:
    assert refusal(torch.nn.Linear(1, 1), torch.ones(1)) == ""
    assert "'input'" in refusal(torch.nn.Linear(1, 1))


def test_no_signature_is_no_refusal() -> None:
    class Odd:
        __signature__ = None

        def __call__(self) -> None: ...

    assert refusal(min) == ""
    assert refusal(Odd()) == ""


def test_an_annotation_need_not_exist() -> None:
    """Python 3.14 looks annotations up only when somebody asks for them."""

    class Asked:
        @property
        def __signature__(self) -> None:
            raise NameError("name 'Missing' is not defined")

        def __call__(self) -> None: ...

    assert refusal(Asked()) == ""
