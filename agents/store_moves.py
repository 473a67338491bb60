"""Worlds on the move: from any store to any store, world by world, compared on arrival."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from itertools import chain

from agents.store_resumed import (
    COPIED,
    DIFFERS,
    EARLIER,
    THERE,
    Line,
    WorldsDiffer,
    differing,
    left_out,
    together,
    was_once,
)
from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import (
    Arrival,
    BadStoreURL,
    Birth,
    Lease,
    Store,
    StoreError,
    WorldExists,
    WorldInfo,
    WorldNotFound,
)
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


def in_one(url: str, birth: Birth) -> bool:
    """Whether the shards of a world share a file, out of which they go together only."""
    home = shard_url(url, birth.world, 0, birth.shards)
    return birth.shards > 1 and read_url(url).scheme == "sqlite" and home == url


def parts_of(place: str, line: WorldInfo) -> list[tuple[str, int | None]]:
    """The stores out of which a world is unloaded, and of each which shard; None is all that it has."""
    if in_one(place, line.birth):
        return [(place, None)]
    return [(home, shard) for shard, home in homes_of(place, line).items()]


def copy_worlds(
    source: str, target: str, world: str | None = None, watch: Watch = nobody_watches
) -> list[Line]:
    """Copies worlds as of their last commits, one after the other; each is compared with what was read.

    A world arrives whole or not at all, one of several shards a shard at a time: until the last is there
    nobody reads or plays it. So a run that was stopped is run again: what has arrived is looked at and left,
    also if the source has gone on since. A world of that name that holds something else is never touched, and
    the others go on.

    Args:
      source, target: URLs of stores of any kind.
      world: of one world only.
      watch: is told how it goes.
    Returns: for each world its "store" (of the copy), "world", "commit", "checksum", "counts", whether it
      was copied "now", its "state" (see `store_resumed`), and the "source_commit" that it was compared with.
    Raises: StoreError; WorldsDiffer, at the end, if the target holds a world of that name that differs.
    """
    if read_url(target).scheme == "memory" and not read_url(target).name:
        raise BadStoreURL(
            "The store 'memory:' is private to whoever opens it; copy to 'memory:NAME' or a file."
        )
    lines: list[Line] = []
    refused = []
    for place, line in chosen_worlds(source, world):
        name = line.birth.world
        to = place_of(target, name, write=True)
        try:
            found = _copy_world(place, to, line, watch)
        except WorldExists as error:
            refused.append(str(error))
            lines.append(left_out(to, name, min(one.sequence for one in line.shards)))
            continue
        lines.append(found)
        if found["state"] == DIFFERS:
            refused.append(differing(found, place))
    if refused:
        raise WorldsDiffer(refused, lines)
    return lines


def _copy_world(place: str, to: str, line: WorldInfo, watch: Watch) -> Line:
    name, parted = line.birth.world, parts_of(place, line)
    if parted != [(place, None)] and in_one(to, line.birth):
        if read_url(place).scheme != "memory":
            refusal = WorldExists if _is_there(to, name) else StoreError
            raise refusal(
                f"World {name!r} has its shards in one place in {to}, and a place for each in {place}, so "
                "the two cannot be compared; name another store, or copy it to 'memory:NAME' first and from "
                "there (agents.store_care.copy_store). Nothing was changed."
            )
        parted = [(place, None)]
    with ExitStack() as opened:
        pairs = []
        for home, shard in parted:
            there = to if shard is None else shard_url(to, name, shard, line.birth.shards)
            reading = opened.enter_context(closing(open_store(home, read_only=True, public=public_of)))
            writing = opened.enter_context(closing(open_store(there, public=public_of)))
            if reading.home is writing.home:
                raise BadStoreURL(f"{place} and {to} are the same store; name another one.")
            pairs.append((reading, writing, shard))
        shards = tuple(one.shard for one in line.shards)
        arrival = Arrival("copy", shards) if line.birth.shards > 1 else None
        arrived = {}
        # Those that are there come first: nothing is added to a world that differs.
        for reading, writing, shard in sorted(pairs, key=lambda pair: not _holds(pair[1], name, pair[2])):
            arrived[shard or 0] = copy_part(reading, writing, name, shard, arrival, watch)
            if arrived[shard or 0].state == DIFFERS:
                break
    return line_of(to, [arrived[shard] for shard in sorted(arrived)])


def _is_there(url: str, world: str) -> bool:
    return any(line.birth.world == world for _, line in all_worlds(url))


def _together(parts: Sequence[Contents]) -> Contents:
    """What the shards of a world hold, as one."""
    if len(parts) == 1:
        return parts[0]
    checksum = hashlib.sha256("".join(part.checksum for part in parts).encode()).hexdigest()
    counts = {table: sum(part.counts[table] for part in parts) for table in parts[0].counts}
    return Contents(parts[0].world, min(part.commit for part in parts), checksum, counts)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A world, or a shard of it, in the target: what it holds, how it stands, and where the source stands."""

    contents: Contents
    state: str
    source_commit: int


def line_of(store: str, parts: Sequence[Arrived]) -> Line:
    """What is said of a world of which these parts are in a store."""
    state = together([part.state for part in parts])
    now = any(part.state == COPIED for part in parts)
    commit = min(part.source_commit for part in parts)
    whole = asdict(_together([part.contents for part in parts]))
    return {"store": store, "now": now, "state": state, "source_commit": commit} | whole


def _holds(store: Store, world: str, shard: int | None) -> bool:
    """Whether a world, or a shard of it, was born in a store."""
    lines = [line for line in store.worlds() if line.birth.world == world]
    return any(shard in (None, one.shard) for line in lines for one in line.shards)


def copy_part(
    source: SharedStore,
    target: SharedStore,
    world: str,
    shard: int | None,
    arrival: Arrival | None,
    watch: Watch,
) -> Arrived:
    """Copies a world, or a shard of it, from one place to another, or looks at what is there.

    Args:
      shard: None for all that are in the source.
      arrival: with which other shards it comes.
    Raises: StoreError; WorldExists if it lives elsewhere beside the target.
    """
    if _holds(target, world, shard):
        there, here = contents(target, world, shard, watch), contents(source, world, shard, watch)
        if there == here:
            return Arrived(there, THERE, here.commit)
        state = EARLIER if was_once(source, target, world, shard) else DIFFERS
        return Arrived(there, state, here.commit)
    digest = Digest()
    portions = digest.passing(_watched(source.unload(world, shard), watch))
    head = next(portions)
    assert isinstance(head, Head)
    leases: list[Lease] = []
    try:
        for each in head.stands:
            leases.append(target.acquire(head.birth, each, expected=None, arrival=arrival))
        target.adopt(leases, chain([head], portions))
    finally:
        for lease in leases:
            target.release(lease)
    sent = _contents(head, digest)
    arrived = contents(target, world, shard, watch)
    if arrived != sent:
        raise StoreError(
            f"World {world!r} has arrived in {target.url} otherwise than it was sent (checksum "
            f"{arrived.checksum[:12]} and not {sent.checksum[:12]}). Do not use that copy; try again in "
            "a store on another disk."
        )
    return Arrived(arrived, COPIED, arrived.commit)


def contents(store: Store, world: str, shard: int | None = 0, watch: Watch = nobody_watches) -> Contents:
    """What a shard of a world holds, or all in the store if it is None, as of the last commit.

    Raises: WorldNotFound.
    """
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
