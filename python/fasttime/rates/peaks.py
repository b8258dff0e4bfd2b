# SPDX-License-Identifier: BSD-3-Clause
"""What this GPU can reach: copy bandwidth, and matrix products per type.

Data sheets state rates that no program reaches, often with sparsity. A share of such a number says
little, so fasttime measures the peaks of the GPU at hand and keeps them in a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..atomic_file import open_for_replacement
from ..documents import PEAKS, Fields, plain
from ..environment.describe import describe
from ..tabular import TabularResult
from ..timing_warning import TimingWarning
from .flops import dtype_of
from .rate import format_rate

if TYPE_CHECKING:
    from ..environment.describe import Environment

COPY = "copy"


@dataclass(frozen=True, repr=False)
class Peaks(TabularResult):
    """The highest rates that were measured on one GPU.

    Attributes:
        gpu: the GPU's name.
        uuid: its unique id; empty if unknown.
        driver: the version of the driver.
        torch: the version of torch.
        rates: per second, by what was measured: ``copy`` in bytes (read and written), and matrix
            products by data type in floating-point operations. ``tf32`` is float32 with TF32.
        date: when they were measured, in UTC.
    """

    _format = PEAKS
    _headings = ("peak of", "rate", "")

    gpu: str
    uuid: str
    driver: str
    torch: str
    rates: Mapping[str, float]
    date: str

    @property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """Always empty."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that ``json.dumps`` accepts. `save` writes the same."""
        content: dict[str, Any] = plain({**vars(self), "rates": dict(self.rates), "warnings": []})
        return content

    def _title(self) -> str:
        return f"Measured peaks of {self.gpu}, driver {self.driver}, torch {self.torch}"

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        for name, value in self.rates.items():
            kind = "bytes" if name == COPY else "flops"
            what = "read and written" if name == COPY else "matrix product"
            yield name, format_rate(value, kind), what

    def _records(self) -> list[dict[str, Any]]:
        return [{"peak": name, "rate": value} for name, value in self.rates.items()]


def from_content(fields: Fields) -> Peaks:
    """Return the peaks in a document. Raises ValueError if the content is not one."""
    rates = fields.object("rates")
    return Peaks(
        fields.text("gpu"),
        fields.text("uuid"),
        fields.text("driver"),
        fields.text("torch"),
        {name: rates.number(name) for name in rates.names()},
        fields.text("date"),
    )


def cache_path() -> Path:
    """Return the file in which peaks are kept: ``$XDG_CACHE_HOME/fasttime/peaks.json``."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base, "fasttime", "peaks.json")


def known_peaks() -> Peaks | None:
    """Return the kept peaks of the current GPU; None if they were never measured. Never waits."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    found = _kept().get(_key(describe("cuda")))
    try:
        return None if found is None else from_content(Fields(found))
    except ValueError:  # written by another version
        return None


def peaks_of(
    arguments: tuple[object, ...], keywords: Mapping[str, object] | None = None
) -> dict[str, float]:
    """Return the kept peaks that limit a call with these arguments, by the kind of work.

    The data type of the first floating-point tensor decides which matrix product is the limit.
    """
    peaks = known_peaks()
    if peaks is None:
        return {}
    dtype = dtype_of(arguments, dict(keywords or {}))
    if dtype == "float32" and torch.backends.cuda.matmul.allow_tf32:
        dtype = "tf32"
    found = {"bytes": peaks.rates.get(COPY), "flops": peaks.rates.get(dtype or "")}
    return {kind: value for kind, value in found.items() if value}


def keep(peaks: Peaks, environment: Environment) -> None:
    """Keep the peaks of a GPU. A file that cannot be written is no error."""
    kept = {**_kept(), _key(environment): peaks.to_dict()}
    try:
        cache_path().parent.mkdir(parents=True, exist_ok=True)
        with open_for_replacement(cache_path()) as file:
            json.dump(kept, file)
    except OSError:
        pass  # a read-only home


def _kept() -> dict[str, Any]:
    try:
        content = json.loads(cache_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _key(environment: Environment) -> str:
    """Return what the peaks depend on. Another driver or torch may reach other rates."""
    parts = (environment.gpu, environment.gpu_uuid, environment.driver, environment.torch)
    return " | ".join(str(part) for part in parts)
