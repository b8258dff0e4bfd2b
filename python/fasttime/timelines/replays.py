# SPDX-License-Identifier: BSD-3-Clause
"""Scopes around the replays of CUDA graphs, while a timeline is recorded.

A scope inside a graph has no time on the host. The scope around the replay shows when the host
called for it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from .. import _native

if TYPE_CHECKING:
    from .._native import Core, Scope

NAME = "graph replay"


class ReplayScopes:
    """Puts a scope around each replay from `start` to `stop`, on every thread."""

    def __init__(self, core: Core) -> None:
        _, self._begin, self._end, _ = core.scope_functions()
        self._open = threading.local()
        self._remove: list[Callable[[], None]] = []

    def start(self) -> None:
        """Watch replays, by torch's hooks (torch 2.14) or by a wrapped `CUDAGraph.replay`."""
        graphs = torch.cuda.graphs
        before = getattr(graphs, "register_graph_replay_start_hook", None)
        after = getattr(graphs, "register_graph_replay_end_hook", None)
        if before is not None and after is not None:
            self._remove = [before(self.begin).remove, after(self.end).remove]
        else:
            self._remove = [_wrap_replay(self)]

    def stop(self) -> None:
        """Leave replays alone again."""
        for remove in self._remove:
            remove()
        self._remove = []

    def begin(self, graph: object) -> None:
        # A replay inside a capture becomes a part of another graph.
        token = None if _native.is_capturing() else self._begin(NAME)
        self._tokens().append(token)

    def end(self, graph: object) -> None:
        tokens = self._tokens()
        if tokens:
            self._end(tokens.pop())

    def _tokens(self) -> list[Scope | None]:
        if not hasattr(self._open, "tokens"):
            self._open.tokens = []
        return self._open.tokens  # type: ignore[no-any-return]


def _wrap_replay(scopes: ReplayScopes) -> Callable[[], None]:
    """Wrap the method of torch's class. Return a function that takes the wrapper off."""
    graph_class: Any = torch.cuda.CUDAGraph
    before = graph_class.replay
    is_watched = True

    @functools.wraps(before)
    def replay(self: object) -> None:
        if not is_watched:
            before(self)
            return
        scopes.begin(self)
        try:
            before(self)
        finally:
            scopes.end(self)

    def remove() -> None:
        nonlocal is_watched
        is_watched = False  # if other code has wrapped the wrapper
        if graph_class.replay is replay:
            graph_class.replay = before

    graph_class.replay = replay
    return remove
