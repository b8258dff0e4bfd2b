# SPDX-License-Identifier: BSD-3-Clause
"""Scopes inside torch.compile regions: no graph breaks, no times, and a warning."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch._dynamo
from torch._dynamo.exc import Unsupported
from torch._dynamo.testing import CompileCounter, CompileCounterWithBackend

import fasttime
from fasttime import Recorder
from fasttime.torch_compile import dynamo_private, stand_ins, support

X = torch.tensor([1.0, 2.0, 3.0])
BEFORE_2_7 = torch.__version__ < (2, 7)


@pytest.fixture(autouse=True)
def fresh_dynamo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stand_ins, "_scopes_met", 0)
    torch._dynamo.reset()
    fasttime.reset()
    yield
    fasttime.reset()


def compiled(function: Callable[..., Any], *arguments: Any, fullgraph: bool = True) -> list[int]:
    """Compile, call twice and compare with eager. Returns the size of each graph.

    Forgets the times of the eager call.
    """
    expected = function(*arguments)
    fasttime.reset()
    sizes: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        sizes.append(sum(node.op == "call_function" for node in graph.graph.nodes))
        return graph.forward

    fast = torch.compile(function, backend=backend, fullgraph=fullgraph)
    for _ in range(2):
        torch.testing.assert_close(fast(*arguments), expected)
    return sizes


def timed() -> dict[str, int]:
    return {site.path: site.count for site in fasttime.report().walk()}


def warning_kinds() -> list[str]:
    return [warning.kind for warning in fasttime.report().warnings]


def run(*parts: str) -> str:
    """Run the `parts` of a program in a new process. Returns its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", "".join(map(textwrap.dedent, parts))],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- Inside the region ---


def test_nested_scopes_leave_one_whole_graph() -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        with fasttime.scope("outer"):
            y = x + 1
            with fasttime.scope(name="inner", stream=None):
                y = y * 2
        return y - 1

    assert compiled(step, X) == [3]
    assert timed() == {}


def test_begin_and_end_do_not_break_the_graph() -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        token = fasttime.begin("a")
        y = x + 1
        fasttime.end(token)
        return y * 2

    assert compiled(step, X) == [2]
    assert timed() == {}


def test_phases_do_not_break_the_graph() -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        with fasttime.phases("step") as phase:
            y = x + 1
            phase("forward")
            y = y * 2
            phase(f"rows {x.shape[0]}")
        return y

    assert compiled(step, X) == [2]
    assert timed() == {}


def test_phases_take_a_name_or_none() -> None:
    with stand_ins.by_name(has_variables=True)["phases"]("step", stream=None) as phase:
        assert phase("forward") is None
        assert phase(None) is None


def test_a_stream_is_accepted_and_ignored() -> None:
    def step(x: torch.Tensor, stream: int) -> torch.Tensor:
        with fasttime.scope("a", stream=stream):
            return x + 1

    assert compiled(step, X, 0) == [1]


@fasttime.scope("function")
def decorated(x: torch.Tensor) -> torch.Tensor:
    return x + 1


@fasttime.scope("generator")
def generated(x: torch.Tensor) -> Iterator[torch.Tensor]:
    yield x + 1
    yield x + 2


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recorder = Recorder()
        self.scope = fasttime.scope("made outside")
        self.linear = torch.nn.Linear(3, 3)

    @fasttime.scope("method")
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.scope, self.recorder.scope("own"):
            return decorated(self.linear(x))


def test_decorated_functions_do_not_break_the_graph() -> None:
    assert compiled(decorated, X) == [1]
    assert compiled(lambda x: decorated(x) * 2, X) == [2]
    assert timed() == {}


@pytest.mark.xfail(
    BEFORE_2_7, reason="torch 2.6 cannot trace send() of a generator", raises=Unsupported
)
def test_decorated_generators_do_not_break_the_graph() -> None:
    assert compiled(lambda x: list(generated(x)), X) == [2]
    assert timed() == {}


def test_a_function_decorated_inside_may_leave() -> None:
    def step(x: torch.Tensor) -> tuple[torch.Tensor, Callable[[int], int]]:
        @fasttime.scope("a")
        def twice(n: Any) -> Any:
            return n * 2

        return twice(x), twice

    fast = torch.compile(step, backend="eager", fullgraph=True)
    assert fast(X)[1](4) == 8


def test_scope_objects_do_not_break_the_graph() -> None:
    scope, phases = fasttime.scope("a"), fasttime.phases("b")

    def step(x: torch.Tensor, argument: Any) -> torch.Tensor:
        with scope, phases as phase:
            y = x + 1
            phase("phase")
        with argument, argument:
            return y * 2

    assert compiled(step, X, fasttime.scope("argument")) == [2]
    assert timed() == {}


def test_a_scope_object_passes_through_unchanged() -> None:
    scope = fasttime.scope("a")

    def step(x: torch.Tensor) -> tuple[torch.Tensor, Any]:
        with scope:
            return x + 1, scope

    assert torch.compile(step, backend="eager", fullgraph=True)(X)[1] is scope
    with scope:
        pass
    assert timed() == {"a": 1}


