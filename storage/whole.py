"""A world as one, however many shards it has, for those who only read: people, tables, and its past."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, TypeVar

from storage.base import At, CommitInfo, CommitNotFound, Public, Snapshot, Store, WorldInfo
from storage.shards import birth_of, load_as_of, nearest, shard_url
from storage.shared import open_store
from storage.siblings import UNBORN

Found = TypeVar("Found")


class WholeWorld:
    """All shards of a world as of one commit of each.

    That is the last one that all have reached (the barrier), or the nearest to it that a shard far ahead has
    kept; while one of them is not born, the others' last ones.

    Attributes:
      url: of the store.
      shards: those that are born, in order.
    """

    def __init__(self, url: str, line: WorldInfo, stores: Mapping[int, Store], at: int | None = None) -> None:
        """Args: stores: by shard, of all that are born; at: exactly that commit, instead of the barrier."""
        self.url, self.shards = url, tuple(stores)
        self._line, self._stores, self._exact = line, stores, at is not None
        several = line.birth.shards > 1 and line.sequence != UNBORN
        self._at = line.sequence if at is None and several else at

    def as_of(self, sequence: int) -> WholeWorld:
        """The same as of one commit; what a shard does not have raises CommitNotFound when it is read."""
        return WholeWorld(self.url, self._line, self._stores, sequence)

    def parts(self) -> list[WholeWorld]:
        """The same for the shards of each store alone, in order: numbers of episodes are theirs."""
        at = self._at if self._exact else None
        homes = {id(store): store for store in self._stores.values()}
        return [
            WholeWorld(store.url, self._line, {k: s for k, s in self._stores.items() if s is store}, at)
            for store in homes.values()
        ]

    def first_commit(self) -> int:
        """The first commit that can be read of every shard."""
        world = self._line.birth.world
        return max(self.history(world, shard)[0].sequence for shard in self.shards)

    def knows(self, user_id: str) -> bool:
        """Whether somebody has that name."""
        found = self.rows(self._line.birth.world, "persistent_users", where={"user_id": user_id}, limit=1)
        return any(found)

    def numbers(self, world: str, user_ids: Sequence[str]) -> dict[str, int]:
        """See Store; of all shards."""
        found: dict[str, int] = {}
        for store in {id(store): store for store in self._stores.values()}.values():
            found.update(store.numbers(world, user_ids))
        return found

    def load(self, world: str, shard: int = 0) -> Snapshot:
        """See Store."""
        store = self._stores[shard]
        if self._exact:
            return store.load(world, shard, at=self._at)
        return load_as_of(store, world, shard, self._at)

    def history(self, world: str, shard: int = 0) -> list[CommitInfo]:
        """See Store."""
        return self._stores[shard].history(world, shard)

    def count(self, world: str, table: str) -> int:
        """See Store."""
        return sum(self._asked(lambda store, at: store.count(world, table, at=at)))

    def rows(
        self, world: str, table: str, *, where: Mapping[str, Any] | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """See Store; events one shard after the other."""
        found = self._asked(lambda store, at: store.rows(world, table, where=where, limit=limit, at=at))
        if table == "persistent_users":
            return itertools.islice(heapq.merge(*found, key=lambda row: str(row["user_id"])), limit)
        return itertools.islice(itertools.chain.from_iterable(found), limit)

    def _asked(self, ask: Callable[[Store, At], Found]) -> list[Found]:
        """What each store says as of the commit, or of each of its shards as near to it as that one goes."""
        found = []
        for store in {id(store): store for store in self._stores.values()}.values():
            try:
                found.append(ask(store, self._at))
            except CommitNotFound:
                if self._exact or self._at is None:
                    raise
                mine = [shard for shard, other in self._stores.items() if other is store]
                world, at = self._line.birth.world, self._at
                found.append(ask(store, {shard: nearest(store, world, shard, at) for shard in mine}))
        return found


@contextmanager
def whole_world(url: str, line: WorldInfo, public: Public | None = None) -> Iterator[WholeWorld]:
    """Opens all shards of a world for reading.

    Args:
      url, line: as `all_worlds` has them.
      public: as `open_store`.
    Raises: StoreError if some of the shards are still to come, or lost; see `storage.shards.birth_of`.
    """
    birth = line.birth
    if birth.shards > 1:
        birth_of(url, birth.world)
    with ExitStack() as opened:
        stores: dict[int, Store] = {}
        by_url: dict[str, Store] = {}
        for shard in line.shards:
            home = shard_url(url, birth.world, shard.shard, birth.shards)
            if home not in by_url:
                by_url[home] = opened.enter_context(closing(open_store(home, read_only=True, public=public)))
            stores[shard.shard] = by_url[home]
        yield WholeWorld(url, line, stores)
