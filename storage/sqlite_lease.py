"""Leases as rows of a SQLite file: who may have one, and whether it is in force; inside a transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple

from storage import leases, refusals
from storage.arrivals import check_arrival
from storage.base import Arrival, Birth, Lease
from storage.family import other_home
from storage.identity import this_process
from storage.names import table_key
from storage.sqlite_read import born_worlds, holders, list_worlds, living_holder, parts_of, standing
from storage.sqlite_schema import BIRTH, note_arrival


def grant_lease(
    connection: sqlite3.Connection,
    path: str,
    birth: Birth,
    shard: int,
    expected: int | None,
    arrival: Arrival | None,
    wall_us: int,
) -> Lease:
    """Gives out the lease of a shard, with the next epoch. See Store.acquire."""
    found = connection.execute(
        "SELECT lease_epoch FROM worlds WHERE world = ? AND shard = ?", (birth.world, shard)
    ).fetchone()
    epoch, stand = found[0] if found else 0, standing(connection, birth.world, shard)
    last = stand[0] if stand else None
    if expected is None:
        _check_new(connection, path, birth, shard, last, wall_us)
        there = parts_of(connection, birth.world, wall_us)
        beside = {other: part[2] for other, part in there.items() if other != shard}
        check_arrival(birth, shard, arrival, beside, path)
    elif last is None:
        raise refusals.not_found(birth.world, path, born_worlds(connection))
    holder = living_holder(connection, birth.world, shard, wall_us)
    if holder:
        raise refusals.busy(birth.world, shard, holder, birth.shards)
    if expected is not None and last is not None and last != expected:
        raise refusals.moved(birth.world, shard, last, expected)
    if expected is None:
        reserve(connection, birth, shard, arrival)
    process = this_process()
    lease = leases.grant(birth.world, shard, epoch + 1, process.line(wall_us))
    connection.execute(
        "UPDATE worlds SET lease_epoch = ?, lease_token = ?, lease_since_us = ?, lease_heard_us = ?,"
        " lease_host = ?, lease_boot = ?, lease_space = ?, lease_pid = ?, lease_started = ?"
        " WHERE world = ? AND shard = ?",
        (lease.epoch, lease.token, wall_us, wall_us, *astuple(process), birth.world, shard),
    )
    return lease


def check_in_force(connection: sqlite3.Connection, lease: Lease, wall_us: int) -> None:
    """Raises LeaseLost unless the lease is the one that the file names."""
    found = connection.execute(
        "SELECT lease_epoch, lease_token FROM worlds WHERE world = ? AND shard = ?",
        (lease.world, lease.shard),
    ).fetchone()
    if found != (lease.epoch, lease.token):
        raise refusals.lost(lease, living_holder(connection, lease.world, lease.shard, wall_us))


def _check_new(
    connection: sqlite3.Connection, path: str, birth: Birth, shard: int, last: int | None, wall_us: int
) -> None:
    if last is not None:
        raise refusals.exists(birth.world, path)
    born = born_worlds(connection)
    if birth.world in born:
        known = next(line.birth for line in list_worlds(connection, 0) if line.birth.world == birth.world)
        if known != birth:
            raise refusals.born_otherwise(birth.world)
        return
    for beside, *told in connection.execute(
        f"SELECT shard, {BIRTH} FROM worlds WHERE world = ? AND shard <> ?", (birth.world, shard)
    ).fetchall():
        if Birth(*told) != birth and living_holder(connection, birth.world, beside, wall_us):
            raise refusals.born_otherwise(birth.world)
    for other in [*born, *holders(connection, wall_us)]:
        if other != birth.world and table_key(other) == table_key(birth.world):
            raise refusals.same_table(birth.world, other)
    home = other_home(path, birth.world)
    if home is not None:
        raise refusals.exists_elsewhere(birth.world, home)


def reserve(connection: sqlite3.Connection, birth: Birth, shard: int, arrival: Arrival | None = None) -> None:
    """Keeps a place for a shard that is not born yet, and with which others it comes."""
    note_arrival(connection, birth.world, shard, arrival)
    connection.execute(
        "INSERT INTO worlds (world, shard, config, fingerprint, schema, shards, parent)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (world, shard) DO UPDATE SET config = excluded.config,"
        " fingerprint = excluded.fingerprint, schema = excluded.schema, shards = excluded.shards,"
        " parent = excluded.parent",
        (birth.world, shard, birth.config, birth.fingerprint, birth.schema, birth.shards, birth.parent),
    )
