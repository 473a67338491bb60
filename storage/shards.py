"""Shards: where each shard of a world lives, which one is free, and what all of them have reached together.

In a SQLite store a world of several shards lives in files beside the one that the URL names, one a shard,
so that as many processes can write; the file itself keeps to worlds of one shard. In memory all live in one
place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary, finalize

from storage import filelock, refusals
from storage.base import Birth, CommitNotFound, Snapshot, Store, WorldBusy
from storage.family import Known as Known
from storage.family import birth_in
from storage.family_names import shard_path, shard_paths
from storage.shared import SharedStore, open_store
from storage.siblings import url_beside
from storage.urls import read_url

MOST_SHARDS = 64
"""As many shards a world may have."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class OwnShard:
    """A shard that is the caller's to write, for as long as this object is kept.

    Attributes:
      url: of the store in which it lives, or is to be born.
      shard: its number, from 0.
    """

    url: str
    shard: int


_claimed: WeakValueDictionary[tuple[str, str, str, int], OwnShard] = WeakValueDictionary()


def birth_of(url: str, world: str) -> Birth | None:
    """How a world of a store was born, or is about to be by somebody living; None if it is not there.

    Raises: BadStoreURL; NotAStore if the file of one of its shards is missing, naming it; StoreError if
      some of its shards are still to come, see `storage.arrivals`.
    """
    found = known_of(url, world)
    if found is None:
        return None
    found.check_whole(url)
    return found.birth


def known_of(url: str, world: str) -> Known | None:
    """A world of a store as it is there, whole or not. Raises BadStoreURL, NotAStore as `birth_of`."""
    address = read_url(url)
    if address.scheme != "sqlite":
        with _opened(url) as store:
            return known_in(store, world)
    found = birth_in(address.name, world)
    if found is not None:
        return found
    there = shard_paths(address.name, world)
    parts = [known for known in (birth_in(path, world) for path in there.values()) if known is not None]
    if not parts:
        return None
    birth = parts[0].birth
    born = {shard: arrival for known in parts for shard, arrival in known.born.items()}
    # Only a world that is born has made all seats; one that is about to be may be making them.
    missing = [shard for shard in range(birth.shards) if shard not in there]
    if missing and born:
        path = shard_path(address.name, world, missing[0])
        raise refusals.shard_missing(world, missing[0], birth.shards, path)
    return Known(birth, born, {shard: each for known in parts for shard, each in known.awaited.items()})


def known_in(store: Store, world: str) -> Known | None:
    """A world of one place as it is there; None if it is not born."""
    line = next((line for line in store.worlds() if line.birth.world == world), None)
    return Known(line.birth, {one.shard: one.arrival for one in line.shards}, {}) if line else None


def shard_url(url: str, world: str, shard: int, shards: int) -> str:
    """The URL of the store in which a shard lives, or is to be born: `url` itself if the file has the world,
    because somebody opened that one file as a store and gave it to World.open."""
    address = read_url(url)
    if shards == 1 or address.scheme != "sqlite" or birth_in(address.name, world) is not None:
        return url
    return url_beside(address, shard_path(address.name, world, shard))


def free_shard(url: str, world: str, shards: int) -> OwnShard:
    """Claims the first shard of a world that nobody holds and that this process can write.

    Race-free across threads and processes: until the returned object is garbage nobody else is given the
    same one. Keep it at least until the lease is taken, best as long as the world is open.

    Raises: WorldBusy, naming all holders, if there is none; BadStoreURL, NotAStore, StoreFull.
    """
    for shard in range(shards):
        found = claim_shard(url, world, shard, shards)
        if found is not None:
            return found
    raise refusals.all_busy(world, url, [_holder(url, world, shard, shards) for shard in range(shards)])


