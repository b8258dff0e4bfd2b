# SPDX-License-Identifier: BSD-3-Clause
"""The parents of scopes in threads, tasks and generators, and after exits out of order.

These tests run on the host backend, where nothing is pending. The tree is the same everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fasttime import Recorder


def paths(recorder: Recorder) -> list[str]:
    return sorted(site.path for site in recorder.report().walk())


def test_scopes_nest(recorder: Recorder) -> None:
    with recorder.scope("a"):
        with recorder.scope("b"):
            pass
        with recorder.scope("b"):
            pass
    with recorder.scope("b"):
        pass
    assert paths(recorder) == ["a", "a/b", "b"]
    assert recorder.report()["a/b"].count == 2


def test_a_finaliser_in_a_first_scope(recorder: Recorder) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            with recorder.scope("finaliser"):
                pass

    def body() -> None:
        gc.collect()
        for _ in range(3):
            Cycle()
        gc.enable()
        token = recorder.begin("a")  # makes the stack of this thread; up to 3.11, collects inside
        gc.disable()
        other = threading.Thread(target=lambda: recorder.end(recorder.begin("elsewhere")))
        other.start()  # this thread's stack is not the last one used any more
        other.join()
        with recorder.scope("b"):
            pass
        recorder.end(token)

    thresholds = gc.get_threshold()
    gc.disable()
    gc.set_threshold(1, 1000, 1000)
    try:
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
    assert {"a", "a/b", "elsewhere"} <= set(paths(recorder))
    assert "b" not in paths(recorder)


def test_each_task_leaves_its_own_pass(recorder: Recorder) -> None:
    scope = recorder.scope("shared")

    async def work(name: str, gate: asyncio.Event) -> None:
        with recorder.scope(name), scope, scope:
            await gate.wait()

    async def main() -> None:
        gates = [asyncio.Event() for _ in range(5)]
        tasks = [asyncio.create_task(work(f"task {i}", gate)) for i, gate in enumerate(gates)]
        await asyncio.sleep(0)
        for i in (2, 0, 4, 1, 3):
            gates[i].set()
            await tasks[i]
            with recorder.scope("between"):
                pass

    asyncio.run(main())
    names = [f"task {i}{below}" for i in range(5) for below in ("", "/shared", "/shared/shared")]
    assert paths(recorder) == sorted([*names, "between"])


def test_an_exit_finds_a_pass_that_lost_its_place(recorder: Recorder) -> None:
    scope = recorder.scope("shared")
    begun, leave = threading.Event(), threading.Event()

    def elsewhere() -> None:
        with scope:
            begun.set()
            leave.wait(60)

    with scope:
        with recorder.scope("block"):
            scope.__enter__()  # outlasts the block, and is no parent from then on
        thread = threading.Thread(target=elsewhere)
        thread.start()
        begun.wait(60)
        scope.__exit__(None, None, None)  # ends the pass in the block, not the other thread's
        assert recorder.report()["shared/block/shared"].count == 1
        leave.set()
        thread.join()
    assert paths(recorder) == ["shared", "shared/block", "shared/block/shared"]
    assert recorder.report()["shared"].count == 2


def test_a_new_thread_starts_at_the_root(recorder: Recorder) -> None:
    def work() -> None:
        with recorder.scope("b"):
            pass

    with recorder.scope("a"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert paths(recorder) == ["a", "b"]


def test_a_pool_thread_keeps_no_parent_between_jobs(recorder: Recorder) -> None:
    def work(name: str) -> None:
        with recorder.scope(name), recorder.scope("inner"):
            pass

    with ThreadPoolExecutor(1) as pool:
        for name in "ab":
            pool.submit(work, name).result()
    assert paths(recorder) == ["a", "a/inner", "b", "b/inner"]


def test_interleaved_tasks_keep_their_parents(recorder: Recorder) -> None:
    async def task(name: str) -> None:
        with recorder.scope(name):
            await asyncio.sleep(0)
            with recorder.scope("inner"):
                await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def main() -> None:
        with recorder.scope("main"):
            await asyncio.gather(*(task(name) for name in "abc"))

    asyncio.run(main())
    names = [f"main/{name}" for name in "abc"]
    assert paths(recorder) == ["main", *sorted(names + [f"{name}/inner" for name in names])]
    assert all(site.count == 1 for site in recorder.report().walk())


def test_a_task_starts_under_the_open_scope(recorder: Recorder) -> None:
    async def task() -> None:
        with recorder.scope("inner"):
            pass

    async def main() -> None:
        with recorder.scope("first"):
            made = asyncio.create_task(task())
        with recorder.scope("second"):
            await made

    asyncio.run(main())
    assert paths(recorder) == ["first", "second", "second/inner"]


def test_a_decorated_function_is_one_scope_a_call(recorder: Recorder) -> None:
    @recorder.scope("f")
    def f(n: int) -> int:
        """Theirs."""
        return n if n == 0 else f(n - 1)

    assert f(1) == 0
    assert (f.__name__, f.__doc__) == ("f", "Theirs.")
    assert paths(recorder) == ["f", "f/f"]


def test_a_class_cannot_be_decorated(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match="Theirs is a class; decorate its methods"):

        @recorder.scope("a")
        class Theirs: ...

    assert paths(recorder) == []


@pytest.mark.parametrize("kind", [staticmethod, classmethod, property])
def test_staticmethod_goes_above_the_scope(recorder: Recorder, kind: type) -> None:
    with pytest.raises(TypeError, match=f"write @{kind.__name__} above the scope"):
        recorder.scope("a")(kind(paths))


def test_a_decorated_staticmethod_is_timed(recorder: Recorder) -> None:
    class Theirs:
        @staticmethod
        @recorder.scope("a")
        def f() -> int:
            return 1

    assert (Theirs().f(), Theirs.f()) == (1, 1)
    assert recorder.report()["a"].count == 2


def test_a_decorated_function_that_raises_is_counted(recorder: Recorder) -> None:
    @recorder.scope("f")
    def f() -> None:
        raise ValueError("theirs")

    with pytest.raises(ValueError, match="theirs"):
        f()
    assert recorder.report()["f"].count == 1


def test_a_decorated_coroutine_spans_its_awaits(recorder: Recorder) -> None:
    @recorder.scope("f")
    async def f() -> str:
        await asyncio.sleep(0)
        with recorder.scope("inner"):
            await asyncio.sleep(0)
        return "done"

    assert asyncio.run(f()) == "done"
    assert paths(recorder) == ["f", "f/inner"]


@pytest.mark.parametrize("ending", ["failure", "cancellation"])
def test_a_decorated_coroutine_counts_however_it_ends(recorder: Recorder, ending: str) -> None:
    @recorder.scope("f")
    async def f() -> None:
        if ending == "failure":
            raise ValueError("theirs")
        await asyncio.sleep(3600)

    async def main() -> None:
        task = asyncio.create_task(f())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises((ValueError, asyncio.CancelledError)):
        asyncio.run(main())
    assert recorder.report()["f"].count == 1


def test_a_decorated_generator_spans_its_run(recorder: Recorder) -> None:
    @recorder.scope("f")
    def f() -> Generator[int, str, str]:
        received = yield 1
        with recorder.scope("inner"):
            return received

    def outer() -> Generator[int, str, str]:
        return (yield from f())

    running = outer()
    assert recorder.report().open == 0
    assert next(running) == 1
    assert recorder.report().open == 1
    with pytest.raises(StopIteration) as stop:
        running.send("sent")
    assert stop.value.value == "sent"
    assert paths(recorder) == ["f", "f/inner"]


def test_a_suspended_generator_is_not_a_parent(recorder: Recorder) -> None:
    @recorder.scope("load")
    def load() -> Generator[int, None, None]:
        yield 1
        with recorder.scope("inner"):
            pass
        yield 2

    for _ in load():
        with recorder.scope("step"):
            pass
    assert paths(recorder) == ["load", "load/inner", "step"]
    assert recorder.report()["step"].count == 2


def test_a_closed_or_failed_generator_counts(recorder: Recorder) -> None:
    seen = []

    @recorder.scope("f")
    def f() -> Generator[int, None, None]:
        while True:
            try:
                yield 1
            except KeyError as error:
                seen.append(error)

    running = f()
    next(running)
    error = KeyError("theirs")
    assert running.throw(error) == 1
    assert seen == [error]
    running.close()
    assert recorder.report()["f"].count == 1


def test_a_decorated_async_generator_spans_its_run(recorder: Recorder) -> None:
    seen = []

    @recorder.scope("f")
    async def f() -> AsyncGenerator[int, str]:
        try:
            seen.append((yield 1))
            yield 2
        except KeyError as error:
            seen.append(repr(error))
            yield 3
        finally:
            seen.append("closed")

    async def main() -> None:
        running = f()
        assert await anext(running) == 1
        assert await running.asend("sent") == 2
        with recorder.scope("step"):
            pass
        assert await running.athrow(KeyError("theirs")) == 3
        await running.aclose()

    asyncio.run(main())
    assert seen == ["sent", "KeyError('theirs')", "closed"]
    assert paths(recorder) == ["f", "step"]


def test_exits_out_of_order_leave_parents_right(recorder: Recorder) -> None:
    a = recorder.begin("a")
    b = recorder.begin("b")
    recorder.end(a)
    with recorder.scope("c"):
        pass
    recorder.end(b)
    with recorder.scope("d"):
        pass
    assert paths(recorder) == ["a", "a/b", "a/b/c", "d"]


def test_a_scope_may_end_in_another_thread(recorder: Recorder) -> None:
    token = recorder.begin("a")
    thread = threading.Thread(target=recorder.end, args=(token,))
    thread.start()
    thread.join()
    with recorder.scope("b"):
        pass
    assert paths(recorder) == ["a", "b"]


def test_threads_may_share_a_scope_object(recorder: Recorder) -> None:
    scope = recorder.scope("shared")
    inside = threading.Event()
    leave = threading.Event()

    def work() -> None:
        with scope:
            inside.set()
            leave.wait(30)
            with recorder.scope("thread"):
                pass

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(30)
    with scope, recorder.scope("main"):
        pass
    leave.set()
    thread.join()
    assert paths(recorder) == ["shared", "shared/main", "shared/thread"]
    assert recorder.report()["shared"].count == 2


def test_a_foreign_value_in_the_variable(
    recorder: Recorder,
) -> None:
    def spoil() -> None:
        for variable in contextvars.copy_context():
            if variable.name == "fasttime.open_scopes":
                variable.set("no stack")
        with recorder.scope("b"):
            pass

    with recorder.scope("a"):
        contextvars.copy_context().run(spoil)
    assert [site.path for site in recorder.report().walk()] == ["a", "b"]


def test_recorders_do_not_see_each_other(recorder: Recorder) -> None:
    other = Recorder()
    with recorder.scope("a"), other.scope("x"), recorder.scope("b"), other.scope("y"):
        pass
    assert paths(recorder) == ["a", "a/b"]
    assert paths(other) == ["x", "x/y"]


@pytest.mark.parametrize(
    "name", ["ü", "\ud800", "nul\0nul", "🙂" * 30, "[bold]x[/]", "a\nb", "%s{}"]
)
def test_names_come_back_as_they_were(recorder: Recorder, name: str) -> None:
    with recorder.scope(name):
        pass
    assert [site.name for site in recorder.report().sites] == [name]
    str(recorder.report()).encode()  # and can be printed


def test_long_names_are_cut_and_stay_apart(recorder: Recorder) -> None:
    for last in "ab":
        with recorder.scope("x" * 1_000_000 + last):
            pass
    names = [site.name for site in recorder.report().sites]
    assert len(set(names)) == 2
    assert all(len(name) < 300 and name.startswith("xxx") for name in names)


def test_sites_past_the_bound_count_together(recorder: Recorder) -> None:
    for number in range(10_000):
        with recorder.scope(f"site {number}"):
            pass
    report = recorder.report()
    assert report["site 0"].count == 1
    assert sum(site.count for site in report.sites) == 10_000
    assert report["(more)"].count == 10_000 - 8190
    assert report.refused_sites == report["(more)"].count
    assert "(more)" in str(report)


def in_a_copy(work: Callable[[], object]) -> None:
    """Run `work` in a thread and copy its variables back, as asgiref's `sync_to_async` does."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,))
    thread.start()
    thread.join()
    for variable in context:
        if variable.get(None) is not context[variable]:
            variable.set(context[variable])


