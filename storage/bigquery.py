"""The store in a BigQuery dataset: commits are safe on this machine at once, and in the dataset when drained.

A commit goes into the outbox (`bigquery_outbox`) and nowhere else, so it takes what a sync of a local disk
takes. The drain brings it into the dataset, the fold from there into the public tables; both wait for nobody.
"""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from storage import refusals
from storage.base import (
    Arrival,
    Batch,
    Birth,
    Floor,
    Lease,
    LeaseLost,
    Public,
    StoreError,
)
from storage.bigquery_client import Wire
from storage.bigquery_drain import LOOKS, Drainer, drain, drain_s
from storage.bigquery_entries import outbox_path
from storage.bigquery_errors import WarehouseAway
from storage.bigquery_keep import Keeping
from storage.bigquery_lease import HEARTBEAT_S, beat, give_back, in_force, take
from storage.bigquery_load import read_roster
from storage.bigquery_looks import Looks
from storage.bigquery_outbox import Outbox
from storage.bigquery_rows import kinds_of
from storage.bigquery_sql import CREATE_WORLDS
from storage.bigquery_stand import read_deltas, read_stands
from storage.bigquery_tables import deltas_table, worlds_table
from storage.checks import Parcel, checked_batch, checked_birth, same_events, same_users
from storage.clock import now_us
from storage.records import dtype_text
from storage.sqlite_roster import EMPTY, Roster


