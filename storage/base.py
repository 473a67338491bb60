"""What a store promises: worlds outlive the process that played them.

A store knows columns, bytes and order; it knows nothing of advertising. The
caller brings the dtypes of its records; the store keeps their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from storage.errors import BadStoreURL as BadStoreURL
from storage.errors import BadWorldName as BadWorldName
from storage.errors import CommitNotFound as CommitNotFound
from storage.errors import LeaseLost as LeaseLost
from storage.errors import NotAStore as NotAStore
from storage.errors import StoreError as StoreError
from storage.errors import StoreFull as StoreFull
from storage.errors import WorldBusy as WorldBusy
from storage.errors import WorldExists as WorldExists
from storage.errors import WorldMoved as WorldMoved
from storage.errors import WorldNotFound as WorldNotFound
from storage.reports import Arrival as Arrival
from storage.reports import CommitInfo as CommitInfo
from storage.reports import Erasure as Erasure
from storage.reports import ShardInfo as ShardInfo

if TYPE_CHECKING:
    from storage.moving import Portion

At = int | Mapping[int, int] | None
"""As of which commit a world is read: that one of every shard, or shard -> commit (of one that is not named,
the last); None for the last ones."""

PUBLIC_COLUMNS: tuple[str, ...] = (
    "user_id",
    "canonical_user_id",
    "current_journey_state",
    "awareness_level",
    "fatigue_score",
    "intent_score",
    "episode_count",
    "last_episode",
    "first_seen",
    "last_seen",
    "touchpoint_history",
    "conversion_history",
    "is_active",
    "created_at",
    "updated_at",
)
"""The columns of `persistent_users`, in this order, in every store."""

STORE_STAMPED: tuple[str, ...] = ("created_at", "updated_at")
"""Audit columns that the store fills at each commit; the caller brings the others."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Lease:
    """The right to commit to one shard, until it is released or taken over.

    Keep the object that `acquire` gave out: when it is garbage (a crashed notebook cell, a
    forgotten env) the lease counts as dead, and the next `acquire` in this process may take it.

    Attributes:
      world, shard: what is leased.
      epoch: grows by one with every acquisition; never repeats.
      holder: who, as one readable line (host, process, since when).
      token: unique to this acquisition.
    """

    world: str
    shard: int
    epoch: int
    holder: str
    token: str


@dataclass(frozen=True, slots=True)
class Birth:
    """A world as it comes into being: what a store keeps once and for ever.

    Attributes:
      world: name, `[A-Za-z0-9][A-Za-z0-9_.-]*` parts joined by at most one "/", 100 characters
        at most; two names that differ only by case or by "/" for "_" do not fit in one store.
      config: the configuration, JSON text.
      fingerprint: hex digest of the configuration.
      schema: format number of the state records (grows when the dtype changes).
      shards: how many parts, each with people and a writer of its own, the world has for ever.
      parent: "world@sequence" for a fork, else "".
    """

    world: str
    config: str
    fingerprint: str
    schema: int
    shards: int = 1
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """One commit of one shard: absolute values, never increments.

    Attributes:
      sequence: 0 is the birth, then 1, 2, 3 … without a gap.
      users: structured rows `[U]` of the users that changed; the field "number" is the key.
        The dtype is the same in every batch of a world.
      names: number -> user_id of the users whom somebody named; the others are called
        `default_id(number)`. A user keeps the first `user_id` for ever. Names of users who are not in the
        batch are passed over.
      archived: numbers `[A]` of users that left for good; their rows stay readable in
        `persistent_users` (is_active = 0) and are not loaded again, nor accepted again.
      touchpoints, conversions, episodes: structured event rows of integers, floats, flags, texts
        and datetime64 (UTC). The first datetime64 field is the moment of the event. The first dtype
        that a store sees makes the table, though the array be empty; an empty array without fields
        says nothing.
      market: the market record (clock, chance key, counters), opaque bytes.
      summary: small JSON-able facts about the world after this commit (clock, totals),
        shown by `worlds()`; never needed to go on.
    """

    world: str
    shard: int
    sequence: int
    users: NDArray[Any]
    names: Mapping[int, str]
    archived: NDArray[np.uint32]
    touchpoints: NDArray[Any]
    conversions: NDArray[Any]
    episodes: NDArray[Any]
    market: bytes
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A shard as of one commit. Arrays are the caller's own.

    Attributes:
      users: structured rows `[U]` of all users not archived, sorted by number.
      names: number -> user_id for every loaded user whose user_id is not `default_id(number)`.
      erased: people were erased after this commit (see Store.forget): they are not among the users, but the
        market record may count them.
    """

    birth: Birth
    shard: int
    sequence: int
    users: NDArray[Any]
    names: Mapping[int, str]
    market: bytes
    summary: Mapping[str, Any]
    erased: bool = False


@dataclass(frozen=True, slots=True)
class WorldInfo:
    """A line of `worlds()`: a world, where it stands, and who holds it ("" if nobody living).

    Attributes:
      sequence: of the shard that is furthest behind, of those that are born.
      summary: of the first shard.
      shards: those that are born, in order.
    """

    birth: Birth
    sequence: int
    summary: Mapping[str, Any]
    holder: str
    shards: tuple[ShardInfo, ...] = ()


Floor = Callable[[str, int], int | None]
"""Which commit of a shard must stay readable, whatever the world's retention says.

