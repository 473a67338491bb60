"""A world as one, however many shards it has, for those who only read: totals, tables, one user's home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

from storage.base import CommitNotFound, Public, Snapshot, Store, WorldInfo
from storage.shards import load_as_of, shard_url
from storage.shared import open_store
from storage.siblings import UNBORN


class WholeWorld:
    """All shards of a world as of its barrier; while one is not born, the others as of their last commits.

    Attributes:
      url: of the store.
      line: where the world stands.
    """

    def __init__(self, url: str, line: WorldInfo, stores: Mapping[int, Store]) -> None:
        """Args: stores: of every shard that is born."""
        self.url, self.line = url, line
        self._stores = stores
        several = line.birth.shards > 1 and line.sequence != UNBORN
        self._at = line.sequence if several else None
        self._alone = {store.url: store for store in stores.values()}

    def snapshots(self) -> list[Snapshot]:
        """The people and market record of every shard that is born, in order."""
        world = self.line.birth.world
        return [load_as_of(store, world, shard, self._at) for shard, store in self._stores.items()]

    def count(self, table: str) -> int:
        """Rows of a public table, of all shards."""
        return sum(self._count(store, table) for store in self._alone.values())

    def _count(self, store: Store, table: str) -> int:
        try:
            return store.count(self.line.birth.world, table, at=self._at)
        except CommitNotFound:
            # Too far ahead to have kept the barrier: as near to it as it goes, as `load_as_of`.
            oldest = store.history(self.line.birth.world, self._shard_of(store))[0].sequence
            return store.count(self.line.birth.world, table, at=oldest)

    def _shard_of(self, store: Store) -> int:
        return next(shard for shard, other in self._stores.items() if other is store)

    def homes_of(self, user_id: str) -> list[str]:
        """URLs of the stores in which a user of that name lives, as of their last commits."""
        world, where = self.line.birth.world, {"user_id": user_id}
        return [
            url
            for url, store in self._alone.items()
            if any(store.rows(world, "persistent_users", where=where, limit=1))
        ]


@contextmanager
def whole_world(url: str, line: WorldInfo, public: Public | None = None) -> Iterator[WholeWorld]:
    """Opens all shards of a world for reading.

    Args:
      url, line: as `all_worlds` has them.
      public: as `open_store`.
    """
    birth = line.birth
    with ExitStack() as opened:
        stores: dict[int, Store] = {}
        by_url: dict[str, Store] = {}
        for shard in line.shards:
            home = shard_url(url, birth.world, shard.shard, birth.shards)
            if home not in by_url:
                by_url[home] = opened.enter_context(closing(open_store(home, read_only=True, public=public)))
            stores[shard.shard] = by_url[home]
        yield WholeWorld(url, line, stores)
