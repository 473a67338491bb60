"""Tables of a SQLite store that come into being with worlds: who has which, and what is deleted from them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from storage.base import Arrival
from storage.checks import Parcel, same_events, same_users
from storage.columns import PUBLIC_KINDS
from storage.names import users_table

SQL_TYPES = {"integer": "INTEGER", "real": "REAL", "text": "TEXT", "time": "TEXT", "flag": "INTEGER"}
"""Kind of a column -> declared type in SQL."""
BIRTH = "world, config, fingerprint, schema, shards, parent"
"""Columns of `worlds` that make a Birth, in order."""
STAMP = "last_stamp_us"
_CONSTRAINTS = {"user_id": " PRIMARY KEY NOT NULL", "created_at": " NOT NULL", "updated_at": " NOT NULL"}


def quoted(name: str) -> str:
    """A table or column name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def next_stamp(connection: sqlite3.Connection, wall_us: int) -> int:
    """The `updated_at` of this commit: later than every one before, whatever the wall clock says."""
    last = connection.execute("SELECT value FROM store WHERE key = ?", (STAMP,)).fetchone()
    stamp = wall_us if last is None else max(wall_us, last[0] + 1)
    connection.execute("INSERT OR REPLACE INTO store VALUES (?, ?)", (STAMP, stamp))
    return stamp


def note_arrival(connection: sqlite3.Connection, world: str, shard: int, arrival: Arrival | None) -> None:
    """Keeps with which other shards one comes into being."""
    key = f"arrival of {world} {shard}"
    connection.execute("DELETE FROM store WHERE key = ?", (key,))
    if arrival is not None:
        connection.execute("INSERT INTO store VALUES (?, ?)", (key, arrival.text()))


def arrival_of(connection: sqlite3.Connection, world: str, shard: int) -> Arrival | None:
    """With which other shards one came into being; None if it came alone."""
    found = connection.execute(
        "SELECT value FROM store WHERE key = ?", (f"arrival of {world} {shard}",)
    ).fetchone()
    return Arrival.read(found[0]) if found else None


def prepare_tables(connection: sqlite3.Connection, parcel: Parcel) -> None:
    """Makes the tables that a batch needs and are not there. Raises StoreError if it does not fit them."""
    table, dtype = connection.execute(
        "SELECT max(users_table), max(user_dtype) FROM worlds WHERE world = ?", (parcel.world,)
    ).fetchone()
    same_users(parcel.world, dtype, parcel.dtype)
    if parcel.sequence == 0:
        _born(connection, parcel.world, parcel.shard, parcel.dtype, table)
    prepare_events(connection, {name: events.kinds for name, events in parcel.events.items()})


def prepare_events(connection: sqlite3.Connection, brought: Mapping[str, Mapping[str, str]]) -> None:
    """Makes the event tables that are not there. Raises StoreError if one has other columns."""
    for name, kinds in brought.items():
        known = known_kinds(connection, name)
        if not known:
            _create_events(connection, name, kinds)
            known = dict(kinds)
        same_events(name, known, kinds)


def bear(connection: sqlite3.Connection, world: str, shard: int, dtype: str) -> str:
    """Makes a reserved shard a born one; returns the table of its users."""
    table, known = connection.execute(
        "SELECT max(users_table), max(user_dtype) FROM worlds WHERE world = ?", (world,)
    ).fetchone()
    same_users(world, known, dtype)
    return _born(connection, world, shard, dtype, table)


def _born(connection: sqlite3.Connection, world: str, shard: int, dtype: str, table: str | None) -> str:
    born = 1 + connection.execute("SELECT coalesce(max(born), 0) FROM worlds").fetchone()[0]
    if table is None:
        table = users_table(world, first=born == 1)
        connection.execute(f"CREATE TABLE {quoted(table)} ({public_definition()})")
        gone = quoted(f"{table}__gone")
        connection.execute(f"CREATE INDEX {gone} ON {quoted(table)} (last_seen) WHERE is_active = 0")
    connection.execute(
        "UPDATE worlds SET born = ?, users_table = ?, user_dtype = ? WHERE world = ? AND shard = ?",
        (born, table, dtype, world, shard),
    )
    return table


def public_definition() -> str:
    """The columns of a table of public rows, as CREATE TABLE takes them."""
    return ", ".join(
        f"{quoted(name)} {SQL_TYPES[kind]}{_CONSTRAINTS.get(name, '')}" for name, kind in PUBLIC_KINDS.items()
    )


def events_definition(kinds: Mapping[str, str]) -> str:
    """The columns of an event table, as CREATE TABLE takes them."""
    return "world TEXT NOT NULL" + "".join(
        f", {quoted(name)} {SQL_TYPES[kind]}" for name, kind in kinds.items()
    )


def _create_events(connection: sqlite3.Connection, table: str, kinds: Mapping[str, str]) -> None:
    connection.execute(f"CREATE TABLE {table} ({events_definition(kinds)})")
    moment = moment_of(kinds)
    indexed = "world" if moment is None else f"world, {quoted(moment)}"
    connection.execute(f"CREATE INDEX {table}_by_time ON {table} ({indexed})")
    connection.execute(
        "INSERT INTO store VALUES (?, ?)", (f"columns of {table}", json.dumps(list(kinds.items())))
    )


def known_kinds(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Field -> kind of an event table; empty before its first event."""
    found = connection.execute("SELECT value FROM store WHERE key = ?", (f"columns of {table}",)).fetchone()
    return dict(json.loads(found[0])) if found else {}


def moment_of(kinds: Mapping[str, str]) -> str | None:
    """The column that says when an event happened: the first time among them."""
    return next((name for name, kind in kinds.items() if kind == "time"), None)


def delete_older(connection: sqlite3.Connection, world: str, moment: str) -> None:
    """Deletes the folded touchpoints of before a moment, and rows of archived users last seen before it."""
    column = moment_of(known_kinds(connection, "touchpoints"))
    if column is not None:
        connection.execute(
            f"DELETE FROM main.touchpoints WHERE world = ? AND {quoted(column)} < ?", (world, moment)
        )
    table = connection.execute("SELECT max(users_table) FROM worlds WHERE world = ?", (world,)).fetchone()[0]
    if table is not None:
        connection.execute(
            f"DELETE FROM main.{quoted(table)} WHERE is_active = 0 AND last_seen < ?", (moment,)
        )
