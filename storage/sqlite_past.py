"""The past of a SQLite store: a row for each folded commit that a retention keeps the way back over.

A row undoes one commit of a shard: it holds, as they were before it, the records of everybody whom the
commit changed or archived, says who was born in it, and where its events lie. An earlier commit is the base
with such rows undone. Each has a checksum over the whole.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage import refusals
from storage.base import CommitInfo
from storage.deltas import checksum, octets
from storage.records import dtype_from
from storage.retention import Cut
from storage.sqlite_merge import Changes, Numbers, among, octets_of

_HEAD = "world, shard, sequence, stamp_us, committed_at, summary, events"
_PARTS = "market, born, stamps, users"
_COUNT = len(_HEAD.split(","))
_MINE = "FROM past WHERE world = ? AND shard = ?"
_WHOLE = f"SELECT {_HEAD}, {_PARTS}, crc {_MINE}"


@dataclass(frozen=True, slots=True)
class Step:
    """The way back over one commit of a shard.

    Attributes:
      sequence, stamp_us: of the commit.
      committed_at, summary, market: of the commit before it.
      born: numbers of those who came with it, ascending.
      users: those who were there and whom it changed or archived, by number, as they were before it.
      stamps_us: `[2, U]` the stamps of their public rows then, created and updated.
    """

    world: str
    shard: int
    sequence: int
    stamp_us: int
    committed_at: str
    summary: str
    market: bytes
    born: Numbers
    users: NDArray[Any]
    stamps_us: Numbers


def out_of_past(connection: sqlite3.Connection, path: str, world: str, shard: int, leaving: Numbers) -> int:
    """Takes people out of all ways back; returns how many records of theirs there were."""
    dtype = dtype_from(
        connection.execute("SELECT max(user_dtype) FROM worlds WHERE world = ?", (world,)).fetchone()[0]
    )
    taken = 0
    rows = connection.execute(f"SELECT sequence, events {_MINE} ORDER BY sequence", (world, shard)).fetchall()
    for sequence, events in rows:
        (row,) = connection.execute(f"{_WHOLE} AND sequence = ?", (world, shard, sequence))
        step = _step(row, path, dtype)
        stays = ~among(step.users["number"].astype(np.int64), leaving)
        if stays.all():
            continue
        taken += len(stays) - int(stays.sum())
        users = np.ascontiguousarray(octets_of(step.users)[stays]).reshape(-1).view(dtype)
        connection.execute(f"DELETE {_MINE} AND sequence = ?", (world, shard, sequence))
        write_step(
            connection, replace(step, users=users, stamps_us=step.stamps_us[:, stays]), json.loads(events)
        )
    return taken


def write_step(connection: sqlite3.Connection, step: Step, events: Mapping[str, Sequence[int]]) -> None:
    """Keeps a way back.

    Args:
      events: table -> first and last rowid of the events of the commit.
    """
    head = (
        step.world, step.shard, step.sequence, step.stamp_us, step.committed_at, step.summary,
        json.dumps(events),
    )  # fmt: skip
    born, stamps = octets(step.born.astype("<i8")), octets(step.stamps_us.astype("<i8").reshape(-1))
    parts = [step.market, born, stamps, octets(step.users)]
    marks = ", ".join("?" * (_COUNT + len(parts) + 1))
    connection.execute(
        f"INSERT INTO past ({_HEAD}, {_PARTS}, crc) VALUES ({marks})", (*head, *parts, checksum(head, parts))
    )


def steps_after(
    connection: sqlite3.Connection, path: str, world: str, shard: int, at: int, dtype: np.dtype[Any]
) -> Iterator[Step]:
    """The ways back over all folded commits after `at`, in their order.

    Raises: NotAStore for damage, and if one of them is missing.
    """
    for row in _rows_after(connection, path, world, shard, at):
        yield _step(row, path, dtype)


def _step(row: Sequence[Any], path: str, dtype: np.dtype[Any]) -> Step:
    """A row as what it says. Raises NotAStore if it does not match its checksum."""
    world, shard, sequence, stamp_us, committed_at, summary, _, market, born, stamps, users, _ = row
    if not _matches(row):
        raise refusals.damaged_past(path, world, shard, sequence)
    return Step(
        world=world,
        shard=shard,
        sequence=sequence,
        stamp_us=stamp_us,
        committed_at=committed_at,
        summary=summary,
        market=market,
        born=np.frombuffer(born, "<i8").astype(np.int64),
        users=np.frombuffer(bytearray(users), dtype),
        stamps_us=np.frombuffer(stamps, "<i8").astype(np.int64).reshape(2, -1),
    )


def _rows_after(
    connection: sqlite3.Connection, path: str, world: str, shard: int, at: int
) -> Iterator[Sequence[Any]]:
    missing = missing_step(connection, world, shard, at)
    if missing is not None:
        raise refusals.damaged_past(path, world, shard, missing)
    yield from connection.execute(f"{_WHOLE} AND sequence > ? ORDER BY sequence", (world, shard, at))


def way_back(
    connection: sqlite3.Connection, path: str, world: str, shard: int, at: int, dtype: np.dtype[Any]
) -> tuple[Changes, Numbers]:
    """From the base back to an earlier commit: who was otherwise then, as changes, and who was not yet."""
    known: Numbers = np.zeros(0, np.int64)
    unborn, numbers = [known], [known]
    users, stamps = [np.zeros((0, dtype.itemsize), np.uint8)], [np.zeros((2, 0), np.int64)]
    for step in steps_after(connection, path, world, shard, at, dtype):
        there = step.users["number"].astype(np.int64)
        first = ~among(there, known)
        unborn.append(step.born[~among(step.born, known)])
        numbers.append(there[first])
        users.append(octets_of(step.users)[first])
        stamps.append(step.stamps_us[:, first])
        known = np.union1d(known, np.concatenate([step.born, there]))
    found, both = np.concatenate(numbers), np.concatenate(stamps, axis=1)
    order = np.argsort(found, kind="stable")
    rows = np.concatenate(users)[order].reshape(-1).view(dtype)
    nobody = known[:0]
    changes = Changes(found[order], rows, both[0][order], both[1][order], nobody, nobody, {})
    return changes, np.sort(np.concatenate(unborn))


def stood(
    connection: sqlite3.Connection, path: str, world: str, shard: int, at: int
) -> tuple[int, bytes, str]:
    """Sequence, market record and summary of a commit that the past leads back to.

    Raises: NotAStore if a way back is missing.
    """
    missing = missing_step(connection, world, shard, at)
    if missing is not None:
        raise refusals.damaged_past(path, world, shard, missing)
    market, summary = connection.execute(
        f"SELECT market, summary {_MINE} AND sequence = ?", (world, shard, at + 1)
    ).fetchone()
    return at, market, summary


def missing_step(connection: sqlite3.Connection, world: str, shard: int, at: int) -> int | None:
    """The last folded commit after `at` over which no way back is kept, or the last that was never folded and
    has one; None if the ways back are one for each."""
    key = (world, shard)
    base = connection.execute("SELECT max(sequence) FROM worlds WHERE world = ? AND shard = ?", key)
    last = base.fetchone()[0]
    rows = connection.execute(f"SELECT sequence {_MINE} AND sequence > ?", (*key, at)).fetchall()
    folded = range(at + 1, -1 if last is None else last + 1)
    return max({sequence for (sequence,) in rows}.symmetric_difference(folded), default=None)


def oldest(connection: sqlite3.Connection, world: str, shard: int) -> int | None:
    """The earliest commit that the past leads back to; None if there is no past."""
    first = connection.execute(f"SELECT min(sequence) {_MINE}", (world, shard)).fetchone()[0]
    return None if first is None else int(first) - 1


def listed(connection: sqlite3.Connection, path: str, world: str, shard: int) -> list[CommitInfo]:
    """The commits that the past leads back to, oldest first.

    Raises: NotAStore for a damaged summary, and if a way back is missing.
    """
    found = []
    first = oldest(connection, world, shard)
    missing = None if first is None else missing_step(connection, world, shard, first)
    if missing is not None:
        raise refusals.damaged_past(path, world, shard, missing)
    rows = connection.execute(
        f"SELECT sequence, committed_at, summary {_MINE} ORDER BY sequence", (world, shard)
    )
    for sequence, committed_at, summary in rows:
        try:
            found.append(CommitInfo(sequence - 1, committed_at, json.loads(summary)))
        except ValueError as error:
            raise refusals.damaged_past(path, world, shard, sequence) from error
    return found


def rows_of_later(
    connection: sqlite3.Connection, path: str, world: str, table: str, at: Mapping[int, int]
) -> list[tuple[int, int]]:
    """First and last rowid of the folded events of later commits of a world; ascending, joined.

    Args:
      at: shard -> the commit after which its commits are later.
    Raises: NotAStore for damage.
    """
    found: list[tuple[int, int]] = []
    for shard, commit in at.items():
        for row in _rows_after(connection, path, world, shard, commit):
            if not _matches(row):
                raise refusals.damaged_past(path, world, shard, row[2])
            found += [tuple(span) for name, span in json.loads(row[_COUNT - 1]).items() if name == table]
    joined: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if joined and first <= joined[-1][1] + 1:
            first, last = joined[-1][0], max(last, joined.pop()[1])
        joined.append((first, last))
    return joined


def let_go(connection: sqlite3.Connection, world: str, shard: int, cut: Cut) -> None:
    """Deletes the ways back to commits that are not kept."""
    connection.execute(
        "DELETE FROM past WHERE world = ? AND shard = ? AND sequence - 1 < ? AND stamp_us < ?",
        (world, shard, cut.low, cut.since_us),
    )


def damaged_steps(connection: sqlite3.Connection) -> list[tuple[str, int, int]]:
    """World, shard and sequence of every row that does not match its checksum, and of the last one of each
    shard that is missing."""
    rows = connection.execute(f"SELECT {_HEAD}, {_PARTS}, crc FROM past")
    found = [(row[0], row[1], row[2]) for row in rows if not _matches(row)]
    for world, shard, first in connection.execute(
        "SELECT world, shard, min(sequence) FROM past GROUP BY world, shard"
    ).fetchall():
        missing = missing_step(connection, world, shard, first - 1)
        if missing is not None and (world, shard, missing) not in found:
            found.append((world, shard, missing))
    return found


def _matches(row: Sequence[Any]) -> bool:
    parts = row[_COUNT:-1]
    whole = all(isinstance(part, bytes) for part in parts)
    return whole and checksum(row[:_COUNT], parts) == row[-1]
