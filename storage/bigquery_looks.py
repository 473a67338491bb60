"""What a BigQuery place tells: worlds, people, rows and commits, of the dataset and the outbox together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from storage import refusals
from storage.base import At, CommitInfo, Public, Snapshot, StoreError, WorldInfo
from storage.bigquery_client import Wire
from storage.bigquery_load import load_shard
from storage.bigquery_outbox import Outbox
from storage.bigquery_rows import Reading
from storage.bigquery_sql import CREATE_WORLDS
from storage.bigquery_stand import Moved, Stands, read_stands
from storage.bigquery_tables import worlds_table
from storage.names import TABLES

T = TypeVar("T")
_READS = 8
"""So often a world is read again if somebody folds it meanwhile."""


class Looks:
    """A part of `bigquery.BigQueryPlace`, which has the line, the outbox, the leases and the locks."""

    wire: Wire
    outbox: Outbox
    where: str
    public: Public | None
    lock: threading.RLock
    _mine: dict[str, tuple[str, int, int]]
    _answers: dict[str, list[dict[str, Any]]]
    _clock: Callable[[], int]

    def is_there(self) -> bool:
        """Whether there is a dataset that is a store."""
        known = worlds_table.name in self.wire.known
        return known or (self.wire.is_there() and self.wire.found(worlds_table.name) is not None)

    def worlds(self) -> list[WorldInfo]:
        """See Store."""
        stands = self._stands()
        return stands.lines(self._tokens(), self._clock()) if stands else []

    def held(self) -> dict[str, str]:
        """World -> living holder, reserved worlds that are not yet born included."""
        stands = self._stands()
        found = {}
        for (world, _), stand in (stands.shards if stands else {}).items():
            holder = stand.holder(self._tokens(), self._clock())
            if holder:
                found[world] = holder
        return found

    def holder(self, world: str, shard: int = 0) -> str:
        """The living holder of one shard, "" if there is none."""
        stands = self._stands(world)
        stand = stands.shards.get((world, shard)) if stands else None
        return (stand.holder(self._tokens(), self._clock()) or "") if stand is not None else ""

    def load(self, world: str, shard: int = 0, *, at: int | None = None) -> Snapshot:
        """See Store."""
        return self._read(world, lambda stands: load_shard(self.wire, self.outbox, stands, world, shard, at))

    def history(self, world: str, shard: int = 0) -> list[CommitInfo]:
        """See Store."""
        stands = self._stands_of(world)
        shards = stands.of(world)
        if shard not in shards:
            raise refusals.no_shard(world, shard, self.where)
        return shards[shard].commits()

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

        def read(stands: Stands) -> list[dict[str, Any]]:
            reading = Reading(self.wire, self.outbox, stands, world, self.public, at)
            if table == "persistent_users":
                return reading.users(where, limit)
            return reading.events(table, where, limit)

        return iter(self._read(world, read))

    def count(self, world: str, table: str, *, at: At = None) -> int:
        """See Store."""
        if table not in TABLES:
            raise refusals.wrong_table(table)

        def read(stands: Stands) -> int:
            reading = Reading(self.wire, self.outbox, stands, world, self.public, at)
            return reading.count_users() if table == "persistent_users" else reading.count_events(table)

        return self._read(world, read)

    def _stands(self, world: str | None = None) -> Stands | None:
        """Where worlds stand; None if there is no store."""
        if worlds_table.name not in self.wire.known:
            if not self.is_there():
                return None
            self.wire.need(worlds_table, CREATE_WORLDS)
        stands = read_stands(self.wire, self.outbox, world, lambda: self._answers.get(world or ""))
        held = {(name, shard) for name, shard, _ in self._mine.values()}
        if world is not None and stands.shards and held.issuperset(stands.shards):
            # Nobody else changes what it says, as long as the leases are in force.
            self._answers[world] = stands.rows
        return stands

    def _changed(self) -> None:
        """What was read is no longer as it was."""
        self._answers = {}

    def _stands_of(self, world: str) -> Stands:
        """Where a world stands. Raises WorldNotFound."""
        stands = self._stands(world)
        if stands is None:
            raise refusals.not_found(world, self.where, [])
        if not stands.of(world):
            others = self._stands()
            raise refusals.not_found(world, self.where, others.born() if others else [])
        return stands

    def _read(self, world: str, read: Callable[[Stands], T]) -> T:
        """Reads a world, again if somebody folded it meanwhile."""
        with self.lock:
            for _ in range(_READS):
                stands = self._stands_of(world)
                shards = stands.of(world)
                try:
                    found = read(stands)
                except Moved:
                    continue
                held = {(name, shard) for name, shard, _ in self._mine.values()}
                if all((world, shard) in held for shard in shards):
                    return found
                if self._stands_of(world).versions() == stands.versions():
                    return found
        raise StoreError(
            f"World {world!r} in {self.where} was folded again and again while it was read; try once more."
        )

    def _tokens(self) -> list[str]:
        return list(self._mine)
