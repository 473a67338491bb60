"""What SQLite says, as sentences of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from storage.base import NotAStore, StoreError, StoreFull, WorldBusy

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}


@contextmanager
def told(path: str) -> Iterator[None]:
    """Turns an sqlite3 error inside the block into a StoreError that names the file and the remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise _sentence(path, error) from error


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 for an error that Python's module raised itself."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _sentence(path: str, error: sqlite3.Error) -> StoreError:
    code = primary_code(error)
    said = f"SQLite says: {error}"
    if code in _FULL or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_WRITE:
        return StoreFull(
            f"The store {path!r} cannot be written: the disk or quota is full, or the file is read-only "
            f"({said}). "
            "Nothing was written; make room or check the permissions, and commit again."
        )
    if code == sqlite3.SQLITE_NOTADB:
        return NotAStore(f"The file {path!r} is no SQLite database ({said}). Name another file.")
    if code == sqlite3.SQLITE_CORRUPT:
        return NotAStore(
            f"The store {path!r} is damaged ({said}). Restore it from a copy; do not write to it."
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return WorldBusy(
            f"The store {path!r} is locked by another program, such as a database browser ({said}). Close "
            "it there, "
            "and try again."
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return StoreError(
            f"The store {path!r} cannot be opened ({said}). Check that its folder is there and may be read "
            "and written."
        )
    return StoreError(f"The store {path!r} failed ({said}). Nothing was written.")
