"""A store file and the files beside it: those of sub-worlds that another process opened, and of shards.

`demo/1` of `my.db` lives in `my.db`, or in `my.demo-1.db` if `my.db` had another writer when it was
born. Whoever writes it, wherever, holds the lock of `my.demo-1.db`; so it is never born twice.
A world of several shards lives in no other files than `my.demo@0.db`, `my.demo@1.db` …, one a shard.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from storage import refusals
from storage.arrivals import Born, check_arrival, lacking
from storage.base import Arrival, Birth, Floor, StoreError
from storage.clock import now_us
from storage.family_names import main_path, shard_named, shard_paths, sibling_path, siblings_of
from storage.sqlite_errors import told
from storage.sqlite_open import open_reader
from storage.sqlite_read import born_worlds, holders, parts_of, standing


@dataclass(frozen=True, slots=True)
class Known:
    """A world as it was found.

    Attributes:
      born: the shards that are born, each with those with which it came into being.
      awaited: the same of those that somebody living is about to bear.
    """

    birth: Birth
    born: Born
    awaited: Born

    @property
    def lacking(self) -> tuple[int, str] | None:
        """The first shard that is still to come, and the act that brings it; see `arrivals.lacking`."""
        return lacking(self.birth, self.born)

    def check_whole(self, url: str) -> None:
        """Raises StoreError, naming what is to be done, if some shards are still to come."""
        self.check_act(url, "")

    def check_act(self, url: str, act: str) -> None:
        """As `check_whole`, unless it is `act` that brings them."""
        found = self.lacking
        if found is not None and found[1] != act:
            raise refusals.unfinished(self.birth, url, *found)


def birth_in(path: str, world: str) -> Known | None:
    """A world as a file has it, born or about to be; None if it is not there."""
    with told(path):
        connection = open_reader(path)
        if connection is None:
            return None
        try:
            found = parts_of(connection, world, now_us())
        finally:
            connection.close()
    if not found:
        return None
    parts = {shard: (born, arrival) for shard, (born, _, arrival) in found.items()}
    return Known(
        next(iter(found.values()))[1],
        {shard: arrival for shard, (born, arrival) in parts.items() if born},
        {shard: arrival for shard, (born, arrival) in parts.items() if not born},
    )


def check_family(path: str, birth: Birth, arrival: Arrival | None) -> None:
    """Raises if a world that is reserved in `path` lives elsewhere in the family, or was born otherwise.

    Whoever gives birth reserves first and looks then: of two who do so at once, one at least sees the other.
    """
    named = shard_named(path, birth.world)
    main = named[0] if named else path
    if named and birth_in(main, birth.world) is not None:
        raise refusals.exists_elsewhere(birth.world, main)
    for other in shard_paths(main, birth.world).values():
        found = None if other == path else birth_in(other, birth.world)
        if found is None:
            continue
        if named is None:
            raise refusals.exists_elsewhere(birth.world, other)
        if found.birth != birth:
            raise refusals.born_otherwise(birth.world)
        check_arrival(birth, named[1], arrival, {**found.born, **found.awaited}, main)


def floor_beside(path: str) -> Floor:
    """Which commit of a shard in `path` must stay readable: the last one that all the other shards, in their
    files, have reached; the first one while one of them has none, or cannot be read. None for other worlds.
    """

    def floor(world: str, shard: int) -> int | None:
        named = shard_named(path, world)
        if named is None:
            return None
        known = birth_in(path, world)
        shards = known.birth.shards if known is not None else 0
        # What lies beyond is the seat of a birth that was given up, of a world with more shards.
        there = shard_paths(named[0], world).items()
        others = [(number, other) for number, other in there if other != path and number < shards]
        return min((_reached(other, world, number) for number, other in others), default=0)

    return floor


def _reached(path: str, world: str, shard: int) -> int:
    try:
        with told(path):
            connection = open_reader(path)
            if connection is None:
                return 0
            try:
                stand = standing(connection, world, shard)
            finally:
                connection.close()
    except StoreError:
        return 0
    return 0 if stand is None else stand[0]


def has_world(path: str, world: str) -> bool:
    """Whether a world was born in a file, or somebody living is about to give birth to it there."""
    with told(path):
        connection = open_reader(path)
        if connection is None:
            return False
        try:
            return world in born_worlds(connection) or world in holders(connection, now_us())
        finally:
            connection.close()


def other_home(path: str, world: str) -> str | None:
    """The other file of the family in which a sub-world lives; None if it does not."""
    if "/" not in world:
        return None
    other = main_path(path, world) or sibling_path(path, world)
    return other if has_world(other, world) else None


def members(path: str) -> list[str]:
    """The files of a store that are there: the file itself, and those beside it that belong to it.

    One that holds worlds of another store file alone does not, and one that cannot be read may.
    """
    there = [other for other in siblings_of(path) if _belongs(other, path)]
    return [path, *there] if os.path.exists(path) else there


def _belongs(path: str, main: str) -> bool:
    try:
        with told(path):
            connection = open_reader(path)
            if connection is None:
                return True
            try:
                worlds = [world for (world,) in connection.execute("SELECT DISTINCT world FROM worlds")]
            finally:
                connection.close()
    except StoreError:
        return True
    mains = [shard_named(path, world) for world in worlds]
    return not worlds or any(
        (named is not None and named[0] == main) or ("/" in world and main_path(path, world) == main)
        for world, named in zip(worlds, mains, strict=True)
    )
