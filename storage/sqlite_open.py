"""How a SQLite file is opened: one connection that writes, short ones that read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from urllib.parse import quote

from storage.base import StoreError
from storage.migrations import MIGRATIONS, migrate, version_of
from storage.sqlite_errors import primary_code
from storage.sqlite_journal import drop_unfinished, watch

_WAIT_S = 5.0
_PAGE = 16_384
"""Bytes of a page in a new file: people come and go in blocks of hundreds of kilobytes."""
CHECKPOINT_BYTES = 128_000_000
"""Bytes of the write-ahead log at which SQLite carries it into the file."""


def open_writer(path: str) -> sqlite3.Connection:
    """The connection that writes, in WAL with a sync at every commit; brings the schema up to date.

    The caller holds the lock of the file. A file of somebody else is left as it is.
    """
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        if version_of(connection, path) == 0:
            connection.execute(f"PRAGMA page_size = {_PAGE}")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(
                f"The store {path!r} lies where SQLite has no write-ahead log (journal mode {mode}), such "
                "as some "
                "network disks. Put it on a local disk."
            )
        connection.execute("PRAGMA synchronous = FULL")
        page = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_BYTES // page}")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        drop_unfinished(connection)
        connection.execute("COMMIT")
        watch(connection)
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

    Creates nothing beside the file. Raises NotAStore if it is none, or of a newer schema.
    """
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return None
    try:
        return _reader(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK:
            return _rolled_back(path)
        unwritable = not os.access(os.path.dirname(path), os.W_OK)
        if not unwritable or primary_code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
    # In a folder that takes no files nobody writes: what is there can be read as it lies.
    return _reader(path, "mode=ro&immutable=1")


def _reader(path: str, how: str) -> sqlite3.Connection | None:
    connection = sqlite3.connect(
        f"file:{quote(path)}?{how}", uri=True, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
    )
    return _readied(connection, path)


def _readied(connection: sqlite3.Connection, path: str) -> sqlite3.Connection | None:
    try:
        connection.execute("BEGIN")
        version = version_of(connection, path)
        if version == 0:
            connection.close()
            return None
        if version < len(MIGRATIONS):
            connection = _in_memory(connection)
            migrate(connection, path)
            connection.execute("BEGIN")
        connection.execute("PRAGMA temp_store = MEMORY")
        watch(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _rolled_back(path: str) -> sqlite3.Connection | None:
    """A copy in memory of a file whose writer died between two journal modes, as the next will find it."""
    with tempfile.TemporaryDirectory(prefix="gaelp-") as folder:
        copy = os.path.join(folder, os.path.basename(path))
        for suffix in ("", "-journal"):
            shutil.copyfile(path + suffix, copy + suffix)
        connection = sqlite3.connect(copy, isolation_level=None, check_same_thread=False)
        return _readied(_in_memory(connection), path)


def _in_memory(file: sqlite3.Connection) -> sqlite3.Connection:
    """A copy in memory of what a connection sees; the connection is closed."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        file.backup(copy)
    except BaseException:
        copy.close()
        raise
    finally:
        file.close()
    return copy
