# SPDX-License-Identifier: BSD-3-Clause
"""The names of threads, including threads that end before the recording does."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable

# Guards `_watching` and the wrapper, except the assignments in `_started`, which are atomic.
# Re-entrant, because a signal handler may stop a recording too.
_lock = threading.RLock()
_watching: dict[ThreadNames, dict[int, str]] = {}
_wrapper: Callable[[threading.Thread], None] | None = None  # of `threading.Thread.start`
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)


class ThreadNames:
    """Collects the names of all threads that are alive at some moment between start and stop.

    Python forgets a thread when the thread ends. So during a recording, a wrapper around
    `threading.Thread.start` remembers the name of each new thread. Recordings share one wrapper.
    """

    def start(self) -> None:
        """Collect the names of current and future threads."""
        with _lock:
            _watching[self] = _current()
            _wrap_start()

    def stop(self) -> dict[int, str]:
        """Return the names by native id. A thread that is still alive has its current name."""
        with _lock:
            names = _watching.pop(self, {})
            if not _watching:
                _unwrap_start()
        return names | _current()


def _current() -> dict[int, str]:
    return {t.native_id: t.name for t in threading.enumerate() if t.native_id is not None}


def _started(thread: threading.Thread) -> None:
    if thread.native_id is not None:
        for names in list(_watching.values()):
            names[thread.native_id] = thread.name


def _wrap_start() -> None:
    global _wrapper
    if threading.Thread.start is not _wrapper:
        _wrapper = _wrapped(threading.Thread.start)
        threading.Thread.start = _wrapper  # type: ignore[assignment,method-assign]


def _unwrap_start() -> None:
    # If another tool wrapped our wrapper meanwhile, the wrapper stays and does nothing.
    if _wrapper is not None and threading.Thread.start is _wrapper:
        threading.Thread.start = _wrapper.__wrapped__  # type: ignore[method-assign,attr-defined]


def _wrapped(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        original(self)  # returns when the thread runs and has its native id
        _started(self)

    return start
