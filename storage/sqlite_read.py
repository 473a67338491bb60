"""What a SQLite file says of its worlds and shards; always inside one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import numpy as np

from storage import leases, refusals
from storage.base import Arrival, Birth, CommitInfo, ShardInfo, Snapshot, WorldInfo, default_id
from storage.clock import time_text
from storage.identity import Process, this_process
from storage.names import named_number
from storage.records import dtype_from
from storage.sqlite_blocks import read_base
from storage.sqlite_journal import deltas
from storage.sqlite_merge import merged, together
from storage.sqlite_past import listed, oldest, stood, way_back
from storage.sqlite_roster import read_roster
from storage.sqlite_schema import BIRTH, arrival_of

_LEASE = (
    "lease_token, lease_host, lease_boot, lease_space, lease_pid, lease_started, "
    "lease_since_us, lease_heard_us"
)


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


def parts_of(
    connection: sqlite3.Connection, world: str, wall_us: int
) -> dict[int, tuple[bool, Birth, Arrival | None]]:
    """The shards of a world that are born, or that somebody living is about to bear; the born ones first.

    Returns: shard -> whether it is born, how, and with which others.
    """
    rows = connection.execute(
        f"SELECT shard, born IS NOT NULL, {BIRTH} FROM worlds WHERE world = ? ORDER BY born IS NULL, shard",
        (world,),
    ).fetchall()
    return {
        shard: (bool(born), Birth(*birth), arrival_of(connection, world, shard))
        for shard, born, *birth in rows
        if born or living_holder(connection, world, shard, wall_us)
    }


def list_worlds(connection: sqlite3.Connection, wall_us: int) -> list[WorldInfo]:
    """See Store.worlds."""
    held = holders(connection, wall_us)
    lines = []
    for world in born_worlds(connection):
        parts = connection.execute(
            f"SELECT shard, {BIRTH} FROM worlds WHERE world = ? AND born IS NOT NULL ORDER BY shard", (world,)
        ).fetchall()
        stands = [(part[0], standing(connection, world, part[0])) for part in parts]
        shards = tuple(
            ShardInfo(
                shard,
                stand[0],
                json.loads(stand[2]),
                living_holder(connection, world, shard, wall_us),
                arrival_of(connection, world, shard),
            )
            for shard, stand in stands
            if stand is not None
        )
        if not shards:
            continue
        lines.append(
            WorldInfo(
                birth=Birth(*parts[0][1:]),
                sequence=min(shard.sequence for shard in shards),
                summary=shards[0].summary,
                holder=held.get(world, ""),
                shards=shards,
            )
        )
    return lines


def standing(connection: sqlite3.Connection, world: str, shard: int) -> tuple[int, bytes, str] | None:
    """Sequence, market record and summary of a shard's last commit; None before its birth."""
    found: tuple[int, bytes, str] | None = (
        connection.execute(
            "SELECT sequence, market, summary FROM sound WHERE world = ? AND shard = ?"
            " ORDER BY sequence DESC LIMIT 1",
            (world, shard),
        ).fetchone()
        or connection.execute(
            "SELECT sequence, market, summary FROM worlds WHERE world = ? AND shard = ?"
            " AND sequence IS NOT NULL",
            (world, shard),
        ).fetchone()
    )
    return found


def load_shard(
    connection: sqlite3.Connection, world: str, shard: int, path: str, at: int | None = None
) -> Snapshot:
    """See Store.load: the base, and on top of it what the journal says, or undone back to a commit."""
    check_born(connection, world, path)
    found = connection.execute(
        f"SELECT user_dtype, erased_at, {BIRTH} FROM worlds"
        " WHERE world = ? AND shard = ? AND born IS NOT NULL",
        (world, shard),
    ).fetchone()
    stand = standing(connection, world, shard) if found else None
    if stand is None:
        raise refusals.no_shard(world, shard, path)
    if at is not None:
        check_commit(connection, world, shard, path, at)
    dtype, erased_at, *birth = found
    users = read_base(connection, path, world, shard, dtype_from(dtype))
    numbers = users["number"].astype(np.int64)
    names = dict(connection.execute("SELECT number, user_id FROM names WHERE world = ?", (world,)).fetchall())
    if at is not None and is_behind(connection, world, shard, at):
        back, unborn = way_back(connection, path, world, shard, at, users.dtype)
        _, users = merged(numbers, users, back.numbers, back.users, unborn)
        stand = stood(connection, path, world, shard, at)
    else:
        changes = together(deltas(connection, path, world, shard, at=at))
        if changes is not None:
            _, users = merged(numbers, users, changes.numbers, changes.users, changes.archived)
            names.update(changes.names)
        if at not in (None, stand[0]):
            stand = _stood_between(connection, world, shard, at)
    if names:
        living = set(users["number"].tolist())
        names = {number: names[number] for number in sorted(living.intersection(names))}
    sequence, market, summary = stand
    erased = sequence < erased_at
    return Snapshot(Birth(*birth), shard, sequence, users, names, market, json.loads(summary), erased)


