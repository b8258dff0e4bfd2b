# SPDX-License-Identifier: BSD-3-Clause
"""The target of `fasttime bench`: a callable by its name, or a model of torchvision."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..experiments.settings import resolve_device
from ..signatures import refusal
from .output import Failure, did_you_mean

MODELS = "torchvision"
DTYPES = ("float32", "float16", "bfloat16", "float64")
_DEFAULT_BATCH = 32
_SEED = 0


class Target(NamedTuple):
    """The call to time, ``fn(*arguments)``, and its label."""

    fn: Callable[..., object]
    arguments: tuple[object, ...]
    label: str


def device_of(name: str | None) -> str:
    """Return the named device or the default; raise Failure if there is no such device."""
    try:
        return resolve_device(name)
    except ValueError as error:
        raise Failure(str(error)) from error


def current(device: str) -> contextlib.AbstractContextManager[object]:
    """Make a CUDA device the current one in a ``with`` block; do nothing for the CPU."""
    return contextlib.nullcontext() if device == "cpu" else torch.cuda.device(device)


def split(target: str) -> tuple[str, str]:
    """Return the two parts of ``module:callable``; raise Failure for another form."""
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise Failure(
            f"{target!r} is not a target; write module:callable, such as my_model:forward, "
            f"or {MODELS}:mobilenet_v3_large"
        )
    if module.endswith(".py") or "/" in module:
        raise Failure(
            f"{module!r} is the name of a file; in its folder, write the name of the module: "
            f"{Path(module).stem}:{name}"
        )
    return module, name


def find_callable(module_name: str, name: str, takes_arguments: bool = False) -> Target:
    """Import a module and return its callable.

    Raises Failure if the callable needs arguments, unless `takes_arguments`.
    """
    found: Any = _import(module_name)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Failure(
                f"{module_name!r} has no {name!r}{did_you_mean(part, dir(found))}"
            ) from None
    if not callable(found):
        raise Failure(
            f"{module_name}:{name} has type {type(found).__name__} and is not callable; "
            "name a function"
        )
    if not takes_arguments:
        _check_takes_nothing(found, f"{module_name}:{name}")
    return Target(found, (), f"{module_name}:{name}")


def find_setup(name: str | None) -> Callable[..., Any] | None:
    """Return the function ``module:callable`` that makes the arguments of the target."""
    return None if name is None else find_callable(*split(name), takes_arguments=True).fn


def build_model(name: str, device: str, batch: int | None, dtype: str | None) -> Target:
    """Return an untrained classification model in eval mode, and a batch of images."""
    try:
        models: Any = importlib.import_module("torchvision.models")
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise Failure(
            f"{MODELS}:{name} needs torchvision, which could not be imported ({error}); "
            "install it: pip install 'fasttime[demo]'",
            code=1,
        ) from error
    known = models.list_models(module=models)
    if name not in known:
        raise Failure(
            f"torchvision has no classification model {name!r}"
            f"{did_you_mean(name, known) or '; some of them: ' + ', '.join(known[::16])}"
        )
    batch = _DEFAULT_BATCH if batch is None else batch
    kind: torch.dtype = getattr(torch, dtype or DTYPES[0])
    torch.manual_seed(_SEED)
    model = models.get_model(name, weights=None).to(device=device, dtype=kind).eval()
    images = torch.randn(batch, 3, 224, 224).to(device=device, dtype=kind)
    return Target(model, (images,), f"{MODELS}:{name}, batch {batch}, {dtype or DTYPES[0]}")


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only if the named module is missing. If that module misses another one, its traceback
        # says where.
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise Failure(
                f"there is no module {error.name!r}, in this folder or installed"
                f"{did_you_mean(name, (path.stem for path in Path.cwd().glob('*.py')))}"
            ) from None
        raise


def _check_takes_nothing(fn: Callable[..., object], label: str) -> None:
    why = refusal(fn)
    if why:
        raise Failure(
            f"{label} is called without arguments, but: {why}; name a function that creates its "
            "own inputs, or pass arguments with --arg or --setup"
        )
