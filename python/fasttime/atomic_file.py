# SPDX-License-Identifier: BSD-3-Clause
"""Write a file completely or not at all."""

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
    """Open a temporary file that replaces `path` when the block ends without an error.

    The new file keeps the permissions of the old file, and links to it. After an error, `path`
    is unchanged and the temporary file is deleted. A path that is no regular file, such as a pipe,
    is opened directly. Text is UTF-8. Lone surrogates, which UTF-8 lacks, are written as escapes,
    such as ``\\udc80``. Raises OSError, naming `path`.
    """
    options: dict[str, Any] = {"mode": mode}
    if mode == "w":
        options |= {"encoding": "utf-8", "errors": "backslashreplace", "newline": "\n"}
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    # The name is cut, because a name of the maximum length has no room for a suffix.
    temporary = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        # Ask for `path`: if /dev/stdout is a pipe, its target does not exist.
        if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            with open(path, **options) as file:
                yield file
            return
        # Replacing a file needs no permission to write to the old file, so ask for it here.
        if os.path.exists(target) and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        # tempfile would make a file that only its owner can read.
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with open(number, **options) as file:
                with contextlib.suppress(FileNotFoundError):
                    os.chmod(temporary, os.stat(target).st_mode & 0o7777)
                yield file
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        if error.filename not in (None, temporary) or error.errno is None:
            raise  # the block opened another file and failed
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