def numbers_of(
    connection: sqlite3.Connection, path: str, world: str, user_ids: Sequence[str]
) -> dict[str, int]:
    """See Store.numbers."""
    check_born(connection, world, path)
    roster = read_roster(connection, path, world)
    found = {name: roster.taken.get(name, named_number(name)) for name in user_ids}
    return {
        name: number
        for name, number in found.items()
        if number is not None
        and roster.names.get(number, default_id(number)) == name
        and roster.knows(number)
    }


def _stood_between(connection: sqlite3.Connection, world: str, shard: int, at: int) -> tuple[int, bytes, str]:
    """As `standing`, of a commit that is the last folded one or waits in the journal."""
    query = "SELECT sequence, market, summary FROM {} WHERE world = ? AND shard = ? AND sequence = ?"
    found: tuple[int, bytes, str] | None = None
    for table in ("sound", "worlds"):
        found = found or connection.execute(query.format(table), (world, shard, at)).fetchone()
    assert found is not None
    return found


def is_behind(connection: sqlite3.Connection, world: str, shard: int, at: int) -> bool:
    """Whether a commit of a shard is older than the base."""
    base = connection.execute("SELECT sequence FROM worlds WHERE world = ? AND shard = ?", (world, shard))
    folded = base.fetchone()[0]
    return folded is not None and at < folded


def check_commit(connection: sqlite3.Connection, world: str, shard: int, path: str, at: int) -> None:
    """Raises CommitNotFound, naming the commits of a shard that can be read."""
    stand = standing(connection, world, shard)
    assert stand is not None
    first = oldest(connection, world, shard)
    if first is None:
        base = connection.execute("SELECT sequence FROM worlds WHERE world = ? AND shard = ?", (world, shard))
        first = base.fetchone()[0] or 0
    if isinstance(at, bool) or not isinstance(at, int) or not first <= at <= stand[0]:
        raise refusals.no_commit(world, shard, path, at, first, stand[0])


def list_commits(connection: sqlite3.Connection, world: str, shard: int, path: str) -> list[CommitInfo]:
    """See Store.history."""
    check_born(connection, world, path)
    if standing(connection, world, shard) is None:
        raise refusals.no_shard(world, shard, path)
    found = listed(connection, path, world, shard)
    key = (world, shard)
    for row in connection.execute(
        "SELECT sequence, committed_at, summary FROM worlds WHERE world = ? AND shard = ?"
        " AND sequence IS NOT NULL",
        key,
    ):
        found.append(CommitInfo(row[0], row[1], json.loads(row[2])))
    for row in connection.execute(
        "SELECT sequence, stamp_us, summary FROM sound WHERE world = ? AND shard = ? ORDER BY sequence", key
    ):
        found.append(CommitInfo(row[0], time_text(row[1]), json.loads(row[2])))
    return found


def shards_of(connection: sqlite3.Connection, world: str) -> list[int]:
    """The shards of a world that were born in this file."""
    query = "SELECT shard FROM worlds WHERE world = ? AND born IS NOT NULL ORDER BY shard"
    return [shard for (shard,) in connection.execute(query, (world,))]


def check_born(connection: sqlite3.Connection, world: str, path: str) -> None:
    """Raises WorldNotFound, naming the worlds that are there."""
    born = born_worlds(connection)
    if world not in born:
        raise refusals.not_found(world, path, born)