def test_a_module_with_scopes_compiles_and_trains() -> None:
    model = Model()
    counter = CompileCounterWithBackend("aot_eager")
    model(X).sum().backward()
    expected = model.linear.weight.grad
    model.zero_grad()
    fasttime.reset()
    torch.compile(model, backend=counter, fullgraph=True)(X).sum().backward()
    assert counter.frame_count == 1
    torch.testing.assert_close(model.linear.weight.grad, expected)
    assert timed() == {}


@pytest.mark.xfail(
    BEFORE_2_7, reason="torch 2.6 cannot trace exceptions through any `with`", raises=Unsupported
)
def test_exceptions_pass_through() -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        try:
            with fasttime.scope("a"):
                raise ValueError("mine")
        except ValueError:
            return x + 1

    assert compiled(step, X) == [1]


def with_positional_name(x: torch.Tensor, name: str) -> torch.Tensor:
    with fasttime.scope(name):
        return x + 1


def with_keyword_name(x: torch.Tensor, name: str) -> torch.Tensor:
    with fasttime.scope(name=name):
        return x + 1


def with_phases_name(x: torch.Tensor, name: str) -> torch.Tensor:
    with fasttime.phases(name) as phase:
        phase(name)
        return x + 1


def with_begin_name(x: torch.Tensor, name: str) -> torch.Tensor:
    fasttime.end(fasttime.begin(name))
    return x + 1


@pytest.mark.parametrize(
    "step", [with_positional_name, with_keyword_name, with_phases_name, with_begin_name]
)
def test_changing_names_do_not_recompile(step: Callable[..., torch.Tensor]) -> None:
    counter = CompileCounter()
    fast = torch.compile(step, backend=counter, fullgraph=True)
    for i in range(20):
        fast(X, f"name {i}")
    assert counter.frame_count == 1


def test_switching_scopes_off_does_not_recompile() -> None:
    counter = CompileCounter()
    fast = torch.compile(decorated, backend=counter, fullgraph=True)
    fast(X)
    fasttime.disable()
    try:
        fast(X)
    finally:
        fasttime.enable()
    fast(X)
    assert counter.frame_count == 1


def test_export_leaves_nothing_in_the_graph() -> None:
    program = torch.export.export(Model(), (X,), strict=True)
    assert all(
        isinstance(node.target, torch._ops.OpOverload)
        for node in program.graph.nodes
        if node.op == "call_function"
    )


# --- Around the region, and across its borders ---


def test_scopes_around_a_compiled_call_are_timed() -> None:
    fast = torch.compile(lambda x: x + 1, backend="eager", fullgraph=True)
    for _ in range(3):
        with fasttime.scope("around"):
            fast(X)
    assert timed() == {"around": 3}


def test_a_graph_break_in_a_scope_is_one_break() -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        with fasttime.scope("a"):
            y = x + 1
            torch._dynamo.graph_break()
            y = y * 2
        return y - 1

    assert compiled(step, X, fullgraph=False) == [1, 2]
    assert timed() == {}


def test_a_graph_break_in_a_scope_object_is_one_break() -> None:
    scope, phases = fasttime.scope("a"), fasttime.phases("b")

    def step(x: torch.Tensor) -> torch.Tensor:
        with scope, phases as phase:
            y = x + 1
            torch._dynamo.graph_break()
            y = y * 2
            phase("phase")
        return y - 1

    assert compiled(step, X, fullgraph=False) == [1, 2]
    assert timed() == {}


def test_scopes_in_eager_functions_are_timed() -> None:
    @torch.compiler.disable
    def eager(x: torch.Tensor, phase: Any) -> torch.Tensor:
        phase("from the region")
        with fasttime.scope("eager"):
            return x + 1

    def step(x: torch.Tensor) -> torch.Tensor:
        with fasttime.phases("a") as phase:
            return eager(x * 2, phase) * 2

    assert compiled(step, X, fullgraph=False) == [1, 1]
    assert timed() == {"eager": 2}


def test_a_token_of_the_region_ends_outside() -> None:
    def step(x: torch.Tensor) -> tuple[torch.Tensor, Any]:
        return x + 1, fasttime.begin("a")

    token = torch.compile(step, backend="eager", fullgraph=True)(X)[1]
    fasttime.end(token)
    assert timed() == {}


def test_a_token_from_outside_stays_open() -> None:
    token = fasttime.begin("a")

    def step(x: torch.Tensor) -> torch.Tensor:
        fasttime.end(token)
        return x + 1

    torch.compile(step, backend="eager", fullgraph=True)(X)
    assert fasttime.report().open == 1
    fasttime.end(token)
    assert timed() == {"a": 1}


# --- Recorders that come and go ---


def test_a_recorder_made_later_is_known_to_dynamo(recorder: Recorder) -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        with recorder.scope("a"), recorder.phases("b") as phase:
            token = recorder.begin("c")
            y = x + 1
            recorder.end(token)
            phase("phase")
        return y

    torch.compile(step, backend="eager", fullgraph=True)(X)
    assert recorder.report().sites == ()


