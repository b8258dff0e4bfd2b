# SPDX-License-Identifier: BSD-3-Clause
"""Read values on the command line. argparse reports wrong values with exit code 2."""

from __future__ import annotations

import argparse
import errno
import functools
import importlib.util
import math
import os
import re
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import torch

from ..timelines.export import DATA_SUFFIXES, PICTURE_SUFFIXES
from .output import did_you_mean

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_command(
    commands: Commands, name: str, help_: str, description: str, epilog: str
) -> argparse.ArgumentParser:
    """Add a command. The epilog with its examples keeps its line breaks."""
    parser = commands.add_parser(
        name,
        help=help_,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(refuse=functools.partial(_refuse, parser))
    return parser


def _refuse(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> NoReturn:
    """Exit with the usage of the command that does not know these arguments."""
    first = unknown[0].partition("=")[0]
    known = re.findall(r"--?\w[\w-]*", parser.format_usage())
    parser.error(f"unrecognized arguments: {' '.join(unknown)}{did_you_mean(first, known)}")


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    return _whole(text, at_least=1)


def runs(text: str) -> int | Literal["auto"]:
    """Read a number of runs, at least 1, or ``auto``."""
    return "auto" if text == "auto" else _whole(text, at_least=1, or_="auto, or ")


def ignored_runs(text: str) -> int | Literal["auto"]:
    """Read a number of ignored runs, at least 0, or ``auto``."""
    return "auto" if text == "auto" else _whole(text, at_least=0, or_="auto, or ")


def seconds(text: str) -> float:
    """Read a duration in seconds, above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return value


def amount(text: str) -> float | str:
    """Read an amount of work: a number above 0, ``auto``, or ``module:callable``."""
    if text == "auto" or ":" in text:
        return text
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(
            f"must be a number above 0, such as 8e6, or module:callable, got {text!r}"
        )
    return value


def device(text: str) -> str:
    """Read ``cpu``, ``cuda`` or ``cuda:<index>``."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"must be cpu, cuda or cuda:<index>, got {text!r}")
    return text


def fraction(text: str) -> float:
    """Read ``5%`` or ``0.05``."""
    is_percent = text.rstrip().endswith("%")
    value = _number(text.rstrip().removesuffix("%"))
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be at least 0, such as 5% or 0.05, got {text!r}")
    if is_percent:
        return value / 100
    if value >= 1:
        # 5 most likely means 5 %, not six times as long.
        raise argparse.ArgumentTypeError(f"got {text!r}: write {text}% or a fraction below 1")
    return value


def new_file(text: str) -> Path:
    """Read the name of a file to write. It is checked now, so that no long run is lost."""
    path = Path(text)
    try:
        _check_place(path)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {text}: {error.strerror}") from None
    return path


def new_json(text: str) -> Path:
    """Read the name of a JSON file to write."""
    return _with_suffix(text, ".json")


def new_csv(text: str) -> Path:
    """Read the name of a CSV file to write."""
    return _with_suffix(text, ".csv")


def named_values(text: str) -> tuple[str, tuple[object, ...]]:
    """Read ``n=1024,4096``: a name, and numbers, true or false, data types of torch, or words."""
    name, equals, values = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"must be such as n=1024,4096, got {text!r}")
    if "" in (parts := [part.strip() for part in values.split(",")]):
        raise argparse.ArgumentTypeError(f"has an empty value: {text!r}")
    return name, tuple(map(_value, parts))


def _value(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    found = getattr(torch, text, None)
    return found if isinstance(found, torch.dtype) else text


def new_html(text: str) -> Path:
    """Read the name of an HTML file to write."""
    return _with_suffix(text, ".html")


def new_timeline(text: str) -> Path:
    """Read the name of a timeline to write. Pictures need matplotlib."""
    path = _with_suffix(text, *DATA_SUFFIXES, *PICTURE_SUFFIXES)
    if path.suffix.lower() in PICTURE_SUFFIXES and importlib.util.find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError(
            f"{path.suffix} needs matplotlib; install it: pip install 'fasttime[plot]'"
        )
    return path


def similar_files(path: Path) -> str:
    """Return a question with similar names from the same folder, or nothing."""
    try:
        known = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    return did_you_mean(path.name, known)


def _with_suffix(text: str, *suffixes: str) -> Path:
    if not text.lower().endswith(suffixes):
        raise argparse.ArgumentTypeError(f"must end in {' or '.join(suffixes)}, got {text!r}")
    name = Path(text).name
    if name.lower() in suffixes:
        raise argparse.ArgumentTypeError(f"{text!r} has no name; write for example run{name}")
    return new_file(text)


def _check_place(path: Path) -> None:
    """Raise ArgumentTypeError or OSError if no file can be written at `path`."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise argparse.ArgumentTypeError(
                f"there is no folder {path.parent}; create it: mkdir -p {path.parent}"
            ) from None
        mode = stat.S_IFREG
    else:
        if stat.S_ISDIR(mode):
            raise argparse.ArgumentTypeError(f"{path} is a folder; name a file")
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if stat.S_ISREG(mode):
        # Saving writes a new file beside it first. Only a trial shows whether the disk takes new
        # files. The trial file has no name if the system supports that.
        with tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(path))):
            pass


def _whole(text: str, at_least: int, or_: str = "") -> int:
    message = f"must be {or_}a whole number of at least {at_least}, got {text!r}"
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(message) from None
    if value < at_least:
        raise argparse.ArgumentTypeError(message)
    return value


def _number(text: str) -> float:
    """Return the number, or NaN, which every range check refuses."""
    try:
        return float(text)
    except ValueError:
        return math.nan
