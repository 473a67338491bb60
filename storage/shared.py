"""One place per URL in a process, counted: the first open makes it, the last close lets it go."""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet, finalize

import numpy as np

# Imported before this module registers its own fork hooks, so that its lock is the last one taken.
from storage import filelock
from storage.base import (
    Arrival,
    At,
    Batch,
    Birth,
    CommitInfo,
    Erasure,
    Lease,
    Public,
    Snapshot,
    StoreError,
    WorldInfo,
    WorldNotFound,
)
from storage.moving import Portion
from storage.place import Place
from storage.urls import Address, read_url

Key = tuple[str, str]


@dataclass(slots=True)
class _Shared:
    place: Place
    count: int


_shared: dict[Key, _Shared] = {}
_places: WeakSet[Place] = WeakSet()
_guard = threading.RLock()
_forgotten: deque[Key] = deque()


def open_store(url: str, *, read_only: bool = False, public: Public | None = None) -> SharedStore:
    """Opens a store by its URL; nothing is touched before it is read or written.

    Args:
      url: "memory:" (fresh and private), "memory:NAME" (shared in this process for as long as it
        runs), "sqlite:///relative/path.db", "sqlite:////absolute/path.db" or "bigquery://project/dataset".
      read_only: refuse every write, and a file that is not there.
      public: how rows of `persistent_users` follow from records; who gives none uses what others in this
        process gave for the same URL. For worlds of gaelp_env: `gaelp_env.world_public.public_of`.
    Returns: a store of the caller's own; it shares the connection with every other store of the
      same URL in this process. Close it; a store that is garbage counts as closed.
    Raises: BadStoreURL.
    """
    address = read_url(url)
    with _guard:
        _sweep()
        key, place = _place_at(address)
        if public is not None:
            place.public = public
        return SharedStore(url, place, key, read_only=read_only)


def _place_at(address: Address) -> tuple[Key, Place]:
    key = (address.scheme, address.name)
    shared = _shared.get(key)
    if shared is None or key == ("memory", ""):
        shared = _Shared(_made(address), 0)
        _places.add(shared.place)
        if address.name:
            _shared[key] = shared
    shared.count += 1
    return key, shared.place


def _made(address: Address) -> Place:
    if address.scheme == "memory":
        from storage.memory import MemoryPlace

        return MemoryPlace(address.url)
    if address.scheme == "bigquery":
        from storage.bigquery import BigQueryPlace

        project, _, dataset = address.name.partition("/")
        return BigQueryPlace(project, dataset)
    from storage.sqlite import SqlitePlace

    return SqlitePlace(address.name)


def _let_go(key: Key) -> None:
    with _guard:
        _uncount(key)
        _sweep()


def _uncount(key: Key) -> None:
    shared = _shared.get(key)
    # A named memory store lives as long as the process: nobody could find its worlds again.
    if shared is None or key[0] == "memory":
        return
    shared.count -= 1
    if shared.count == 0:
        del _shared[key]
        shared.place.close()


def _sweep() -> None:
    while _forgotten:
        _uncount(_forgotten.popleft())
    filelock.settle()


