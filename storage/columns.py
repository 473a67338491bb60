"""Columns: from what a batch brings to the plain values that every store keeps.

A kind is one of "integer", "real", "text", "time" and "flag". Stored are int, float, str, text
'YYYY-MM-DD HH:MM:SS.ffffff' and 0 or 1; None stands for NaN, NaT and None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from storage.base import PUBLIC_COLUMNS, StoreError

PUBLIC_KINDS: dict[str, str] = dict(
    zip(
        PUBLIC_COLUMNS,
        ("text", "text", "text", "real", "real", "real", "integer", "integer")
        + ("time", "time", "text", "text", "flag", "time", "time"),
        strict=True,
    )
)
"""Column of `persistent_users` -> kind."""

_KIND_OF = {"b": "flag", "i": "integer", "u": "integer", "f": "real", "S": "text", "U": "text", "M": "time"}
_LARGEST = 2**63 - 1


def event_kinds(dtype: np.dtype[Any]) -> dict[str, str]:
    """Field -> kind of an event dtype. Raises StoreError for a field that is no column."""
    kinds: dict[str, str] = {}
    for name in dtype.names or ():
        kind = _KIND_OF.get(dtype[name].kind) if dtype[name].subdtype is None else None
        if kind is None or not name or name.casefold() == "world":
            raise StoreError(
                f"The event field {name!r} of dtype {dtype[name]} cannot be a column: use integers, floats, "
                "flags, texts and datetime64, one value each, and leave the name 'world' to the store."
            )
        if name.casefold() in {other.casefold() for other in kinds}:
            raise StoreError(f"The event field {name!r} is there twice as SQL reads names; rename one.")
        kinds[name] = kind
    if not kinds:
        raise StoreError(f"Events of dtype {dtype} have no fields; bring a structured array.")
    return kinds


def stored(name: str, kind: str, values: Any) -> list[Any]:
    """A column's values as stores keep them. Raises StoreError if they are not of the kind."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        values = values.tolist()
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or not (values.dtype.kind in "iub" or _KIND_OF.get(values.dtype.kind) == kind):
            _refuse(name, kind, values.dtype if values.ndim == 1 else f"shape {values.shape}")
        return _ARRAYS[kind](name, values)
    listed: list[Any] = list(values)
    return listed if _is_plain(kind, listed) else [stored_scalar(name, kind, value) for value in listed]


def check_event(name: str, kind: str, values: NDArray[Any]) -> None:
    """Raises StoreError unless `stored` takes the values of an event's field: a look, no conversion."""
    if not values.dtype.itemsize:
        return
    if kind == "text":
        letters = np.ascontiguousarray(values).view(np.uint8 if values.dtype.kind == "S" else np.uint32)
        if letters.size and letters.max() >= (0x80 if values.dtype.kind == "S" else 0xD800):
            _texts(name, values)
    elif kind == "integer":
        if values.dtype.kind == "u" and values.size and int(values.max()) > _LARGEST:
            _integers(name, values)
    elif kind == "time":
        known = values[~np.isnat(values)]
        if known.size:
            _times(name, np.array([known.min(), known.max()]))
    elif kind == "real":
        _reals(name, values[:0])


def _is_plain(kind: str, values: list[Any]) -> bool:
    """Whether a list is in stored values already: the common case, found out at the speed of C."""
    if kind == "text":
        return set(map(type, values)) == {str} and "".join(values).isascii()
    if kind == "integer":
        return set(map(type, values)) == {int} and max(map(abs, values)) <= _LARGEST
    return False


def stored_scalar(name: str, kind: str, value: Any) -> Any:
    """One value as stores keep it. Raises StoreError if it is not of the kind."""
    if isinstance(value, np.datetime64) or kind == "time":
        return _stored_time(name, kind, value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return None
    if kind == "text":
        return _stored_text(name, value)
    if not isinstance(value, int | float) or (kind == "flag" and value not in (0, 1)):
        _refuse(name, kind, repr(value))
    if kind == "real":
        return None if value != value else float(value)
    whole = abs(value) <= _LARGEST and value == int(value)
    if not whole:
        _refuse(name, kind, repr(value))
    return int(value)


def _stored_text(name: str, value: Any) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            _refuse(name, "text", repr(value))
    if not isinstance(value, str) or (not value.isascii() and _has_surrogate(value)):
        _refuse(name, "text", repr(value))
    return value


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in value)


