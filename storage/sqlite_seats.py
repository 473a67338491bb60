"""The files of a world's shards come into being together, so that one that is lost later is missed.

Whoever gives birth to the first shard makes a seat for every other one: a file in which the shard is reserved
and not born. From then on a file that is not there has been lost.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress

from storage import filelock, refusals
from storage.base import Arrival, Birth, WorldBusy
from storage.family import check_family
from storage.family_names import shard_named, shard_path, writing_locks
from storage.sqlite_errors import told
from storage.sqlite_lease import reserve
from storage.sqlite_open import close_writer, open_writer

PART = ".part"


def take_locks(path: str, birth: Birth, shard: int) -> tuple[str, ...]:
    """Takes the locks of whoever writes a shard in `path`; returns their files. Raises WorldBusy."""
    taken: list[str] = []
    try:
        for lock in writing_locks(path, birth.world):
            filelock.take(lock)
            taken.append(lock)
    except BaseException as error:
        for lock in taken:
            filelock.drop(lock)
        if isinstance(error, WorldBusy) and shard_named(path, birth.world) is not None:
            raise refusals.busy(birth.world, shard, filelock.holder(path), birth.shards) from None
        raise
    return tuple(taken)


def settle_family(path: str, birth: Birth, arrival: Arrival | None) -> None:
    """After a world was reserved in `path`: refuses one that is elsewhere, and makes seats for its shards.

    Raises: WorldExists, StoreError; StoreFull if there is no room for a file.
    """
    check_family(path, birth, arrival)
    named = shard_named(path, birth.world)
    if named is None or birth.shards == 1:
        return
    for shard in range(birth.shards):
        seat = shard_path(named[0], birth.world, shard)
        if not os.path.exists(seat):
            _make_seat(seat, birth, shard)


def _make_seat(path: str, birth: Birth, shard: int) -> None:
    """Makes the file of a shard, whole or not at all; one that somebody else made meanwhile is left alone."""
    part = f"{path}.{uuid.uuid4().hex[:8]}{PART}"
    try:
        with told(path):
            connection = open_writer(part)
            try:
                connection.execute("BEGIN IMMEDIATE")
                reserve(connection, birth, shard)
                connection.execute("COMMIT")
            finally:
                close_writer(connection)
            with suppress(FileExistsError):
                os.link(part, path)
            _sync(os.path.dirname(path) or ".")
    finally:
        if os.path.exists(part):
            os.unlink(part)


def _sync(folder: str) -> None:
    """Makes the names in a folder safe: after a power cut a seat must not be missing."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
