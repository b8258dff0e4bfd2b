# SPDX-License-Identifier: BSD-3-Clause
"""Long series of times as short text for JSON files, without loss."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..documents import Fields
from ..stats import Times

# Shorter series stay readable: they are saved as lists of numbers.
_FEWEST = 500

_Bytes = npt.NDArray[np.uint8]


def packed_series(content: Any, names: tuple[str, ...]) -> Any:
    """Return the content of a document with long series of these names packed, at any depth."""
    if isinstance(content, Mapping):
        return {
            key: _pack(value)
            if key in names and isinstance(value, list) and len(value) >= _FEWEST
            else packed_series(value, names)
            for key, value in content.items()
        }
    if isinstance(content, list) and content and isinstance(content[0], Mapping):
        return [packed_series(item, names) for item in content]
    return content


def read_series(fields: Fields, name: str) -> Times:
    """Return a series from a document, packed or not. Raises ValueError if it is damaged."""
    if not isinstance(fields.raw(name), Mapping):
        return np.array(fields.numbers(name), dtype=np.float64)
    packed = fields.object(name)
    count, distinct = packed.count("count", at_least=1), packed.count("distinct")
    kind = _index_kind(distinct)
    size = 8 * distinct + kind.itemsize * count if distinct else 8 * count
    try:
        data = base64.b64decode(packed.text("data"), validate=True)
        found = zlib.decompressobj().decompress(data, size + 1)
    except (binascii.Error, zlib.error):
        found = b""
    if len(found) != size:
        raise packed.wrong("data", f"{size} packed bytes")
    raw = np.frombuffer(found, dtype=np.uint8)
    if not distinct:
        return _floats(raw)
    values = _floats(raw[: 8 * distinct])
    indices = np.frombuffer(found, dtype=kind, offset=8 * distinct)
    if indices.max() >= distinct:
        raise packed.wrong("data", f"indices below {distinct}")
    return np.asarray(values[indices])


def _pack(values: list[float | str]) -> dict[str, Any]:
    # The bits, so that NaN, infinities and -0.0 survive.
    bits = np.array(values, dtype=np.float64).view(np.uint64)
    # A clock moves in steps, so most readings come often. Then each is written once.
    distinct, indices = np.unique(bits, return_inverse=True)
    if len(distinct) <= min(len(bits) // 4, 1 << 16):
        kind = _index_kind(len(distinct))
        raw = _by_place(distinct) + indices.astype(kind).tobytes()
    else:
        distinct, raw = distinct[:0], _by_place(bits)
    data = base64.b64encode(zlib.compress(raw, 9)).decode("ascii")
    return {"count": len(bits), "distinct": len(distinct), "data": data}


def _index_kind(distinct: int) -> np.dtype[Any]:
    return np.dtype("<u1" if distinct <= 1 << 8 else "<u2")


def _by_place(bits: npt.NDArray[np.uint64]) -> bytes:
    """Return all first bytes, then all second bytes, and so on, which compresses better."""
    return bits.astype("<u8").view(np.uint8).reshape(-1, 8).T.tobytes()


def _floats(by_place: _Bytes) -> Times:
    columns = np.ascontiguousarray(by_place.reshape(8, -1).T)
    return columns.view("<f8").reshape(-1).astype(np.float64)
