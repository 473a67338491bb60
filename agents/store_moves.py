"""Worlds on the move: from any store to any store, world by world, compared on arrival."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import Arrival, BadStoreURL, Store, StoreError, WorldExists, WorldInfo, WorldNotFound
from storage.moving import Digest, Head, Left, People, Portion, Rows
from storage.shards import birth_of, shard_url
from storage.shared import SharedStore
from storage.siblings import all_worlds, place_of
from storage.urls import read_url

Watch = Callable[[str, int, int], None]
"""Told, as a world goes, its name, how many things of it have passed, and of how many."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a world in a store holds, so that two can be compared.

    Attributes:
      commit: of the shard that is furthest behind.
      checksum: SHA-256 over people, names, market records and public rows.
      counts: public table -> rows.
    """

    world: str
    commit: int
    checksum: str
    counts: dict[str, int]


def nobody_watches(world: str, passed: int, whole: int) -> None:
    """Watches nothing."""


def chosen_worlds(url: str, world: str | None) -> list[tuple[str, WorldInfo]]:
    """The worlds of a store, or one of them, each with the URL where it lives.

    Raises: WorldNotFound; NotAStore if the file of a shard is missing.
    """
    found = all_worlds(url)
    if world is not None and not any(line.birth.world == world for _, line in found):
        names = ", ".join(repr(line.birth.world) for _, line in found) or "no world"
        raise WorldNotFound(f"There is no world {world!r} in {url}; it has {names}. Check the name.")
    if not found:
        raise WorldNotFound(f"There is no world in {url}; check the URL.")
    chosen = [(place, line) for place, line in found if world in (None, line.birth.world)]
    for place, line in chosen:
        birth_of(place, line.birth.world)
    return chosen


def homes_of(place: str, line: WorldInfo) -> dict[int, str]:
    """Shard -> the URL of the store in which it lives, of all that are born."""
    birth = line.birth
    return {one.shard: shard_url(place, birth.world, one.shard, birth.shards) for one in line.shards}


def copy_worlds(
    source: str, target: str, world: str | None = None, watch: Watch = nobody_watches
) -> list[dict[str, Any]]:
    """Copies worlds as of their last commits, one after the other; each is compared with what was read.

    A world arrives whole or not at all, one of several shards a shard at a time: until the last is there
    nobody reads or plays it. So a run that was stopped is run again: what has arrived is looked at and left.
    A world of that name that holds something else is never touched.

    Args:
      source, target: URLs of stores of any kind.
      world: of one world only.
      watch: is told how it goes.
    Returns: for each world its "store" (of the copy), "world", "commit", "checksum", "counts", and whether it
      was copied "now".
    Raises: StoreError; WorldExists if the target holds a world of that name that differs.
    """
    if read_url(target).scheme == "memory" and not read_url(target).name:
        raise BadStoreURL(
            "The store 'memory:' is private to whoever opens it; copy to 'memory:NAME' or a file."
        )
    lines = []
    for place, line in chosen_worlds(source, world):
        name, parts, now = line.birth.world, [], False
        to = place_of(target, name, write=True)
        arrival = Arrival("copy", tuple(one.shard for one in line.shards)) if line.birth.shards > 1 else None
        for shard, home in homes_of(place, line).items():
            reading = open_store(home, read_only=True, public=public_of)
            writing = open_store(shard_url(to, name, shard, line.birth.shards), public=public_of)
            try:
                if reading.home is writing.home:
                    raise BadStoreURL(f"{source} and {target} are the same store; name another one.")
                found, made = _copy(reading, writing, name, shard, arrival, watch)
            finally:
                writing.close()
                reading.close()
            parts.append(found)
            now = now or made
        lines.append({"store": to, "now": now} | asdict(_together(parts)))
    return lines


def _together(parts: Sequence[Contents]) -> Contents:
    """What the shards of a world hold, as one."""
    if len(parts) == 1:
        return parts[0]
    checksum = hashlib.sha256("".join(part.checksum for part in parts).encode()).hexdigest()
    counts = {table: sum(part.counts[table] for part in parts) for table in parts[0].counts}
    return Contents(parts[0].world, min(part.commit for part in parts), checksum, counts)


def _copy(
    source: SharedStore, target: SharedStore, world: str, shard: int, arrival: Arrival | None, watch: Watch
) -> tuple[Contents, bool]:
    if any(
        one.shard == shard for line in target.worlds() if line.birth.world == world for one in line.shards
    ):
        there, here = contents(target, world, shard, watch), contents(source, world, shard, watch)
        if there != here:
            raise WorldExists(
                f"World {world!r} is in {target.url} and does not hold what it does in {source.url} (commit "
                f"{there.commit} there, {here.commit} here); name another store. Nothing was changed."
            )
        return there, False
    digest = Digest()
    portions = digest.passing(_watched(source.unload(world, shard), watch))
    head = next(portions)
    assert isinstance(head, Head)
    lease = target.acquire(head.birth, shard, expected=None, arrival=arrival)
    try:
        target.adopt([lease], chain([head], portions))
    finally:
        target.release(lease)
    sent = _contents(head, digest)
    arrived = contents(target, world, shard, watch)
    if arrived != sent:
        raise StoreError(
            f"World {world!r} has arrived in {target.url} otherwise than it was sent (checksum "
            f"{arrived.checksum[:12]} and not {sent.checksum[:12]}). Do not use that copy; try again in "
            "a store on another disk."
        )
    return arrived, True


def contents(store: Store, world: str, shard: int = 0, watch: Watch = nobody_watches) -> Contents:
    """What a shard of a world holds, as of its last commit. Raises WorldNotFound."""
    digest, head = Digest(), None
    for portion in digest.passing(_watched(store.unload(world, shard), watch)):
        head = portion if isinstance(portion, Head) else head
    assert head is not None
    return _contents(head, digest)


def _contents(head: Head, digest: Digest) -> Contents:
    commit = min(stand.sequence for stand in head.stands.values())
    return Contents(head.birth.world, commit, digest.hexdigest(), dict(head.counts))


def _watched(portions: Iterable[Portion], watch: Watch) -> Iterator[Portion]:
    name, passed, whole = "", 0, 0
    for portion in portions:
        if isinstance(portion, Head):
            name = portion.birth.world
            whole = sum(portion.counts.values()) + portion.counts["persistent_users"]
        elif isinstance(portion, People):
            passed += len(portion.users)
        elif isinstance(portion, Rows):
            passed += len(portion.rows)
        elif isinstance(portion, Left):
            passed += len(portion.numbers)
        watch(name, min(passed, whole), whole)
        yield portion
