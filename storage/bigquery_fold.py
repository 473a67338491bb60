"""The fold: commits of a shard go from `gaelp_deltas` into the public tables, and later into the base.

The public tables are folded up to the last commit; the base, by which earlier commits are read, up to the
oldest one that the world's retention keeps. Each step may be done again, by anybody with the lease, and
changes nothing then: it compares stamps, and the keys of events. Nobody without the lease changes anything.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage import bigquery_sql as sql
from storage import refusals
from storage.base import Floor, Lease, Public, StoreError
from storage.bigquery_client import Wire
from storage.bigquery_stage import events_staged, people_staged, users_staged
from storage.bigquery_stand import Stand, Stands
from storage.bigquery_tables import DELTAS, PEOPLE, event_table, people_table, users_table
from storage.bigquery_values import typed
from storage.clock import now_us
from storage.deltas import Delta
from storage.names import EVENT_TABLES
from storage.records import dtype_text
from storage.retention import Cut, Retention
from storage.sqlite_merge import Changes, together


def key_of(world: str) -> str:
    """A world's name as it can be part of the name of a job or a table; no two worlds share one."""
    clean = "".join(letter if letter.isalnum() else "_" for letter in world)
    return clean if clean == world else f"{clean}_{zlib.crc32(world.encode()):08x}"


def table_for(stands: Stands, world: str) -> str:
    """The table of a world's users: the one it has, else the plain name for the dataset's first world."""
    mine = [stand.row["users_table"] for stand in stands.of(world).values()]
    known = next((table for table in mine if table), None)
    if known is not None:
        return str(known)
    return "persistent_users" if stands.born()[0] == world else f"persistent_users__{key_of(world)}"


def cut_of(stands: Stands, world: str, shard: int, floor: Floor | None) -> Cut:
    """Where the past of a shard ends: as its retention says, but not after what all shards have reached, nor
    after the floor."""
    shards = stands.of(world)
    stand = shards[shard]
    lowest = min(one.sequence for one in shards.values())
    asked = floor(world, shard) if floor is not None else None
    retention = Retention(stand.row["keep_commits"], stand.row["keep_hours"])
    return retention.cut(stand.sequence, stand.stamp_us, lowest if asked is None else min(asked, lowest))


def new_base(stand: Stand, cut: Cut) -> int:
    """The commit that the base is to be of: the oldest one that is kept."""
    followed = [one.stamp_us for one in stand.waiting]
    for sequence, next_us in zip(
        range(max(stand.base, 0), stand.sequence), _next(stand, followed), strict=True
    ):
        if cut.keeps(sequence, next_us):
            return sequence
    return stand.sequence


def _next(stand: Stand, stamps: list[int]) -> list[int]:
    return stamps if stand.base >= 0 else stamps[1:]


