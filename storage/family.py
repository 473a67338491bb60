"""A store file and the files beside it: a sub-world that another process opened has one of its own.

`demo/1` of `my.db` lives in `my.db`, or in `my.demo-1.db` if `my.db` had another writer when it was
born. Whoever writes it, wherever, holds the lock of `my.demo-1.db`; so it is never born twice.
"""

from __future__ import annotations

import os
import re

from storage.clock import now_us
from storage.sqlite_errors import told
from storage.sqlite_open import open_reader
from storage.sqlite_read import born_worlds, holders


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
    named = re.compile(rf"{re.escape(stem)}\.[^/]*-[^/]*{re.escape(suffix)}")
    found = [
        entry for entry in os.listdir(folder or ".") if named.fullmatch(entry) and not entry.endswith(".lock")
    ]
    return [os.path.join(folder, entry) for entry in sorted(found, key=_counting)]


def _counting(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
