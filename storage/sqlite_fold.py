"""The fold: what the journal holds goes into the base and the public tables, and the journal is empty.

Always inside the caller's transaction, so a fold that is killed has not begun; the same fold again finds
nothing to do. The public rows are made here, outside of every commit.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from storage.base import PUBLIC_COLUMNS, Birth, Floor, Public, default_id
from storage.checks import public_values
from storage.clock import time_text
from storage.deltas import Delta
from storage.retention import Cut
from storage.sqlite_blocks import write_base
from storage.sqlite_journal import deltas
from storage.sqlite_merge import Changes, together
from storage.sqlite_past import Step, let_go, write_step
from storage.sqlite_schema import BIRTH, delete_older, known_kinds, quoted
from storage.sqlite_undo import cut_of, last_events, steps_back

_ROWS_AT_ONCE = 1 << 15


def fold(connection: sqlite3.Connection, path: str, public: Public, floor: Floor | None = None) -> int:
    """Folds all worlds of a file; returns how many commits there were. Raises NotAStore for damage.

    What a world's retention keeps, and what `floor` asks for, goes into the table `past`.
    """
    worlds = [world for (world,) in connection.execute("SELECT DISTINCT world FROM sound").fetchall()]
    folded = 0
    cuts: dict[tuple[str, int], Cut] = {}
    for world in worlds:
        found = list(deltas(connection, path, world))
        table, *birth = connection.execute(
            f"SELECT users_table, {BIRTH} FROM worlds WHERE world = ? AND users_table IS NOT NULL", (world,)
        ).fetchone()
        steps: dict[tuple[int, int], Step] = {}
        by_shard = sorted({delta.shard for delta in found})
        for shard in by_shard:
            mine = [delta for delta in found if delta.shard == shard]
            names, cut = _names_of(connection, world), cut_of(connection, world, shard, floor)
            cuts[world, shard] = cut
            for step in steps_back(connection, path, quoted(table), mine, names, cut):
                steps[shard, step.sequence] = step
            changes = together(mine)
            assert changes is not None
            upsert_users(connection, quoted(table), public, Birth(*birth), changes, names)
            write_base(connection, path, world, shard, changes)
            _note(connection, mine[-1], changes)
        for delta in found:
            before = last_events(connection) if (delta.shard, delta.sequence) in steps else {}
            append_events(connection, "main.", delta)
            if before:
                rows = {t: (before[t] + 1, last) for t, last in last_events(connection).items()}
                events = {t: span for t, span in rows.items() if span[0] <= span[1]}
                write_step(connection, steps[delta.shard, delta.sequence], events)
        folded += len(found)
    connection.execute("DELETE FROM main.journal")
    for world, shard in connection.execute("SELECT DISTINCT world, shard FROM past").fetchall():
        # A fold moves no commit, so the past ends where it was found to end above.
        cut = cuts.get((world, shard)) or cut_of(connection, world, shard, floor)
        let_go(connection, world, shard, cut)
    # Shards have clocks of their own: what goes is older than the moments of all that are in the file.
    for world, moment in connection.execute(
        "SELECT world, min(prune_before) FROM worlds WHERE born IS NOT NULL GROUP BY world"
        " HAVING count(*) = count(prune_before)"
    ).fetchall():
        delete_older(connection, world, moment)
    connection.execute("UPDATE worlds SET prune_before = NULL WHERE prune_before IS NOT NULL AND shards = 1")
    return folded


def _names_of(connection: sqlite3.Connection, world: str) -> dict[int, str]:
    """The names of a world's people as of the last fold."""
    return dict(
        connection.execute("SELECT number, user_id FROM main.names WHERE world = ?", (world,)).fetchall()
    )


def _note(connection: sqlite3.Connection, last: Delta, changes: Changes) -> None:
    """Writes what else a shard is, as of its last commit: where it stands, names, and who has left."""
    connection.execute(
        "UPDATE worlds SET sequence = ?, market = ?, summary = ?, committed_at = ?"
        " WHERE world = ? AND shard = ?",
        (last.sequence, last.market, last.summary, time_text(last.stamp_us), last.world, last.shard),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO names VALUES (?, ?, ?)",
        [(last.world, number, name) for number, name in changes.names.items()],
    )
    if not len(changes.archived):
        return
    key = (last.world, last.shard)
    found = connection.execute("SELECT numbers FROM gone WHERE world = ? AND shard = ?", key).fetchone()
    before = np.frombuffer(found[0] if found else b"", "<i8")
    gone = np.union1d(before, changes.archived).astype("<i8")
    connection.execute("INSERT OR REPLACE INTO gone VALUES (?, ?, ?)", (*key, gone.tobytes()))


def upsert_users(
    connection: sqlite3.Connection,
    table: str,
    public: Public,
    birth: Birth,
    changes: Changes,
    folded_names: Mapping[int, str],
) -> None:
    """Puts changes into a table of public rows.

    Args:
      table: as SQL takes it.
      folded_names: of people who were named before these changes.
    """
    names = {**folded_names, **changes.names}
    columns = ", ".join(PUBLIC_COLUMNS)
    marks = ", ".join("?" * len(PUBLIC_COLUMNS))
    fresh = ", ".join(f"{n} = excluded.{n}" for n in PUBLIC_COLUMNS if n not in ("user_id", "created_at"))
    connection.executemany(
        f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT (user_id) DO UPDATE SET {fresh}",
        itertools.chain.from_iterable(_rows(public, birth, changes, names)),
    )
    connection.executemany(
        f"UPDATE {table} SET is_active = 0, updated_at = ? WHERE user_id = ?",
        [
            (time_text(stamp), names.get(number) or default_id(number))
            for number, stamp in zip(changes.archived.tolist(), changes.archived_us.tolist(), strict=True)
        ],
    )


def _rows(
    public: Public, birth: Birth, changes: Changes, names: Mapping[int, str]
) -> Iterator[Iterator[tuple[Any, ...]]]:
    for start in range(0, len(changes.numbers), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        numbers = changes.numbers[part].tolist()
        named = {number: names[number] for number in numbers if number in names} if names else {}
        columns = public_values(public, birth, changes.users[part], numbers, named)
        stamps = [_times(changes.created_us[part]), _times(changes.updated_us[part])]
        yield zip(*columns, *stamps, strict=True)


def _times(stamps_us: Sequence[int] | np.ndarray[Any, Any]) -> list[str]:
    """Stamps as text; a few commits stamped them all."""
    values, which = np.unique(stamps_us, return_inverse=True)
    texts = [time_text(stamp) for stamp in values.tolist()]
    return [texts[k] for k in which.tolist()]


def append_events(connection: sqlite3.Connection, prefix: str, delta: Delta, only: str | None = None) -> None:
    """Appends the events of a commit to the event tables whose names begin with `prefix`."""
    for table, events in delta.events.items():
        if not len(events.rows) or only not in (None, table):
            continue
        known = known_kinds(connection, table)
        names = ", ".join(quoted(name) for name in ("world", *known))
        marks = ", ".join("?" * (len(known) + 1))
        connection.executemany(
            f"INSERT INTO {prefix}{table} ({names}) VALUES ({marks})",
            zip([delta.world] * len(events.rows), *events.columns(), strict=True),
        )
