"""What a SQLite file says: worlds, shards and public rows; always inside one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from storage import leases, refusals
from storage.base import PUBLIC_COLUMNS, Birth, Snapshot, WorldInfo
from storage.checks import checked_limit
from storage.columns import PUBLIC_KINDS, wanted
from storage.identity import Process, this_process
from storage.names import EVENT_TABLES
from storage.records import dtype_from, records_of
from storage.sqlite_write import known_kinds, quoted

_LEASE = (
    "lease_token, lease_host, lease_boot, lease_space, lease_pid, lease_started, "
    "lease_since_us, lease_heard_us"
)
_BIRTH = "world, config, fingerprint, schema, shards, parent"


def living_holder(connection: sqlite3.Connection, world: str, shard: int, wall_us: int) -> str:
    """The holder of a shard's lease as a line, "" if there is none that lives."""
    found = connection.execute(
        f"SELECT {_LEASE} FROM worlds WHERE world = ? AND shard = ?", (world, shard)
    ).fetchone()
    if found is None or not found[0]:
        return ""
    token, host, boot, space, pid, started, since_us, heard_us = found
    holder = Process(host, boot, space, pid, started)
    if holder == this_process():
        lives = leases.has_owner(token)
    else:
        lives = holder.lives(heard_us, wall_us)
    return holder.line(since_us) if lives else ""


def born_worlds(connection: sqlite3.Connection) -> list[str]:
    """Names of the worlds in the order of their birth."""
    found = connection.execute(
        "SELECT world FROM worlds WHERE born IS NOT NULL GROUP BY world ORDER BY min(born)"
    )
    return [name for (name,) in found]


def holders(connection: sqlite3.Connection, wall_us: int) -> dict[str, str]:
    """World -> living holder of any of its shards, reserved worlds included."""
    held: dict[str, str] = {}
    leased = connection.execute("SELECT world, shard FROM worlds WHERE lease_token <> ''").fetchall()
    for world, shard in leased:
        holder = living_holder(connection, world, shard, wall_us)
        if holder:
            held[world] = holder
    return held


def list_worlds(connection: sqlite3.Connection, wall_us: int) -> list[WorldInfo]:
    """See Store.worlds."""
    held = holders(connection, wall_us)
    lines = []
    for world in born_worlds(connection):
        parts = connection.execute(
            f"SELECT sequence, summary, {_BIRTH} FROM worlds WHERE world = ? AND born IS NOT NULL ORDER BY "
            "shard",
            (world,),
        ).fetchall()
        lines.append(
            WorldInfo(
                birth=Birth(*parts[0][2:]),
                sequence=min(part[0] for part in parts),
                summary=json.loads(parts[0][1]),
                holder=held.get(world, ""),
            )
        )
    return lines


def load_shard(connection: sqlite3.Connection, world: str, shard: int, path: str) -> Snapshot:
    """See Store.load."""
    check_born(connection, world, path)
    found = connection.execute(
        f"SELECT sequence, market, summary, user_dtype, {_BIRTH} FROM worlds"
        " WHERE world = ? AND shard = ? AND born IS NOT NULL",
        (world, shard),
    ).fetchone()
    if found is None:
        raise refusals.no_shard(world, shard, path)
    sequence, market, summary, dtype, *birth = found
    living = "FROM user_state WHERE world = ? AND shard = ? AND archived = 0"
    rows = connection.execute(f"SELECT row {living} ORDER BY number", (world, shard)).fetchall()
    names = connection.execute(
        f"SELECT number, user_id {living} AND user_id IS NOT NULL ORDER BY number", (world, shard)
    ).fetchall()
    return Snapshot(
        birth=Birth(*birth),
        shard=shard,
        sequence=sequence,
        users=records_of([row for (row,) in rows], dtype_from(dtype)),
        names=dict(names),
        market=market,
        summary=json.loads(summary),
    )


def check_born(connection: sqlite3.Connection, world: str, path: str) -> None:
    """Raises WorldNotFound, naming the worlds that are there."""
    born = born_worlds(connection)
    if world not in born:
        raise refusals.not_found(world, path, born)


def read_rows(
    connection: sqlite3.Connection,
    world: str,
    table: str,
    where: Mapping[str, Any] | None,
    limit: int | None,
    path: str,
) -> list[dict[str, Any]]:
    """See Store.rows."""
    source, kinds = _table(connection, world, table, path)
    chosen = wanted(where, kinds, table)
    if not kinds:
        return []
    tests = [f"{quoted(name)} IS ?" for name in chosen]
    values = list(chosen.values())
    if table != "persistent_users":
        tests.insert(0, "world = ?")
        values.insert(0, world)
    names = ", ".join(quoted(name) for name in kinds)
    query = f"SELECT {names} FROM {source} {'WHERE ' if tests else ''}{' AND '.join(tests)} ORDER BY rowid"
    if checked_limit(limit) is not None:
        query += " LIMIT ?"
        values.append(limit)
    return [dict(zip(kinds, row, strict=True)) for row in connection.execute(query, values).fetchall()]


def count_rows(connection: sqlite3.Connection, world: str, table: str, path: str) -> int:
    """See Store.count."""
    source, kinds = _table(connection, world, table, path)
    if not kinds:
        return 0
    test, values = ("", ()) if table == "persistent_users" else (" WHERE world = ?", (world,))
    counted: int = connection.execute(f"SELECT count(*) FROM {source}{test}", values).fetchone()[0]
    return counted


def _table(
    connection: sqlite3.Connection, world: str, table: str, path: str
) -> tuple[str, Mapping[str, str]]:
    check_born(connection, world, path)
    if table == "persistent_users":
        found = connection.execute("SELECT max(users_table) FROM worlds WHERE world = ?", (world,))
        return quoted(found.fetchone()[0]), {column: PUBLIC_KINDS[column] for column in PUBLIC_COLUMNS}
    if table not in EVENT_TABLES:
        raise refusals.wrong_table(table)
    return table, known_kinds(connection, table)
