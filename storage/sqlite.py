"""The store in a SQLite file: one writing connection, short readers, commits that survive a power cut."""

from __future__ import annotations

import gc
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from storage import filelock, leases, refusals
from storage.base import Batch, Birth, Lease, Snapshot, WorldInfo
from storage.checks import checked_batch, checked_birth
from storage.clock import now_us, time_text
from storage.columns import stored_scalar
from storage.family import other_home, writing_locks
from storage.identity import this_process
from storage.names import table_key
from storage.sqlite_errors import told
from storage.sqlite_open import close_writer, open_reader, open_writer
from storage.sqlite_read import (
    born_worlds,
    count_rows,
    holders,
    list_worlds,
    living_holder,
    load_shard,
    read_rows,
)
from storage.sqlite_write import delete_older, next_stamp, write_parcel


@dataclass(frozen=True, slots=True)
class _Mine:
    """A lease that this process took, by its values: the object itself belongs to the caller."""

    world: str
    shard: int
    epoch: int
    locks: tuple[str, ...]


class SqlitePlace:
    """A file of worlds, as this process has it.

    The file is locked, created and opened for writing with the first lease, and let go with the
    last; between them one connection does everything. Without a lease each read opens its own.
    """

    def __init__(self, path: str, clock: Callable[[], int] = now_us) -> None:
        self.where = path
        self.lock = threading.RLock()
        self._clock = clock
        self._writer: sqlite3.Connection | None = None
        self._mine: dict[str, _Mine] = {}

    def is_there(self) -> bool:
        """Whether the file exists."""
        return os.path.exists(self.where)

    def worlds(self) -> list[WorldInfo]:
        """See Store."""
        with self._reading() as connection:
            return list_worlds(connection, self._clock()) if connection else []

    def held(self) -> dict[str, str]:
        """World -> living holder, reserved worlds that are not yet born included."""
        with self._reading() as connection:
            return holders(connection, self._clock()) if connection else {}

    def load(self, world: str, shard: int = 0) -> Snapshot:
        """See Store."""
        with self._reading(world) as connection:
            assert connection is not None
            return load_shard(connection, world, shard, self.where)

    def rows(
        self, world: str, table: str, *, where: Mapping[str, Any] | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """See Store."""
        with self._reading(world) as connection:
            assert connection is not None
            return iter(read_rows(connection, world, table, where, limit, self.where))

    def count(self, world: str, table: str) -> int:
        """See Store."""
        with self._reading(world) as connection:
            assert connection is not None
            return count_rows(connection, world, table, self.where)

    def acquire(self, birth: Birth, shard: int = 0, *, expected: int | None) -> Lease:
        """See Store."""
        checked_birth(birth, shard)
        with self.lock:
            if any((mine.world, mine.shard) == (birth.world, shard) for mine in self._mine.values()):
                # Its owner may be garbage in a reference cycle: a notebook cell that was run again.
                gc.collect()
            self._sweep()
            if expected is not None and not self.is_there():
                raise refusals.not_found(birth.world, self.where, [])
            locks = self._locked(birth.world)
            try:
                with self._writing() as connection:
                    lease = self._granted(connection, birth, shard, expected)
            except BaseException:
                self._unlock(locks)
                raise
            self._mine[lease.token] = _Mine(lease.world, lease.shard, lease.epoch, locks)
            return lease

    def _granted(
        self, connection: sqlite3.Connection, birth: Birth, shard: int, expected: int | None
    ) -> Lease:
        found = connection.execute(
            "SELECT sequence, lease_epoch FROM worlds WHERE world = ? AND shard = ?", (birth.world, shard)
        ).fetchone()
        last, epoch = found or (None, 0)
        if expected is None:
            self._check_new(connection, birth, last)
        elif last is None:
            raise refusals.not_found(birth.world, self.where, born_worlds(connection))
        wall = self._clock()
        holder = living_holder(connection, birth.world, shard, wall)
        if holder:
            raise refusals.busy(birth.world, shard, holder)
        if expected is not None and last is not None and last != expected:
            raise refusals.moved(birth.world, shard, last, expected)
        if expected is None:
            _reserve(connection, birth, shard)
        process = this_process()
        lease = leases.grant(birth.world, shard, epoch + 1, process.line(wall))
        connection.execute(
            "UPDATE worlds SET lease_epoch = ?, lease_token = ?, lease_since_us = ?, lease_heard_us = ?,"
            " lease_host = ?, lease_boot = ?, lease_space = ?, lease_pid = ?, lease_started = ?"
            " WHERE world = ? AND shard = ?",
            (lease.epoch, lease.token, wall, wall, *astuple(process), birth.world, shard),
        )
        return lease

    def _check_new(self, connection: sqlite3.Connection, birth: Birth, last: int | None) -> None:
        if last is not None:
            raise refusals.exists(birth.world, self.where)
        born = born_worlds(connection)
        if birth.world in born:
            known = next(line.birth for line in list_worlds(connection, 0) if line.birth.world == birth.world)
            if known != birth:
                raise refusals.born_otherwise(birth.world)
            return
        for other in [*born, *holders(connection, self._clock())]:
            if other != birth.world and table_key(other) == table_key(birth.world):
                raise refusals.same_table(birth.world, other)
        home = other_home(self.where, birth.world)
        if home is not None:
            raise refusals.exists_elsewhere(birth.world, home)

    def heartbeat(self, lease: Lease) -> None:
        """See Store."""
        with self.lock, self._leased(lease) as connection:
            connection.execute(
                "UPDATE worlds SET lease_heard_us = ? WHERE world = ? AND shard = ?",
                (self._clock(), lease.world, lease.shard),
            )

    def release(self, lease: Lease) -> None:
        """See Store."""
        with self.lock:
            self._give_up(lease.token)
            self._sweep()

    def commit(self, pairs: Sequence[tuple[Lease, Batch]]) -> None:
        """See Store."""
        parcels = [(lease, checked_batch(lease, batch)) for lease, batch in pairs]
        if not parcels:
            return
        with self.lock, self._leased(*(lease for lease, _ in parcels)) as connection:
            stamp = None
            wall = self._clock()
            for _, parcel in parcels:
                last = connection.execute(
                    "SELECT sequence FROM worlds WHERE world = ? AND shard = ?", (parcel.world, parcel.shard)
                ).fetchone()[0]
                if last is not None and parcel.sequence <= last:
                    continue
                if parcel.sequence != (0 if last is None else last + 1):
                    raise refusals.wrong_sequence(parcel.world, parcel.shard, last, parcel.sequence)
                stamp = next_stamp(connection, wall) if stamp is None else stamp
                write_parcel(connection, parcel, time_text(stamp), wall)

    def prune(self, lease: Lease, before: np.datetime64) -> int:
        """See Store."""
        moment = stored_scalar("before", "time", before)
        with self.lock, self._leased(lease) as connection:
            return delete_older(connection, lease.world, moment)

    def close(self) -> None:
        """See Store."""
        with self.lock:
            for token in list(self._mine):
                self._give_up(token)

    def before_fork(self) -> None:
        """A connection must not cross a fork, so it is closed; the parent opens it again when it writes."""
        self.lock.acquire()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def after_fork(self, *, child: bool) -> None:
        """The parent keeps its leases and locks, the child has none."""
        if child:
            self._mine.clear()
        self.lock.release()

    @contextmanager
    def _reading(self, world: str | None = None) -> Iterator[sqlite3.Connection | None]:
        with self.lock, told(self.where):
            if self._writer is not None:
                yield self._writer
                return
            connection = open_reader(self.where)
            if connection is None:
                if world is not None:
                    raise refusals.not_found(world, self.where, [])
                yield None
                return
            try:
                yield connection
            finally:
                connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction of the writing connection: all or nothing."""
        with told(self.where):
            if self._writer is None:
                self._writer = open_writer(self.where)
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def _leased(self, *held: Lease) -> Iterator[sqlite3.Connection]:
        """A transaction under leases that are in force. Raises LeaseLost."""
        for lease in held:
            if lease.token not in self._mine:
                raise refusals.lost(lease, self.held().get(lease.world, ""))
        with self._writing() as connection:
            for lease in held:
                found = connection.execute(
                    "SELECT lease_epoch, lease_token FROM worlds WHERE world = ? AND shard = ?",
                    (lease.world, lease.shard),
                ).fetchone()
                if found != (lease.epoch, lease.token):
                    holder = living_holder(connection, lease.world, lease.shard, self._clock())
                    raise refusals.lost(lease, holder)
            yield connection

    def _locked(self, world: str) -> tuple[str, ...]:
        taken: list[str] = []
        try:
            for path in writing_locks(self.where, world):
                filelock.take(path)
                taken.append(path)
        except BaseException:
            for path in taken:
                filelock.drop(path)
            raise
        return tuple(taken)

    def _unlock(self, locks: tuple[str, ...]) -> None:
        """Drops the locks of one lease; with the last lease the writing connection goes first."""
        try:
            if not self._mine and self._writer is not None:
                writer, self._writer = self._writer, None
                with told(self.where):
                    close_writer(writer)
        finally:
            for path in locks:
                filelock.drop(path)

    def _give_up(self, token: str) -> None:
        mine = self._mine.pop(token, None)
        if mine is None:
            return
        try:
            with self._writing() as connection:
                connection.execute(
                    "UPDATE worlds SET lease_token = '' WHERE world = ? AND shard = ? AND lease_token = ?",
                    (mine.world, mine.shard, token),
                )
        finally:
            self._unlock(mine.locks)

    def _sweep(self) -> None:
        """Gives up the leases whose owners are garbage."""
        for token in [token for token in self._mine if not leases.has_owner(token)]:
            self._give_up(token)


def _reserve(connection: sqlite3.Connection, birth: Birth, shard: int) -> None:
    connection.execute(
        "INSERT INTO worlds (world, shard, config, fingerprint, schema, shards, parent)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (world, shard) DO UPDATE SET config = excluded.config,"
        " fingerprint = excluded.fingerprint, schema = excluded.schema, shards = excluded.shards,"
        " parent = excluded.parent",
        (birth.world, shard, birth.config, birth.fingerprint, birth.schema, birth.shards, birth.parent),
    )
