"""What a fold writes down before it changes the base, so that earlier commits can still be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base import Floor, default_id
from storage.clock import time_text, time_us
from storage.deltas import Delta
from storage.names import EVENT_TABLES
from storage.retention import Cut, Retention
from storage.sqlite_blocks import pick
from storage.sqlite_merge import Numbers, among, octets_of
from storage.sqlite_past import Step
from storage.sqlite_read import standing
from storage.sqlite_schema import known_kinds, quoted


def cut_of(connection: sqlite3.Connection, world: str, shard: int, floor: Floor | None) -> Cut:
    """Where the past of a shard ends: as its world's retention says, but not after what all shards have
    reached, nor after the floor."""
    commits, hours, count = connection.execute(
        "SELECT max(keep_commits), max(keep_hours), max(shards) FROM worlds WHERE world = ?", (world,)
    ).fetchone()
    shards = connection.execute("SELECT shard FROM worlds WHERE world = ? AND born IS NOT NULL", (world,))
    stands = {one: stand[0] for (one,) in shards.fetchall() if (stand := standing(connection, world, one))}
    asked = floor(world, shard) if floor is not None else None
    if asked is None:
        asked = min(stands.values()) if len(stands) == count else 0
    lowest = min(asked, *stands.values())
    return Retention(commits, hours).cut(stands[shard], last_us(connection, world, shard), lowest)


def last_us(connection: sqlite3.Connection, world: str, shard: int) -> int:
    """The stamp of a shard's last commit."""
    waiting, folded = connection.execute(
        "SELECT (SELECT max(stamp_us) FROM sound WHERE world = ?1 AND shard = ?2),"
        " (SELECT committed_at FROM worlds WHERE world = ?1 AND shard = ?2)",
        (world, shard),
    ).fetchone()
    return int(waiting) if waiting is not None else time_us(folded)


def steps_back(
    connection: sqlite3.Connection,
    path: str,
    table: str,
    mine: Sequence[Delta],
    names: Mapping[int, str],
    cut: Cut,
) -> list[Step]:
    """The ways back over commits that are about to be folded, as far as the commits before them are kept.

    Args:
      table: of the public rows, as SQL takes it.
      mine: the commits of one shard that wait, in order.
      names: of its people as of the last fold.
    """
    kept = [delta for delta in mine if delta.sequence and cut.keeps(delta.sequence - 1, delta.stamp_us)]
    if not kept:
        return []
    people = _People(connection, path, table, kept, names)
    before = connection.execute(
        "SELECT committed_at, summary, market FROM worlds WHERE world = ? AND shard = ?",
        (kept[0].world, kept[0].shard),
    ).fetchone()
    steps = []
    for delta in mine:
        if delta.sequence >= kept[0].sequence:
            steps.append(people.before(delta, *before))
        people.take(delta)
        before = (time_text(delta.stamp_us), delta.summary, delta.market)
    return steps


class _People:
    """Everybody whom some commits concern, brought from the base through one commit after the other.

    Attributes:
      numbers: `[U]`, ascending.
      there: `[U]` whether they were born; who has left does not come back.
      records: `[U, bytes]`.
      stamps_us: `[2, U]` of their public rows, created and updated.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        table: str,
        kept: Sequence[Delta],
        names: Mapping[int, str],
    ) -> None:
        concerned = [part for delta in kept for part in (delta.numbers, delta.archived)]
        self.numbers: Numbers = np.unique(np.concatenate(concerned))
        self.dtype = kept[0].users.dtype
        self.there, self.records = pick(
            connection, path, kept[0].world, kept[0].shard, self.dtype, self.numbers
        )
        self.stamps_us = np.zeros((2, len(self.numbers)), np.int64)
        known = self.numbers[self.there].tolist()
        ids = [names.get(number) or default_id(number) for number in known]
        self.stamps_us[:, self.there] = _stamps_of(connection, table, ids)

    def before(self, delta: Delta, committed_at: str, summary: str, market: bytes) -> Step:
        """The way back over a commit, from the people as they are before it."""
        changed = np.union1d(delta.numbers, delta.archived)
        place = np.searchsorted(self.numbers, changed)
        was = self.there[place]
        place = place[was]
        return Step(
            world=delta.world,
            shard=delta.shard,
            sequence=delta.sequence,
            stamp_us=delta.stamp_us,
            committed_at=committed_at,
            summary=summary,
            market=market,
            born=changed[~was],
            users=self.records[place].reshape(-1).view(self.dtype),
            stamps_us=self.stamps_us[:, place],
        )

    def take(self, delta: Delta) -> None:
        """Brings them through a commit."""
        here = among(delta.numbers, self.numbers)
        place = np.searchsorted(self.numbers, delta.numbers[here])
        new = place[~self.there[place]]
        self.stamps_us[0, new] = delta.stamp_us
        self.stamps_us[1, place] = delta.stamp_us
        self.records[place] = octets_of(delta.users)[here]
        self.there[place] = True


def _stamps_of(connection: sqlite3.Connection, table: str, ids: Sequence[str]) -> NDArray[np.int64]:
    """`[2, U]` created and updated of public rows; 1970 for a row that somebody else has deleted."""
    connection.execute("CREATE TEMP TABLE asked (place INTEGER PRIMARY KEY, user_id TEXT NOT NULL)")
    try:
        connection.executemany("INSERT INTO temp.asked VALUES (?, ?)", enumerate(ids))
        found: list[Any] = connection.execute(
            "SELECT coalesce(created_at, '1970-01-01'), coalesce(updated_at, '1970-01-01') FROM temp.asked"
            f" LEFT JOIN main.{table} AS t ON t.user_id = asked.user_id ORDER BY place"
        ).fetchall()
    finally:
        connection.execute("DROP TABLE temp.asked")
    return np.array(found, "M8[us]").reshape(-1, 2).T.astype(np.int64)


def last_events(connection: sqlite3.Connection) -> dict[str, int]:
    """Table of events -> its last rowid."""
    there = [table for table in EVENT_TABLES if known_kinds(connection, table)]
    query = "SELECT coalesce(max(rowid), 0) FROM main."
    return {table: connection.execute(query + quoted(table)).fetchone()[0] for table in there}
