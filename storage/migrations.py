"""The schema of a SQLite store, as the ordered list of steps that made it.

The number of steps a file has taken is its `user_version`; `application_id` says that it is ours. A
step is never changed once released: files out there have taken it. Add another one.
"""

from __future__ import annotations

import itertools
import sqlite3
import struct
import zlib
from collections.abc import Callable, Sequence

from storage.base import NotAStore

APPLICATION_ID = 0x67614C50
"""Marks a SQLite file as a gaelp store ("gaLP")."""

Step = Callable[[sqlite3.Connection], None]


def _first(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE store (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID")
    connection.execute(
        """
        CREATE TABLE worlds (
            world TEXT NOT NULL,
            shard INTEGER NOT NULL,
            born INTEGER,
            users_table TEXT,
            config TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            schema INTEGER NOT NULL,
            shards INTEGER NOT NULL,
            parent TEXT NOT NULL,
            user_dtype TEXT,
            sequence INTEGER,
            market BLOB,
            summary TEXT,
            committed_at TEXT,
            lease_epoch INTEGER NOT NULL DEFAULT 0,
            lease_token TEXT NOT NULL DEFAULT '',
            lease_host TEXT NOT NULL DEFAULT '',
            lease_boot TEXT NOT NULL DEFAULT '',
            lease_space TEXT NOT NULL DEFAULT '',
            lease_pid INTEGER NOT NULL DEFAULT 0,
            lease_started TEXT NOT NULL DEFAULT '',
            lease_since_us INTEGER NOT NULL DEFAULT 0,
            lease_heard_us INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (world, shard)
        )
        """
    )
    connection.execute(
        """
        CREATE TABLE user_state (
            world TEXT NOT NULL,
            number INTEGER NOT NULL,
            shard INTEGER NOT NULL,
            archived INTEGER NOT NULL DEFAULT 0,
            user_id TEXT,
            row BLOB NOT NULL,
            PRIMARY KEY (world, number)
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        "CREATE UNIQUE INDEX user_state_names ON user_state (world, user_id) WHERE user_id IS NOT NULL"
    )


_BLOCK_USERS = 4096


def _second(connection: sqlite3.Connection) -> None:
    """Commits go to a journal, and people to blocks of records; one row a user only in the public tables."""
    connection.execute(
        """
        CREATE TABLE journal (
            position INTEGER PRIMARY KEY,
            world TEXT NOT NULL,
            shard INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            stamp_us INTEGER NOT NULL,
            fresh INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            crc INTEGER NOT NULL,
            layout TEXT NOT NULL,
            names TEXT NOT NULL,
            summary TEXT NOT NULL,
            market BLOB NOT NULL,
            archived BLOB NOT NULL,
            touchpoints BLOB NOT NULL,
            conversions BLOB NOT NULL,
            episodes BLOB NOT NULL,
            users BLOB NOT NULL,
            UNIQUE (world, shard, sequence)
        )
        """
    )
    connection.execute(
        """
        CREATE TABLE base (
            world TEXT NOT NULL,
            shard INTEGER NOT NULL,
            block INTEGER NOT NULL,
            crc INTEGER NOT NULL,
            users BLOB NOT NULL,
            PRIMARY KEY (world, shard, block)
        )
        """
    )
    connection.execute(
        """
        CREATE TABLE names (
            world TEXT NOT NULL,
            number INTEGER NOT NULL,
            user_id TEXT NOT NULL,
            PRIMARY KEY (world, number),
            UNIQUE (world, user_id)
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        """
        CREATE TABLE gone (
            world TEXT NOT NULL,
            shard INTEGER NOT NULL,
            numbers BLOB NOT NULL,
            PRIMARY KEY (world, shard)
        )
        """
    )
    connection.execute("ALTER TABLE worlds ADD COLUMN prune_before TEXT")
    connection.execute(
        "INSERT INTO names SELECT world, number, user_id FROM user_state WHERE user_id IS NOT NULL"
    )
    shards = connection.execute("SELECT DISTINCT world, shard FROM user_state").fetchall()
    for world, shard in shards:
        _to_blocks(connection, world, shard)
    connection.execute("DROP TABLE user_state")


def _to_blocks(connection: sqlite3.Connection, world: str, shard: int) -> None:
    mine = "FROM user_state WHERE world = ? AND shard = ? AND archived"
    living = connection.execute(f"SELECT number, row {mine} = 0 ORDER BY number", (world, shard))
    for block, rows in itertools.groupby(living, key=lambda user: user[0] // _BLOCK_USERS):
        users = b"".join(row for _, row in rows)
        connection.execute(
            "INSERT INTO base VALUES (?, ?, ?, ?, ?)", (world, shard, block, zlib.crc32(users), users)
        )
    gone = connection.execute(f"SELECT number {mine} = 1 ORDER BY number", (world, shard)).fetchall()
    numbers = b"".join(struct.pack("<q", number) for (number,) in gone)
    connection.execute("INSERT INTO gone VALUES (?, ?, ?)", (world, shard, numbers))


def _third(connection: sqlite3.Connection) -> None:
    """Commits that were folded can be undone, as far as a world's retention says."""
    connection.execute(
        """
        CREATE TABLE past (
            world TEXT NOT NULL,
            shard INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            stamp_us INTEGER NOT NULL,
            committed_at TEXT NOT NULL,
            crc INTEGER NOT NULL,
            summary TEXT NOT NULL,
            events TEXT NOT NULL,
            market BLOB NOT NULL,
            born BLOB NOT NULL,
            stamps BLOB NOT NULL,
            users BLOB NOT NULL,
            PRIMARY KEY (world, shard, sequence)
        )
        """
    )
    connection.execute("ALTER TABLE worlds ADD COLUMN keep_commits INTEGER NOT NULL DEFAULT 1")
    connection.execute("ALTER TABLE worlds ADD COLUMN keep_hours REAL NOT NULL DEFAULT 0")


def _fourth(connection: sqlite3.Connection) -> None:
    """A shard knows after which commit people were last erased."""
    connection.execute("ALTER TABLE worlds ADD COLUMN erased_at INTEGER NOT NULL DEFAULT -1")


MIGRATIONS: tuple[Step, ...] = (_first, _second, _third, _fourth)
"""Step k brings a file from version k to k + 1."""


def version_of(connection: sqlite3.Connection, path: str, steps: Sequence[Step] | None = None) -> int:
    """The schema version of a file, 0 if it is empty.

    Raises NotAStore for a database of somebody else, and for a schema newer than this release knows.
    """
    known = len(MIGRATIONS if steps is None else steps)
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if application != APPLICATION_ID:
        if empty and application == 0 and version == 0:
            return 0
        raise NotAStore(f"The file {path!r} is a database, but no gaelp store. Name another file.")
    if version > known:
        raise NotAStore(
            f"The store {path!r} has schema {version}; this release knows schemas up to {known}. Install a "
            "newer "
            "gaelp to open it."
        )
    return version


def migrate(connection: sqlite3.Connection, path: str, steps: Sequence[Step] | None = None) -> None:
    """Takes the steps that a file lacks, all or none."""
    steps = MIGRATIONS if steps is None else steps
    if version_of(connection, path, steps) == len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[version_of(connection, path, steps) :]:
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
