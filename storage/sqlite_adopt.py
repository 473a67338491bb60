"""A world from another store into a SQLite file, portion by portion; inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from storage import refusals
from storage.clock import time_text
from storage.moving import Head, Left, People, Portion, Rows
from storage.names import EVENT_TABLES
from storage.sqlite_blocks import write_base
from storage.sqlite_merge import Changes, Numbers
from storage.sqlite_schema import STAMP, bear, prepare_events, quoted

_NOBODY: Numbers = np.zeros(0, np.int64)


def adopt(connection: sqlite3.Connection, path: str, head: Head, portions: Iterable[Portion]) -> None:
    """See Store.adopt; `portions` are those after the head. The file holds the world afterwards, folded."""
    world = head.birth.world
    table = ""
    for shard in sorted(head.stands):
        table = bear(connection, world, shard, head.dtype)
    prepare_events(connection, {name: head.kinds[name] for name in EVENT_TABLES if name in head.kinds})
    inserts = {name: _insert(table, name, kinds) for name, kinds in head.kinds.items()}
    gone: dict[int, list[Numbers]] = defaultdict(list)
    for portion in portions:
        if isinstance(portion, People):
            numbers = portion.users["number"].astype(np.int64)
            stamps = np.zeros(len(numbers), np.int64)
            write_base(
                connection, path, world, portion.shard,
                Changes(numbers, portion.users, stamps, stamps, _NOBODY, _NOBODY, {}),
            )  # fmt: skip
            _name(connection, world, portion.names)
        elif isinstance(portion, Left):
            gone[portion.shard].append(portion.numbers)
            _name(connection, world, portion.names)
        elif isinstance(portion, Rows):
            first = () if portion.table == "persistent_users" else (world,)
            connection.executemany(inserts[portion.table], ((*first, *row) for row in portion.rows))
        else:
            raise refusals.not_whole(world, "it has two heads")
    _stand(connection, head, gone)


def _insert(users_table: str, name: str, kinds: Mapping[str, str]) -> str:
    columns = [*kinds] if name == "persistent_users" else ["world", *kinds]
    into = quoted(users_table) if name == "persistent_users" else f"main.{name}"
    return f"INSERT INTO {into} ({', '.join(map(quoted, columns))}) VALUES ({', '.join('?' * len(columns))})"


def _name(connection: sqlite3.Connection, world: str, names: Mapping[int, str]) -> None:
    connection.executemany(
        "INSERT INTO names VALUES (?, ?, ?)", [(world, number, name) for number, name in names.items()]
    )


def _stand(connection: sqlite3.Connection, head: Head, gone: Mapping[int, list[Numbers]]) -> None:
    """Writes where the shards stand: from here on they are as if folded at their last commit."""
    world = head.birth.world
    for shard, stand in head.stands.items():
        connection.execute(
            "UPDATE worlds SET sequence = ?, market = ?, summary = ?, committed_at = ?, keep_commits = ?,"
            " keep_hours = ? WHERE world = ? AND shard = ?",
            (
                stand.sequence, stand.market, stand.summary, time_text(stand.committed_us),
                head.retention.commits, head.retention.hours, world, shard,
            ),
        )  # fmt: skip
        if gone[shard]:
            numbers = np.concatenate(gone[shard]).astype("<i8").tobytes()
            connection.execute("INSERT INTO gone VALUES (?, ?, ?)", (world, shard, numbers))
    last: Any = connection.execute("SELECT value FROM store WHERE key = ?", (STAMP,)).fetchone()
    stamp = head.stamp_us if last is None else max(last[0], head.stamp_us)
    connection.execute("INSERT OR REPLACE INTO store VALUES (?, ?)", (STAMP, stamp))
