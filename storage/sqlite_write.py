"""A batch becomes rows of a SQLite file; always inside the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from storage import refusals
from storage.base import PUBLIC_COLUMNS, default_id
from storage.checks import Events, Parcel, same_events, same_users
from storage.columns import PUBLIC_KINDS
from storage.names import users_table

SQL_TYPES = {"integer": "INTEGER", "real": "REAL", "text": "TEXT", "time": "TEXT", "flag": "INTEGER"}
"""Kind of a column -> declared type in SQL."""

_STAMP = "last_stamp_us"


def quoted(name: str) -> str:
    """A table or column name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def next_stamp(connection: sqlite3.Connection, wall_us: int) -> int:
    """The `updated_at` of this commit: later than every one before, whatever the wall clock says."""
    last = connection.execute("SELECT value FROM store WHERE key = ?", (_STAMP,)).fetchone()
    stamp = wall_us if last is None else max(wall_us, last[0] + 1)
    connection.execute("INSERT OR REPLACE INTO store VALUES (?, ?)", (_STAMP, stamp))
    return stamp


def write_parcel(connection: sqlite3.Connection, parcel: Parcel, stamp: str, heard_us: int) -> None:
    """Writes a batch that follows the last one. Raises StoreError if its rows do not fit the world."""
    table, dtype = connection.execute(
        "SELECT max(users_table), max(user_dtype) FROM worlds WHERE world = ?", (parcel.world,)
    ).fetchone()
    same_users(parcel.world, dtype, parcel.dtype)
    if parcel.sequence == 0:
        table = _born(connection, parcel, table)
    _upsert(connection, parcel, table, stamp)
    if parcel.archived:
        _archive(connection, parcel, table, stamp)
    for name, events in parcel.events.items():
        _append(connection, parcel.world, name, events)
    connection.execute(
        "UPDATE worlds SET sequence = ?, market = ?, summary = ?, committed_at = ?, lease_heard_us = ?"
        " WHERE world = ? AND shard = ?",
        (parcel.sequence, parcel.market, parcel.summary, stamp, heard_us, parcel.world, parcel.shard),
    )


def _born(connection: sqlite3.Connection, parcel: Parcel, table: str | None) -> str:
    born = 1 + connection.execute("SELECT coalesce(max(born), 0) FROM worlds").fetchone()[0]
    if table is None:
        table = users_table(parcel.world, first=born == 1)
        columns = ", ".join(
            f"{quoted(name)} {SQL_TYPES[kind]}{_CONSTRAINTS.get(name, '')}"
            for name, kind in PUBLIC_KINDS.items()
        )
        connection.execute(f"CREATE TABLE {quoted(table)} ({columns})")
        gone = quoted(f"{table}__gone")
        connection.execute(f"CREATE INDEX {gone} ON {quoted(table)} (last_seen) WHERE is_active = 0")
    connection.execute(
        "UPDATE worlds SET born = ?, users_table = ?, user_dtype = ? WHERE world = ? AND shard = ?",
        (born, table, parcel.dtype, parcel.world, parcel.shard),
    )
    return table


_CONSTRAINTS = {"user_id": " PRIMARY KEY NOT NULL", "created_at": " NOT NULL", "updated_at": " NOT NULL"}


def _upsert(connection: sqlite3.Connection, parcel: Parcel, table: str, stamp: str) -> None:
    count = len(parcel.numbers)
    if not count:
        return
    state = zip(
        [parcel.world] * count, parcel.numbers, [parcel.shard] * count, parcel.names, parcel.rows, strict=True
    )
    try:
        done = connection.executemany(
            "INSERT INTO user_state (world, number, shard, user_id, row) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (world, number) DO UPDATE SET row = excluded.row"
            " WHERE shard = excluded.shard AND user_id IS excluded.user_id AND archived = 0",
            state,
        )
    except sqlite3.IntegrityError as error:
        raise refusals.name_taken(parcel.world) from error
    if done.rowcount != count:
        raise refusals.changed_user(parcel.world)
    names = ", ".join(PUBLIC_COLUMNS)
    marks = ", ".join("?" * len(PUBLIC_COLUMNS))
    changed = ", ".join(f"{n} = excluded.{n}" for n in PUBLIC_COLUMNS if n not in ("user_id", "created_at"))
    connection.executemany(
        f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks}) ON CONFLICT (user_id) DO UPDATE SET "
        f"{changed}",
        zip(*parcel.public, [stamp] * count, [stamp] * count, strict=True),
    )


