# SPDX-License-Identifier: BSD-3-Clause
"""Results that are not there yet are refused: only their beginning could be timed."""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
from collections.abc import Callable, Generator

import pytest
import torch
import torch.distributed as dist

import fasttime


class Awaitable:
    def __await__(self) -> Generator[None, None, None]:
        yield


class CollectiveWork(dist.Work):  # type: ignore[misc]
    """The handle of an asynchronous collective."""


NOT_THERE: dict[str, tuple[Callable[[], object], str]] = {
    "a future": (concurrent.futures.Future, "a Future, and its work may still be running"),
    "a future of torch": (torch.futures.Future, "a Future, and its work may still be running"),
    "an awaitable": (Awaitable, "an awaitable"),
    "a collective": (CollectiveWork, "the collective may still be running"),
    "a collective in a tuple": (lambda: (1, CollectiveWork()), "the collective may still be"),
    "a map": (lambda: map(abs, [1]), "a map, an iterator that does its work when it is consumed"),
    "a filter": (lambda: filter(None, [1]), "a filter, an iterator"),
    "a zip": (lambda: zip([1], [2], strict=True), "a zip, an iterator"),
    "a generator": (lambda: (x for x in [1]), "a generator and ran nothing"),
}


@pytest.mark.parametrize("name", NOT_THERE)
def test_a_result_that_is_not_there_is_refused(name: str) -> None:
    make, message = NOT_THERE[name]

    def fn() -> object:
        return make()

    with pytest.raises(TypeError, match=f"^fn returned .*{message}"):
        fasttime.measure(fn, warmup=1, repeat=12)


def test_a_task_is_refused() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def fn() -> object:
            return loop.create_task(asyncio.sleep(0))

        with pytest.raises(TypeError, match=r"^fn returned a Task, and"):
            fasttime.measure(fn, warmup=1, repeat=12)

    asyncio.run(main())


@pytest.mark.parametrize("method", ["naive", "sync", "event"])
def test_every_method_refuses(method: str) -> None:
    with pytest.raises(TypeError, match="returned a Future"):
        fasttime.measure(lambda: concurrent.futures.Future(), method=method, repeat=12)  # type: ignore[arg-type]


def test_compare_refuses_and_names_the_candidate() -> None:
    with pytest.raises(TypeError, match="returned a map"):
        fasttime.compare({"a": sorted, "b": lambda x: map(abs, x)}, [1], rounds=1)


@pytest.mark.parametrize("result", [io.StringIO("text"), [1, 2], "text", range(3), {"a": 1}])
def test_ordinary_results_are_accepted(result: object) -> None:
    assert len(fasttime.measure(lambda: result, warmup=1, repeat=12)) == 11
