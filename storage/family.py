"""A store file and the files beside it: those of sub-worlds that another process opened, and of shards.

`demo/1` of `my.db` lives in `my.db`, or in `my.demo-1.db` if `my.db` had another writer when it was
born. Whoever writes it, wherever, holds the lock of `my.demo-1.db`; so it is never born twice.
A world of several shards lives in no other files than `my.demo@0.db`, `my.demo@1.db` …, one a shard.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from storage import refusals
from storage.base import Birth, Floor, StoreError
from storage.clock import now_us
from storage.sqlite_errors import told
from storage.sqlite_open import open_reader
from storage.sqlite_read import born_worlds, holders, standing
from storage.sqlite_schema import BIRTH

_BESIDE = (".lock", ".part", "-wal", "-shm", "-journal")
"""Ends of the names of files that are no stores."""


def sibling_path(path: str, world: str) -> str:
    """The file that a sub-world has if it does not live in `path`."""
    stem, suffix = os.path.splitext(path)
    return f"{stem}.{world.replace('/', '-')}{suffix}"


def main_path(path: str, world: str) -> str | None:
    """The file beside which `path` is the sibling of a sub-world; None if it is none."""
    stem, suffix = os.path.splitext(path)
    infix = "." + world.replace("/", "-")
    return stem.removesuffix(infix) + suffix if "/" in world and stem.endswith(infix) else None


def writing_locks(path: str, world: str) -> tuple[str, ...]:
    """The files whose locks a writer of this world in this file holds."""
    if "/" not in world or main_path(path, world) is not None:
        return (path,)
    return (path, sibling_path(path, world))


def shard_path(path: str, world: str, shard: int) -> str:
    """The file of one shard of a world that has several, beside the store file `path`."""
    stem, suffix = os.path.splitext(path)
    return f"{stem}.{world}@{shard}{suffix}"


def shard_named(path: str, world: str) -> tuple[str, int] | None:
    """The store file beside which `path` holds a shard of a world, and which shard; None if it is none."""
    stem, suffix = os.path.splitext(path)
    found = re.fullmatch(rf"(.+)\.{re.escape(world)}@(\d+)", stem)
    return (found[1] + suffix, int(found[2])) if found else None


def shard_paths(path: str, world: str) -> dict[int, str]:
    """Shard -> its file, for all that there are beside a store file."""
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    if not os.path.isdir(folder or "."):
        return {}
    named = re.compile(rf"{re.escape(f'{stem}.{world}@')}(\d+){re.escape(suffix)}")
    found = [(entry, named.fullmatch(entry)) for entry in os.listdir(folder or ".")]
    there = {int(match[1]): os.path.join(folder, entry) for entry, match in found if match}
    return dict(sorted(there.items()))


@dataclass(frozen=True, slots=True)
class Known:
    """The birth of a world as a file has it, and whether it is born or only reserved by somebody living."""

    birth: Birth
    born: bool


def birth_in(path: str, world: str) -> Known | None:
    """How a world of a file was born, or is about to be; None if it is not there."""
    with told(path):
        connection = open_reader(path)
        if connection is None:
            return None
        try:
            born = world in born_worlds(connection)
            if not born and world not in holders(connection, now_us()):
                return None
            found = connection.execute(
                f"SELECT {BIRTH} FROM worlds WHERE world = ? ORDER BY born IS NULL, lease_token = ''",
                (world,),
            ).fetchone()
            return Known(Birth(*found), born)
        finally:
            connection.close()


def check_family(path: str, birth: Birth) -> None:
    """Raises if a world that is reserved in `path` lives elsewhere in the family, or was born otherwise.

    Whoever gives birth reserves first and looks then: of two who do so at once, one at least sees the other.
    """
    named = shard_named(path, birth.world)
    main = named[0] if named else path
    if named and birth_in(main, birth.world) is not None:
        raise refusals.exists_elsewhere(birth.world, main)
    for other in shard_paths(main, birth.world).values():
        found = None if other == path else birth_in(other, birth.world)
        if found is not None and not named:
            raise refusals.exists_elsewhere(birth.world, other)
        if found is not None and named and found.birth != birth:
            raise refusals.born_otherwise(birth.world)


def floor_beside(path: str) -> Floor:
    """Which commit of a shard in `path` must stay readable: the last one that all the other shards, in their
    files, have reached; the first one while one of them has none, or cannot be read. None for other worlds.
    """

    def floor(world: str, shard: int) -> int | None:
        named = shard_named(path, world)
        if named is None:
            return None
        others = [other for other in shard_paths(named[0], world).items() if other[1] != path]
        return min((_reached(there, world, number) for number, there in others), default=0)

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


def siblings_of(path: str) -> list[str]:
    """The files beside a store that may hold sub-worlds of it, in the order people count."""
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    if not os.path.isdir(folder or "."):
        return []
    named = re.compile(rf"{re.escape(stem)}\.[^/]*[-@][^/]*{re.escape(suffix)}")
    found = [
        entry for entry in os.listdir(folder or ".") if named.fullmatch(entry) and not entry.endswith(_BESIDE)
    ]
    return [os.path.join(folder, entry) for entry in sorted(found, key=_counting)]


def _counting(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
