"""Erasure from a SQLite file: of rows and records, and then of the bytes that they leave behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from storage import refusals
from storage.base import Erasure, Lease, default_id
from storage.sqlite_blocks import without_people
from storage.sqlite_merge import Numbers
from storage.sqlite_past import out_of_past
from storage.sqlite_roster import Roster
from storage.sqlite_schema import known_kinds, quoted

SEARCHED = (
    "base", "journal", "past", "persistent_users", "touchpoints", "conversions", "names", "free pages", "log",
)  # fmt: skip
"""Tables, and where else bytes may lie."""
_WAIT_MS = 5_000


def check_known(roster: Roster, lease: Lease, numbers: Sequence[int]) -> None:
    """Raises StoreError for a number that was never a user of the lease's shard."""
    here = roster.living.get(lease.shard, np.zeros(0, np.int64))
    known = np.isin(numbers, here) | np.isin(numbers, roster.gone)
    for number, is_known in zip(numbers, known.tolist(), strict=True):
        if not is_known:
            raise refusals.nobody(lease.world, lease.shard, number)


def erase(connection: sqlite3.Connection, path: str, lease: Lease, numbers: Sequence[int]) -> Erasure:
    """Erases people from all tables of a file whose journal is folded, in the caller's transaction.

    Their numbers become tombstones: members of `gone` without a row or a name.
    """
    # Not every SQLite zeroes what it deletes unless it is told to.
    connection.execute("PRAGMA secure_delete = ON")
    world = lease.world
    leaving: Numbers = np.unique(np.array(numbers, np.int64))
    found = [
        connection.execute(
            "SELECT user_id FROM names WHERE world = ? AND number = ?", (world, number)
        ).fetchone()
        for number in leaving.tolist()
    ]
    names = [row[0] if row else default_id(n) for n, row in zip(leaving.tolist(), found, strict=True)]
    table = connection.execute("SELECT max(users_table) FROM worlds WHERE world = ?", (world,)).fetchone()[0]
    counted = [(world, number) for number in leaving.tolist()]
    erased = {
        "records": without_people(connection, path, world, lease.shard, leaving),
        "past": out_of_past(connection, path, world, lease.shard, leaving),
        "names": _deleted(connection, "names WHERE world = ? AND number = ?", counted),
        "persistent_users": _deleted(
            connection, f"main.{quoted(table)} WHERE user_id = ?", [(name,) for name in names]
        ),
    }
    for events in ("touchpoints", "conversions"):
        named = "number" in known_kinds(connection, events)
        where = f"main.{events} WHERE world = ? AND number = ?"
        erased[events] = _deleted(connection, where, counted) if named else 0
    key = (world, lease.shard)
    gone = connection.execute("SELECT numbers FROM gone WHERE world = ? AND shard = ?", key).fetchone()
    tombs = np.union1d(np.frombuffer(gone[0] if gone else b"", "<i8"), leaving).astype("<i8")
    connection.execute("INSERT OR REPLACE INTO gone VALUES (?, ?, ?)", (*key, tombs.tobytes()))
    if len(leaving):
        connection.execute("UPDATE worlds SET erased_at = sequence WHERE world = ? AND shard = ?", key)
    return Erasure(SEARCHED, erased)


def _deleted(connection: sqlite3.Connection, where: str, values: Sequence[tuple[object, ...]]) -> int:
    return max(connection.executemany(f"DELETE FROM {where}", values).rowcount, 0)


def scrub(path: str, erased: Erasure) -> Erasure:
    """Writes a file anew, so that no byte of what was deleted is left in it or in its log.

    The numbers of rows, by which `past` finds events, stay as they are: SQLite renumbers none that an index
    names (a test looks). The caller holds the lock of the file, and has just closed its connection, which
    keeps its temporary files in memory. Needs the room of another copy.

    Returns: what was erased, with a sentence more if somebody's reading keeps old bytes there for now.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.close()
    if not busy:
        return erased
    return replace(
        erased,
        remains=(
            f"Somebody reads {path!r} at this moment: old bytes stay in the file and in its log until "
            "they are done and it is next written and closed.",
        ),
    )
