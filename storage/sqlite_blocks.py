"""The base of a SQLite store: the people of a shard as of the last fold, in blocks of records by number.

A block holds the living users of `BLOCK_USERS` numbers in a row, so a fold rewrites only those blocks in
which somebody changed.
"""

from __future__ import annotations

import sqlite3
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage import refusals
from storage.records import dtype_from
from storage.sqlite_merge import Changes, Numbers, among, merged, octets_of

BLOCK_USERS = 4096
_WHERE = "FROM base WHERE world = ? AND shard = ?"


def read_base(
    connection: sqlite3.Connection,
    path: str,
    world: str,
    shard: int,
    dtype: np.dtype[Any],
    blocks: tuple[int, int] | None = None,
) -> NDArray[Any]:
    """All users of a shard as of the last fold, by number, the caller's own.

    Args:
      blocks: the first and the last block that are wanted; None for all.
    Raises NotAStore if a block was damaged.
    """
    key: tuple[Any, ...] = (world, shard)
    where = _WHERE
    if blocks is not None:
        key, where = (*key, *blocks), f"{_WHERE} AND block BETWEEN ? AND ?"
    size = connection.execute(f"SELECT coalesce(sum(length(users)), 0) {where}", key).fetchone()[0]
    octets = np.empty(size, np.uint8)
    at = 0
    for block, crc, users in connection.execute(f"SELECT block, crc, users {where} ORDER BY block", key):
        _check(path, world, shard, block, crc, users, dtype)
        octets[at : at + len(users)] = np.frombuffer(users, np.uint8)
        at += len(users)
    return octets.view(dtype)


def write_base(connection: sqlite3.Connection, path: str, world: str, shard: int, changes: Changes) -> None:
    """Puts changes into the base: every block in which somebody changed is written once."""
    dtype = changes.users.dtype
    touched = np.unique(np.concatenate([changes.numbers, changes.archived]) // BLOCK_USERS)
    starts = np.searchsorted(changes.numbers, touched * BLOCK_USERS)
    ends = np.searchsorted(changes.numbers, (touched + 1) * BLOCK_USERS)
    for block, start, end in zip(touched.tolist(), starts.tolist(), ends.tolist(), strict=True):
        found = connection.execute(
            f"SELECT crc, users {_WHERE} AND block = ?", (world, shard, block)
        ).fetchone()
        octets = bytearray()
        if found is not None:
            crc, old = found
            _check(path, world, shard, block, crc, old, dtype)
            octets = bytearray(old)
        users = np.frombuffer(octets, dtype)
        numbers: Numbers = users["number"].astype(np.int64)
        new_numbers, new = changes.numbers[start:end], changes.users[start:end]
        numbers, users = merged(numbers, users, new_numbers, new, changes.archived)
        _put(connection, world, shard, block, users)


def without_people(
    connection: sqlite3.Connection, path: str, world: str, shard: int, leaving: Numbers
) -> int:
    """Takes people out of the base; returns how many there were."""
    taken = 0
    for block in np.unique(leaving // BLOCK_USERS).tolist():
        key = (world, shard, block)
        found = connection.execute(f"SELECT crc, users {_WHERE} AND block = ?", key).fetchone()
        if found is None:
            continue
        dtype = dtype_from(
            connection.execute("SELECT max(user_dtype) FROM worlds WHERE world = ?", (world,)).fetchone()[0]
        )
        crc, old = found
        _check(path, world, shard, block, crc, old, dtype)
        users = np.frombuffer(bytearray(old), dtype)
        numbers: Numbers = users["number"].astype(np.int64)
        stay = merged(numbers, users, numbers[:0], users[:0], leaving)[1]
        if len(stay) < len(users):
            _put(connection, world, shard, block, stay)
            taken += len(users) - len(stay)
    return taken


def _put(connection: sqlite3.Connection, world: str, shard: int, block: int, users: NDArray[Any]) -> None:
    if len(users):
        whole: Any = users.view(np.uint8)
        connection.execute(
            "INSERT INTO base VALUES (?, ?, ?, ?, ?) ON CONFLICT (world, shard, block) DO UPDATE SET"
            " crc = excluded.crc, users = excluded.users",
            (world, shard, block, zlib.crc32(whole), whole),
        )
    else:
        connection.execute(
            "DELETE FROM base WHERE world = ? AND shard = ? AND block = ?", (world, shard, block)
        )


def base_numbers(
    connection: sqlite3.Connection, path: str, world: str, shard: int, dtype: np.dtype[Any]
) -> Numbers:
    """Numbers of all users of a shard as of the last fold, ascending; a block at a time is in memory."""
    found: list[Numbers] = [np.zeros(0, np.int64)]
    rows = connection.execute(f"SELECT block, crc, users {_WHERE} ORDER BY block", (world, shard))
    for block, crc, users in rows:
        _check(path, world, shard, block, crc, users, dtype)
        found.append(np.frombuffer(users, dtype)["number"].astype(np.int64))
    return np.concatenate(found)


def block_numbers(connection: sqlite3.Connection, world: str, shard: int) -> list[int]:
    """The blocks of a shard that are there, in order."""
    return [block for (block,) in connection.execute(f"SELECT block {_WHERE} ORDER BY block", (world, shard))]


def pick(
    connection: sqlite3.Connection,
    path: str,
    world: str,
    shard: int,
    dtype: np.dtype[Any],
    numbers: Numbers,
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Which of some numbers, ascending, are in the base, and their records as rows of bytes, zeros for the
    others. Raises NotAStore if a block was damaged."""
    there = np.zeros(len(numbers), np.bool_)
    records = np.zeros((len(numbers), dtype.itemsize), np.uint8)
    touched = np.unique(numbers // BLOCK_USERS)
    query = f"SELECT crc, users {_WHERE} AND block = ?"
    for block in touched.tolist():
        found = connection.execute(query, (world, shard, block)).fetchone()
        if found is None:
            continue
        _check(path, world, shard, block, found[0], found[1], dtype)
        users = np.frombuffer(found[1], dtype)
        start, end = np.searchsorted(numbers, [block * BLOCK_USERS, (block + 1) * BLOCK_USERS]).tolist()
        known: Numbers = users["number"].astype(np.int64)
        here = among(numbers[start:end], known)
        place = np.searchsorted(known, numbers[start:end][here])
        there[start:end] = here
        records[start:end][here] = octets_of(users)[place]
    return there, records


def base_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of all records in the base of a file."""
    size: int = connection.execute("SELECT coalesce(sum(length(users)), 0) FROM base").fetchone()[0]
    return size


def damaged_blocks(connection: sqlite3.Connection) -> list[tuple[str, int, int]]:
    """World, shard and block of every block that does not match its checksum."""
    rows = connection.execute("SELECT world, shard, block, crc, users FROM base")
    return [(w, s, b) for w, s, b, crc, users in rows if not _is_whole(crc, users)]


def _is_whole(crc: Any, users: Any) -> bool:
    return isinstance(users, bytes) and zlib.crc32(users) == crc


def _check(path: str, world: str, shard: int, block: int, crc: Any, users: Any, dtype: np.dtype[Any]) -> None:
    if not _is_whole(crc, users) or len(users) % dtype.itemsize:
        raise refusals.damaged_block(path, world, shard, block * BLOCK_USERS, (block + 1) * BLOCK_USERS - 1)
