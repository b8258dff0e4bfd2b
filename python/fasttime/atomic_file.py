# SPDX-License-Identifier: BSD-3-Clause
"""Writing a file so that it is whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import IO, Any, Literal, overload


@overload
def open_for_replacement(
    path: str | os.PathLike[str], mode: Literal["w"] = ...
) -> AbstractContextManager[IO[str]]: ...


@overload
def open_for_replacement(
    path: str | os.PathLike[str], mode: Literal["wb"]
) -> AbstractContextManager[IO[bytes]]: ...


@contextlib.contextmanager
def open_for_replacement(
    path: str | os.PathLike[str], mode: Literal["w", "wb"] = "w"
) -> Iterator[IO[Any]]:
    """Open a file that takes the place of `path` when the block ends without an error.

    Text is UTF-8; lone surrogates, which that cannot hold, are written as escapes, a backslash and
    ``udc80``. A file that is replaced keeps its permissions, and a link still leads to it. After an
    error `path` is as it was and nothing else is left. What is not a regular file, such as a pipe,
    is written to as it is. Raises OSError, naming `path`.
    """
    how: dict[str, Any] = {"mode": mode}
    if mode == "w":
        how |= {"encoding": "utf-8", "errors": "backslashreplace", "newline": "\n"}
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    # Cut, as a name near the longest allowed has no room for more.
    beside = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        # Of `path` itself: where /dev/stdout leads to a pipe, nothing is to be found at its target.
        if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            with open(path, **how) as file:
                yield file
            return
        # A new file could take the place of one that must not be written to: ask first.
        if os.path.exists(target) and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        # Opened so, and not by tempfile, the file has the permissions that any new file gets.
        number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with open(number, **how) as file:
                with contextlib.suppress(FileNotFoundError):
                    os.chmod(beside, os.stat(target).st_mode & 0o7777)
                yield file
            os.replace(beside, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
    except OSError as error:
        if error.filename not in (None, beside) or error.errno is None:
            raise  # of something else, in the block
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
