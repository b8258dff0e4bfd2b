# SPDX-License-Identifier: BSD-3-Clause
"""Decorated functions of each kind behave like undecorated ones, and are timed."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import types
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import torch

from fasttime import Recorder


def paths(recorder: Recorder) -> dict[str, int]:
    return {site.path: site.count for site in recorder.report().walk()}


def test_a_generator_keeps_its_own_scopes(recorder: Recorder) -> None:
    @recorder.scope("generator")
    def generator() -> Iterator[None]:
        with recorder.scope("epoch"), recorder.scope("batch"):
            for _ in range(3):
                with recorder.scope("load"):
                    pass
                yield

    for _ in generator():
        with recorder.scope("train"):
            pass
    assert paths(recorder) == {
        "generator": 1,
        "generator/epoch": 1,
        "generator/epoch/batch": 1,
        "generator/epoch/batch/load": 3,
        "train": 3,
    }


def test_a_generator_takes_its_scopes_to_another_task(recorder: Recorder) -> None:
    @recorder.scope("stream")
    async def stream() -> AsyncGenerator[int, None]:
        with recorder.scope("connection"):
            for number in range(3):
                with recorder.scope("read"):
                    pass
                yield number

    async def step(numbers: AsyncGenerator[int, None]) -> None:
        with recorder.scope("step"):
            await numbers.__anext__()

    async def main() -> None:
        numbers = stream()
        for _ in range(3):
            await asyncio.create_task(step(numbers))
        with pytest.raises(StopAsyncIteration):
            await numbers.__anext__()

    asyncio.run(main())
    assert paths(recorder) == {
        "step": 3,
        "step/stream": 1,
        "step/stream/connection": 1,
        "step/stream/connection/read": 3,
    }


def test_a_scope_of_a_generator_ends_while_suspended(recorder: Recorder) -> None:
    tokens = []

    @recorder.scope("generator")
    def generator() -> Iterator[None]:
        tokens.append(recorder.begin("inner"))
        yield
        with recorder.scope("after"):
            pass

    for _ in generator():
        recorder.end(tokens.pop())
    assert paths(recorder) == {"generator": 1, "generator/inner": 1, "generator/after": 1}


def test_generators_suspend_inside_each_other(recorder: Recorder) -> None:
    @recorder.scope("inner")
    def inner() -> Iterator[int]:
        with recorder.scope("file"):
            yield from range(2)

    @recorder.scope("outer")
    def outer() -> Iterator[int]:
        with recorder.scope("epoch"):
            for number in inner():
                with recorder.scope("decode"):
                    pass
                yield number

    for _ in outer():
        with recorder.scope("train"):
            pass
    assert paths(recorder) == {
        "outer": 1,
        "outer/epoch": 1,
        "outer/epoch/inner": 1,
        "outer/epoch/inner/file": 1,
        "outer/epoch/decode": 2,
        "train": 2,
    }


class Batch:
    """A large object."""


class Batches:
    """Makes batches, and counts the batches that are still alive."""

    def __init__(self) -> None:
        self.made: list[weakref.ref[Batch]] = []

    def new(self) -> Batch:
        batch = Batch()
        self.made.append(weakref.ref(batch))
        return batch

    @property
    def held(self) -> int:
        return sum(reference() is not None for reference in self.made)


@contextmanager
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_a_generator_holds_no_yielded_object(recorder: Recorder) -> None:
    batches = Batches()

    @recorder.scope("load")
    def load() -> Generator[Batch, Batch, None]:
        while True:
            yield batches.new()

    with no_collection():
        loader = load()
        next(loader)
        assert batches.held == 0
        loader.send(batches.new())
        assert batches.held == 0


def test_a_closed_generator_leaves_no_cycle(recorder: Recorder) -> None:
    batches = Batches()

    @recorder.scope("load")
    def load() -> Generator[Batch, None, None]:
        while True:
            yield batches.new()

    with no_collection():
        loader = load()
        batch = next(loader)
        loader.close()
        del batch, loader
        assert batches.held == 0


def test_an_async_generator_holds_no_yielded_object(recorder: Recorder) -> None:
    batches = Batches()

    @recorder.scope("load")
    async def load() -> AsyncGenerator[Batch, None]:
        while True:
            yield batches.new()

    async def main() -> None:
        loader = load()
        await anext(loader)
        assert batches.held == 0
        batch = await anext(loader)
        await loader.aclose()
        del batch, loader
        assert batches.held == 0

    with no_collection():
        asyncio.run(main())


def test_a_loop_closes_open_async_generators(
    recorder: Recorder,
) -> None:
    closed: list[str] = []
    said: list[object] = []

    @recorder.scope("numbers")
    async def numbers() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            closed.append("numbers")

    async def main() -> AsyncGenerator[int, None]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        running = numbers()
        await anext(running)
        return running

    kept = asyncio.run(main())
    assert kept is not None
    assert (closed, said) == (["numbers"], [])
    assert recorder.report()["numbers"].count == 1


def test_a_generator_based_coroutine_stays_one(recorder: Recorder) -> None:
    @recorder.scope("work")
    @types.coroutine
    def work() -> Generator[None, None, str]:
        yield
        return "done"

    async def main() -> str:
        return await work()

    assert asyncio.run(main()) == "done"
    assert recorder.report()["work"].count == 1


def test_an_object_with_an_async_call_is_timed(recorder: Recorder) -> None:
    seen: list[int] = []

    class Work:
        async def __call__(self) -> None:
            await asyncio.sleep(0)
            seen.append(recorder.report().open)

    work: Callable[[], Awaitable[None]] = recorder.scope("work")(Work())
    asyncio.run(work())  # type: ignore[arg-type]
    assert seen == [1]


def test_a_module_with_a_decorated_forward_copies(recorder: Recorder) -> None:
    model = torch.nn.Linear(2, 2)
    model.forward = recorder.scope("forward")(model.forward)  # type: ignore[method-assign]
    copied = copy.deepcopy(model)
    with torch.no_grad():
        copied.weight.zero_()
        copied.bias.zero_()
    assert copied(torch.ones(2)).tolist() == [0.0, 0.0]
    assert model(torch.ones(2)).tolist() != [0.0, 0.0]
    assert recorder.report()["forward"].count == 2
    # Pickle stores a bound method as its name, and the class has that name too.
    loaded = pickle.loads(pickle.dumps(model))
    assert torch.equal(loaded(torch.ones(2)), model(torch.ones(2)))


@pytest.mark.parametrize("made", [contextmanager, asynccontextmanager])
def test_a_context_manager_function_is_refused(
    recorder: Recorder, made: Callable[[object], object]
) -> None:
    with pytest.raises(TypeError, match=r"block makes a context manager.*put a `with` around"):

        @recorder.scope("x")
        @made
        def block() -> Iterator[None]:
            yield


def test_an_open_scope_cannot_decorate(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match=r"scope 'x' is open.*write @scope\('x'\)"):

        @recorder.scope("x")()  # type: ignore[operator]
        def function() -> None:
            pass


def test_a_module_cannot_be_decorated(recorder: Recorder) -> None:
    with pytest.raises(
        TypeError, match=r"this is a Linear, a module.*decorate its class's forward"
    ):
        recorder.scope("encoder")(torch.nn.Linear(2, 2))


def test_a_generator_is_not_a_parent_after_a_fork(recorder: Recorder) -> None:
    @recorder.scope("load")
    def load() -> Generator[int, None, None]:
        yield 1
        with recorder.scope("inner"):
            pass
        yield 2

    loader = load()
    next(loader)
    read, write = os.pipe()
    if os.fork() == 0:
        next(loader)
        paths = [site.path for site in recorder.report().walk()]
        os.write(write, ",".join(paths).encode())
        os._exit(0)
    os.close(write)
    with open(read) as pipe:
        assert pipe.read() == "inner"
    os.wait()
    loader.close()
