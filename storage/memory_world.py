"""A world as the store in memory keeps it, and what a batch makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from storage import refusals
from storage.base import PUBLIC_COLUMNS, Birth
from storage.checks import Parcel, same_events, same_users
from storage.names import EVENT_TABLES
from storage.records import rows_of

ACTIVE = PUBLIC_COLUMNS.index("is_active")


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


@dataclass(slots=True)
class Part:
    """What a shard knows beside its users, as of its last commit."""

    sequence: int
    market: bytes
    summary: str


@dataclass(slots=True)
class MemoryWorld:
    """A world as of its last commit. Every value is immutable, so shallow copies are whole ones."""

    birth: Birth
    dtype: str
    parts: dict[int, Part] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)
    events: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {t: [] for t in EVENT_TABLES})

    def draft(self) -> MemoryWorld:
        return replace(
            self,
            parts={shard: replace(part) for shard, part in self.parts.items()},
            users=dict(self.users),
            events={table: list(rows) for table, rows in self.events.items()},
        )


def apply(world: MemoryWorld, parcel: Parcel, stamp: str, kinds: dict[str, Mapping[str, str]]) -> None:
    same_users(parcel.world, world.dtype, parcel.dtype)
    _upsert(world, parcel, stamp)
    _archive(world, parcel, stamp)
    for table, events in parcel.events.items():
        same_events(table, kinds.setdefault(table, events.kinds), events.kinds)
        world.events[table].extend(zip(*events.columns(), strict=True))
    world.parts[parcel.shard] = Part(parcel.sequence, parcel.market, parcel.summary)


def _upsert(world: MemoryWorld, parcel: Parcel, stamp: str) -> None:
    taken = {user.name: number for number, user in world.users.items() if user.name is not None}
    for number, row in zip(parcel.numbers.tolist(), rows_of(parcel.users), strict=True):
        name = parcel.names.get(number)
        before = world.users.get(number)
        if before is not None and (before.shard, before.name, before.archived) != (parcel.shard, name, False):
            raise refusals.changed_user(parcel.world)
        if name is not None and taken.get(name, number) != number:
            raise refusals.name_taken(parcel.world)
        created = stamp if before is None else before.created
        world.users[number] = User(parcel.shard, name, row, created, stamp)


def _archive(world: MemoryWorld, parcel: Parcel, stamp: str) -> None:
    for number in parcel.archived.tolist():
        user = world.users.get(number)
        if user is None or user.archived or user.shard != parcel.shard:
            raise refusals.not_archivable(parcel.world)
        shown = user.shown and (*user.shown[:ACTIVE], 0, user.shown[ACTIVE + 1], stamp)
        world.users[number] = replace(user, archived=True, updated=stamp, shown=shown)