def _stored_time(name: str, kind: str, value: Any) -> str | None:
    if kind != "time" or not isinstance(value, np.datetime64 | datetime | str | None):
        _refuse(name, kind, repr(value))
    if isinstance(value, datetime) and value.tzinfo is not None:
        _refuse(name, kind, f"{value!r}; bring UTC without a time zone")
    try:
        moment = np.datetime64("NaT", "us") if value is None else np.datetime64(value).astype("M8[us]")
    except ValueError:
        _refuse(name, kind, repr(value))
    text: str | None = _times(name, np.array([moment]))[0]
    return text


def _integers(name: str, values: NDArray[Any]) -> list[Any]:
    if values.dtype.kind == "u" and values.size and int(values.max()) > _LARGEST:
        _refuse(name, "integer", f"{values.max()}, which has more than 63 bits")
    if values.dtype.kind == "b":
        values = values.astype(np.int8)
    return list(values.tolist())


def _reals(name: str, values: NDArray[Any]) -> list[Any]:
    if values.dtype.itemsize > 8:
        _refuse(name, "real", values.dtype)
    values = values.astype(np.float64, copy=False)
    if np.isnan(values).any():
        return [None if value != value else value for value in values.tolist()]
    return list(values.tolist())


def _texts(name: str, values: NDArray[Any]) -> list[Any]:
    if values.dtype.kind not in "SU":
        _refuse(name, "text", values.dtype)
    return [_stored_text(name, value) for value in values.tolist()]


def _times(name: str, values: NDArray[Any]) -> list[Any]:
    if values.dtype.kind != "M":
        _refuse(name, "time", values.dtype)
    if not values.size:
        return []
    missing = np.isnat(values)
    years = values[~missing].astype("M8[Y]").astype(np.int64) + 1970
    if years.size and not (years.min() >= 1 and years.max() <= 9999):
        _refuse(name, "time", f"the year {years.min() if years.min() < 1 else years.max()}")
    text = np.datetime_as_string(values.astype("M8[us]"), unit="us").astype("U26")
    text.view("U1").reshape(len(text), 26)[:, 10] = " "
    if missing.any():
        return [None if gone else moment for gone, moment in zip(missing, text.tolist(), strict=True)]
    return list(text.tolist())


def _flags(name: str, values: NDArray[Any]) -> list[Any]:
    numbers = values.astype(np.int64)
    if numbers.size and not ((numbers == 0) | (numbers == 1)).all():
        _refuse(name, "flag", "numbers other than 0 and 1")
    return list(numbers.tolist())


_ARRAYS: Mapping[str, Callable[[str, NDArray[Any]], list[Any]]] = {
    "integer": _integers,
    "real": _reals,
    "text": _texts,
    "time": _times,
    "flag": _flags,
}


def wanted(where: Mapping[str, Any] | None, kinds: Mapping[str, str], table: str) -> dict[str, Any]:
    """The `where` of a query in stored values. Raises StoreError for an unknown column."""
    chosen: dict[str, Any] = {}
    for name, value in (where or {}).items():
        if name not in kinds:
            known: Sequence[str] = list(kinds)
            raise StoreError(
                f"There is no column {name!r} in {table}; it has {', '.join(known) or 'none yet'}."
            )
        chosen[name] = stored_scalar(name, kinds[name], value)
    return chosen


def _refuse(name: str, kind: str, found: object) -> NoReturn:
    article = "an" if kind == "integer" else "a"
    raise StoreError(f"Column {name!r} holds {article} {kind} in each row; it cannot take {found}.")
