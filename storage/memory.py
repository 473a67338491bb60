"""The store in memory: the reference that every other store is tested against."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from storage import leases, refusals
from storage.base import (
    PUBLIC_COLUMNS,
    Batch,
    Birth,
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
    checked_limit,
    public_values,
    same_events,
    same_users,
)
from storage.clock import now_us, time_text
from storage.columns import PUBLIC_KINDS, stored_scalar, wanted
from storage.identity import this_process
from storage.names import EVENT_TABLES, table_key
from storage.records import dtype_from, records_of, rows_of


@dataclass(frozen=True, slots=True)
class _User:
    """A user as stored: its record's bytes, what nobody changes afterwards, and the stamps of its row."""

    shard: int
    name: str | None
    row: bytes
    created: str
    updated: str
    archived: bool = False
    pruned: bool = False


@dataclass(slots=True)
class _Claim:
    """The lease of one shard; `token` is "" when nobody holds it."""

    birth: Birth
    epoch: int = 0
    token: str = ""
    holder: str = ""

    def living(self) -> str:
        return self.holder if leases.has_owner(self.token) else ""


@dataclass(slots=True)
class _Part:
    """What a shard knows beside its users, as of its last commit."""

    sequence: int
    market: bytes
    summary: str
    pruned: str = ""  # up to which moment


@dataclass(slots=True)
class _World:
    """A world as of its last commit. Every value is immutable, so shallow copies are whole ones."""

    birth: Birth
    dtype: str
    parts: dict[int, _Part] = field(default_factory=dict)
    users: dict[int, _User] = field(default_factory=dict)
    events: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {t: [] for t in EVENT_TABLES})

    def draft(self) -> _World:
        return replace(
            self,
            parts={shard: replace(part) for shard, part in self.parts.items()},
            users=dict(self.users),
            events={table: list(rows) for table, rows in self.events.items()},
        )