def claim_shard(url: str, world: str, shard: int, shards: int) -> OwnShard | None:
    """Claims one shard for this caller; None if another one holds or writes it."""
    address, home = read_url(url), shard_url(url, world, shard, shards)
    if not address.name:
        return OwnShard(home, shard)
    key = (address.scheme, address.name, world, shard)
    if key in _claimed:
        return None
    lock = read_url(home).name if address.scheme == "sqlite" else None
    if lock is not None and not _locked(lock):
        return None
    with _opened(home) as store:
        free = not store.holder(world, shard)
    claim = OwnShard(home, shard)
    if free and _claimed.setdefault(key, claim) is claim:
        if lock is not None:
            finalize(claim, filelock.forget, lock, os.getpid()).atexit = False
        return claim
    if lock is not None:
        filelock.drop(lock)
    return None


def _locked(path: str) -> bool:
    if not filelock.can_take(path):
        return False
    try:
        filelock.take(path)
    except WorldBusy:
        return False
    return True


def _holder(url: str, world: str, shard: int, shards: int) -> str:
    home = shard_url(url, world, shard, shards)
    with _opened(home) as store:
        held = store.holder(world, shard)
    address = read_url(home)
    return held or (filelock.holder(address.name) if address.scheme == "sqlite" else "")


def barrier_of(stores: Mapping[int, Store], world: str) -> int:
    """The largest sequence that every shard of a world has reached: what readers and forks see of all.

    Args:
      stores: of every shard.
    Raises: WorldNotFound if a shard is not born yet.
    """
    reached = []
    for shard, store in stores.items():
        there = store.worlds()
        born = [each for line in there if line.birth.world == world for each in line.shards]
        found = next((each.sequence for each in born if each.shard == shard), None)
        if found is None:
            raise refusals.unborn_shard(world, shard, store.url)
        reached.append(found)
    return min(reached)


def load_as_of(store: Store, world: str, shard: int, sequence: int | None) -> Snapshot:
    """A shard as of a commit, or as near to it as it is kept if the shard is far ahead; None is its last one.

    Shards have no effect on each other, so their commits belong together whatever their sequences are; the
    barrier makes them comparable. Raises WorldNotFound, CommitNotFound for a commit that is yet to come.
    """
    try:
        return store.load(world, shard, at=sequence)
    except CommitNotFound:
        if sequence is None or nearest(store, world, shard, sequence) == sequence:
            raise
        return store.load(world, shard, at=nearest(store, world, shard, sequence))


def nearest(store: Store, world: str, shard: int, sequence: int) -> int:
    """A commit of a shard, or the first that can be read if it is older than that."""
    return max(store.history(world, shard)[0].sequence, sequence)


def load_beside(
    stores: Mapping[int, Store], own: Snapshot, at: str | int, wanted: Sequence[int]
) -> list[Snapshot]:
    """Other shards of a world, of which one was read before.

    Args:
      stores: of every shard.
      own: the one that was read.
      at: as of that commit if it is a number; else as of the commit of `own`, or the barrier if that is
        earlier, or as near to it as they go.
      wanted: which of the others.
    Raises: WorldNotFound, CommitNotFound.
    """
    world = own.birth.world
    if isinstance(at, int):
        return load_shards(stores, world, at, wanted)
    barrier = min(own.sequence, barrier_of(stores, world))
    return [load_as_of(stores[shard], world, shard, barrier) for shard in wanted]


def load_shards(
    stores: Mapping[int, Store], world: str, at: str | int, wanted: Sequence[int], *, near: bool = False
) -> list[Snapshot]:
    """Some shards of a world as of one commit of all.

    Args:
      stores: of every shard.
      at: a number; "first", the first that can be read of all; or "latest", the barrier.
      wanted: which shards.
      near: of a number, as `load_as_of`.
    Raises: WorldNotFound, CommitNotFound.
    """
    if at == "latest":
        barrier = barrier_of(stores, world) if len(stores) > 1 else None
        return [load_as_of(stores[shard], world, shard, barrier) for shard in wanted]
    if at == "first":
        at = max(store.history(world, shard)[0].sequence for shard, store in stores.items())
    if near:
        return [load_as_of(stores[shard], world, shard, int(at)) for shard in wanted]
    return [stores[shard].load(world, shard, at=int(at)) for shard in wanted]


@contextmanager
def _opened(url: str) -> Iterator[SharedStore]:
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()
