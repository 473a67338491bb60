"""A world in memory on its way to and from other stores, and people erased from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from storage import refusals
from storage.base import Erasure, Lease, default_id
from storage.checks import same_events, same_users
from storage.columns import PUBLIC_KINDS
from storage.memory_world import MemoryWorld, Part, Rows, User
from storage.moving import Gathered, Head, Stand
from storage.names import EVENT_TABLES, TABLES
from storage.retention import Retention


def whole_of(
    world: MemoryWorld,
    rows: Mapping[str, Rows],
    kinds: Mapping[str, Mapping[str, str]],
    stamp_us: int,
    retention: Retention,
) -> Gathered:
    """A world as of its last commit, as it travels.

    Args:
      rows: of each public table.
      kinds: event table -> columns.
      stamp_us: of the last commit of the store.
    """
    known = {"persistent_users": PUBLIC_KINDS, **{t: kinds[t] for t in EVENT_TABLES if kinds.get(t)}}
    head = Head(
        birth=world.birth,
        dtype=world.dtype,
        stands={s: Stand(p.sequence, p.market, p.summary, p.stamp_us) for s, p in world.parts.items()},
        kinds={table: dict(columns) for table, columns in known.items()},
        counts={table: len(rows[table]) for table in TABLES},
        retention=retention,
        stamp_us=stamp_us,
    )
    return Gathered(
        head,
        {number: user.shard for number, user in world.users.items()},
        {number: user.row for number, user in world.users.items() if not user.archived},
        {number: user.name for number, user in world.users.items() if user.name is not None},
        {table: list(rows[table]) for table in known},
    )


def adopted(known: MemoryWorld | None, whole: Gathered, kinds: dict[str, Mapping[str, str]]) -> MemoryWorld:
    """A world made of what has arrived.

    Args:
      known: the world as it is here already, with other shards.
      kinds: event table -> columns; written.
    Raises: StoreError if the columns are others.
    """
    head = whole.head
    world = known.draft() if known else MemoryWorld(head.birth, head.dtype)
    same_users(head.birth.world, world.dtype, head.dtype)
    first, stand = min(head.stands.items())
    for table in EVENT_TABLES:
        if table in head.kinds:
            same_events(table, kinds.setdefault(table, head.kinds[table]), head.kinds[table])
            world.events[table].extend((first, stand.sequence, row) for row in whole.rows[table])
    shown = {row[0]: row for row in whole.rows["persistent_users"]}
    for number, shard in whole.shard_of.items():
        row = shown.get(whole.names.get(number) or default_id(number))
        stamps = row[-2:] if row else ("", "")
        living = whole.living.get(number)
        world.users[number] = User(
            shard, whole.names.get(number), living or b"", stamps[0], stamps[1],
            archived=living is None, pruned=row is None, shown=row,
        )  # fmt: skip
    for shard, stand in head.stands.items():
        world.parts[shard] = Part(stand.sequence, stand.committed_us, stand.market, stand.summary)
    return world


def erased(
    world: MemoryWorld, lease: Lease, numbers: Sequence[int], kinds: Mapping[str, Mapping[str, str]]
) -> Erasure:
    """Takes people of a shard out of a draft of a world, and of its past; tombstones stay.

    Raises: StoreError for a number that never was a user of the shard.
    """
    for number in numbers:
        if number not in world.users or world.users[number].shard != lease.shard:
            raise refusals.nobody(lease.world, lease.shard, number)
    mine = {number: world.users[number] for number in numbers}
    found = {
        "records": sum(not user.archived for user in mine.values()),
        "past": sum(
            number in version.users and version.users[number].row != b""
            for number in mine
            for version in world.past.get(lease.shard, {}).values()
        ),
        "names": sum(user.name is not None for user in mine.values()),
        "persistent_users": sum(not user.pruned for user in mine.values()),
    }
    world.users = _entombed(world.users, lease.shard, mine)
    for shard, versions in world.past.items():
        world.past[shard] = {
            sequence: replace(version, users=_entombed(version.users, lease.shard, mine))
            for sequence, version in versions.items()
        }
    for table in ("touchpoints", "conversions"):
        columns, rows = list(kinds.get(table, {})), world.events[table]
        if "number" in columns:
            place = columns.index("number")
            world.events[table] = [event for event in rows if event[2][place] not in mine]
        found[table] = len(rows) - len(world.events[table])
    if mine:
        world.erased_at[lease.shard] = world.parts[lease.shard].sequence
    return Erasure(tuple(found), found)


def _entombed(users: dict[int, User], shard: int, leaving: Mapping[int, Any]) -> dict[int, User]:
    tombstone = User(shard, None, b"", "", "", archived=True, pruned=True)
    return {number: tombstone if number in leaving else user for number, user in users.items()}