class MemoryPlace:
    """Worlds in this process' memory. A commit works on copies, which replace the worlds at its end."""

    def __init__(self, where: str, clock: Callable[[], int] = now_us) -> None:
        self.where = where
        self.public: Public | None = None
        self.lock = threading.RLock()
        self._clock = clock
        self._worlds: dict[str, _World] = {}
        self._claims: dict[tuple[str, int], _Claim] = {}
        self._kinds: dict[str, Mapping[str, str]] = {}
        self._stamp = 0

    def is_there(self) -> bool:
        """Memory is always there."""
        return True

    def worlds(self) -> list[WorldInfo]:
        """See Store."""
        with self.lock:
            return [self._line(world) for world in self._worlds.values()]

    def _line(self, world: _World) -> WorldInfo:
        name, parts = world.birth.world, sorted(world.parts.items())
        claims = [claim for (claimed, _), claim in self._claims.items() if claimed == name]
        shards = tuple(
            ShardInfo(shard, part.sequence, json.loads(part.summary), self.holder(name, shard))
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

    def load(self, world: str, shard: int = 0) -> Snapshot:
        """See Store."""
        with self.lock:
            found = self._found(world)
            if shard not in found.parts:
                raise refusals.no_shard(world, shard, self.where)
            part = found.parts[shard]
            living = {n: u for n, u in sorted(found.users.items()) if u.shard == shard and not u.archived}
            return Snapshot(
                birth=found.birth,
                shard=shard,
                sequence=part.sequence,
                users=records_of([user.row for user in living.values()], dtype_from(found.dtype)),
                names={number: user.name for number, user in living.items() if user.name is not None},
                market=part.market,
                summary=json.loads(part.summary),
            )

    def acquire(self, birth: Birth, shard: int = 0, *, expected: int | None) -> Lease:
        """See Store."""
        checked_birth(birth, shard)
        with self.lock:
            claim = self._claims.get((birth.world, shard))
            self._check_existence(birth, shard, expected)
            if claim is not None and leases.has_owner_for_sure(claim.token):
                raise refusals.busy(birth.world, shard, claim.holder, birth.shards)
            self._check_commit(birth, shard, expected)
            claim = claim or _Claim(birth)
            holder = this_process().line(self._clock())
            lease = leases.grant(birth.world, shard, claim.epoch + 1, holder)
            self._claims[birth.world, shard] = _Claim(birth, lease.epoch, lease.token, holder)
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
        known = [found.birth] if found is not None else self._births_beside(birth.world, shard)
        if expected is None and any(other != birth for other in known):
            raise refusals.born_otherwise(birth.world)

    def _births_beside(self, world: str, shard: int) -> list[Birth]:
        """How those who hold other shards of an unborn world are about to bear it."""
        claims = [(where, claim) for where, claim in self._claims.items() if where != (world, shard)]
        return [claim.birth for (name, _), claim in claims if name == world and claim.living()]

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

    def _check_lease(self, lease: Lease) -> _Claim:
        claim = self._claims.get((lease.world, lease.shard))
        if claim is None or (claim.epoch, claim.token) != (lease.epoch, lease.token):
            raise refusals.lost(lease, claim.living() if claim else "")
        return claim

    def commit(self, pairs: Sequence[tuple[Lease, Batch]]) -> None:
        """See Store."""
        parcels = [(lease, checked_batch(lease, batch)) for lease, batch in pairs]
        with self.lock:
            stamp = max(self._clock(), self._stamp + 1)
            drafts: dict[str, _World] = {}
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
                _apply(world, parcel, time_text(stamp), kinds)
                fresh = True
            if fresh:
                self._worlds.update(drafts)
                self._kinds, self._stamp = kinds, stamp

    def _drafted(self, parcel: Parcel, birth: Birth) -> _World:
        found = self._worlds.get(parcel.world)
        return found.draft() if found else _World(birth, parcel.dtype)

    def rows(
        self, world: str, table: str, *, where: Mapping[str, Any] | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """See Store."""
        with self.lock:
            kinds, rows = self._table(world, table)
            chosen = wanted(where, kinds, table)
            places = [(list(kinds).index(name), value) for name, value in chosen.items()]
            match = [row for row in rows if all(row[place] == value for place, value in places)]
            return iter([dict(zip(kinds, row, strict=True)) for row in match[: checked_limit(limit)]])

    def count(self, world: str, table: str) -> int:
        """See Store."""
        with self.lock:
            if table == "persistent_users":
                return sum(not user.pruned for user in self._found(world).users.values())
            return len(self._table(world, table)[1])

    def _table(self, world: str, table: str) -> tuple[Mapping[str, str], list[tuple[Any, ...]]]:
        found = self._found(world)
        if table == "persistent_users":
            return PUBLIC_KINDS, self._public_rows(found)
        if table not in EVENT_TABLES:
            raise refusals.wrong_table(table)
        return self._kinds.get(table, {}), found.events[table]

    def _public_rows(self, world: _World) -> list[tuple[Any, ...]]:
        shown = {number: user for number, user in world.users.items() if not user.pruned}
        if shown and self.public is None:
            raise refusals.no_public(world.birth.world, self.where)
        if not shown or self.public is None:
            return []
        records = records_of([user.row for user in shown.values()], dtype_from(world.dtype))
        names = {number: user.name for number, user in shown.items() if user.name is not None}
        columns = public_values(self.public, world.birth, records, list(shown), names)
        active = PUBLIC_COLUMNS.index("is_active")
        columns[active] = [
            0 if user.archived else flag for user, flag in zip(shown.values(), columns[active], strict=True)
        ]
        stamps = [[user.created for user in shown.values()], [user.updated for user in shown.values()]]
        return sorted(zip(*columns, *stamps, strict=True))

    def prune(self, lease: Lease, before: np.datetime64) -> None:
        """See Store. Here it is done at once."""
        moment = stored_scalar("before", "time", before)
        with self.lock:
            self._check_lease(lease)
            found = self._worlds.get(lease.world)
            if found is None or lease.shard not in found.parts:
                return
            found.parts[lease.shard].pruned = moment
            moment = min(part.pruned for part in found.parts.values())
            kinds = list(self._kinds.get("touchpoints", {}).values())
            if "time" in kinds:
                place = kinds.index("time")
                rows = found.events["touchpoints"]
                found.events["touchpoints"] = [
                    row for row in rows if row[place] is None or row[place] >= moment
                ]
            if not any(user.archived and not user.pruned for user in found.users.values()):
                return
            seen = PUBLIC_COLUMNS.index("last_seen")
            last = {row[0]: row[seen] for row in self._public_rows(found)}
            for number, user in list(found.users.items()):
                if user.archived and not user.pruned and last[user.name or default_id(number)] < moment:
                    found.users[number] = replace(user, pruned=True, row=b"")

    def fold(self) -> int:
        """See Store. Nothing waits here: rows are made when they are asked for."""
        if self.public is None and self._worlds:
            raise refusals.no_public(next(iter(self._worlds)), self.where)
        return 0

    def _found(self, world: str) -> _World:
        found = self._worlds.get(world)
        if found is None:
            raise refusals.not_found(world, self.where, self._worlds)
        return found

    def close(self) -> None:
        """Memory that nobody can reach is freed by the interpreter; there is nothing else to let go of."""

    def before_fork(self) -> None:
        """No other thread may be in the middle of a change when the process is copied."""
        self.lock.acquire()

    def after_fork(self, *, child: bool) -> None:
        """The child goes on with a private copy."""
        self.lock.release()


def _apply(world: _World, parcel: Parcel, stamp: str, kinds: dict[str, Mapping[str, str]]) -> None:
    same_users(parcel.world, world.dtype, parcel.dtype)
    _upsert(world, parcel, stamp)
    _archive(world, parcel, stamp)
    for table, events in parcel.events.items():
        same_events(table, kinds.setdefault(table, events.kinds), events.kinds)
        world.events[table].extend(zip(*events.columns(), strict=True))
    before = world.parts.get(parcel.shard)
    pruned = before.pruned if before is not None else ""
    world.parts[parcel.shard] = _Part(parcel.sequence, parcel.market, parcel.summary, pruned)


def _upsert(world: _World, parcel: Parcel, stamp: str) -> None:
    taken = {user.name: number for number, user in world.users.items() if user.name is not None}
    for number, row in zip(parcel.numbers.tolist(), rows_of(parcel.users), strict=True):
        name = parcel.names.get(number)
        before = world.users.get(number)
        if before is not None and (before.shard, before.name, before.archived) != (parcel.shard, name, False):
            raise refusals.changed_user(parcel.world)
        if name is not None and taken.get(name, number) != number:
            raise refusals.name_taken(parcel.world)
        created = stamp if before is None else before.created
        world.users[number] = _User(parcel.shard, name, row, created, stamp)


def _archive(world: _World, parcel: Parcel, stamp: str) -> None:
    for number in parcel.archived.tolist():
        user = world.users.get(number)
        if user is None or user.archived or user.shard != parcel.shard:
            raise refusals.not_archivable(parcel.world)
        world.users[number] = replace(user, archived=True, updated=stamp)
