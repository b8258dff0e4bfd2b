# SPDX-License-Identifier: BSD-3-Clause
"""Graphs captured and replayed on the simulated runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from simulated_cuda import GLOBAL, Simulated

MS = 1_000_000
REST = 200 * MS  # longer than rings rest after their graph is gone


@dataclass
class SimulatedGraph:
    """A captured graph. It keeps its template, as with ``keep_graph=True``."""

    cuda: Simulated
    stream: int
    graph: int = 0
    executable: int = 0

    def replay(self, times: int = 1, stream: int | None = None) -> None:
        """Launch the graph, and let the device finish it."""
        for _ in range(times):
            self.launch(stream)
            self.cuda.advance(100 * MS)

    def launch(self, stream: int | None = None, executable: int | None = None) -> None:
        self.cuda.launch_graph(
            self.executable if executable is None else executable,
            self.stream if stream is None else stream,
        )

    @property
    def nodes(self) -> int:
        return self.cuda.graph_nodes(self.graph)

    def destroy(self) -> None:
        self.cuda.destroy_executable(self.executable)
        self.cuda.destroy_graph(self.graph)


@contextmanager
def captured(cuda: Simulated, stream: int, mode: int = GLOBAL) -> Iterator[SimulatedGraph]:
    """Capture the block on a stream, which is torch's current stream meanwhile."""
    made = SimulatedGraph(cuda, stream)
    cuda.set_current_stream(stream)
    cuda.begin_capture(stream, mode)
    try:
        yield made
    finally:
        alive = cuda.capture_alive(stream)
        code, made.graph = cuda.end_capture(stream)
        cuda.set_current_stream(0)
    assert (alive, code) == (True, 0), "the capture was destroyed"
    made.executable = cuda.instantiate(made.graph)
