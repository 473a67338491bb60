"""What a backend does: a store for one process, shared by everybody who opened its URL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from storage.base import (
    Arrival,
    At,
    Batch,
    Birth,
    CommitInfo,
    Erasure,
    Floor,
    Lease,
    Public,
    Snapshot,
    WorldInfo,
)
from storage.moving import Portion


class Place(Protocol):
    """The verbs of `Store`, and what sharing and forking need.

    Thread safety: every verb may be called from any thread.
    Forking: `before_fork` leaves nothing open that a child must not share.

    Attributes:
      floor: asked before commits of a shard are let go of, see storage.base.Floor. The shards of a world
        that live in this place need none: what the one that is furthest behind has reached stays readable.
    """

    where: str
    public: Public | None
    floor: Floor | None

    def is_there(self) -> bool:
        """Whether there is anything to read: for a file, whether it exists."""
        ...

    def held(self) -> dict[str, str]:
        """World -> living holder, reserved worlds that are not yet born included."""
        ...

    def holder(self, world: str, shard: int = 0) -> str:
        """The living holder of one shard, "" if there is none."""
        ...

    def worlds(self) -> list[WorldInfo]: ...
    def load(self, world: str, shard: int = 0, *, at: int | None = None) -> Snapshot: ...
    def history(self, world: str, shard: int = 0) -> list[CommitInfo]: ...
    def acquire(
        self, birth: Birth, shard: int = 0, *, expected: int | None, arrival: Arrival | None = None
    ) -> Lease: ...
    def heartbeat(self, lease: Lease) -> None: ...
    def release(self, lease: Lease) -> None: ...
    def commit(self, pairs: Sequence[tuple[Lease, Batch]]) -> None: ...
    def rows(
        self,
        world: str,
        table: str,
        *,
        where: Mapping[str, Any] | None = None,
        limit: int | None = None,
        at: At = None,
    ) -> Iterator[dict[str, Any]]: ...
    def count(self, world: str, table: str, *, at: At = None) -> int: ...
    def keep(self, lease: Lease, *, commits: int | None = None, hours: float | None = None) -> None: ...
    def prune(self, lease: Lease, before: np.datetime64) -> None: ...
    def fold(self) -> int: ...
    def unload(self, world: str, shard: int | None = None, *, records: bool = True) -> Iterator[Portion]: ...
    def adopt(self, leases: Sequence[Lease], portions: Iterable[Portion]) -> None: ...
    def numbers(self, world: str, user_ids: Sequence[str]) -> Mapping[str, int]: ...
    def forget(self, lease: Lease, numbers: Sequence[int]) -> Erasure: ...
    def close(self) -> None: ...

    def before_fork(self) -> None:
        """Waits until no other thread is in the middle of a change, and keeps them out."""
        ...

    def after_fork(self, *, child: bool) -> None:
        """Lets them in again; in the child, forgets what belongs to the parent."""
        ...
