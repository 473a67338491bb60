"""The store in memory: the reference that every other store is tested against."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from storage import leases, refusals
from storage.arrivals import check_arrival
from storage.base import (
    PUBLIC_COLUMNS,
    Arrival,
    At,
    Batch,
    Birth,
    CommitInfo,
    Erasure,
    Floor,
    Lease,
    Public,
    ShardInfo,
    Snapshot,
    WorldInfo,
    default_id,
)
from storage.checks import (
    Parcel,
    checked_batch,
    checked_birth,
    checked_keep,
    checked_limit,
    public_values,
)
from storage.clock import now_us, time_text
from storage.columns import PUBLIC_KINDS, stored_scalar, wanted
from storage.identity import this_process
from storage.memory_claims import Claim, arrivals_beside, births_beside
from storage.memory_moving import adopted, erased, whole_of
from storage.memory_world import ACTIVE, MemoryWorld, Rows, User
from storage.moving import Portion, beheaded, gathered, portions_of
from storage.names import EVENT_TABLES, named_number, table_key
from storage.records import dtype_from, records_of
from storage.retention import Retention


class MemoryPlace:
    """Worlds in this process' memory. A commit works on copies, which replace the worlds at its end."""

    def __init__(self, where: str, clock: Callable[[], int] = now_us) -> None:
        self.where = where
        self.public: Public | None = None
        self.floor: Floor | None = None
        self.lock = threading.RLock()
        self._clock = clock
        self._worlds: dict[str, MemoryWorld] = {}
        self._claims: dict[tuple[str, int], Claim] = {}
        self._pruned: dict[tuple[str, int], str] = {}
        self._retentions: dict[str, Retention] = {}
        self._kinds: dict[str, Mapping[str, str]] = {}
        self._stamp = 0

    def is_there(self) -> bool:
        """Memory is always there."""
        return True

    def worlds(self) -> list[WorldInfo]:
        """See Store."""
        with self.lock:
            return [self._line(world) for world in self._worlds.values()]

    def _line(self, world: MemoryWorld) -> WorldInfo:
        name, parts = world.birth.world, sorted(world.parts.items())
        claims = [claim for (claimed, _), claim in self._claims.items() if claimed == name]
        shards = tuple(
            ShardInfo(
                shard,
                part.sequence,
                json.loads(part.summary),
                self.holder(name, shard),
                self._claims[name, shard].arrival,
            )
            for shard, part in parts
        )
        return WorldInfo(
            birth=world.birth,
            sequence=min(shard.sequence for shard in shards),
            summary=shards[0].summary,
            holder=next((claim.living() for claim in claims if claim.living()), ""),
            shards=shards,
        )

    def held(self) -> dict[str, str]:
        """World -> living holder, reserved worlds that are not yet born included."""
        with self.lock:
            return {name: claim.living() for (name, _), claim in self._claims.items() if claim.living()}

    def holder(self, world: str, shard: int = 0) -> str:
        """The living holder of one shard, "" if there is none."""
        with self.lock:
            claim = self._claims.get((world, shard))
            return claim.living() if claim is not None else ""

    def load(self, world: str, shard: int = 0, *, at: int | None = None) -> Snapshot:
        """See Store."""
        with self.lock:
            found = self._found(world, shard)
            part, users = found.part_at(shard, at, self.where)
            living = {n: u for n, u in sorted(users.items()) if u.shard == shard and not u.archived}
            return Snapshot(
                birth=found.birth,
                shard=shard,
                sequence=part.sequence,
                users=records_of([user.row for user in living.values()], dtype_from(found.dtype)),
                names={number: user.name for number, user in living.items() if user.name is not None},
                market=part.market,
                summary=json.loads(part.summary),
                erased=part.sequence < found.erased_at.get(shard, 0),
            )

    def history(self, world: str, shard: int = 0) -> list[CommitInfo]:
        """See Store."""
        with self.lock:
            found = self._found(world, shard)
            parts = [version.part for _, version in sorted(found.past.get(shard, {}).items())]
            return [
                CommitInfo(part.sequence, time_text(part.stamp_us), json.loads(part.summary))
                for part in [*parts, found.parts[shard]]
            ]

    def acquire(
        self, birth: Birth, shard: int = 0, *, expected: int | None, arrival: Arrival | None = None
    ) -> Lease:
        """See Store."""
        checked_birth(birth, shard)
        with self.lock:
            claim = self._claims.get((birth.world, shard))
            self._check_existence(birth, shard, expected)
            if expected is None:
                there = self._worlds[birth.world].parts if birth.world in self._worlds else ()
                beside = arrivals_beside(self._claims, there, birth.world, shard)
                check_arrival(birth, shard, arrival, beside, self.where)
            elif claim is not None:
                arrival = claim.arrival
            if claim is not None and leases.has_owner_for_sure(claim.token):
                raise refusals.busy(birth.world, shard, claim.holder, birth.shards)
            self._check_commit(birth, shard, expected)
            claim = claim or Claim(birth)
            holder = this_process().line(self._clock())
            lease = leases.grant(birth.world, shard, claim.epoch + 1, holder)
            self._claims[birth.world, shard] = Claim(birth, lease.epoch, lease.token, holder, arrival)
            return lease

    def _check_existence(self, birth: Birth, shard: int, expected: int | None) -> None:
        found = self._worlds.get(birth.world)
        if expected is None and found is not None and shard in found.parts:
            raise refusals.exists(birth.world, self.where)
        if expected is not None and (found is None or shard not in found.parts):
            raise refusals.not_found(birth.world, self.where, self._worlds)
        if expected is None and found is None:
            taken = [*self._worlds, *self.held()]
            for other in taken:
                if other != birth.world and table_key(other) == table_key(birth.world):
                    raise refusals.same_table(birth.world, other)
        known = [found.birth] if found is not None else births_beside(self._claims, birth.world, shard)
        if expected is None and any(other != birth for other in known):
            raise refusals.born_otherwise(birth.world)

    def _check_commit(self, birth: Birth, shard: int, expected: int | None) -> None:
        if expected is not None:
            last = self._worlds[birth.world].parts[shard].sequence
            if last != expected:
                raise refusals.moved(birth.world, shard, last, expected)

    def heartbeat(self, lease: Lease) -> None:
        """See Store."""
        with self.lock:
            self._check_lease(lease)

    def release(self, lease: Lease) -> None:
        """See Store."""
        with self.lock:
            claim = self._claims.get((lease.world, lease.shard))
            if claim is not None and claim.token == lease.token:
                claim.token = claim.holder = ""

    def _check_lease(self, lease: Lease) -> Claim:
        claim = self._claims.get((lease.world, lease.shard))
        if claim is None or (claim.epoch, claim.token) != (lease.epoch, lease.token):
            raise refusals.lost(lease, claim.living() if claim else "")
        return claim

    def commit(self, pairs: Sequence[tuple[Lease, Batch]]) -> None:
        """See Store."""
        parcels = [(lease, checked_batch(lease, batch)) for lease, batch in pairs]
        with self.lock:
            stamp = max(self._clock(), self._stamp + 1)
            drafts: dict[str, MemoryWorld] = {}
            kinds = dict(self._kinds)
            fresh = False
            for lease, parcel in parcels:
                claim = self._check_lease(lease)
                world = drafts.get(parcel.world) or self._drafted(parcel, claim.birth)
                drafts[parcel.world] = world
                part = world.parts.get(parcel.shard)
                last = part.sequence if part else None
                if last is not None and parcel.sequence <= last:
                    continue
                if parcel.sequence != (0 if last is None else last + 1):
                    raise refusals.wrong_sequence(parcel.world, parcel.shard, last, parcel.sequence)
                keep = self.floor is not None or self._retention(parcel.world) != Retention()
                world.apply(parcel, stamp, kinds, keep=keep)
                fresh = True
            if fresh:
                for name, world in drafts.items():
                    world.let_go(self._retention(name), self.floor)
                self._worlds.update(drafts)
                self._kinds, self._stamp = kinds, stamp

    def _drafted(self, parcel: Parcel, birth: Birth) -> MemoryWorld:
        found = self._worlds.get(parcel.world)
        return found.draft() if found else MemoryWorld(birth, parcel.dtype)

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
        with self.lock:
            kinds, rows = self._table(world, table, at)
            chosen = wanted(where, kinds, table)
            places = [(list(kinds).index(name), value) for name, value in chosen.items()]
            match = [row for row in rows if all(row[place] == value for place, value in places)]
            return iter([dict(zip(kinds, row, strict=True)) for row in match[: checked_limit(limit)]])

    def count(self, world: str, table: str, *, at: At = None) -> int:
        """See Store."""
        with self.lock:
            if table == "persistent_users":
                users = self._found(world).users_at(at, self.where)
                return sum(not user.pruned for user in users.values())
            return len(self._table(world, table, at)[1])

    def _table(self, world: str, table: str, at: At) -> tuple[Mapping[str, str], Rows]:
        found = self._found(world)
        if table == "persistent_users":
            return PUBLIC_KINDS, self._public_rows(found, found.users_at(at, self.where))
        if table not in EVENT_TABLES:
            raise refusals.wrong_table(table)
        return self._kinds.get(table, {}), found.rows_at(table, at, self.where)

    def _public_rows(self, world: MemoryWorld, users: Mapping[int, User]) -> Rows:
        shown = {number: user for number, user in users.items() if not user.pruned}
        if shown and self.public is None:
            raise refusals.no_public(world.birth.world, self.where)
        if not shown or self.public is None:
            return []
        brought = [user.shown for user in shown.values() if user.shown is not None]
        shown = {number: user for number, user in shown.items() if user.shown is None}
        records = records_of([user.row for user in shown.values()], dtype_from(world.dtype))
        names = {number: user.name for number, user in shown.items() if user.name is not None}
        columns = public_values(self.public, world.birth, records, list(shown), names)
        columns[ACTIVE] = [
            0 if user.archived else flag for user, flag in zip(shown.values(), columns[ACTIVE], strict=True)
        ]
        stamps = [[user.created for user in shown.values()], [user.updated for user in shown.values()]]
        return sorted([*zip(*columns, *stamps, strict=True), *brought], key=lambda row: str(row[0]))

    def keep(self, lease: Lease, *, commits: int | None = None, hours: float | None = None) -> None:
        """See Store."""
        checked_keep(commits, hours)
        with self.lock:
            self._check_lease(lease)
            self._retentions[lease.world] = self._retention(lease.world).changed(commits, hours)

    def _retention(self, world: str) -> Retention:
        return self._retentions.get(world, Retention())

    def prune(self, lease: Lease, before: np.datetime64) -> None:
        """See Store. Here it is done at once."""
        moment = stored_scalar("before", "time", before)
        with self.lock:
            self._check_lease(lease)
            found = self._worlds.get(lease.world)
            if found is None or lease.shard not in found.parts:
                return
            self._pruned[lease.world, lease.shard] = moment
            moment = min(self._pruned.get((lease.world, shard), "") for shard in found.parts)
            kinds = list(self._kinds.get("touchpoints", {}).values())
            if "time" in kinds:
                place = kinds.index("time")
                found.events["touchpoints"] = [
                    (shard, sequence, row)
                    for shard, sequence, row in found.events["touchpoints"]
                    if row[place] is None or row[place] >= moment
                ]
            found.users = self._without_old(found, found.users, moment)
            for versions in found.past.values():
                for version in versions.values():
                    version.users = self._without_old(found, version.users, moment)

    def _without_old(self, world: MemoryWorld, users: dict[int, User], moment: str) -> dict[int, User]:
        gone = {number: user for number, user in users.items() if user.archived and not user.pruned}
        if not gone:
            return users
        seen = PUBLIC_COLUMNS.index("last_seen")
        last = {row[0]: row[seen] for row in self._public_rows(world, gone)}
        old = {
            n: replace(u, pruned=True, row=b"", shown=None)
            for n, u in gone.items()
            if last[u.name or default_id(n)] < moment
        }
        return {**users, **old}

    def fold(self) -> int:
        """See Store. Nothing waits here: rows are made when they are asked for."""
        if self.public is None and self._worlds:
            raise refusals.no_public(next(iter(self._worlds)), self.where)
        return 0

    def unload(self, world: str, shard: int | None = None, *, records: bool = True) -> Iterator[Portion]:
        """See Store."""
        with self.lock:
            found = self._found(world, shard)
            if shard is not None:
                found = found.only(shard)
            rows = {table: found.rows_at(table, None, self.where) for table in EVENT_TABLES}
            rows["persistent_users"] = self._public_rows(found, found.users)
            whole = whole_of(found, rows, self._kinds, self._stamp, self._retention(world))
        if not records:
            whole.shard_of.clear()
        return portions_of(whole)

    def adopt(self, leases: Sequence[Lease], portions: Iterable[Portion]) -> None:
        """See Store."""
        whole = gathered(*beheaded(leases, portions))
        head, name, kinds = whole.head, whole.head.birth.world, dict(self._kinds)
        with self.lock:
            for lease in leases:
                self._check_lease(lease)
            world = adopted(self._worlds.get(name), whole, kinds)
            self._worlds[name], self._kinds = world, kinds
            self._retentions[name] = head.retention
            self._stamp = max(self._stamp, head.stamp_us)

    def numbers(self, world: str, user_ids: Sequence[str]) -> Mapping[str, int]:
        """See Store."""
        with self.lock:
            users = self._found(world).users
            known = {user.name: number for number, user in users.items() if user.name is not None}
            found = {name: known.get(name, named_number(name)) for name in user_ids}
            return {
                name: number
                for name, number in found.items()
                if number in users and (users[number].name or default_id(number)) == name
            }

    def forget(self, lease: Lease, numbers: Sequence[int]) -> Erasure:
        """See Store."""
        with self.lock:
            self._check_lease(lease)
            world = self._found(lease.world, lease.shard).draft()
            erasure = erased(world, lease, numbers, self._kinds)
            self._worlds[lease.world] = world
            return erasure

    def _found(self, world: str, shard: int | None = None) -> MemoryWorld:
        found = self._worlds.get(world)
        if found is None:
            raise refusals.not_found(world, self.where, self._worlds)
        if shard is not None and shard not in found.parts:
            raise refusals.no_shard(world, shard, self.where)
        return found

    def close(self) -> None:
        """Memory that nobody can reach is freed by the interpreter; there is nothing else to let go of."""

    def before_fork(self) -> None:
        """No other thread may be in the middle of a change when the process is copied."""
        self.lock.acquire()

    def after_fork(self, *, child: bool) -> None:
        """The child goes on with a private copy."""
        self.lock.release()
