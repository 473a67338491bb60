"""The journal of a SQLite store: one checksummed row for each commit of a shard, not yet folded.

A row holds absolute values of what changed. Its checksum covers all of it. If the last commit of a file
does not match its own, it is unfinished (a disk that lost what it had said was safe) and counts as never
made; a row before it that does not match is damage, and nothing is written before it is repaired.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from storage import refusals
from storage.base import At
from storage.checks import Parcel
from storage.clock import time_text
from storage.deltas import HEAD, PARTS, Delta, checksum, decoded, encoded
from storage.names import EVENT_TABLES

_ALL = ", ".join((*HEAD, *PARTS))


def append(connection: sqlite3.Connection, parcel: Parcel, stamp_us: int, fresh: int) -> int:
    """Writes a commit; returns its bytes. A commit that is there already is refused by the primary key."""
    head, parts = encoded(parcel, stamp_us, fresh)
    size = sum(len(part) for part in parts)
    marks = ", ".join("?" * (len(head) + len(parts)))
    connection.execute(
        f"INSERT INTO journal ({_ALL}, bytes, crc) VALUES ({marks}, ?, ?)",
        (*head, *parts, size, checksum(head, parts)),
    )
    return size


def watch(connection: sqlite3.Connection) -> None:
    """Makes `sound` for this connection: the journal without what is folded already, and without a last
    commit that is unfinished."""
    unfinished = _unfinished(connection)
    test = "" if unfinished is None else f"stamp_us < {unfinished} AND "
    connection.execute(
        f"CREATE TEMP VIEW sound AS SELECT * FROM main.journal WHERE {test}sequence > coalesce((SELECT"
        " w.sequence FROM main.worlds AS w WHERE w.world = journal.world AND w.shard = journal.shard), -1)"
    )
    if unfinished is not None:
        _tell(connection, unfinished)


def drop_unfinished(connection: sqlite3.Connection) -> None:
    """Deletes a last commit that is unfinished, in the caller's transaction."""
    unfinished = _unfinished(connection)
    if unfinished is None:
        return
    _tell(connection, unfinished)
    connection.execute("DELETE FROM journal WHERE stamp_us = ?", (unfinished,))
    forget_unborn(connection)


def forget_unborn(connection: sqlite3.Connection) -> None:
    """Worlds whose birth is no longer in the journal, and was never folded, were never born."""
    unborn = (
        "sequence IS NULL AND born IS NOT NULL AND NOT EXISTS (SELECT 1 FROM journal WHERE"
        " journal.world = worlds.world AND journal.shard = worlds.shard)"
    )
    tables = connection.execute(f"SELECT DISTINCT users_table FROM worlds WHERE {unborn}").fetchall()
    connection.execute(f"UPDATE worlds SET born = NULL, users_table = NULL, user_dtype = NULL WHERE {unborn}")
    for (table,) in tables:
        if not connection.execute("SELECT 1 FROM worlds WHERE users_table = ?", (table,)).fetchone():
            connection.execute(f'DROP TABLE main."{table}"')


def _tell(connection: sqlite3.Connection, stamp_us: int) -> None:
    lost = connection.execute("SELECT world, sequence FROM main.journal WHERE stamp_us = ?", (stamp_us,))
    named = ", ".join(f"{sequence} of world {world!r}" for world, sequence in lost)
    warnings.warn(
        f"The last commit of the store ({named}, {time_text(stamp_us)} UTC) was never finished on disk and "
        "is left out; the world goes on from the commit before it.",
        UserWarning,
        stacklevel=2,
    )


def _unfinished(connection: sqlite3.Connection) -> int | None:
    last: int | None = connection.execute("SELECT max(stamp_us) FROM main.journal").fetchone()[0]
    if last is None:
        return None
    rows = connection.execute(f"SELECT {_ALL}, crc FROM main.journal WHERE stamp_us = ?", (last,))
    return last if not all(_matches(row) for row in rows) else None


def damaged(connection: sqlite3.Connection) -> list[tuple[str, int, int]]:
    """World, shard and sequence of every row of `sound` that does not match its checksum."""
    rows = connection.execute(f"SELECT {_ALL}, crc FROM sound ORDER BY position")
    return [(row[0], row[1], row[2]) for row in rows if not _matches(row)]


def deltas(
    connection: sqlite3.Connection,
    path: str,
    world: str,
    shard: int | None = None,
    table: str | None = None,
    at: At = None,
) -> Iterator[Delta]:
    """The commits of a world that are not folded, in order.

    Args:
      shard: of one shard only.
      table: only those that bring events of that table, or users for "persistent_users".
      at: up to that commit, of every shard or of each its own.
    Raises: NotAStore for one that was damaged.
    """
    tests: list[str] = ["world = ?"]
    values: list[str | int] = [world]
    if shard is not None:
        tests, values = [*tests, "shard = ?"], [*values, shard]
    if table is not None:
        tests.append(
            f"length({table}) > 0" if table in EVENT_TABLES else "length(users) + length(archived) > 0"
        )
    if isinstance(at, Mapping):
        for each, last in at.items():
            tests, values = [*tests, "(shard <> ? OR sequence <= ?)"], [*values, each, last]
    elif at is not None:
        tests, values = [*tests, "sequence <= ?"], [*values, at]
    query = f"SELECT {_ALL}, crc FROM sound WHERE {' AND '.join(tests)} ORDER BY position"
    for row in connection.execute(query, values):
        if not _matches(row):
            raise refusals.damaged_delta(path, row[0], row[1], row[2])
        yield _read(row)


def _read(row: Sequence[Any]) -> Delta:
    return decoded(row[: len(HEAD)], row[len(HEAD) : -1])


def _matches(row: Sequence[Any]) -> bool:
    *parts, crc = row
    count = len(parts) - len(PARTS)
    whole = all(isinstance(part, bytes) for part in parts[count:])
    return whole and checksum(parts[:count], parts[count:]) == crc
