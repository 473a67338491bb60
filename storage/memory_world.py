"""A world in memory: what it is as of its last commit, and as of earlier ones that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from storage import refusals
from storage.base import PUBLIC_COLUMNS, At, Birth, Floor, commit_of
from storage.checks import Parcel, same_events, same_users
from storage.clock import time_text
from storage.names import EVENT_TABLES
from storage.records import rows_of
from storage.retention import Retention

ACTIVE = PUBLIC_COLUMNS.index("is_active")
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class User:
    """A user as stored: its record's bytes, what nobody changes afterwards, and the stamps of its row.

    `shown` is the public row of a user who came from another store, as long as no commit changes it.
    """

    shard: int
    name: str | None
    row: bytes
    created: str
    updated: str
    archived: bool = False
    pruned: bool = False
    shown: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What a shard knows beside its users, as of a commit."""

    sequence: int
    stamp_us: int
    market: bytes
    summary: str


@dataclass(slots=True)
class Version:
    """A shard as of a commit that is not the last one.

    Attributes:
      users: of the world; those of the shard count.
      followed_us: stamp of the commit after it.
    """

    part: Part
    users: dict[int, User]
    followed_us: int


@dataclass(slots=True)
class MemoryWorld:
    """A world as of its last commit, and its past. Its values are immutable: shallow copies are whole ones.

    Attributes:
      events: table -> the shard and the commit that brought it, and the row.
      past: shard -> sequence -> an earlier commit, without a gap up to the last one.
      erased_at: shard -> the commit after which somebody was last erased.
    """

    birth: Birth
    dtype: str
    parts: dict[int, Part] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)
    events: dict[str, list[tuple[int, int, tuple[Any, ...]]]] = field(
        default_factory=lambda: {table: [] for table in EVENT_TABLES}
    )
    past: dict[int, dict[int, Version]] = field(default_factory=dict)
    erased_at: dict[int, int] = field(default_factory=dict)

    def draft(self) -> MemoryWorld:
        """A copy to work on."""
        return replace(
            self,
            parts=dict(self.parts),
            users=dict(self.users),
            events={table: list(rows) for table, rows in self.events.items()},
            past={shard: dict(versions) for shard, versions in self.past.items()},
        )

    def part_at(self, shard: int, at: int | None, where: str) -> tuple[Part, dict[int, User]]:
        """A shard as of a commit: its part, and the users of the world. Raises CommitNotFound."""
        part, versions = self.parts[shard], self.past.get(shard, {})
        if at is None or at == part.sequence:
            return part, self.users
        if at not in versions:
            first = min(versions, default=part.sequence)
            raise refusals.no_commit(self.birth.world, shard, where, at, first, part.sequence)
        return versions[at].part, versions[at].users

    def users_at(self, at: At, where: str) -> dict[int, User]:
        """The users of all shards as of a commit of each. Raises CommitNotFound."""
        if at is None:
            return self.users
        users: dict[int, User] = {}
        for shard in self.parts:
            found = self.part_at(shard, commit_of(at, shard), where)[1]
            users.update({number: user for number, user in found.items() if user.shard == shard})
        return users

    def rows_at(self, table: str, at: At, where: str) -> Rows:
        """Events of all shards as of a commit of each. Raises CommitNotFound."""
        last = {shard: self.part_at(shard, commit_of(at, shard), where)[0].sequence for shard in self.parts}
        return [row for shard, sequence, row in self.events[table] if sequence <= last[shard]]

    def only(self, shard: int) -> MemoryWorld:
        """A copy in which there is one of the shards, without its past."""
        return replace(
            self,
            parts={shard: self.parts[shard]},
            users={number: user for number, user in self.users.items() if user.shard == shard},
            events={table: [r for r in rows if r[0] == shard] for table, rows in self.events.items()},
            past={},
        )

    def apply(
        self, parcel: Parcel, stamp_us: int, kinds: dict[str, Mapping[str, str]], *, keep: bool
    ) -> None:
        """Makes a commit part of the world, and the one before it part of its past if that is to be kept.

        Raises StoreError, leaving a draft that is of no use.
        """
        same_users(parcel.world, self.dtype, parcel.dtype)
        before = self.parts.get(parcel.shard)
        if before is not None and (keep or self.birth.shards > 1):
            versions = self.past.setdefault(parcel.shard, {})
            versions[before.sequence] = Version(before, self.users, stamp_us)
            self.users = dict(self.users)
        _upsert(self.users, parcel, time_text(stamp_us))
        _archive(self.users, parcel, time_text(stamp_us))
        for table, events in parcel.events.items():
            same_events(table, kinds.setdefault(table, events.kinds), events.kinds)
            rows = zip(*events.columns(), strict=True)
            self.events[table].extend((parcel.shard, parcel.sequence, row) for row in rows)
        self.parts[parcel.shard] = Part(parcel.sequence, stamp_us, parcel.market, parcel.summary)

    def let_go(self, retention: Retention, floor: Floor | None) -> None:
        """Drops the commits that the world's retention no longer wants."""
        whole = len(self.parts) == self.birth.shards
        reached = min(part.sequence for part in self.parts.values()) if whole else 0
        for shard, versions in self.past.items():
            part = self.parts[shard]
            asked = floor(self.birth.world, shard) if floor is not None else None
            cut = retention.cut(
                part.sequence, part.stamp_us, reached if asked is None else min(asked, reached)
            )
            self.past[shard] = {s: v for s, v in versions.items() if cut.keeps(s, v.followed_us)}


def _upsert(users: dict[int, User], parcel: Parcel, stamp: str) -> None:
    taken = {user.name: number for number, user in users.items() if user.name is not None}
    for number, row in zip(parcel.numbers.tolist(), rows_of(parcel.users), strict=True):
        name = parcel.names.get(number)
        before = users.get(number)
        if before is not None and (before.shard, before.name, before.archived) != (parcel.shard, name, False):
            raise refusals.changed_user(parcel.world)
        if name is not None and taken.get(name, number) != number:
            raise refusals.name_taken(parcel.world)
        created = stamp if before is None else before.created
        users[number] = User(parcel.shard, name, row, created, stamp)


def _archive(users: dict[int, User], parcel: Parcel, stamp: str) -> None:
    for number in parcel.archived.tolist():
        user = users.get(number)
        if user is None or user.archived or user.shard != parcel.shard:
            raise refusals.not_archivable(parcel.world)
        shown = user.shown and (*user.shown[:ACTIVE], 0, user.shown[ACTIVE + 1], stamp)
        users[number] = replace(user, archived=True, updated=stamp, shown=shown)
