"""What the files beside a store file are called: those of sub-worlds, and those of shards.

The name of such a file is that of the store file with an infix before its suffix, which is what follows the
last dot of the store file's own name, if it has one: `my.db` and `my.demo@1.db`, `my` and `my.demo@1`.
"""

from __future__ import annotations

import os
import re

_BESIDE = (".lock", ".part", "-wal", "-shm", "-journal")
"""Ends of the names of files that are no stores."""
_SQLITE = b"SQLite format 3\0"


def sibling_path(path: str, world: str) -> str:
    """The file that a sub-world has if it does not live in `path`."""
    return with_infix(path, _subworld(world))


def main_path(path: str, world: str) -> str | None:
    """The file beside which `path` is the sibling of a sub-world; None if it is none."""
    found = _without_infix(path, re.escape(_subworld(world))) if "/" in world else None
    return found[0] if found else None


def writing_locks(path: str, world: str) -> tuple[str, ...]:
    """The files whose locks a writer of this world in this file holds."""
    if "/" not in world or main_path(path, world) is not None:
        return (path,)
    return (path, sibling_path(path, world))


def shard_path(path: str, world: str, shard: int) -> str:
    """The file of one shard of a world that has several, beside the store file `path`."""
    return with_infix(path, f".{world}@{shard}")


def shard_named(path: str, world: str) -> tuple[str, int] | None:
    """The store file beside which `path` holds a shard of a world, and which shard; None if it is none."""
    found = _without_infix(path, rf"\.{re.escape(world)}@(0|[1-9]\d*)")
    return (found[0], int(found[1][2])) if found else None


def shard_paths(path: str, world: str) -> dict[int, str]:
    """Shard -> its file, for all that there are beside a store file."""
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    if not os.path.isdir(folder or "."):
        return {}
    named = re.compile(rf"{re.escape(f'{stem}.{world}@')}(0|[1-9]\d*){re.escape(suffix)}")
    found = [(entry, named.fullmatch(entry)) for entry in os.listdir(folder or ".")]
    there = {int(match[1]): os.path.join(folder, entry) for entry, match in found if match}
    return dict(sorted(there.items()))


def siblings_of(path: str) -> list[str]:
    """The files beside a store that may hold sub-worlds or shards of it, in the order people count.

    A store file without a suffix shares the beginning of its name with much that is no store, such as
    `my.old-notes.txt` beside `my`: of what has another dot in it, only SQLite files are named.
    """
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    if not os.path.isdir(folder or "."):
        return []
    named = re.compile(rf"{re.escape(stem)}\.([^/]*[-@][^/]*){re.escape(suffix)}")
    found = []
    for entry in os.listdir(folder or "."):
        match = named.fullmatch(entry)
        if match is None or entry.endswith(_BESIDE):
            continue
        there = os.path.join(folder, entry)
        if suffix or "." not in match[1] or _is_sqlite(there):
            found.append(there)
    return sorted(found, key=lambda there: _counting(os.path.basename(there)))


def with_infix(path: str, infix: str) -> str:
    """The name of a store file with something before its suffix."""
    stem, suffix = os.path.splitext(path)
    return f"{stem}{infix}{suffix}"


def infix_of(path: str, main: str) -> str:
    """What the name of a file beside a store file has before the suffix; "" for the store file itself."""
    stem, suffix = os.path.splitext(main)
    return path.removeprefix(stem).removesuffix(suffix)


def _without_infix(path: str, infix: str) -> tuple[str, re.Match[str]] | None:
    """The store file whose name with an infix (a pattern) is `path`, and the infix; there is one at most."""
    folder, name = os.path.split(path)
    for match in re.finditer(rf"(?=({infix})(?:\.|\Z))", name):
        parts = name[: match.start(1)], name[match.end(1) :]
        # An infix lies where the name of the store file, and no other, is cut in two.
        if parts[0] and os.path.splitext("".join(parts)) == parts:
            return os.path.join(folder, "".join(parts)), match
    return None


def _subworld(world: str) -> str:
    return "." + world.replace("/", "-")


def _is_sqlite(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _counting(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
