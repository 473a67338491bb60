"""Record dtypes as text and back, exactly: fields, offsets, sub-arrays, padding."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base import NotAStore, StoreError


def dtype_text(dtype: np.dtype[Any]) -> str:
    """A dtype as JSON text; equal dtypes give equal texts. Raises StoreError for Python objects."""
    return json.dumps(_described(dtype), separators=(",", ":"))


def dtype_from(text: str) -> np.dtype[Any]:
    """The dtype that `dtype_text` wrote."""
    return _built(json.loads(text))


def rows_of(records: NDArray[Any]) -> list[bytes]:
    """The bytes of each record, padding included."""
    flat = np.ascontiguousarray(records).tobytes()
    size = records.dtype.itemsize
    return [flat[at : at + size] for at in range(0, len(flat), size)]


def records_of(rows: list[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Records from their bytes, writable and the caller's own. Raises NotAStore if a row was damaged."""
    flat = bytearray().join(rows)
    if len(flat) != len(rows) * dtype.itemsize:
        raise NotAStore(
            f"The rows of {len(rows)} users hold {len(flat)} bytes where {len(rows) * dtype.itemsize} were "
            "written: the store is damaged. Restore it from a copy."
        )
    return np.frombuffer(flat, dtype=dtype)


def _described(dtype: np.dtype[Any]) -> Any:
    if dtype.hasobject:
        raise StoreError(
            f"Records of dtype {dtype} hold Python objects, which no store can keep; use numbers."
        )
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"of": _described(base), "shape": list(shape)}
    if dtype.names is None:
        return dtype.str
    fields = [dtype.fields[name] for name in dtype.names] if dtype.fields else []
    titles = [field[2] if len(field) > 2 else None for field in fields]
    titled = {"titles": titles} if any(title is not None for title in titles) else {}
    return titled | {
        "names": list(dtype.names),
        "formats": [_described(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
    }


def _built(described: Any) -> np.dtype[Any]:
    if isinstance(described, str):
        return np.dtype(described)
    if "of" in described:
        return np.dtype((_built(described["of"]), tuple(described["shape"])))
    titled = {"titles": described["titles"]} if "titles" in described else {}
    layout: Any = titled | {
        "names": described["names"],
        "formats": [_built(part) for part in described["formats"]],
        "offsets": described["offsets"],
        "itemsize": described["itemsize"],
    }
    built: np.dtype[Any] = np.dtype(layout, align=described["aligned"])
    return built
