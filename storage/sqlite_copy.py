"""A SQLite store as another file: copied as of one moment, looked over, and only then given its name."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from dataclasses import dataclass

from storage import filelock
from storage.base import NotAStore, StoreError, WorldExists, WorldNotFound
from storage.names import TABLES
from storage.sqlite_errors import told
from storage.sqlite_open import open_reader
from storage.sqlite_read import list_worlds, load_shard
from storage.sqlite_rows import count_rows

PART = ".part"
"""What the name of a copy ends in until it is whole."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a world in a file holds, so that two files can be compared.

    Attributes:
      commit: of the shard that is furthest behind.
      checksum: SHA-256 over people, names and market records of all shards.
      counts: public table -> rows.
    """

    world: str
    commit: int
    checksum: str
    counts: dict[str, int]


def contents(path: str) -> list[Contents]:
    """What the worlds of a file hold, in the order of their birth. Raises NotAStore, WorldNotFound."""
    with told(path):
        connection = open_reader(path)
        if connection is None:
            raise WorldNotFound(f"There is no store in {path!r}; check the path.")
        try:
            return [_of(connection, path, line.birth.world) for line in list_worlds(connection, 0)]
        finally:
            connection.close()


def _of(connection: sqlite3.Connection, path: str, world: str) -> Contents:
    digest = hashlib.sha256()
    shards = connection.execute(
        "SELECT shard FROM worlds WHERE world = ? AND born IS NOT NULL ORDER BY shard", (world,)
    ).fetchall()
    commits = []
    for (shard,) in shards:
        snapshot = load_shard(connection, world, shard, path)
        digest.update(repr((shard, snapshot.sequence, sorted(snapshot.names.items()))).encode())
        digest.update(snapshot.market)
        digest.update(snapshot.users.tobytes())
        commits.append(snapshot.sequence)
    counts = {table: count_rows(connection, world, table, path) for table in TABLES}
    return Contents(world, min(commits), digest.hexdigest(), counts)


def copy_file(source: str, target: str) -> tuple[list[Contents], bool]:
    """Copies a store as of its last commit; whoever writes it may go on meanwhile.

    The copy is made beside its place, compared with what was read, and named last: a copy that is killed
    leaves no file of that name, and is begun again. One that is whole already is left as it is.

    Returns: what the copy holds, and whether it was made now.
    Raises: WorldExists if `target` is there and holds something else; StoreFull if there is no room.
    """
    if os.path.exists(target):
        there, here = contents(target), contents(source)
        if there != here:
            raise WorldExists(
                f"The file {target!r} is there and does not hold what {source!r} does; name another file, "
                "or copy one world into it with --world."
            )
        return there, False
    filelock.take(target)
    try:
        with told(target):
            _backup(source, target + PART)
        made = contents(target + PART)
        os.replace(target + PART, target)
        _sync(os.path.dirname(target) or ".")
        return made, True
    finally:
        if os.path.exists(target + PART):
            os.unlink(target + PART)
        filelock.drop(target)


def _backup(source: str, part: str) -> None:
    with told(source):
        reader = open_reader(source)
    if reader is None:
        raise WorldNotFound(f"There is no store in {source!r}; check the path.")
    if os.path.exists(part):
        os.unlink(part)
    try:
        copy = sqlite3.connect(part, isolation_level=None)
        try:
            before = [_of(reader, source, line.birth.world) for line in list_worlds(reader, 0)]
            reader.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            # Whoever holds a world in the source does not hold its copy.
            copy.execute("UPDATE worlds SET lease_token = ''")
            if copy.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                raise NotAStore(f"The store {source!r} is damaged: SQLite finds faults in a copy of it.")
        finally:
            copy.close()
    finally:
        reader.close()
    if contents(part) != before:
        raise StoreError(f"The copy of {source!r} does not hold what was read; try again, on another disk.")


def _sync(folder: str) -> None:
    """Makes the names in a folder safe."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
