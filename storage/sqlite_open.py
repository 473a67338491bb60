"""How a SQLite file is opened: one connection that writes, short ones that read."""

from __future__ import annotations

import os
import sqlite3
from urllib.parse import quote

from storage.base import NotAStore, StoreError
from storage.migrations import MIGRATIONS, migrate, version_of
from storage.sqlite_errors import primary_code

_WAIT_S = 5.0


def open_writer(path: str) -> sqlite3.Connection:
    """The connection that writes, in WAL with a sync at every commit; brings the schema up to date.

    The caller holds the lock of the file. A file of somebody else is left as it is.
    """
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        version_of(connection, path)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(
                f"The store {path!r} lies where SQLite has no write-ahead log (journal mode {mode}), such "
                "as some "
                "network disks. Put it on a local disk."
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 8000")
        connection.execute("PRAGMA cache_size = -65536")
        migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def close_writer(connection: sqlite3.Connection) -> None:
    """Closes the writing connection for good, so that one file is left that any tool can read or copy."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        # Somebody reads at this moment: the log stays beside the file until the next writer goes.
        if primary_code(error) != sqlite3.SQLITE_BUSY:
            raise
    finally:
        connection.close()


def open_reader(path: str) -> sqlite3.Connection | None:
    """A connection that only reads, inside one transaction; None if the store is empty.

    Creates nothing beside the file. Raises NotAStore if it is none, or of another schema.
    """
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return None
    try:
        return _reader(path, "mode=ro")
    except sqlite3.OperationalError as error:
        unwritable = not os.access(os.path.dirname(path), os.W_OK)
        if not unwritable or primary_code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
    # In a folder that takes no files nobody writes: what is there can be read as it lies.
    return _reader(path, "mode=ro&immutable=1")


def _reader(path: str, how: str) -> sqlite3.Connection | None:
    connection = sqlite3.connect(
        f"file:{quote(path)}?{how}", uri=True, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("BEGIN")
        version = version_of(connection, path)
    except BaseException:
        connection.close()
        raise
    if version == 0:
        connection.close()
        return None
    if version < len(MIGRATIONS):
        connection.close()
        raise NotAStore(
            f"The store {path!r} has the older schema {version}; open it for writing once to bring it up "
            "to date."
        )
    return connection