class SharedStore:
    """A store as one caller has it: its own URL, leases and end; the place behind it is shared.

    Implements `storage.base.Store`, where the promises are written.
    """

    def __init__(self, url: str, place: Place, key: Key, *, read_only: bool) -> None:
        self.url = url
        self.read_only = read_only
        self._place = place
        self._key = key
        self._forgetting = finalize(self, _forgotten.append, key)
        self._forgetting.atexit = False
        self._leases: WeakSet[Lease] = WeakSet()
        self._closed = False

    @property
    def public(self) -> Public | None:
        """See Store."""
        return self._place.public

    @public.setter
    def public(self, public: Public | None) -> None:
        self._place.public = public

    @property
    def home(self) -> Place:
        """See Store."""
        return self._place

    def worlds(self) -> list[WorldInfo]:
        """See Store. Raises WorldNotFound for a missing file opened with read_only."""
        return self._readable().worlds()

    def held(self) -> dict[str, str]:
        """World -> living holder, reserved worlds that are not yet born included."""
        return self._readable().held()

    def holder(self, world: str, shard: int = 0) -> str:
        """The living holder of one shard, "" if there is none."""
        return self._readable().holder(world, shard)

    def load(self, world: str, shard: int = 0, *, at: int | None = None) -> Snapshot:
        """See Store."""
        return self._readable().load(world, shard, at=at)

    def history(self, world: str, shard: int = 0) -> list[CommitInfo]:
        """See Store."""
        return self._readable().history(world, shard)

    def acquire(
        self, birth: Birth, shard: int = 0, *, expected: int | None, arrival: Arrival | None = None
    ) -> Lease:
        """See Store."""
        lease = self._writable().acquire(birth, shard, expected=expected, arrival=arrival)
        self._leases.add(lease)
        return lease

    def heartbeat(self, lease: Lease) -> None:
        """See Store."""
        self._writable().heartbeat(lease)

    def release(self, lease: Lease) -> None:
        """See Store."""
        self._leases.discard(lease)
        if not self._closed:
            self._place.release(lease)

    def commit(self, pairs: Sequence[tuple[Lease, Batch]]) -> None:
        """See Store."""
        self._writable().commit(pairs)

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
        return self._readable().rows(world, table, where=where, limit=limit, at=at)

    def count(self, world: str, table: str, *, at: At = None) -> int:
        """See Store."""
        return self._readable().count(world, table, at=at)

    def keep(self, lease: Lease, *, commits: int | None = None, hours: float | None = None) -> None:
        """See Store."""
        self._writable().keep(lease, commits=commits, hours=hours)

    def prune(self, lease: Lease, before: np.datetime64) -> None:
        """See Store."""
        self._writable().prune(lease, before)

    def fold(self) -> int:
        """See Store."""
        return self._writable().fold()

    def unload(self, world: str, shard: int | None = None, *, records: bool = True) -> Iterator[Portion]:
        """See Store."""
        return self._readable().unload(world, shard, records=records)

    def adopt(self, leases: Sequence[Lease], portions: Iterable[Portion]) -> None:
        """See Store."""
        self._writable().adopt(leases, portions)

    def numbers(self, world: str, user_ids: Sequence[str]) -> Mapping[str, int]:
        """See Store."""
        return self._readable().numbers(world, user_ids)

    def forget(self, lease: Lease, numbers: Sequence[int]) -> Erasure:
        """See Store."""
        return self._writable().forget(lease, numbers)

    def close(self) -> None:
        """See Store."""
        if self._closed:
            return
        self._closed = True
        self._forgetting.detach()
        try:
            for lease in list(self._leases):
                self._place.release(lease)
        finally:
            _let_go(self._key)

    def _readable(self) -> Place:
        if self._closed:
            raise StoreError(f"The store {self.url} was closed; open it again with open_store.")
        if self.read_only and not self._place.is_there():
            raise WorldNotFound(
                f"There is no file for the store {self.url}; check the path, or open it for writing to "
                "create it."
            )
        return self._place

    def _writable(self) -> Place:
        if self._closed:
            raise StoreError(f"The store {self.url} was closed; open it again with open_store.")
        if self.read_only:
            raise StoreError(
                f"The store {self.url} was opened with read_only=True; open it without, to write."
            )
        return self._place


def _leave() -> None:
    with _guard:
        for shared in _shared.values():
            shared.place.close()
        _shared.clear()


def _before_fork() -> None:
    _guard.acquire()
    for place in list(_places):
        place.before_fork()
        _stopped.append(place)


def _after_fork(*, child: bool) -> None:
    while _stopped:
        _stopped.pop().after_fork(child=child)
    _guard.release()


_stopped: list[Place] = []
atexit.register(_leave)
os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(child=False),
    after_in_child=lambda: _after_fork(child=True),
)
