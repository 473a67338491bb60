"""Where the worlds of a dataset stand: what the base holds, which commits are not in it, who has the lease.

The commits that wait in the outbox of this machine are among them; readers elsewhere see them once they were
drained.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage import leases, refusals
from storage.base import Arrival, Birth, CommitInfo, NotAStore, ShardInfo, StoreError, WorldInfo
from storage.bigquery_client import Wire
from storage.bigquery_entries import Entry, read_body
from storage.bigquery_outbox import Outbox
from storage.bigquery_sql import OF_SHARD, OF_WORLD, STANDS
from storage.bigquery_tables import DELTAS, FORMAT
from storage.bigquery_values import typed
from storage.clock import time_text
from storage.deltas import Delta
from storage.identity import Process, this_process

SILENCE_US = 300 * 1_000_000
"""A holder elsewhere that was not heard of for so long (five minutes) loses its lease; it is heard of every
one."""


BODY = ("shard", "epoch", "sequence", "crc", "piece", "pieces", "body")
"""Columns of `gaelp_deltas` that a commit is put together from."""
KEPT_BYTES = 32 << 20
"""Commits of no more than this are kept in memory for the next look at the same world."""


class Moved(StoreError):
    """A fold went on while a world was read: read it again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A commit that is not in the base. `here`: in the outbox of this machine, and not yet in the dataset."""

    epoch: int
    sequence: int
    stamp_us: int
    fresh: int
    summary: str
    here: bool = False


@dataclass(slots=True)
class Stand:
    """A shard as of now.

    Attributes:
      row: of `gaelp_worlds`.
      waiting: the commits after the base, without a gap.
    """

    row: Mapping[str, Any]
    waiting: list[Waiting] = field(default_factory=list)

    @property
    def birth(self) -> Birth:
        return Birth(
            *(self.row[name] for name in ("world", "config", "fingerprint", "schema", "shards", "parent"))
        )

    @property
    def arrival(self) -> Arrival | None:
        """With which other shards it came into being."""
        return Arrival.read(self.row["arrival"])

    @property
    def base(self) -> int:
        """The commit that the base is of, -1 if there is none."""
        found = self.row["base_sequence"]
        return -1 if found is None else int(found)

    @property
    def folded(self) -> int:
        """The commit that the public tables are of, -1 if there is none."""
        found = self.row["folded"]
        return -1 if found is None else int(found)

    @property
    def born(self) -> bool:
        return self.base >= 0 or bool(self.waiting)

    @property
    def sequence(self) -> int:
        """Of the last commit, -1 before the birth."""
        return self.waiting[-1].sequence if self.waiting else self.base

    @property
    def stamp_us(self) -> int:
        """Of the last commit, 0 before the birth."""
        return self.waiting[-1].stamp_us if self.waiting else int(self.row["base_stamp_us"] or 0)

    @property
    def summary(self) -> str:
        return self.waiting[-1].summary if self.waiting else str(self.row["base_summary"] or "{}")

    @property
    def born_us(self) -> int:
        """The stamp of its birth."""
        known = self.row["born_us"]
        return int(known) if known is not None else (self.waiting[0].stamp_us if self.waiting else 0)

    def holder(self, mine: Sequence[str], wall_us: int) -> str:
        """Who holds the lease and lives, as a line; "" if nobody does.

        Args:
          mine: tokens of the leases that this process has.
        """
        row = self.row
        if not row["lease_token"]:
            return ""
        process = Process(
            row["lease_host"], row["lease_boot"], row["lease_space"], row["lease_pid"], row["lease_started"]
        )
        if process == this_process():
            lives = row["lease_token"] in mine and leases.has_owner(row["lease_token"])
        else:
            lives = process.lives(row["lease_heard_us"], wall_us, SILENCE_US)
        return process.line(row["lease_since_us"]) if lives else ""

    def commits(self) -> list[CommitInfo]:
        """The commits that can be read, oldest first."""
        found = []
        if self.base >= 0:
            summary = json.loads(self.row["base_summary"])
            found.append(CommitInfo(self.base, time_text(self.row["base_stamp_us"]), summary))
        return found + [
            CommitInfo(one.sequence, time_text(one.stamp_us), json.loads(one.summary)) for one in self.waiting
        ]

    def check_commit(self, where: str, at: object) -> None:
        """Raises CommitNotFound unless a commit can be read."""
        first = max(self.base, 0)
        if isinstance(at, bool) or not isinstance(at, int) or not first <= at <= self.sequence:
            raise refusals.no_commit(self.row["world"], self.row["shard"], where, at, first, self.sequence)


Key = tuple[str, int]


@dataclass(slots=True)
class Stands:
    """The worlds of a dataset, by name and shard.

    Attributes:
      kinds: event table -> column -> kind, as far as tables were made.
      rows: what the dataset answered.
    """

    shards: dict[Key, Stand]
    kinds: dict[str, dict[str, str]]
    rows: list[dict[str, Any]]

    def of(self, world: str) -> dict[int, Stand]:
        """The born shards of a world."""
        found = sorted(
            (key[1], stand) for key, stand in self.shards.items() if key[0] == world and stand.born
        )
        return dict(found)

    def born(self) -> list[str]:
        """The worlds in the order of their birth."""
        first: dict[str, tuple[int, int]] = {}
        for (world, _), stand in self.shards.items():
            if stand.born:
                order = (stand.born_us, int(stand.row["lease_since_us"] or 0))
                first[world] = min(first.get(world, order), order)
        return sorted(first, key=lambda world: first[world])

    def versions(self) -> dict[Key, Any]:
        """What changes whenever somebody folds or erases."""
        return {key: stand.row["version"] for key, stand in self.shards.items()}

    def lines(self, mine: Sequence[str], wall_us: int) -> list[WorldInfo]:
        """See Store.worlds."""
        lines = []
        for world in self.born():
            found = self.of(world)
            shards = tuple(
                ShardInfo(
                    shard,
                    stand.sequence,
                    json.loads(stand.summary),
                    stand.holder(mine, wall_us) or "",
                    stand.arrival,
                )
                for shard, stand in found.items()
            )
            lines.append(
                WorldInfo(
                    next(iter(found.values())).birth,
                    min(shard.sequence for shard in shards),
                    shards[0].summary,
                    next((shard.holder for shard in shards if shard.holder), ""),
                    shards,
                )
            )
        return lines


Table = list[dict[str, Any]]


def read_stands(
    wire: Wire, outbox: Outbox, world: str | None = None, known: Callable[[], Table | None] = lambda: None
) -> Stands:
    """Where all worlds stand, or one of them.

    Args:
      known: gives the rows that the dataset would answer with, if the caller can be sure of them.
    Raises: NotAStore for a dataset of a newer format.
    """
    # The outbox first: what is drained in between is found in both, and not in neither.
    here = outbox.heads(world)
    rows = known()
    if rows is None:
        rows = wire.query(STANDS, {"world": typed("STRING", world)})
    found = Stands({}, {}, rows)
    deltas: dict[Key, list[Waiting]] = {}
    for row in rows:
        key = row["world"], row["shard"]
        if not row["world"]:
            if row["format"] > FORMAT:
                raise NotAStore(
                    f"The store {wire.where} is of format {row['format']}, and this version of gaelp knows "
                    f"{FORMAT} at most. Upgrade gaelp."
                )
            found.kinds = json.loads(row["kinds"] or "{}")
            continue
        found.shards.setdefault(key, Stand(row))
        if row["delta_epoch"] is not None:
            deltas.setdefault(key, []).append(
                Waiting(
                    row["delta_epoch"], row["delta_sequence"], row["delta_stamp_us"], row["delta_fresh"],
                    row["delta_summary"],
                )
            )  # fmt: skip
    for key, stand in found.shards.items():
        stand.waiting = _valid(stand, deltas.get(key, []), [e for e in here if (e.world, e.shard) == key])
    return found


def _valid(stand: Stand, there: list[Waiting], here: list[Entry]) -> list[Waiting]:
    """The commits after the base: of an epoch that was in force when they were made, each sequence once."""
    settled, start = stand.row["lease_settled"], stand.row["lease_from"]
    best: dict[int, Waiting] = {}
    for one in there:
        if one.epoch == settled or one.sequence <= start:
            known = best.get(one.sequence)
            if known is None or one.epoch > known.epoch:
                best[one.sequence] = one
    for entry in here:
        if entry.epoch == stand.row["lease_epoch"]:
            best.setdefault(
                entry.sequence,
                Waiting(entry.epoch, entry.sequence, entry.stamp_us, entry.fresh, entry.summary, here=True),
            )
    found = []
    expected = stand.base + 1
    while expected in best:
        found.append(best[expected])
        expected += 1
    return found


def read_deltas(
    wire: Wire, outbox: Outbox, world: str, stands: Mapping[int, Stand], shard: int | None = None
) -> list[Delta]:
    """The commits of a world that are not in its base, whole, in the order in which they were made.

    Args:
      stands: of its shards; `shard`: of one only.
    Raises: Moved if a fold took one away meanwhile, NotAStore for damage.
    """
    wanted = {
        (k, one.epoch, one.sequence): one
        for k, stand in stands.items()
        if shard in (None, k)
        for one in stand.waiting
    }
    if not wanted:
        return []
    bodies: dict[tuple[int, int, int], Delta | None] = {
        key: delta for key in wanted if (delta := wire.read_before.get((world, *key))) is not None
    }
    if any(key not in bodies for key in wanted):
        for entry in outbox.entries(world, shard):
            bodies.setdefault((entry.shard, entry.epoch, entry.sequence), entry.read())
    if any(key not in bodies for key in wanted):
        # By the Storage Read API: as rows of a query a large commit would come as text, and slowly.
        where: dict[str, Any] = {"world": world} if shard is None else {"world": world, "shard": shard}
        rows = wire.read(DELTAS, BODY, OF_WORLD if shard is None else OF_SHARD, where).to_pylist()
        pieces: dict[tuple[int, int, int], dict[int, dict[str, Any]]] = {}
        for row in rows:
            pieces.setdefault((row["shard"], row["epoch"], row["sequence"]), {})[row["piece"]] = row
        for key, parts in pieces.items():
            if key in wanted and key not in bodies and len(parts) == parts[min(parts)]["pieces"]:
                whole = b"".join(parts[k]["body"] for k in sorted(parts))
                bodies[key] = read_body(whole, parts[0]["crc"])
    kept = {(world, *key): bodies[key] for key in wanted if bodies.get(key) is not None}
    small = sum(delta.users.nbytes for delta in kept.values() if delta is not None) < KEPT_BYTES
    wire.read_before = kept if small else {}
    found = []
    for key in wanted:
        if key not in bodies:
            raise Moved(f"World {world!r} was folded while it was read; read it again.")
        delta = bodies[key]
        if delta is None:
            raise refusals.damaged_commit(wire.where, world, key[0], key[2])
        found.append(delta)
    return sorted(found, key=lambda delta: (delta.stamp_us, delta.shard, delta.sequence))