def test_dynamo_keeps_no_recorder_alive() -> None:
    recorder = Recorder()
    dead = [weakref.ref(function) for function in (recorder.scope, recorder.phases, recorder.end)]
    del recorder
    gc.collect()
    assert [reference() for reference in dead] == [None] * 3


def test_reused_ids_are_not_mistaken() -> None:
    is_known = torch._dynamo.trace_rules.is_polyfilled_callable
    for _ in range(50):
        recorder = Recorder()
        assert is_known(recorder.scope)
        del recorder
        # These are built-in functions too. They take the memory that became free, and the ids.
        assert not any(is_known(function) for function in [[].append for _ in range(100)])


# --- The log and the warning ---


def test_compiled_scopes_are_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_ins, "_scopes_met", 0)
    assert not support.scopes_met()
    assert "compiled" not in warning_kinds()
    with caplog.at_level(logging.INFO, logger="fasttime"):
        compiled(decorated, X)
        compiled(lambda x: decorated(x) + 1, X)
    assert [record.message for record in caplog.records] == [
        "a fasttime scope is in a region that torch.compile compiles, and is not timed there. "
        "Put the scope around the compiled call."
    ]
    assert support.scopes_met()
    assert "compiled" in warning_kinds()
    fasttime.report(reset=True)  # the compiled code may still run, so the warning stays
    assert "compiled" in warning_kinds()
    fasttime.reset()
    assert "compiled" not in warning_kinds()
    compiled(lambda x: decorated(x) + 2, X)
    assert "compiled" in warning_kinds()


def test_a_compiled_scope_object_is_noted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_ins, "_scopes_met", 0)
    scope = fasttime.scope("a")

    def step(x: torch.Tensor) -> torch.Tensor:
        with scope:
            return x + 1

    torch.compile(step, backend="eager", fullgraph=True)(X)
    assert support.scopes_met()


def test_without_compiled_scopes_there_is_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_ins, "_scopes_met", 0)
    with fasttime.scope("around"):
        torch.compile(lambda x: x + 1, backend="eager")(X)
    assert not support.scopes_met()


# --- The order of imports ---

STEP = """
def step(x):
    with fasttime.scope("a"), mine.scope("b"):
        return x + 1

fast = torch.compile(step, backend="eager", fullgraph=True)
assert fast(torch.ones(3)).tolist() == [2, 2, 2]
assert fasttime.report().sites == () and mine.report().sites == ()
assert fasttime.torch_compile.support.scopes_met()
assert not [f for f in sys.meta_path if "fasttime" in type(f).__module__], sys.meta_path
"""


def test_fasttime_does_not_import_dynamo() -> None:
    run("""
        import sys, fasttime
        mine = fasttime.Recorder()
        @fasttime.scope("a")
        def f():
            with mine.scope("b"):
                pass
        f()
        str(fasttime.report())
        assert "torch._dynamo" not in sys.modules
    """)


def test_dynamo_imported_later_knows_the_scopes() -> None:
    run(
        """
        import importlib.util, sys, fasttime, torch
        mine = fasttime.Recorder()
        importlib.util.find_spec("torch._dynamo")  # looks for the module without importing it
        """,
        STEP,
    )


def test_dynamo_imported_earlier_knows_the_scopes() -> None:
    run(
        """
        import sys, torch, torch._dynamo
        import fasttime
        mine = fasttime.Recorder()
        """,
        STEP,
    )


def test_a_changed_dynamo_still_gets_whole_graphs() -> None:
    run(
        """
        import sys, torch, torch._dynamo.testing
        from torch._dynamo.variables.builder import VariableBuilder
        real = VariableBuilder._type_dispatch
        VariableBuilder._type_dispatch = None
        import fasttime
        VariableBuilder._type_dispatch = real
        mine = fasttime.Recorder()

        def step(x):
            with fasttime.phases("a") as phase:
                y = x + 1
                phase("b")
            return y

        torch.compile(step, backend="eager", fullgraph=True)(torch.ones(3))

        @fasttime.scope("a")
        def broken(x):
            y = x + 1
            torch._dynamo.graph_break()
            return y * 2

        counter = torch._dynamo.testing.CompileCounter()
        torch.compile(broken, backend=counter)(torch.ones(3))
        assert counter.frame_count == 2
        """,
        STEP,
    )


def test_other_function_variables_give_whole_graphs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dynamo_private, "_blind_variable", None)
    with caplog.at_level(logging.DEBUG, logger="fasttime"):
        mine = Recorder()
    assert "changing names of scopes may recompile" in caplog.text

    def step(x: torch.Tensor) -> torch.Tensor:
        with mine.scope("a"):
            return x + 1

    assert compiled(step, X) == [1]


def test_a_dynamo_that_fails_is_still_imported() -> None:
    out = run("""
        import logging, sys, fasttime, torch
        logging.basicConfig(stream=sys.stdout)
        torch.compiler.assume_constant_result = None
        import torch._dynamo
        fasttime.Recorder()
        with fasttime.scope("a"):
            pass
        assert fasttime.report()["a"].count == 1
    """)
    assert "WARNING:fasttime:scopes will break the graphs of torch.compile" in out