@dataclass(slots=True)
class Fold:
    """The fold of one shard under its lease.

    Attributes:
      deltas: the commits after the base, in order.
      names: of the world's people.
      base: the commit that the base is to be of.
    """

    wire: Wire
    public: Public
    lease: Lease
    stands: Stands
    deltas: Sequence[Delta]
    names: Mapping[int, str]
    base: int
    stages: list[str] = field(default_factory=list)

    @property
    def stand(self) -> Stand:
        return self.stands.shards[self.lease.world, self.lease.shard]

    def run(self) -> int:
        """Folds; returns how many commits that took. Raises LeaseLost, leaving all for the next owner."""
        wire, stand, last = self.wire, self.stand, self.deltas[-1] if self.deltas else None
        fresh = [delta for delta in self.deltas if delta.sequence > stand.folded]
        self._check_in_force()
        wire.need(people_table)
        table = table_for(self.stands, self.lease.world)
        wire.need(users_table(table))
        self._people_and_users(table, [delta for delta in self.deltas if delta.sequence <= self.base], fresh)
        if fresh:
            self._events(fresh)
        if last is None:
            return 0
        base = next((delta for delta in self.deltas if delta.sequence == self.base), None)
        if base is not None:
            self._end(table, base, last)
            values = {"world": self.lease.world, "shard": self.lease.shard, "base": self.base}
            wire.change(sql.OLD_DELTAS, values, self._job("old"))
        else:
            self._end(table, None, last)
        # Not before: a fold that was broken off needs what it staged.
        for stage in self.stages:
            wire.drop(stage)
        return len(fresh)

    def _check_in_force(self) -> None:
        job = f"gaelp-look-{uuid.uuid4().hex}"
        if self.wire.change(sql.BEGIN_FOLD, self._mine() | {"wall": now_us()}, job) != 1:
            raise refusals.lost(self.lease, "")

    def _end(self, table: str, base: Delta | None, last: Delta) -> None:
        if base is None:
            row = self.stand.row
            values = {
                "base": row["base_sequence"],
                "stamp": row["base_stamp_us"],
                "summary": row["base_summary"],
            }
        else:
            values = {"base": base.sequence, "stamp": base.stamp_us, "summary": base.summary}
        values |= {
            "moved": base is not None, "market": b"" if base is None else base.market, "users": table,
            "born": self.stand.born_us, "dtype": dtype_text(last.users.dtype), "folded": last.sequence,
        }  # fmt: skip
        if self.wire.change(sql.END_FOLD, self._mine() | values, self._job("end")) != 1:
            raise refusals.lost(self.lease, "")

    def _people_and_users(self, table: str, old: Sequence[Delta], fresh: Sequence[Delta]) -> None:
        """Stages records and public rows in one table, and merges first those, then these."""
        import pyarrow as pa

        people, users = _staged_people(together(old), self.names), None
        changes = together(fresh)
        if changes is not None and len(changes.numbers) + len(changes.archived):
            users = users_staged(self.public, self.stand.birth, changes, self.names)
        both = [part for part in (people, users) if part is not None]
        if not both:
            return
        wire, stage = self.wire, self._staged("people", pa.concat_tables(both))
        if people is not None:
            numbers = people.column("number").to_pylist()
            bounds: dict[str, Any] = {"first": min(numbers), "last": max(numbers)}
            changed = wire.change(sql.merge_people(stage), self._mine() | bounds, self._job("merge-people"))
            where = {"world": self.lease.world, "shard": self.lease.shard}
            self._checked(PEOPLE, changed, len(numbers), sql.unmerged_people(stage), where)
        if users is not None:
            found = wire.query(sql.old_bounds(table, stage))[0]
            bounds = {
                "low": typed("TIMESTAMP", found["low"]), "high": typed("TIMESTAMP", found["high"]),
                "first": typed("STRING", found["first"]), "last": typed("STRING", found["last"]),
            }  # fmt: skip
            changed = wire.change(
                sql.merge_users(table, stage), self._mine() | bounds, self._job("merge-users")
            )
            self._checked(table, changed, users.num_rows, sql.unmerged_users(table, stage), {})

    def _events(self, deltas: Sequence[Delta]) -> None:
        kinds = dict(self.stands.kinds)
        for delta in deltas:
            for name, events in delta.events.items():
                kinds.setdefault(name, dict(events.kinds))
        if kinds != self.stands.kinds:
            self.wire.change(sql.KNOW_KINDS, {"kinds": json.dumps(kinds)}, self._job("kinds"))
            self.stands.kinds = kinds
        for name in EVENT_TABLES:
            if name not in kinds:
                continue
            table = event_table(name, kinds[name])
            self.wire.need(table)
            staged = events_staged(name, deltas, kinds[name], table.columns)
            if staged is None:
                continue
            stage = self._staged(name, staged)
            days = _days_of(staged, table.by_day)
            values = self._mine() | {"after": deltas[0].sequence - 1, "upto": deltas[-1].sequence} | days
            text = sql.append_events(name, stage, kinds[name], table.by_day)
            changed = self.wire.change(text, values, self._job(f"append-{name}"))
            where = {"world": self.lease.world, "shard": self.lease.shard} | days
            unmerged = sql.unmerged_events(name, stage, table.by_day)
            self._checked(name, changed, staged.num_rows, unmerged, where)

    def _staged(self, what: str, rows: Any) -> str:
        stage = f"gaelp_stage_{what}_{key_of(self.lease.world)}_s{self.lease.shard}"
        self.wire.load(stage, rows, self._job(f"stage-{what}"), replace=True, days=1)
        self.stages.append(stage)
        return stage

    def _checked(
        self, table: str, changed: int, wanted: int, unmerged: str, where: Mapping[str, Any]
    ) -> None:
        """Looks closer if a statement did not change as many rows as were brought.

        Fewer is right if it was done before, and broken off after it. Raises LeaseLost, StoreError.
        """
        if changed == wanted:
            return
        self._check_in_force()
        missing = self.wire.query(unmerged, where)[0]["n"]
        if missing or changed > wanted:
            raise StoreError(
                f"A fold into {table} of {self.wire.where} changed {changed} rows where {wanted} were "
                f"brought, and {missing} are missing. Its commits stay in {DELTAS}; look at the table, then "
                "run `gaelp fold`."
            )

    def _mine(self) -> dict[str, Any]:
        lease = self.lease
        return {"world": lease.world, "shard": lease.shard, "epoch": lease.epoch, "token": lease.token}

    def _job(self, what: str) -> str:
        last = self.deltas[-1].sequence if self.deltas else self.stand.sequence
        span = f"f{self.stand.folded + 1}-{last}-b{self.stand.base}-{self.base}"
        return f"gaelp-{key_of(self.lease.world)}-s{self.lease.shard}-{self.lease.token[:12]}-{span}-{what}"


def _days_of(staged: Any, moment: str) -> dict[str, Any]:
    """From when to when staged events are, as parameters; NULL if none of them says."""
    if not moment:
        return {}
    import pyarrow.compute as compute

    ends = compute.min_max(staged.column(moment)).as_py()
    return {"low": typed("TIMESTAMP", ends["min"]), "high": typed("TIMESTAMP", ends["max"])}


def _staged_people(changes: Changes | None, names: Mapping[int, str]) -> Any:
    if changes is None or not len(changes.numbers) + len(changes.archived):
        return None
    return people_staged(changes, names)


def prune(wire: Wire, stands: Stands, world: str, moment: Any, table: str, job: str) -> None:
    """Deletes touchpoints of before a moment, and rows of people who left and were last seen before it."""
    kinds = stands.kinds.get("touchpoints", {})
    column = next((name for name, kind in kinds.items() if kind == "time"), None)
    if column is not None:
        text = sql.PRUNE_EVENTS.format(table="touchpoints", moment=column)
        wire.change(text, {"world": world, "moment": moment}, f"{job}-touchpoints")
    wire.change(sql.PRUNE_USERS.format(table=table), {"moment": moment}, f"{job}-users")
