"""Public rows of a SQLite store as of its last commit: the folded tables, and the journal replayed on top.

The replay goes into temporary tables in memory, by the code of the fold itself; the file is only read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from storage import refusals
from storage.base import PUBLIC_COLUMNS, Birth, Public, default_id
from storage.checks import checked_limit
from storage.columns import PUBLIC_KINDS, wanted
from storage.names import EVENT_TABLES, named_number
from storage.sqlite_fold import append_events, upsert_users
from storage.sqlite_journal import deltas
from storage.sqlite_merge import Changes, together
from storage.sqlite_read import check_born
from storage.sqlite_schema import BIRTH, events_definition, known_kinds, public_definition, quoted

_REPLAYED = "temp.replayed_"


def read_rows(
    connection: sqlite3.Connection,
    path: str,
    public: Public | None,
    world: str,
    table: str,
    where: Mapping[str, Any] | None,
    limit: int | None,
) -> list[dict[str, Any]]:
    """See Store.rows."""
    check_born(connection, world, path)
    kinds = _kinds(connection, table)
    chosen = wanted(where, kinds, table)
    if not kinds:
        return []
    checked_limit(limit)
    if table == "persistent_users":
        found = _users(connection, path, public, world, chosen, limit)
    else:
        found = _events(connection, path, world, table, list(kinds), chosen, limit)
    return [dict(zip(kinds, row, strict=True)) for row in found]


def count_rows(connection: sqlite3.Connection, world: str, table: str, path: str) -> int:
    """See Store.count: no row is made for it."""
    check_born(connection, world, path)
    if not _kinds(connection, table):
        return 0
    folded: int
    if table == "persistent_users":
        folded = connection.execute(f"SELECT count(*) FROM {users_table(connection, world)}").fetchone()[0]
        fresh = connection.execute("SELECT coalesce(sum(fresh), 0) FROM sound WHERE world = ?", (world,))
        return folded + int(fresh.fetchone()[0])
    folded = connection.execute(f"SELECT count(*) FROM main.{table} WHERE world = ?", (world,)).fetchone()[0]
    return folded + sum(
        len(delta.events[table].rows) for delta in deltas(connection, path, world, table=table)
    )


def _kinds(connection: sqlite3.Connection, table: str) -> Mapping[str, str]:
    if table == "persistent_users":
        return {column: PUBLIC_KINDS[column] for column in PUBLIC_COLUMNS}
    if table not in EVENT_TABLES:
        raise refusals.wrong_table(table)
    return known_kinds(connection, table)


def users_table(connection: sqlite3.Connection, world: str) -> str:
    found = connection.execute("SELECT max(users_table) FROM worlds WHERE world = ?", (world,))
    return f"main.{quoted(found.fetchone()[0])}"


def _users(
    connection: sqlite3.Connection,
    path: str,
    public: Public | None,
    world: str,
    chosen: Mapping[str, Any],
    limit: int | None,
) -> list[tuple[Any, ...]]:
    folded = users_table(connection, world)
    names = ", ".join(PUBLIC_COLUMNS)
    tests = "".join(f" AND {quoted(name)} IS ?" for name in chosen)
    values = [*chosen.values()]
    end = " ORDER BY user_id LIMIT ?"
    at_most = -1 if limit is None else limit
    changes = _changes(connection, path, world, chosen.get("user_id"))
    if not changes:
        return connection.execute(
            f"SELECT {names} FROM {folded} WHERE 1{tests}{end}", (*values, at_most)
        ).fetchall()
    if public is None:
        raise refusals.no_public(world, path)
    with temporary(connection, "persistent_users", public_definition()) as replayed:
        replay_users(connection, public, world, folded, replayed, changes)
        return connection.execute(
            f"SELECT {names} FROM {folded} WHERE user_id NOT IN (SELECT user_id FROM {replayed}){tests}"
            f" UNION ALL SELECT {names} FROM {replayed} WHERE 1{tests}{end}",
            (*values, *values, at_most),
        ).fetchall()


def _changes(connection: sqlite3.Connection, path: str, world: str, user_id: str | None) -> list[Changes]:
    """What the journal changes in a world's users, by shard; of one user only if a user_id is given."""
    found = list(deltas(connection, path, world, table="persistent_users"))
    by_shard = [
        together(delta for delta in found if delta.shard == shard)
        for shard in sorted({delta.shard for delta in found})
    ]
    changes = [part for part in by_shard if part is not None]
    if user_id is None:
        return changes
    number = named_number(user_id)
    known = connection.execute("SELECT number FROM names WHERE world = ? AND user_id = ?", (world, user_id))
    named = known.fetchone() or next(
        ((n,) for part in changes for n, name in part.names.items() if name == user_id), (number,)
    )
    return [_only(part, named[0]) for part in changes] if named[0] is not None else []


def _only(changes: Changes, number: int) -> Changes:
    users, left = np.flatnonzero(changes.numbers == number), np.flatnonzero(changes.archived == number)
    return replace(
        changes,
        numbers=changes.numbers[users],
        users=changes.users[users],
        created_us=changes.created_us[users],
        updated_us=changes.updated_us[users],
        archived=changes.archived[left],
        archived_us=changes.archived_us[left],
    )


def replay_users(
    connection: sqlite3.Connection,
    public: Public,
    world: str,
    folded: str,
    replayed: str,
    changes: list[Changes],
) -> None:
    names = dict(connection.execute("SELECT number, user_id FROM names WHERE world = ?", (world,)).fetchall())
    for part in changes:
        names.update(part.names)
    touched = np.unique(np.concatenate([n for part in changes for n in (part.numbers, part.archived)]))
    columns = ", ".join(PUBLIC_COLUMNS)
    connection.executemany(
        f"INSERT INTO {replayed} ({columns}) SELECT {columns} FROM {folded} WHERE user_id = ?",
        ((names.get(number) or default_id(number),) for number in touched.tolist()),
    )
    birth = connection.execute(f"SELECT {BIRTH} FROM worlds WHERE world = ? AND born IS NOT NULL", (world,))
    born = Birth(*birth.fetchone())
    for part in changes:
        upsert_users(connection, replayed, public, born, part, names)


def _events(
    connection: sqlite3.Connection,
    path: str,
    world: str,
    table: str,
    kinds: list[str],
    chosen: Mapping[str, Any],
    limit: int | None,
) -> list[tuple[Any, ...]]:
    names = ", ".join(quoted(name) for name in kinds)
    tests = "world = ?" + "".join(f" AND {quoted(name)} IS ?" for name in chosen)
    values = [world, *chosen.values()]
    at_most = -1 if limit is None else limit
    ordered = " ORDER BY rowid LIMIT ?"
    found = connection.execute(
        f"SELECT {names} FROM main.{table} WHERE {tests}{ordered}", (*values, at_most)
    ).fetchall()
    if len(found) == limit:
        return found
    with temporary(connection, table, events_definition(known_kinds(connection, table))) as replayed:
        for delta in deltas(connection, path, world, table=table):
            append_events(connection, _REPLAYED, delta, table)
        rest = -1 if limit is None else limit - len(found)
        more = connection.execute(f"SELECT {names} FROM {replayed} WHERE {tests}{ordered}", (*values, rest))
        return found + more.fetchall()


@contextmanager
def temporary(connection: sqlite3.Connection, table: str, columns: str) -> Iterator[str]:
    name = f"{_REPLAYED}{table}"
    connection.execute(f"CREATE TEMP TABLE replayed_{table} ({columns})")
    try:
        yield name
    finally:
        connection.execute(f"DROP TABLE {name}")
