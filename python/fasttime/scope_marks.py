# SPDX-License-Identifier: BSD-3-Clause
"""Who hears of the begin and end of each scope of a recorder: other tools, or a stream check."""

from __future__ import annotations

from typing import Any, Protocol

from . import _native, profiler_marks


class Check(Protocol):
    """A stream check, as a recorder knows it; see `StreamCheck`."""

    def begin(self, name: str, parent: int, places: tuple[tuple[int, int], ...]) -> Any:
        """Begin to check a scope; return a token."""

    def end(self, token: Any) -> None:
        """End it."""

    def read(self) -> None:
        """Read what the device has finished."""


class ScopeMarks:
    """The marks of one recorder. Scopes without marks pay nothing.

    Attributes:
        nvtx: whether scopes are ranges in other tools.
    """

    def __init__(self, scope: Any) -> None:
        self._scope = scope
        self._check: Check | None = None
        self._ended: Check | None = None  # the last check, which may have answers to come
        self.nvtx = False

    def mark_nvtx(self, on: bool) -> None:
        """Show each scope as a range in other tools, or stop it."""
        self.nvtx = on
        self._apply()

    def connect(self, check: Check) -> None:
        """Let a check hear of all scopes. Raises RuntimeError while another one does."""
        if self._check is not None:
            raise RuntimeError(
                "another check_streams block of this recorder is open; end that block first"
            )
        self._check = check
        self._apply()

    def disconnect(self) -> None:
        """End the current check."""
        self._check, self._ended = None, self._check
        self._apply()

    def read_ended(self) -> None:
        """Let the last check read the answers that have come since its block ended."""
        if self._ended is not None:
            self._ended.read()

    def _apply(self) -> None:
        if self._check is not None:
            _native.set_marks(self._scope, self._check.begin, self._check.end, True)
        elif self.nvtx:
            _native.set_marks(self._scope, profiler_marks.begin, profiler_marks.end)
        else:
            _native.set_marks(self._scope, None, None)
