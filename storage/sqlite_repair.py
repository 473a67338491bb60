"""What is damaged in a SQLite store, what going on without it would cost, and going on without it."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass

from storage import filelock
from storage.base import NotAStore, WorldNotFound, default_id
from storage.clock import now_us, time_text
from storage.sqlite_blocks import BLOCK_USERS, damaged_blocks
from storage.sqlite_errors import told
from storage.sqlite_journal import damaged, forget_unborn
from storage.sqlite_open import close_writer, open_reader, open_writer
from storage.sqlite_past import damaged_steps
from storage.sqlite_schema import next_stamp, quoted


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was written.

    Attributes:
      what: a sentence.
      cost: a sentence, what a repair gives up.
      world, shard: where; `sequence` of the commit, `block` of the people, or `past` (the commit that can no
        longer be undone), that is damaged.
    """

    what: str
    cost: str
    world: str
    shard: int
    sequence: int | None = None
    block: int | None = None
    past: int | None = None


def examine(path: str) -> list[Damage]:
    """What is damaged in a file, each damage once; nothing is written.

    Raises: WorldNotFound if there is no file, NotAStore if SQLite cannot read it.
    """
    with told(path):
        connection = open_reader(path)
        if connection is None:
            raise WorldNotFound(f"There is no store in {path!r}; check the path.")
        try:
            _check_pages(connection, path)
            return _found(connection)
        finally:
            connection.close()


def repair(path: str) -> list[Damage]:
    """Gives up what is damaged, so that the store can be written again; returns what that was.

    One transaction: a repair that is killed has not begun. Raises WorldBusy if somebody writes the file.
    """
    if not os.path.exists(path):
        raise WorldNotFound(f"There is no store in {path!r}; check the path.")
    filelock.take(path)
    try:
        with told(path):
            connection = open_writer(path)
            try:
                _check_pages(connection, path)
                connection.execute("BEGIN IMMEDIATE")
                found = _found(connection)
                for damage in found:
                    _give_up(connection, damage)
                forget_unborn(connection)
                connection.execute("COMMIT")
                return found
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                close_writer(connection)
    finally:
        filelock.drop(path)


def _check_pages(connection: sqlite3.Connection, path: str) -> None:
    said = [line for (line,) in connection.execute("PRAGMA quick_check(5)")]
    if said != ["ok"]:
        raise NotAStore(
            f"The store {path!r} is damaged below what gaelp can mend (SQLite says: {'; '.join(said)}). "
            "Restore it from a copy, or salvage rows with the command .recover of the sqlite3 program."
        )


def _found(connection: sqlite3.Connection) -> list[Damage]:
    first: dict[tuple[str, int], int] = {}
    for world, shard, sequence in damaged(connection):
        first[world, shard] = min(sequence, first.get((world, shard), sequence))
    past: dict[tuple[str, int], int] = {}
    for world, shard, sequence in damaged_steps(connection):
        past[world, shard] = max(sequence, past.get((world, shard), sequence))
    return [
        *(_commits(connection, *where, sequence) for where, sequence in sorted(first.items())),
        *(_people(world, shard, block) for world, shard, block in damaged_blocks(connection)),
        *(_past(*where, sequence) for where, sequence in sorted(past.items())),
    ]


def _commits(connection: sqlite3.Connection, world: str, shard: int, sequence: int) -> Damage:
    last = connection.execute(
        "SELECT max(sequence) FROM sound WHERE world = ? AND shard = ?", (world, shard)
    ).fetchone()[0]
    lost = f"commit {sequence}" if last == sequence else f"commits {sequence} to {last}"
    back = f"it goes on from commit {sequence - 1}" if sequence else "it was never born"
    return Damage(
        what=f"Commit {sequence} of world {world!r} (shard {shard}) does not match its checksum.",
        cost=f"World {world!r} (shard {shard}) loses {lost}: {back}.",
        world=world,
        shard=shard,
        sequence=sequence,
    )


def _people(world: str, shard: int, block: int) -> Damage:
    first = block * BLOCK_USERS
    who = f"numbered {first} to {first + BLOCK_USERS - 1} of world {world!r} (shard {shard})"
    return Damage(
        what=f"The people {who} do not match their checksum.",
        cost=f"The people {who} leave the market, but for those whom a later commit brings; their public "
        "rows stay (is_active = 0). Earlier commits of the shard can no longer be read.",
        world=world,
        shard=shard,
        block=block,
    )


def _past(world: str, shard: int, sequence: int) -> Damage:
    return Damage(
        what=f"The way back over commit {sequence} of world {world!r} (shard {shard}) is missing, or does "
        "not match its checksum.",
        cost=f"Commits of world {world!r} (shard {shard}) before {sequence} can no longer be read; nobody is "
        "lost.",
        world=world,
        shard=shard,
        past=sequence,
    )


def _give_up(connection: sqlite3.Connection, damage: Damage) -> None:
    where = "world = ? AND shard = ?"
    if damage.sequence is not None:
        connection.execute(
            f"DELETE FROM main.journal WHERE {where} AND sequence >= ?",
            (damage.world, damage.shard, damage.sequence),
        )
    if damage.past is not None or damage.block is not None:
        connection.execute(
            "DELETE FROM past WHERE world = ?1 AND shard = ?2 AND (sequence <= ?3 OR ?3 IS NULL)",
            (damage.world, damage.shard, damage.past),
        )
    if damage.block is None:
        return
    key = (damage.world, damage.shard, damage.block)
    connection.execute(f"DELETE FROM base WHERE {where} AND block = ?", key)
    first = damage.block * BLOCK_USERS
    last = first + BLOCK_USERS - 1
    found = connection.execute("SELECT max(users_table) FROM worlds WHERE world = ?", (damage.world,))
    stamp = time_text(next_stamp(connection, now_us()))
    connection.execute(
        f"UPDATE {quoted(found.fetchone()[0])} SET is_active = 0, updated_at = ? WHERE is_active = 1 AND"
        " (user_id BETWEEN ? AND ? AND length(user_id) = ? OR user_id IN"
        " (SELECT user_id FROM names WHERE world = ? AND number BETWEEN ? AND ?))",
        (
            stamp, default_id(first), default_id(last), len(default_id(first)),
            damage.world, first, last,
        ),
    )  # fmt: skip
