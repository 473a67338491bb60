"""What a BigQuery place does with its worlds between commits: what it keeps, folds, moves and erases."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from storage import refusals
from storage.base import Erasure, Floor, Lease, Public, WorldBusy
from storage.bigquery_client import Wire
from storage.bigquery_fold import Fold, cut_of, new_base, prune, table_for
from storage.bigquery_lease import give_back, take
from storage.bigquery_load import check_known, numbers_of, read_roster
from storage.bigquery_moves import adopt, erase, unload
from storage.bigquery_outbox import Outbox
from storage.bigquery_sql import KEEP
from storage.bigquery_stand import Stands, read_deltas, read_stands
from storage.bigquery_values import typed
from storage.checks import checked_keep, same_events, same_users
from storage.columns import stored_scalar
from storage.moving import Portion, beheaded
from storage.names import EVENT_TABLES
from storage.sqlite_roster import Roster

T = TypeVar("T")


class Keeping:
    """A part of `bigquery.BigQueryPlace`, which has the line, the outbox, the leases and the locks."""

    wire: Wire
    outbox: Outbox
    where: str
    public: Public | None
    floor: Floor | None
    lock: threading.RLock
    _sending: threading.RLock
    _mine: dict[str, tuple[str, int, int]]
    _rosters: dict[str, Roster]
    _kinds: dict[str, dict[str, str]]
    _clock: Callable[[], int]

    if TYPE_CHECKING:

        def drain(self) -> int: ...
        def _check_in_force(self, lease: Lease) -> tuple[int, str, int]: ...
        def _read(self, world: str, read: Callable[[Stands], T]) -> T: ...
        def _stands(self, world: str | None = None) -> Stands | None: ...
        def _stands_of(self, world: str) -> Stands: ...
        def _tokens(self) -> list[str]: ...
        def _changed(self) -> None: ...

    def keep(self, lease: Lease, *, commits: int | None = None, hours: float | None = None) -> None:
        """See Store."""
        checked_keep(commits, hours)
        with self.lock:
            self._check_in_force(lease)
            values = {
                "commits": typed("INT64", commits), "world": lease.world,
                "hours": typed("FLOAT64", None if hours is None else float(hours)),
            }  # fmt: skip
            self.wire.change(KEEP, values, f"gaelp-keep-{uuid.uuid4().hex}")
            self._changed()

    def prune(self, lease: Lease, before: np.datetime64) -> None:
        """See Store. It is noted, and done by the next fold."""
        moment = stored_scalar("before", "time", before)
        with self.lock:
            if self._check_in_force(lease)[2] >= 0:
                self.outbox.note_prune(lease.world, moment)

    # ---- folding

    def fold(self) -> int:
        """See Store. Worlds that nobody writes are folded under a lease that is taken for it."""
        with self.lock:
            self.drain()
            stands = self._stands()
            if stands is None:
                return 0
            folded, busy = 0, dict[str, str]()
            for (world, shard), stand in stands.shards.items():
                if not stand.born or not self._wants_fold(stands, world, shard):
                    continue
                if self.public is None:
                    raise refusals.no_public(world, self.where)
                lease = self._lease_of(world, shard)
                holder = "" if lease else stand.holder(self._tokens(), self._clock())
                if holder:
                    busy[world] = holder
                elif lease is not None:
                    folded += self._fold_shard(lease, stands)
                else:
                    folded += self._fold_unheld(stands, world, shard)
            if busy and not folded:
                raise WorldBusy(
                    f"The worlds of {self.where} are being written: "
                    + ", ".join(f"{world!r} by {holder}" for world, holder in busy.items())
                    + ". They are folded when they are closed, or by whoever writes them."
                )
            return folded

    def _wants_fold(self, stands: Stands, world: str, shard: int) -> bool:
        stand = stands.shards[world, shard]
        behind = stand.folded < stand.sequence
        return (
            behind
            or world in self.outbox.prunes()
            or new_base(stand, cut_of(stands, world, shard, self.floor)) > stand.base
        )

    def _lease_of(self, world: str, shard: int) -> Lease | None:
        for token, (name, number, epoch) in self._mine.items():
            if (name, number) == (world, shard):
                return Lease(name, number, epoch, "", token)
        return None

    def _fold_unheld(self, stands: Stands, world: str, shard: int) -> int:
        stand = stands.shards[world, shard]
        lease, now = take(
            self.wire, self.outbox, stand.birth, shard, stand.sequence, None, self._tokens(), self._clock()
        )
        try:
            # For the order of births all worlds count.
            everybody = now if stand.row["users_table"] else read_stands(self.wire, self.outbox)
            return self._fold_shard(lease, everybody)
        finally:
            give_back(self.wire, lease)

    def _fold_shard(self, lease: Lease, stands: Stands) -> int:
        """Folds a shard whose commits are drained, and prunes its world if that was asked for.

        Args:
          stands: of all worlds, or at least of this one if it has a table of users.
        """
        self._changed()
        world, shard = lease.world, lease.shard
        stand = stands.shards[world, shard]
        if not stand.born or self.public is None:
            return 0
        folded = 0
        base = new_base(stand, cut_of(stands, world, shard, self.floor))
        if stand.folded < stand.sequence or base > stand.base:
            shards = stands.of(world)
            deltas = read_deltas(self.wire, self.outbox, world, shards, shard)
            roster = self._rosters.get(world)
            if roster is None:
                everything = read_deltas(self.wire, self.outbox, world, shards)
                roster = read_roster(self.wire, world, shards, everything)
            folded = Fold(self.wire, self.public, lease, stands, deltas, roster.names, base).run()
        noted = self.outbox.prunes().get(world)
        if noted is not None:
            moment = datetime.fromisoformat(f"{noted}+00:00")
            table = table_for(stands, world)
            prune(self.wire, stands, world, moment, table, f"gaelp-prune-{uuid.uuid4().hex}")
            self.outbox.pruned(world, noted)
        self._changed()
        return folded

    # ---- whole worlds, and people who are to be forgotten

    def unload(self, world: str, shard: int | None = None, *, records: bool = True) -> Iterator[Portion]:
        """See Store."""

        def read(stands: Stands) -> list[Portion]:
            there = stands.of(world)
            if shard is not None and shard not in there:
                raise refusals.no_shard(world, shard, self.where)
            return list(unload(self.wire, self.outbox, stands, world, self.public, shard, records))

        yield from self._read(world, read)

    def adopt(self, leases: Sequence[Lease], portions: Iterable[Portion]) -> None:
        """See Store."""
        head, rest = beheaded(leases, portions)
        world = head.birth.world
        with self.lock:
            for lease in leases:
                self._check_in_force(lease)
            stands = read_stands(self.wire, self.outbox)
            others = stands.of(world)
            for stand in others.values():
                same_users(world, stand.row["dtype"], head.dtype)
            kinds = dict(self._kinds)
            for name in EVENT_TABLES:
                if name in head.kinds:
                    brought = dict(head.kinds[name])
                    same_events(name, kinds.setdefault(name, brought), brought)
            adopt(self.wire, leases, head, rest, self._table_of_new(stands, world), kinds, bool(others))
            self._changed()
            now = read_stands(self.wire, self.outbox, world)
            self._kinds = kinds
            self._rosters[world] = read_roster(self.wire, world, now.of(world), [])
            for lease in leases:
                self.outbox.keep_lease(lease, head.stands[lease.shard].sequence, head.stamp_us)

    def _table_of_new(self, stands: Stands, world: str) -> str:
        """The table of a world that is about to be born: the plain name in a dataset without worlds."""
        from storage.bigquery_fold import key_of

        others = [other for other in stands.born() if other != world]
        if stands.of(world):
            return table_for(stands, world)
        return f"persistent_users__{key_of(world)}" if others else "persistent_users"

    def numbers(self, world: str, user_ids: Sequence[str]) -> Mapping[str, int]:
        """See Store."""
        return self._read(
            world,
            lambda stands: numbers_of(self.wire, self.outbox, stands, world, user_ids),
        )

    def forget(self, lease: Lease, numbers: Sequence[int]) -> Erasure:
        """See Store. Everything is drained and folded first."""
        with self.lock:
            self._check_in_force(lease)
            self._stands_of(lease.world)
            check_known(self._rosters[lease.world], lease.world, lease.shard, numbers)
            if self.public is None:
                raise refusals.no_public(lease.world, self.where)
            self.drain()
            self._fold_shard(lease, read_stands(self.wire, self.outbox))
            stands = read_stands(self.wire, self.outbox, lease.world)
            roster, table = self._rosters[lease.world], table_for(stands, lease.world)
            found = erase(self.wire, self.outbox, lease, stands, roster, numbers, table)
            self._changed()
            self.wire.read_before = {}
            stands = read_stands(self.wire, self.outbox, lease.world)
            shards = stands.of(lease.world)
            deltas: Any = read_deltas(self.wire, self.outbox, lease.world, shards)
            self._rosters[lease.world] = read_roster(self.wire, lease.world, shards, deltas)
            return found
