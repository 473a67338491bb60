"""Public rows of a SQLite store as of a commit: the folded tables, and the journal replayed on top, or undone
back to where the table `past` leads.

The replay goes into temporary tables in memory, by the code of the fold itself; the file is only read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from storage import refusals
from storage.base import PUBLIC_COLUMNS, At, Birth, Public, commit_of, default_id
from storage.checks import checked_limit
from storage.columns import PUBLIC_KINDS, wanted
from storage.names import EVENT_TABLES, named_number
from storage.records import dtype_from
from storage.sqlite_fold import append_events, upsert_users
from storage.sqlite_journal import deltas
from storage.sqlite_merge import Changes, Numbers, together
from storage.sqlite_past import rows_of_later, way_back
from storage.sqlite_read import check_born, check_commit, shards_of
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
    at: At = None,
) -> list[dict[str, Any]]:
    """See Store.rows."""
    _check(connection, path, world, at)
    kinds = _kinds(connection, table)
    chosen = wanted(where, kinds, table)
    if not kinds:
        return []
    checked_limit(limit)
    if table == "persistent_users":
        found = _users(connection, path, public, world, chosen, limit, at)
    else:
        found = _events(connection, path, world, table, list(kinds), chosen, limit, at)
    return [dict(zip(kinds, row, strict=True)) for row in found]


def count_rows(connection: sqlite3.Connection, world: str, table: str, path: str, at: At = None) -> int:
    """See Store.count: no row is made for it."""
    _check(connection, path, world, at)
    if not _kinds(connection, table):
        return 0
    if table == "persistent_users":
        users = users_table(connection, world)
        folded: int = connection.execute(f"SELECT count(*) FROM {users}").fetchone()[0]
        newborn = (
            "SELECT coalesce(sum(fresh), 0) FROM sound WHERE world = ?1 AND shard = ?2"
            " AND (?3 IS NULL OR sequence <= ?3)"
        )
        for shard in shards_of(connection, world):
            key = (world, shard, commit_of(at, shard))
            folded += connection.execute(newborn, key).fetchone()[0]
        back = _back(connection, path, world, at)
        with _other_ids(connection, world, back) as others:
            known = connection.execute(f"SELECT count(*) FROM {users} WHERE user_id IN {others}").fetchall()
            folded -= known[0][0]
        return folded + sum(len(changes.numbers) for changes, _ in back)
    with _later(connection, path, world, table, at) as sooner:
        counted = f"SELECT count(*) FROM main.{table} WHERE world = ?{sooner}"
        folded = connection.execute(counted, (world,)).fetchall()[0][0]
    return folded + sum(
        len(delta.events[table].rows) for delta in deltas(connection, path, world, table=table, at=at)
    )


def _check(connection: sqlite3.Connection, path: str, world: str, at: At) -> None:
    check_born(connection, world, path)
    for shard in shards_of(connection, world) if at is not None else ():
        asked = commit_of(at, shard)
        if asked is not None:
            check_commit(connection, world, shard, path, asked)


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
    at: At,
) -> list[tuple[Any, ...]]:
    folded = users_table(connection, world)
    names = ", ".join(PUBLIC_COLUMNS)
    tests = "".join(f" AND {quoted(name)} IS ?" for name in chosen)
    values = [*chosen.values()]
    end = " ORDER BY user_id LIMIT ?"
    at_most = -1 if limit is None else limit
    changes = _changes(connection, path, world, at)
    back = _back(connection, path, world, at)
    if "user_id" in chosen:
        number = _number_of(connection, world, chosen["user_id"], changes)
        only = [_only(part, number) for part in changes]
        changes = [part for part in only if len(part.numbers) or len(part.archived)]
        back = [(_only(part, number), unborn[unborn == number]) for part, unborn in back]
    if not changes and not back:
        return connection.execute(
            f"SELECT {names} FROM {folded} WHERE 1{tests}{end}", (*values, at_most)
        ).fetchall()
    if public is None:
        raise refusals.no_public(world, path)
    with (
        temporary(connection, "persistent_users", public_definition()) as replayed,
        _other_ids(connection, world, back) as others,
    ):
        replay_users(connection, public, world, folded, replayed, changes, [part for part, _ in back])
        return connection.execute(
            f"SELECT {names} FROM {folded} WHERE user_id NOT IN (SELECT user_id FROM {replayed})"
            f" AND user_id NOT IN {others}{tests}"
            f" UNION ALL SELECT {names} FROM {replayed} WHERE 1{tests}{end}",
            (*values, *values, at_most),
        ).fetchall()


def _back(connection: sqlite3.Connection, path: str, world: str, at: At) -> list[tuple[Changes, Numbers]]:
    """The ways back of the shards whose base is later than a commit."""
    if at is None:
        return []
    found = connection.execute(
        "SELECT shard, sequence, user_dtype FROM worlds WHERE world = ? AND sequence IS NOT NULL", (world,)
    )
    return [
        way_back(connection, path, world, shard, asked, dtype_from(dtype))
        for shard, folded, dtype in found.fetchall()
        if (asked := commit_of(at, shard)) is not None and asked < folded
    ]


@contextmanager
def _other_ids(
    connection: sqlite3.Connection, world: str, back: Sequence[tuple[Changes, Numbers]]
) -> Iterator[str]:
    """The user_ids of everybody whom ways back concern, as a table of SQL."""
    if not back:
        yield "()"
        return
    names = _names_of(connection, world)
    with temporary(connection, "others", "user_id TEXT PRIMARY KEY") as others:
        for changes, unborn in back:
            for numbers in (changes.numbers, unborn):
                ids = ((names.get(number) or default_id(number),) for number in numbers.tolist())
                connection.executemany(f"INSERT INTO {others} VALUES (?)", ids)
        yield others


@contextmanager
def _later(connection: sqlite3.Connection, path: str, world: str, table: str, at: At) -> Iterator[str]:
    """A test in SQL that no folded event of a later commit passes."""
    shards = {shard: commit_of(at, shard) for shard in shards_of(connection, world)}
    asked = {shard: commit for shard, commit in shards.items() if commit is not None}
    later = rows_of_later(connection, path, world, table, asked)
    if not later:
        yield ""
        return
    with temporary(connection, "later", "first INTEGER, last INTEGER") as spans:
        connection.executemany(f"INSERT INTO {spans} VALUES (?, ?)", later)
        yield f" AND NOT EXISTS (SELECT 1 FROM {spans} WHERE {table}.rowid BETWEEN first AND last)"


def _changes(connection: sqlite3.Connection, path: str, world: str, at: At) -> list[Changes]:
    """What the journal changes in a world's users up to a commit, by shard."""
    found = list(deltas(connection, path, world, table="persistent_users", at=at))
    by_shard = [
        together(delta for delta in found if delta.shard == shard)
        for shard in sorted({delta.shard for delta in found})
    ]
    return [part for part in by_shard if part is not None]


