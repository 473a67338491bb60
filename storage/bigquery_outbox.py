"""The outbox: a SQLite file on this machine that takes every commit to a dataset before the network does.

When `append` returns, a commit survives a killed process and a power cut (rollback journal, a sync at every
step). All processes of this user share the file of a dataset; what one left behind another one sends. The
commits that are on their way are written down before they go, so that to send again is to send the same.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage.base import Lease
from storage.bigquery_entries import COLUMNS, Entry, read_body
from storage.checks import Parcel
from storage.deltas import checksum, encoded, in_one
from storage.sqlite_errors import told

AT_ONCE_BYTES = 64 << 20
"""So much goes in one job, or one commit if that is more."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS leases (
  world TEXT, shard INTEGER, epoch INTEGER, token TEXT, stand INTEGER, PRIMARY KEY (world, shard));
CREATE TABLE IF NOT EXISTS journal (
  position INTEGER PRIMARY KEY AUTOINCREMENT, world TEXT NOT NULL, shard INTEGER NOT NULL,
  epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, stamp_us INTEGER NOT NULL, fresh INTEGER NOT NULL,
  summary TEXT NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (world, shard, epoch, sequence));
CREATE TABLE IF NOT EXISTS aside AS SELECT * FROM journal WHERE 0;
CREATE TABLE IF NOT EXISTS sending (first INTEGER PRIMARY KEY, last INTEGER);
CREATE TABLE IF NOT EXISTS prunes (world TEXT PRIMARY KEY, before TEXT NOT NULL);
"""


class Outbox:
    """The outbox of one dataset, as this process has it. Safe in threads, and among processes.

    The file is made by the first lease; until then everything is empty.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def is_there(self) -> bool:
        """Whether anybody ever wrote to it."""
        return os.path.exists(self.path)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all or nothing."""
        with self._lock, told(self.path):
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, isolation_level=None, timeout=60.0, check_same_thread=False
            )
            # Not a write-ahead log: several processes write, and SQLite before 3.51.3 may then tear one.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA secure_delete = ON")
            connection.executescript(_SCHEMA)
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('name', ?)", (uuid.uuid4().hex[:12],))
            self._connection = connection
        return self._connection

    def _ask(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        if not self.is_there():
            return []
        with self._lock, told(self.path):
            return self._open().execute(sql, values).fetchall()

    def name(self) -> str:
        """Of this outbox, unlike that of any other one."""
        return str(self._ask("SELECT value FROM meta WHERE key = 'name'")[0][0])

    # ---- leases

    def keep_lease(self, lease: Lease, stand: int | None, stamp_us: int) -> None:
        """Notes a lease that was taken, with the commit that it begins at and a stamp of before."""
        with self.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)",
                (lease.world, lease.shard, lease.epoch, lease.token, -1 if stand is None else stand),
            )
            connection.execute(
                "INSERT INTO meta VALUES ('stamp_us', ?1) ON CONFLICT (key) DO UPDATE SET"
                " value = max(value, ?1)",
                (stamp_us,),
            )

    def lease_of(self, world: str, shard: int) -> tuple[int, str, int] | None:
        """Epoch, token and last commit of the lease on a shard; None if there is none on this machine."""
        found = self._ask(
            "SELECT epoch, token, stand FROM leases WHERE world = ? AND shard = ?", (world, shard)
        )
        return tuple(found[0]) if found else None

    def leases(self) -> list[tuple[str, int, int, str]]:
        """World, shard, epoch and token of the leases that this machine noted and did not give back."""
        return [tuple(row) for row in self._ask("SELECT world, shard, epoch, token FROM leases")]

    def drop_lease(self, world: str, shard: int, epoch: int) -> None:
        """Forgets a lease that was given back or lost."""
        if self.is_there():
            with self.writing() as connection:
                connection.execute(
                    "DELETE FROM leases WHERE world = ? AND shard = ? AND epoch = ?", (world, shard, epoch)
                )

    # ---- commits

    def append(
        self, connection: sqlite3.Connection, lease: Lease, parcel: Parcel, stamp_us: int, fresh: int
    ) -> None:
        """Takes a commit, in the caller's transaction."""
        head, parts = encoded(parcel, stamp_us, fresh)
        connection.execute(
            "INSERT INTO journal (world, shard, epoch, sequence, stamp_us, fresh, summary, crc, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                parcel.world, parcel.shard, lease.epoch, parcel.sequence, stamp_us, fresh, parcel.summary,
                checksum(head, parts), in_one(head, parts),
            ),
        )  # fmt: skip
        connection.execute(
            "UPDATE leases SET stand = ? WHERE world = ? AND shard = ?",
            (parcel.sequence, parcel.world, parcel.shard),
        )

    def next_stamp(self, connection: sqlite3.Connection, wall_us: int) -> int:
        """The `updated_at` of this commit: later than every one before that this machine knows of."""
        found = connection.execute("SELECT value FROM meta WHERE key = 'stamp_us'").fetchone()
        stamp = wall_us if found is None else max(wall_us, found[0] + 1)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('stamp_us', ?)", (stamp,))
        return stamp

    def last_stamp(self) -> int:
        """The latest stamp that this machine knows of, 0 if it knows none."""
        found = self._ask("SELECT value FROM meta WHERE key = 'stamp_us'")
        return int(found[0][0]) if found else 0

    def heads(self, world: str | None = None) -> list[Entry]:
        """Commits that wait, without their bodies, in the order in which they were made."""
        query = f"SELECT {COLUMNS} FROM journal WHERE ?1 IS NULL OR world = ?1 ORDER BY position"
        return [Entry(*row) for row in self._ask(query, (world,))]

    def entries(self, world: str, shard: int | None = None) -> list[Entry]:
        """Commits of a world that wait, whole."""
        query = (
            f"SELECT {COLUMNS}, body FROM journal WHERE world = ?1 AND (?2 IS NULL OR shard = ?2)"
            " ORDER BY position"
        )
        return [Entry(*row) for row in self._ask(query, (world, shard))]

    def waiting(self, world: str | None = None, shard: int | None = None) -> int:
        """How many commits wait."""
        query = "SELECT count(*) FROM journal WHERE (?1 IS NULL OR world = ?1) AND (?2 IS NULL OR shard = ?2)"
        found = self._ask(query, (world, shard))
        return int(found[0][0]) if found else 0

    def next_load(self) -> list[Entry]:
        """The commits that go next, in one job; written down before they go. Those that went before and were
        not heard of again come first, exactly as they were."""
        if not self.waiting():
            return []
        with self.writing() as connection:
            found = connection.execute("SELECT first, last FROM sending ORDER BY first LIMIT 1").fetchone()
            if found is None:
                found = self._chosen(connection)
                connection.execute("INSERT INTO sending VALUES (?, ?)", found)
            rows = connection.execute(
                f"SELECT {COLUMNS}, body FROM journal WHERE position BETWEEN ? AND ? ORDER BY position",
                found,
            ).fetchall()
            if not rows:
                connection.execute("DELETE FROM sending WHERE first = ?", (found[0],))
        return [Entry(*row) for row in rows] if rows else self.next_load()

    def due(self, wall_us: int, every_s: float) -> bool:
        """Whether no process of this machine drained for so long; if so it is noted that one does now."""
        with self.writing() as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = 'drained_us'").fetchone()
            waited = every_s * 1e6 if found is None else wall_us - found[0]
            # A clock that was set back makes it due.
            if not 0 <= waited < every_s * 1e6:
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('drained_us', ?)", (wall_us,))
                return True
        return False

    def _chosen(self, connection: sqlite3.Connection) -> tuple[int, int]:
        first = last = total = 0
        for position, size in connection.execute(
            "SELECT position, length(body) FROM journal ORDER BY position"
        ):
            if first and total + size > AT_ONCE_BYTES:
                break
            first, last, total = first or position, position, total + size
        return first, last

    def sent(self, entries: Sequence[Entry], lost: Mapping[tuple[str, int], int]) -> list[Entry]:
        """Forgets commits that the dataset has. Those under a lease that was lost are set aside.

        Args:
          lost: (world, shard) -> epoch that is no longer in force.
        Returns: what was set aside.
        """
        aside = [entry for entry in entries if lost.get((entry.world, entry.shard)) == entry.epoch]
        with self.writing() as connection:
            for entry in aside:
                connection.execute(
                    "INSERT INTO aside SELECT * FROM journal WHERE position = ?", (entry.position,)
                )
            connection.executemany(
                "DELETE FROM journal WHERE position = ?", [(entry.position,) for entry in entries]
            )
            connection.execute("DELETE FROM sending WHERE first = ?", (entries[0].position,))
            for world, shard in {(entry.world, entry.shard) for entry in aside}:
                connection.execute(
                    "DELETE FROM leases WHERE world = ? AND shard = ? AND epoch = ?",
                    (world, shard, lost[world, shard]),
                )
        return aside

    # ---- what the next fold deletes

    def note_prune(self, world: str, before: str) -> None:
        """Notes a moment before which a world is to be pruned."""
        with self.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO prunes VALUES (?, ?)", (world, before))

    def prunes(self) -> dict[str, str]:
        """World -> the moment that was noted."""
        return dict(self._ask("SELECT world, before FROM prunes"))

    def pruned(self, world: str, before: str) -> None:
        """Forgets a moment that was noted."""
        with self.writing() as connection:
            connection.execute("DELETE FROM prunes WHERE world = ? AND before = ?", (world, before))

    def set_aside(self) -> list[Entry]:
        """Commits that were forfeited, without their bodies."""
        return [Entry(*row) for row in self._ask(f"SELECT {COLUMNS} FROM aside ORDER BY position")]

    def without(self, world: str, shard: int, numbers: Sequence[int]) -> int:
        """Erases forfeited commits that bring one of some people; returns how many."""
        if not self.is_there():
            return 0
        gone = 0
        query = "SELECT position, crc, body FROM aside WHERE world = ? AND shard = ?"
        with self.writing() as connection:
            for position, crc, body in connection.execute(query, (world, shard)).fetchall():
                delta = read_body(body, crc)
                if delta is None or set(numbers) & set(delta.numbers.tolist()):
                    connection.execute("DELETE FROM aside WHERE position = ?", (position,))
                    gone += 1
        return gone

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def before_fork(self) -> None:
        """A connection must not cross a fork."""
        self._lock.acquire()
        self.close()

    def after_fork(self) -> None:
        """Lets other threads in again."""
        self._lock.release()
