"""A world out of a SQLite file, whole, in portions: the base and the public tables, and the journal on top.

Read over a connection of its own, in one transaction, so that all portions are of one commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from storage import refusals
from storage.base import PUBLIC_COLUMNS, Birth, Public
from storage.columns import PUBLIC_KINDS
from storage.moving import PEOPLE_AT_ONCE, ROWS_AT_ONCE, Head, Left, People, Portion, Rows, Stand, chunks
from storage.names import EVENT_TABLES, TABLES
from storage.records import dtype_from
from storage.retention import Retention
from storage.sqlite_blocks import BLOCK_USERS, block_numbers, read_base
from storage.sqlite_errors import told
from storage.sqlite_journal import deltas
from storage.sqlite_merge import Changes, Numbers, merged, together
from storage.sqlite_open import open_reader
from storage.sqlite_read import check_born, standing
from storage.sqlite_rows import count_rows, replay_users, temporary, users_table
from storage.sqlite_schema import BIRTH, STAMP, known_kinds, public_definition, quoted
from storage.sqlite_undo import last_us

_BLOCKS_AT_ONCE = PEOPLE_AT_ONCE // BLOCK_USERS


def unload(
    path: str, public: Public | None, world: str, shard: int | None, records: bool
) -> Iterator[Portion]:
    """See Store.unload. Commits may go on between two portions."""
    with told(path):
        connection = open_reader(path)
        if connection is None:
            raise refusals.not_found(world, path, [])
        try:
            yield from _portions(connection, path, public, world, shard, records)
        finally:
            connection.close()


def _portions(
    connection: sqlite3.Connection,
    path: str,
    public: Public | None,
    world: str,
    only: int | None,
    records: bool,
) -> Iterator[Portion]:
    check_born(connection, world, path)
    found = connection.execute(
        f"SELECT shard, user_dtype, {BIRTH} FROM worlds WHERE world = ? AND born IS NOT NULL ORDER BY shard",
        (world,),
    ).fetchall()
    stands = {
        shard: Stand(*stand, last_us(connection, world, shard))
        for shard, *_ in found
        if (stand := standing(connection, world, shard))
    }
    if only is not None and list(stands) != [only]:
        raise refusals.no_shard(world, only, path) if only not in stands else refusals.mixed(world, path)
    keep = "SELECT max(keep_commits), max(keep_hours) FROM worlds WHERE world = ?"
    changes = {shard: together(deltas(connection, path, world, shard)) for shard in stands}
    if public is None and any(changes.values()):
        raise refusals.no_public(world, path)
    dtype = found[0][1]
    events = {table: kinds for table in EVENT_TABLES if (kinds := known_kinds(connection, table))}
    yield Head(
        birth=Birth(*found[0][2:]),
        dtype=dtype,
        stands=stands,
        kinds={"persistent_users": {name: PUBLIC_KINDS[name] for name in PUBLIC_COLUMNS}, **events},
        counts={table: count_rows(connection, world, table, path) for table in TABLES},
        retention=Retention(*connection.execute(keep, (world,)).fetchone()),
        stamp_us=connection.execute("SELECT value FROM store WHERE key = ?", (STAMP,)).fetchone()[0],
    )
    if records:
        for shard in stands:
            yield from _people(connection, path, world, shard, dtype_from(dtype), changes[shard])
        for shard in stands:
            yield from _left(connection, world, shard, changes[shard])
    yield from _users(connection, public, world, [part for part in changes.values() if part is not None])
    for table, kinds in events.items():
        yield from _events(connection, path, world, table, kinds)


def _people(
    connection: sqlite3.Connection,
    path: str,
    world: str,
    shard: int,
    dtype: np.dtype[Any],
    changes: Changes | None,
) -> Iterator[People]:
    base = np.array(block_numbers(connection, world, shard), np.int64)
    fresh = changes.numbers // BLOCK_USERS if changes is not None else base[:0]
    for group in np.unique(np.concatenate([base, fresh]) // _BLOCKS_AT_ONCE).tolist():
        first, last = group * _BLOCKS_AT_ONCE, (group + 1) * _BLOCKS_AT_ONCE - 1
        users = read_base(connection, path, world, shard, dtype, (first, last))
        numbers: Numbers = users["number"].astype(np.int64)
        low, high = first * BLOCK_USERS, (last + 1) * BLOCK_USERS
        if changes is not None:
            here = slice(*np.searchsorted(changes.numbers, (low, high)).tolist())
            numbers, users = merged(
                numbers, users, changes.numbers[here], changes.users[here], changes.archived
            )
        if len(users):
            yield People(shard, users, _names(connection, world, numbers, changes))


def _left(connection: sqlite3.Connection, world: str, shard: int, changes: Changes | None) -> Iterator[Left]:
    found = connection.execute(
        "SELECT numbers FROM gone WHERE world = ? AND shard = ?", (world, shard)
    ).fetchone()
    gone: Numbers = np.frombuffer(found[0] if found else b"", "<i8").astype(np.int64)
    if changes is not None:
        gone = np.union1d(gone, changes.archived)
    for part in chunks(len(gone), PEOPLE_AT_ONCE):
        yield Left(shard, gone[part], _names(connection, world, gone[part], changes))


def _names(
    connection: sqlite3.Connection, world: str, numbers: Numbers, changes: Changes | None
) -> Mapping[int, str]:
    """The names of some people, numbers ascending."""
    found = dict(
        connection.execute(
            "SELECT number, user_id FROM names WHERE world = ? AND number BETWEEN ? AND ?",
            (world, int(numbers[0]), int(numbers[-1])),
        ).fetchall()
    )
    if changes is not None:
        found.update(changes.names)
    if not found:
        return {}
    named = np.array(sorted(found), np.int64)
    return {number: found[number] for number in named[np.isin(named, numbers)].tolist()}


def _users(
    connection: sqlite3.Connection, public: Public | None, world: str, changes: list[Changes]
) -> Iterator[Rows]:
    folded, names = users_table(connection, world), ", ".join(PUBLIC_COLUMNS)
    if not changes or public is None:
        yield from _cut(
            "persistent_users", connection.execute(f"SELECT {names} FROM {folded} ORDER BY user_id")
        )
        return
    with temporary(connection, "persistent_users", public_definition()) as replayed:
        replay_users(connection, public, world, folded, replayed, changes, [])
        cursor = connection.execute(
            f"SELECT {names} FROM {folded} WHERE user_id NOT IN (SELECT user_id FROM {replayed})"
            f" UNION ALL SELECT {names} FROM {replayed} ORDER BY user_id"
        )
        yield from _cut("persistent_users", cursor)


def _events(
    connection: sqlite3.Connection, path: str, world: str, table: str, kinds: Mapping[str, str]
) -> Iterator[Rows]:
    names = ", ".join(quoted(name) for name in kinds)
    # Not by the index on the moment: sorting what it finds would take the whole table into memory.
    yield from _cut(
        table,
        connection.execute(
            f"SELECT {names} FROM main.{table} NOT INDEXED WHERE world = ? ORDER BY rowid", (world,)
        ),
    )
    for delta in deltas(connection, path, world, table=table):
        rows = list(zip(*delta.events[table].columns(), strict=True))
        for part in chunks(len(rows), ROWS_AT_ONCE):
            yield Rows(table, rows[part])


def _cut(table: str, cursor: sqlite3.Cursor) -> Iterator[Rows]:
    try:
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield Rows(table, rows)
    finally:
        cursor.close()