def _number_of(
    connection: sqlite3.Connection, world: str, user_id: str | None, changes: Sequence[Changes]
) -> int:
    """The number of a user, -1 if it cannot be anybody's."""
    known = connection.execute("SELECT number FROM names WHERE world = ? AND user_id = ?", (world, user_id))
    fresh = ((n,) for part in changes for n, name in part.names.items() if name == user_id)
    named = known.fetchone() or next(fresh, None)
    number = named[0] if named else named_number(user_id or "")
    return -1 if number is None else int(number)


def _names_of(connection: sqlite3.Connection, world: str) -> dict[int, str]:
    return dict(connection.execute("SELECT number, user_id FROM names WHERE world = ?", (world,)).fetchall())


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
    changes: Sequence[Changes],
    back: Sequence[Changes],
) -> None:
    """Makes the rows that are not as folded: those that the journal changes, and those of ways back."""
    names = _names_of(connection, world)
    for part in changes:
        names.update(part.names)
    columns = ", ".join(PUBLIC_COLUMNS)
    concerned = [numbers for part in changes for numbers in (part.numbers, part.archived)]
    connection.executemany(
        f"INSERT INTO {replayed} ({columns}) SELECT {columns} FROM {folded} WHERE user_id = ?",
        (
            (names.get(number) or default_id(number),)
            for number in (np.unique(np.concatenate(concerned)).tolist() if concerned else ())
        ),
    )
    birth = connection.execute(f"SELECT {BIRTH} FROM worlds WHERE world = ? AND born IS NOT NULL", (world,))
    born = Birth(*birth.fetchone())
    for part in (*changes, *back):
        upsert_users(connection, replayed, public, born, part, names)


def _events(
    connection: sqlite3.Connection,
    path: str,
    world: str,
    table: str,
    kinds: list[str],
    chosen: Mapping[str, Any],
    limit: int | None,
    at: At,
) -> list[tuple[Any, ...]]:
    names = ", ".join(quoted(name) for name in kinds)
    tests = "world = ?" + "".join(f" AND {quoted(name)} IS ?" for name in chosen)
    values = [world, *chosen.values()]
    at_most = -1 if limit is None else limit
    ordered = " ORDER BY rowid LIMIT ?"
    with _later(connection, path, world, table, at) as sooner:
        found = connection.execute(
            f"SELECT {names} FROM main.{table} WHERE {tests}{sooner}{ordered}", (*values, at_most)
        ).fetchall()
    if len(found) == limit:
        return found
    with temporary(connection, table, events_definition(known_kinds(connection, table))) as replayed:
        for delta in deltas(connection, path, world, table=table, at=at):
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