def test_variables_given_back_change_no_open_scope(recorder: Recorder) -> None:
    def work() -> None:
        with recorder.scope("work"):
            pass

    for _ in range(3):
        with recorder.scope("request"):
            in_a_copy(work)
            in_a_copy(work)
            with recorder.scope("after"):
                in_a_copy(lambda: in_a_copy(work))
    assert set(paths(recorder)) == {
        "request",
        "request/work",
        "request/after",
        "request/after/work",
    }
    assert recorder.report()["request/work"].count == 6


def test_variables_given_back_after_the_last_scope(
    recorder: Recorder,
) -> None:
    def work() -> None:
        with recorder.scope("work"):
            pass

    async def request() -> None:
        with recorder.scope("request"):
            in_a_copy(work)
        with recorder.scope("log"):
            pass

    async def serve() -> None:
        with recorder.scope("serve"):
            for _ in range(2):
                await asyncio.create_task(request())

    asyncio.run(serve())
    assert set(paths(recorder)) == {
        "serve",
        "serve/request",
        "serve/request/work",
        "serve/log",
    }


def test_a_finaliser_ends_the_pass_an_exit_seeks(recorder: Recorder) -> None:
    scope = recorder.scope("a")
    refused: list[str] = []

    class Ends:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            for _ in range(2):
                with contextlib.suppress(
                    RuntimeError
                ):  # from Python 3.12 on, the collection runs too late
                    scope.__exit__(None, None, None)

    def leave() -> None:
        gc.enable()
        try:
            scope.__exit__(None, None, None)
        except RuntimeError as error:
            refused.append(str(error))

    scope.__enter__()
    scope.__enter__()
    gc.collect()
    gc.disable()
    before = gc.get_threshold()
    context = contextvars.Context()
    Ends()
    gc.set_threshold(1)
    try:
        context.run(leave)  # the first look-up in this context allocates, which runs a collection
    finally:
        gc.set_threshold(*before)
        gc.enable()
    gc.collect()
    assert recorder.report().open == 0
    assert all("is not open" in said for said in refused)


def test_a_chain_of_contexts_keeps_no_memory(
    recorder: Recorder,
) -> None:
    def weak_references() -> int:
        gc.collect()
        return sum(type(thing) is weakref.ref for thing in gc.get_objects())

    def work() -> contextvars.Context:
        with recorder.scope("work"):
            pass
        return contextvars.copy_context()

    context = contextvars.copy_context()
    before = weak_references()
    for _ in range(1000):
        context = context.run(work)
    assert weak_references() - before < 100
    assert recorder.report().open == 0
