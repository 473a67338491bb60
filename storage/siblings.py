"""Where worlds live: in the file that a URL names, or, for sub-worlds and shards, in files beside it.

Many processes may run over one URL. The first that writes has the file; a sub-world that another
one gives birth to gets a file of its own (see `storage.family`), and everybody finds it there. A world of
several shards lives in files beside it only, one a shard (see `storage.shards`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary, finalize

from storage import filelock
from storage.base import WorldBusy, WorldInfo
from storage.family import has_world, other_home
from storage.family_names import shard_named, sibling_path, siblings_of, writing_locks
from storage.names import checked_world
from storage.shared import open_store
from storage.urls import Address, read_url, sqlite_url

UNBORN = -1
"""The sequence of a world of which no shard, or not every shard, is born."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class SubWorld:
    """A sub-world that is the caller's to write, for as long as this object is kept.

    Attributes:
      url: of the store in which it lives, or is to be born.
      world: its name, e.g. "demo/1".
    """

    url: str
    world: str

    def __iter__(self) -> Iterator[str]:
        return iter((self.url, self.world))


_claimed: WeakValueDictionary[tuple[str, str, str], SubWorld] = WeakValueDictionary()


def place_of(url: str, world: str, *, write: bool) -> str:
    """The URL of the store in which a world lives, or is to be born.

    A new sub-world is born in the file that `url` names if this process can write it at this
    moment, else in a file beside it. Other worlds live where `url` says.

    Args:
      write: the caller wants to give birth to the world if it is not there.
    Raises: BadStoreURL, BadWorldName, NotAStore.
    """
    address = read_url(url)
    if address.scheme != "sqlite" or "/" not in checked_world(world):
        return url
    beside = sibling_path(address.name, world)
    if has_world(beside, world):
        return url_beside(address, beside)
    if not write or has_world(address.name, world) or filelock.can_take(address.name):
        return url
    return url_beside(address, beside)


def free_subworld(url: str, stem: str) -> SubWorld:
    """Claims the first of `stem`/0, `stem`/1, … that nobody holds and that this process can write.

    Race-free across threads and processes: until the returned object is garbage nobody else is
    given the same one. Keep it at least until the lease is taken, best as long as the world is open.

    Args:
      stem: "demo" for the sub-worlds "demo/0", "demo/1", …
    Raises: BadStoreURL, BadWorldName, NotAStore, StoreFull (the folder is read-only).
    """
    checked_world(f"{stem}/0")
    for number in itertools.count():
        found = claim(url, f"{stem}/{number}")
        if found is not None:
            return found
    raise AssertionError("unreachable: there is always a next number")


def claim(url: str, world: str) -> SubWorld | None:
    """Claims one sub-world for this caller; None if another one holds or writes it."""
    address = read_url(url)
    key = (address.scheme, address.name, checked_world(world))
    if address.scheme != "sqlite":
        return _claimed_by_lease(url, address, world)
    for _ in range(2):
        if key in _claimed:
            return None
        home = place_of(url, world, write=True)
        locks = _taken(read_url(home).name, world)
        if locks is None:
            # The file was free when it was looked at; a new world may still be born beside it.
            continue
        # Nobody else can give birth to it now; whether somebody has, or holds it here, is settled.
        if _is_held(home, world) or other_home(read_url(home).name, world) is not None:
            _drop(locks)
            continue
        return _kept(key, SubWorld(home, world), locks)
    return None


def _kept(key: tuple[str, str, str], found: SubWorld, locks: list[str]) -> SubWorld | None:
    for path in locks:
        finalize(found, filelock.forget, path, os.getpid()).atexit = False
    return found if _claimed.setdefault(key, found) is found else None


def _drop(locks: list[str]) -> None:
    for path in locks:
        filelock.drop(path)


def _claimed_by_lease(url: str, address: Address, world: str) -> SubWorld | None:
    """Where many may write: within this process the claim is kept, and the lease decides among others."""
    if not address.name:
        return SubWorld(url, world)
    key = (address.scheme, address.name, world)
    if key in _claimed or _is_held(url, world):
        return None
    return _kept(key, SubWorld(url, world), [])


def _taken(path: str, world: str) -> list[str] | None:
    taken: list[str] = []
    wanted = writing_locks(path, world)
    if not all(filelock.can_take(lock) for lock in wanted):
        return None
    for lock in wanted:
        try:
            filelock.take(lock)
        except WorldBusy:
            _drop(taken)
            return None
        taken.append(lock)
    return taken


def _is_held(url: str, world: str) -> bool:
    store = open_store(url)
    try:
        return world in store.held()
    finally:
        store.close()


def all_worlds(url: str) -> list[tuple[str, WorldInfo]]:
    """Every world of a store with the URL where it lives; those in files beside it come last.

    A world of several shards is one line, under `url` itself; `storage.shards.shard_url` says where each
    shard lives. Its `sequence` is the barrier: that of the shard that is furthest behind, -1 while one of
    them is not born.

    Raises: BadStoreURL, NotAStore (also for a damaged file beside it).
    """
    address = read_url(url)
    found = [(url, _with_barrier(line)) for line in _lines(url)]
    if address.scheme != "sqlite":
        return found
    parts: dict[str, list[WorldInfo]] = {}
    for path in siblings_of(address.name):
        there = url_beside(address, path)
        for line in _lines(there):
            shard = shard_named(path, line.birth.world)
            if shard is not None and shard[0] == address.name:
                parts.setdefault(line.birth.world, []).append(line)
            # A copy of the main file under such a name holds the same worlds; they live in the main file.
            elif "/" in line.birth.world and sibling_path(address.name, line.birth.world) == path:
                found.append((there, line))
    return found + [(url, _with_barrier(_as_one(lines))) for lines in parts.values()]


def _as_one(lines: list[WorldInfo]) -> WorldInfo:
    """The lines of files that hold a shard each, as one; in the order of shards."""
    shards = tuple(shard for line in lines for shard in line.shards)
    held = "; ".join(f"shard {shard.shard}: {shard.holder}" for shard in shards if shard.holder)
    return replace(lines[0], sequence=min(line.sequence for line in lines), holder=held, shards=shards)


def _with_barrier(line: WorldInfo) -> WorldInfo:
    return line if len(line.shards) == line.birth.shards else replace(line, sequence=UNBORN)


def _lines(url: str) -> list[WorldInfo]:
    store = open_store(url)
    try:
        return store.worlds()
    finally:
        store.close()


def url_beside(address: Address, path: str) -> str:
    """The URL of a sibling; relative if the URL of the main file was, and is no link."""
    given = address.url.partition("///")[2]
    end = len(address.name) - len(given)
    relative = not given.startswith("/") and address.name.endswith("/" + given)
    return sqlite_url(path[end:] if relative else path)