class BigQueryPlace(Looks, Keeping):
    """A dataset of worlds, as this process has it.

    With the first lease a thread begins to drain, once a minute, and to say that the holder lives. With each
    lease that is given back all is drained, and its world is folded.
    """

    def __init__(self, project: str, dataset: str, clock: Callable[[], int] = now_us) -> None:
        self.wire = Wire(project, dataset)
        self.outbox = Outbox(outbox_path(project, dataset, self.wire.endpoint))
        self.where = self.wire.where
        self.public: Public | None = None
        self.floor: Floor | None = None
        self.lock = threading.RLock()
        self._sending = threading.RLock()
        self._clock = clock
        self._mine: dict[str, tuple[str, int, int]] = {}
        self._rosters: dict[str, Roster] = {}
        self._dtypes: dict[str, str] = {}
        self._kinds: dict[str, dict[str, str]] = {}
        self._drainer: Drainer | None = None
        self._answers: dict[str, list[dict[str, Any]]] = {}

    # ---- leases

    def acquire(
        self, birth: Birth, shard: int = 0, *, expected: int | None, arrival: Arrival | None = None
    ) -> Lease:
        """See Store."""
        checked_birth(birth, shard)
        with self.lock:
            if (birth.world, shard) in {mine[:2] for mine in self._mine.values()}:
                # Its owner may be garbage in a reference cycle: a notebook cell that was run again.
                gc.collect()
            if expected is not None and not self.is_there():
                raise refusals.not_found(birth.world, self.where, [])
            self.make()
            if self.outbox.waiting(birth.world, shard):
                self.drain()
            lease, stands = take(
                self.wire, self.outbox, birth, shard, expected, arrival, self._tokens(), self._clock()
            )
            shards = stands.of(birth.world)
            deltas = read_deltas(self.wire, self.outbox, birth.world, shards)
            self._kinds.update(kinds_of(stands, deltas))
            self._rosters[birth.world] = (
                read_roster(self.wire, birth.world, shards, deltas) if shards else EMPTY
            )
            known = [stand.row["dtype"] for stand in shards.values() if stand.row["dtype"]]
            known += [dtype_text(delta.users.dtype) for delta in deltas]
            if known:
                self._dtypes[birth.world] = known[0]
            stamps = [one.stamp_us for one in stands.shards.values()]
            self.outbox.keep_lease(lease, expected, max(stamps, default=0))
            for token in [token for token, mine in self._mine.items() if mine[:2] == (birth.world, shard)]:
                del self._mine[token]
            self._mine[lease.token] = lease.world, lease.shard, lease.epoch
            self._changed()
            self._start()
            return lease

    def make(self) -> None:
        """Makes the dataset and the tables that every store has, where they are missing. Raises NotAStore."""
        if worlds_table.name not in self.wire.known or deltas_table.name not in self.wire.known:
            self.wire.make()
            self.wire.need(worlds_table, CREATE_WORLDS)
            self.wire.need(deltas_table)

    def heartbeat(self, lease: Lease) -> None:
        """See Store. Here it is only looked at; the thread says it to the dataset, once a minute."""
        with self.lock:
            self._check_in_force(lease)

    def _beat(self) -> None:
        tokens = self._tokens()
        if not tokens:
            return
        try:
            with self._sending:
                if beat(self.wire, tokens, self._clock()):
                    return
                now = in_force(self.wire)
                for token in tokens:
                    world, shard, epoch = self._mine.get(token, ("", -1, 0))
                    if now.get((world, shard), (0, ""))[1] != token:
                        self.outbox.drop_lease(world, shard, epoch)
                self._changed()
        except StoreError:
            return

    def release(self, lease: Lease) -> None:
        """See Store. What waits is drained first; as long as that cannot be done the lease is kept, for
        `gaelp store drain` or the next start on this machine."""
        with self.lock:
            mine = self._mine.get(lease.token)
            if mine is None:
                return
            try:
                if self._lease_here(lease) is not None:
                    self.drain()
                    self._changed()
                    self._fold_at_end(lease)
                    give_back(self.wire, lease)
                    self.outbox.drop_lease(*mine)
            except LeaseLost:
                self.outbox.drop_lease(*mine)
            except WarehouseAway as error:
                waiting = self.outbox.waiting(lease.world, lease.shard)
                warnings.warn(
                    f"{error} {waiting} commits of world {lease.world!r} wait; its lease is kept for them.",
                    UserWarning,
                    stacklevel=3,
                )
            finally:
                self._mine.pop(lease.token, None)
                self._changed()
                if not self._mine:
                    self._stop()

    def _fold_at_end(self, lease: Lease) -> None:
        if self.public is None:
            return
        self._fold_shard(lease, read_stands(self.wire, self.outbox))

    def _lease_here(self, lease: Lease) -> tuple[int, str, int] | None:
        """The outbox's own note of a lease that is in force as far as this machine knows."""
        found = self.outbox.lease_of(lease.world, lease.shard)
        return found if found is not None and found[:2] == (lease.epoch, lease.token) else None

    def _check_in_force(self, lease: Lease) -> tuple[int, str, int]:
        found = self._lease_here(lease) if lease.token in self._mine else None
        if found is None:
            raise refusals.lost(lease, self._holder(lease))
        return found

    def _holder(self, lease: Lease) -> str:
        try:
            return self.held().get(lease.world, "")
        except StoreError:
            return ""

    # ---- writing

    def commit(self, pairs: Sequence[tuple[Lease, Batch]]) -> None:
        """See Store. Durable on this machine when it returns, and in the dataset once it was drained."""
        parcels = [(lease, checked_batch(lease, batch)) for lease, batch in pairs]
        if not parcels:
            return
        with self.lock:
            lasts = {}
            for lease, _ in parcels:
                lasts[lease.world, lease.shard] = self._check_in_force(lease)[2]
            rosters, kinds, dtypes = dict[str, Roster](), dict(self._kinds), dict(self._dtypes)
            taken: list[tuple[Lease, Parcel, int]] = []
            for lease, parcel in parcels:
                key, last = (lease.world, lease.shard), lasts[lease.world, lease.shard]
                if parcel.sequence <= last:
                    continue
                if parcel.sequence != last + 1:
                    raise refusals.wrong_sequence(*key, None if last < 0 else last, parcel.sequence)
                same_users(parcel.world, dtypes.setdefault(parcel.world, parcel.dtype), parcel.dtype)
                for table, brought in parcel.events.items():
                    same_events(table, kinds.setdefault(table, dict(brought.kinds)), brought.kinds)
                before = rosters.get(parcel.world) or self._rosters[parcel.world]
                rosters[parcel.world], fresh = before.after(parcel)
                taken.append((lease, parcel, fresh))
                lasts[key] = parcel.sequence
            if not taken:
                return
            with self.outbox.writing() as connection:
                stamp = self.outbox.next_stamp(connection, self._clock())
                for lease, parcel, fresh in taken:
                    self.outbox.append(connection, lease, parcel, stamp, fresh)
            self._rosters.update(rosters)
            self._kinds, self._dtypes = kinds, dtypes
        if drain_s() == 0.0:
            self.drain()

    def drain(self) -> int:
        """Sends what waits in the outbox of this machine; returns how many commits. Raises WarehouseAway."""
        with self._sending:
            if not self.outbox.waiting():
                return 0
            self.make()
            return drain(self.wire, self.outbox, self._changed)

    def drain_left(self) -> tuple[int, int]:
        """Sends what processes that are gone have left here, and gives their leases back.

        Returns: how many commits were sent, and how many leases were given back.
        """
        with self.lock:
            sent = self.drain()
            stands = self._stands()
            given = 0
            for world, shard, epoch, token in self.outbox.leases():
                stand = stands.shards.get((world, shard)) if stands else None
                if stand is None or stand.holder(self._tokens(), self._clock()):
                    continue
                if not self.outbox.waiting(world, shard):
                    given += give_back(self.wire, Lease(world, shard, epoch, "", token))
                    self.outbox.drop_lease(world, shard, epoch)
            self._changed()
            return sent, given

    def _drain_quietly(self) -> None:
        """What cannot be sent now is safe, and is tried again; it is told with the last lease."""
        try:
            if not self.outbox.due(self._clock(), drain_s()):
                return
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                self.drain()
        except StoreError:
            return

    # ---- this process

    def _start(self) -> None:
        if self._drainer is None:
            look = drain_s() / LOOKS or HEARTBEAT_S
            self._drainer = Drainer(look, self._drain_quietly, self._beat, HEARTBEAT_S)
            self._drainer.start()

    def _stop(self) -> None:
        drainer, self._drainer = self._drainer, None
        if drainer is not None:
            drainer.stop()
        self._rosters.clear()
        self._dtypes.clear()
        self._kinds.clear()

    def close(self) -> None:
        """See Store."""
        with self.lock:
            for token, (world, shard, epoch) in list(self._mine.items()):
                self.release(Lease(world, shard, epoch, "", token))
            self._stop()
            self.outbox.close()
            self.wire.close()
            self.wire.read_before = {}

    def before_fork(self) -> None:
        """Connections must not cross a fork, so they are closed; the next use opens them again."""
        self.lock.acquire()
        self._sending.acquire()
        self.outbox.before_fork()
        self.wire.close()

    def after_fork(self, *, child: bool) -> None:
        """The parent keeps its leases and its thread, the child has none."""
        if child:
            self._mine.clear()
            self._changed()
            self._rosters.clear()
            self._drainer = None
        self.outbox.after_fork()
        self._sending.release()
        self.lock.release()