def _archive(connection: sqlite3.Connection, parcel: Parcel, table: str, stamp: str) -> None:
    done = connection.executemany(
        "UPDATE user_state SET archived = 1, row = x''"
        " WHERE world = ? AND number = ? AND shard = ? AND archived = 0",
        [(parcel.world, number, parcel.shard) for number in parcel.archived],
    )
    if done.rowcount != len(parcel.archived):
        raise refusals.not_archivable(parcel.world)
    connection.executemany(
        f"UPDATE {quoted(table)} SET is_active = 0, updated_at = ? WHERE user_id = coalesce("
        "(SELECT user_id FROM user_state WHERE world = ? AND number = ?), ?)",
        [(stamp, parcel.world, number, default_id(number)) for number in parcel.archived],
    )


def known_kinds(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Field -> kind of an event table; empty before its first event."""
    found = connection.execute("SELECT value FROM store WHERE key = ?", (f"columns of {table}",)).fetchone()
    return dict(json.loads(found[0])) if found else {}


def moment_of(kinds: Mapping[str, str]) -> str | None:
    """The column that says when an event happened: the first time among them."""
    return next((name for name, kind in kinds.items() if kind == "time"), None)


def _append(connection: sqlite3.Connection, world: str, table: str, events: Events) -> None:
    known = known_kinds(connection, table)
    if not known:
        _create_events(connection, table, events.kinds)
        known = dict(events.kinds)
    same_events(table, known, events.kinds)
    names = ", ".join(quoted(name) for name in ("world", *known))
    marks = ", ".join("?" * (len(known) + 1))
    connection.executemany(
        f"INSERT INTO {table} ({names}) VALUES ({marks})",
        zip([world] * len(events.columns[0]), *events.columns, strict=True),
    )


def _create_events(connection: sqlite3.Connection, table: str, kinds: Mapping[str, str]) -> None:
    columns = "".join(f", {quoted(name)} {SQL_TYPES[kind]}" for name, kind in kinds.items())
    connection.execute(f"CREATE TABLE {table} (world TEXT NOT NULL{columns})")
    moment = moment_of(kinds)
    indexed = "world" if moment is None else f"world, {quoted(moment)}"
    connection.execute(f"CREATE INDEX {table}_by_time ON {table} ({indexed})")
    connection.execute(
        "INSERT INTO store VALUES (?, ?)", (f"columns of {table}", json.dumps(list(kinds.items())))
    )


def delete_older(connection: sqlite3.Connection, world: str, moment: str) -> int:
    """Deletes touchpoints of before a moment, and archived users last seen before it; names stay taken."""
    gone = 0
    column = moment_of(known_kinds(connection, "touchpoints"))
    if column is not None:
        gone += connection.execute(
            f"DELETE FROM touchpoints WHERE world = ? AND {quoted(column)} < ?", (world, moment)
        ).rowcount
    table = connection.execute("SELECT max(users_table) FROM worlds WHERE world = ?", (world,)).fetchone()[0]
    if table is not None:
        connection.execute(
            "DELETE FROM user_state WHERE world = ? AND archived = 1 AND user_id IS NULL AND number IN "
            f"(SELECT CAST(substr(user_id, 2) AS INTEGER) FROM {quoted(table)}"
            " WHERE is_active = 0 AND last_seen < ?"
            " AND user_id = printf('u%09d', CAST(substr(user_id, 2) AS INTEGER)))",
            (world, moment),
        )
        gone += connection.execute(
            f"DELETE FROM {quoted(table)} WHERE is_active = 0 AND last_seen < ?", (moment,)
        ).rowcount
    return gone