Takes the world and the shard of which commits are about to be let go, while that is done. Returns the lowest
such commit; the retention counts back from there. None asks for nothing.
"""

Public = Callable[[Birth, NDArray[Any], Mapping[int, str]], Mapping[str, Any]]
"""How the public columns of users follow from their records.

Takes the birth of the world, records `[U]` and the names of those who have one. Returns column name ->
list or array of length U, for every public column that the store does not stamp itself. Times are
datetime64[us], JSON columns are text. A pure function: a store may call it at any time, and again.
"""


class Store(Protocol):
    """A place where worlds outlive the process.

    Durability: when `commit` returns, the batches survive a killed process and, in a file, a power cut.
    Atomicity: a `commit` that raises leaves no trace of any of its batches.
    Idempotence: (world, shard, sequence) names a batch; the first one stands, the same one again
      changes nothing.
    Folding: a commit is appended to a journal; the public tables are folded from it later, or at once, and
      anybody may fold again: a fold changes no answer of this class, and one that is killed has not begun.
    Order: a batch is accepted only at the sequence after the last one; a gap is refused.
    Fencing: a batch under a lease that was taken over is refused with LeaseLost, whatever the clocks say.
    Isolation: a reader sees whole commits only.
    Ownership: arrays handed in or out are never kept or changed by the other side afterwards.
    Moving: what `unload` hands out and `adopt` takes in is the same world to every reader, and goes on alike.
    Erasure: after `forget` no answer of this class, and no byte that the store can reach, tells of the
      people; their numbers are never given to anybody else.
    Past: commits within a world's retention (see `keep`) are read as they were: load, rows and count with
      `at` say what they said when that commit was the last one, but for what was pruned since. Older ones
      may be readable for a while (see `history`).

    Attributes:
      url: of the store.
      home: what lies behind it: equal for two stores exactly if one commit, of either, may bring batches
        under the leases of both.
      public: how rows of `persistent_users` are made; None: this store knows no way, so it never folds, and
        refuses to show users whose commits nobody has folded.
    """

    url: str
    public: Public | None

    @property
    def home(self) -> object: ...

    def worlds(self) -> list[WorldInfo]:
        """Lists the worlds of this store in the order of their birth."""
        ...

    def load(self, world: str, shard: int = 0, *, at: int | None = None) -> Snapshot:
        """Reads a shard as of a commit, the last one if `at` is None.

        Raises WorldNotFound; CommitNotFound for a commit that is not in `history`.
        """
        ...

    def history(self, world: str, shard: int = 0) -> list[CommitInfo]:
        """Lists the commits of a shard that can be read, without a gap, oldest first.

        Raises WorldNotFound.
        """
        ...

    def acquire(
        self, birth: Birth, shard: int = 0, *, expected: int | None, arrival: Arrival | None = None
    ) -> Lease:
        """Takes the write lease of a world that exists at sequence `expected`, or of a new
        one (`expected=None`: the world must not exist yet; it comes into being with the
        commit of sequence 0, and is listed from then on).

        Args:
          arrival: with which other shards a new one comes into being: the store keeps it beside the shard,
            and nobody else is given the lease of one that is still to come.
        Raises: WorldBusy (a living holder), WorldMoved (another sequence than expected), WorldExists
          (expected None, but it is there), StoreError for a shard that another act is to bring.
        """
        ...

    def heartbeat(self, lease: Lease) -> None:
        """Says that the holder lives. Raises LeaseLost."""
        ...

    def release(self, lease: Lease) -> None:
        """Gives the lease back. A lease already lost or released is no error."""
        ...

    def commit(self, pairs: Sequence[tuple[Lease, Batch]]) -> None:
        """Makes batches of one or several shards part of their worlds, all or none.

        Several batches of one shard follow each other in sequence. All rows of one commit carry
        one `updated_at`, later than that of any commit before.

        Raises LeaseLost, StoreFull, or StoreError with a sentence about the batch.
        """
        ...

    def rows(
        self,
        world: str,
        table: str,
        *,
        where: Mapping[str, Any] | None = None,
        limit: int | None = None,
        at: At = None,
    ) -> Iterator[dict[str, Any]]:
        """Reads the public tables as plain rows (dicts of Python scalars): users by user_id, events in the
        order in which they were committed.

        All rows are of one commit, the last one, folded or not: they are read before the first is handed
        out. Times are text
        'YYYY-MM-DD HH:MM:SS.ffffff' (UTC), flags 0 or 1, NaN and NaT None.

        Args:
          table: "persistent_users", "touchpoints", "conversions" or "episodes".
          where: column -> value; all must be equal.
          at: as of that commit of every shard, or shard -> commit; CommitNotFound if one does not have it.
        """
        ...

    def count(self, world: str, table: str, *, at: At = None) -> int:
        """Counts the rows of a public table, `at` as in `rows`."""
        ...

    def keep(self, lease: Lease, *, commits: int | None = None, hours: float | None = None) -> None:
        """Sets the retention of a world: how many of its commits stay readable.

        It lasts, for all shards, until it is set again. What is no longer wanted goes at the next commit or
        fold.

        Args:
          commits: the last so many of each shard, >= 1; 1 (the last one) unless it was set; None: as it was.
          hours: also those that were the last one at some moment of so many hours (wall clock, >= 0) before
            the shard's last commit; 0 unless it was set; None: as it was.
        Raises: StoreError for numbers that make no sense, LeaseLost.
        """
        ...

    def prune(self, lease: Lease, before: np.datetime64) -> None:
        """Deletes the world's touchpoints of before a UTC moment, and the rows of its archived users last
        seen before it, at the next fold at the latest; such touchpoints that are committed before that
        fold may go too. Names and numbers stay taken. Of several shards in one place, what is older than the
        latest moment of each of them."""
        ...

    def fold(self) -> int:
        """Brings the public tables up to the last commit; returns how many commits that took.

        Raises WorldBusy if another process writes the place, StoreError without `public`.
        """
        ...

    def unload(self, world: str, shard: int | None = None, *, records: bool = True) -> Iterator[Portion]:
        """Hands out a world whole, as of its last commit, in portions that fit in memory.

        All portions are of one commit, whatever is committed meanwhile. Earlier commits do not travel.

        Args:
          shard: of that one only; None for all that are in this place.
          records: False: the head and the public rows only.
        Raises: WorldNotFound; StoreError if events of shards cannot be told apart, as in a file that several
          share. At the first portion.
        """
        ...

    def adopt(self, leases: Sequence[Lease], portions: Iterable[Portion]) -> None:
        """Takes in a world that another store has unloaded, whole or not at all.

        Its commit, people, names, archived people, events and stamps are as they were; rows
        committed afterwards are stamped later than all of them. How much of one that was broken
        off is kept for the next try is the store's own affair; until the end nobody sees the world.

        Args:
          leases: of every shard that is brought, acquired with `expected=None`.
        Raises: LeaseLost, StoreFull, StoreError with a sentence about what does not fit.
        """
        ...

    def numbers(self, world: str, user_ids: Sequence[str]) -> Mapping[str, int]:
        """The numbers of users by user_id, archived and pruned ones too; who is not known is left out."""
        ...

    def forget(self, lease: Lease, numbers: Sequence[int]) -> Erasure:
        """Erases people of the lease's shard, living or archived, from everything that the store keeps.

        Erased are records, public rows, names, and the events whose field "number" is theirs, of all
        commits that can be read. A tombstone stays: the number alone, taken for ever as an archived
        user's is. The market record is the caller's: commit one that does not count them first.
        Done again it finds nothing more, and finishes what was broken off.

        Raises: LeaseLost, WorldNotFound (unborn), StoreFull, StoreError for a number that never was a user's.
        """
        ...

    def close(self) -> None:
        """Lets go of the place. Idempotent. Leases still held are released."""
        ...


def commit_of(at: At, shard: int) -> int | None:
    """As of which commit one shard is read; None for its last one."""
    return at.get(shard) if isinstance(at, Mapping) else at


def default_id(number: int) -> str:
    """The user_id of a user whom nobody named: "u" and nine digits."""
    return f"u{number:09d}"
