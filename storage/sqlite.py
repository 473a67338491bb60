"""The store in a SQLite file: one writing connection, short readers, commits that survive a power cut.

A commit appends a checksummed row to a journal; `sqlite_fold` brings it into the base and the public tables.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from storage import filelock, leases, refusals
from storage.base import (
    Arrival,
    At,
    Batch,
    Birth,
    CommitInfo,
    Floor,
    Lease,
    Public,
    Snapshot,
    StoreFull,
    WorldInfo,
)
from storage.checks import Parcel, checked_batch, checked_birth, checked_keep
from storage.clock import now_us
from storage.columns import stored_scalar
from storage.family import floor_beside
from storage.sqlite_blocks import base_bytes
from storage.sqlite_errors import told
from storage.sqlite_fold import fold
from storage.sqlite_journal import append, damaged
from storage.sqlite_lease import check_in_force, grant_lease
from storage.sqlite_moves import Moves
from storage.sqlite_open import close_writer, open_reader, open_writer
from storage.sqlite_read import holders, list_commits, list_worlds, living_holder, load_shard, standing
from storage.sqlite_roster import EMPTY, Roster, read_roster
from storage.sqlite_rows import count_rows, read_rows
from storage.sqlite_schema import next_stamp, prepare_tables
from storage.sqlite_seats import settle_family, take_locks

ROOM_BYTES = 8_000_000
"""The journal may be so much longer than the people are: a small world is not folded at every commit."""


@dataclass(frozen=True, slots=True)
class _Mine:
    """A lease that this process took, by its values: the object itself belongs to the caller."""

    world: str
    shard: int
    epoch: int
    locks: tuple[str, ...]


class SqlitePlace(Moves):
    """A file of worlds, as this process has it.

    The file is locked, created and opened for writing with the first lease, and let go with the
    last; between them one connection does everything. Without a lease each read opens its own.
    The journal is folded when it outgrows the people, with the last lease, on request, and with the first
    lease if a writer has left one behind. A fold asks `floor` (see Place) which commits must stay readable
    beside those that a world's retention keeps.
    """

    def __init__(self, path: str, clock: Callable[[], int] = now_us) -> None:
        self.where = path
        self.public: Public | None = None
        self.floor: Floor | None = floor_beside(path)
        self.lock = threading.RLock()
        self._clock = clock
        self._writer: sqlite3.Connection | None = None
        self._mine: dict[str, _Mine] = {}
        self._rosters: dict[str, Roster] = {}
        self._journal_bytes = self._people_bytes = 0

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

    def holder(self, world: str, shard: int = 0) -> str:
        """The living holder of one shard, "" if there is none."""
        with self._reading() as connection:
            return living_holder(connection, world, shard, self._clock()) if connection else ""

    def load(self, world: str, shard: int = 0, *, at: int | None = None) -> Snapshot:
        """See Store."""
        with self._reading(world) as connection:
            assert connection is not None
            return load_shard(connection, world, shard, self.where, at)

    def history(self, world: str, shard: int = 0) -> list[CommitInfo]:
        """See Store."""
        with self._reading(world) as connection:
            assert connection is not None
            return list_commits(connection, world, shard, self.where)

    def rows(
        self,
        world: str,
        table: str,
        *,
        where: Mapping[str, Any] | None = None,
        limit: int | None = None,
        at: At = None,
    ) -> Iterator[dict[str, Any]]:
        """See Store."""
        with self._reading(world) as connection:
            assert connection is not None
            return iter(read_rows(connection, self.where, self.public, world, table, where, limit, at))

    def count(self, world: str, table: str, *, at: At = None) -> int:
        """See Store."""
        with self._reading(world) as connection:
            assert connection is not None
            return count_rows(connection, world, table, self.where, at)

    def acquire(
        self, birth: Birth, shard: int = 0, *, expected: int | None, arrival: Arrival | None = None
    ) -> Lease:
        """See Store."""
        checked_birth(birth, shard)
        with self.lock:
            if any((mine.world, mine.shard) == (birth.world, shard) for mine in self._mine.values()):
                # Its owner may be garbage in a reference cycle: a notebook cell that was run again.
                gc.collect()
            self._sweep()
            if expected is not None and not self.is_there():
                raise refusals.not_found(birth.world, self.where, [])
            locks = take_locks(self.where, birth, shard)
            try:
                if self._writer is None:
                    self._recover()
                with self._writing() as connection:
                    lease = grant_lease(
                        connection, self.where, birth, shard, expected, arrival, self._clock()
                    )
                    if birth.world not in self._rosters:
                        self._rosters[birth.world] = read_roster(connection, self.where, birth.world)
            except BaseException:
                self._unlock(locks)
                raise
            self._mine[lease.token] = _Mine(lease.world, lease.shard, lease.epoch, locks)
            try:
                if expected is None:
                    settle_family(self.where, birth, arrival)
            except BaseException:
                self._give_up(lease.token)
                raise
            return lease

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
        with self.lock:
            if self._journal_bytes > self._people_bytes + ROOM_BYTES:
                self._fold_if_possible()
            with self._leased(*(lease for lease, _ in parcels)) as connection:
                rosters, written = self._written(connection, [parcel for _, parcel in parcels])
            self._rosters.update(rosters)
            self._journal_bytes += written
            self._people_bytes += sum(parcel.users.nbytes for _, parcel in parcels if parcel.sequence == 0)

    def _written(
        self, connection: sqlite3.Connection, parcels: Sequence[Parcel]
    ) -> tuple[dict[str, Roster], int]:
        """Appends what is new of some parcels; returns the people afterwards and the bytes it took."""
        rosters: dict[str, Roster] = {}
        stamp, written, wall = None, 0, self._clock()
        for parcel in parcels:
            last = (standing(connection, parcel.world, parcel.shard) or [None])[0]
            if last is not None and parcel.sequence <= last:
                continue
            if parcel.sequence != (0 if last is None else last + 1):
                raise refusals.wrong_sequence(parcel.world, parcel.shard, last, parcel.sequence)
            stamp = next_stamp(connection, wall) if stamp is None else stamp
            prepare_tables(connection, parcel)
            before = rosters.get(parcel.world) or self._rosters.get(parcel.world, EMPTY)
            rosters[parcel.world], fresh = before.after(parcel)
            written += append(connection, parcel, stamp, fresh)
            connection.execute(
                "UPDATE worlds SET lease_heard_us = ? WHERE world = ? AND shard = ?",
                (wall, parcel.world, parcel.shard),
            )
        return rosters, written

    def keep(self, lease: Lease, *, commits: int | None = None, hours: float | None = None) -> None:
        """See Store."""
        checked_keep(commits, hours)
        with self.lock, self._leased(lease) as connection:
            connection.execute(
                "UPDATE worlds SET keep_commits = coalesce(?1, keep_commits), keep_hours ="
                " coalesce(?2, keep_hours) WHERE world = ?3 AND (keep_commits <> ?1 OR keep_hours <> ?2)",
                (commits, hours, lease.world),
            )

    def prune(self, lease: Lease, before: np.datetime64) -> None:
        """See Store. It is noted, and done by the next fold."""
        moment = stored_scalar("before", "time", before)
        with self.lock, self._leased(lease) as connection:
            connection.execute(
                "UPDATE worlds SET prune_before = ? WHERE world = ? AND shard = ? AND born IS NOT NULL",
                (moment, lease.world, lease.shard),
            )

    def fold(self) -> int:
        """See Store."""
        with self.lock:
            self._sweep()
            if not self.is_there():
                return 0
            locks = () if self._mine else (self.where,)
            for path in locks:
                filelock.take(path)
            try:
                return self._folded()
            finally:
                if locks:
                    self._close_writer(locks)

    def _folded(self) -> int:
        with self._writing() as connection:
            waiting = connection.execute("SELECT count(*) FROM sound").fetchone()[0]
            if waiting and self.public is None:
                world = connection.execute("SELECT world FROM sound LIMIT 1").fetchone()[0]
                raise refusals.no_public(world, self.where)
            folded = fold(connection, self.where, self.public, self.floor) if self.public is not None else 0
        self._measure()
        return folded

    def _fold_if_possible(self) -> None:
        """Folds on the store's own account. What cannot be folded now is safe in the journal, and is told."""
        if self.public is None:
            return
        try:
            self._folded()
        except StoreFull as error:
            self._people_bytes = max(self._people_bytes, self._journal_bytes)
            warnings.warn(
                f"{error} All commits are safe, but the public tables of {self.where!r} are not up to date; "
                "make room, then run `gaelp fold`.",
                UserWarning,
                stacklevel=3,
            )

    def _recover(self) -> None:
        """Looks at the journal that an earlier writer left behind, and folds it."""
        with self._writing() as connection:
            for world, shard, sequence in damaged(connection):
                raise refusals.damaged_delta(self.where, world, shard, sequence)
        self._measure()
        if self._journal_bytes:
            self._fold_if_possible()

    def _measure(self) -> None:
        if self._writer is not None:
            count = "SELECT coalesce(sum(bytes), 0) FROM journal"
            self._journal_bytes = self._writer.execute(count).fetchone()[0]
            self._people_bytes = base_bytes(self._writer)

    def close(self) -> None:
        """See Store."""
        with self.lock:
            for token in list(self._mine):
                self._give_up(token)

    def before_fork(self) -> None:
        """A connection must not cross a fork, so it is closed; the parent opens it again when it writes."""
        self.lock.acquire()
        self._drop_writer()

    def after_fork(self, *, child: bool) -> None:
        """The parent keeps its leases and locks, the child has none."""
        if child:
            self._mine.clear()
            self._rosters.clear()
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
                check_in_force(connection, lease, self._clock())
            yield connection

    def _unlock(self, locks: tuple[str, ...]) -> None:
        """Drops the locks of one lease; with the last lease the journal is folded and the file let go of."""
        if self._mine or self._writer is None:
            for path in locks:
                filelock.drop(path)
            return
        try:
            if self._journal_bytes:
                self._fold_if_possible()
        finally:
            self._close_writer(locks)

    def _close_writer(self, locks: tuple[str, ...]) -> None:
        """The writing connection goes before the locks do."""
        self._rosters.clear()
        self._journal_bytes = self._people_bytes = 0
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                with told(self.where):
                    close_writer(writer)
        finally:
            for path in locks:
                filelock.drop(path)

    def _give_up(self, token: str) -> None:
        mine = self._mine.pop(token, None)
        if mine is None:
            return
        # If the file cannot take the note, for want of room, nobody holds it all the same.
        leases.revoke(token)
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
