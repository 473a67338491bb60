"""A small world for the stores: its records, its batches, and how to look behind a store's back."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import storage
from storage.base import Batch, Birth, Lease, Store, default_id
from storage.deltas import from_one
from storage.shared import SharedStore

ROOT = Path(__file__).parents[2]

USER = np.dtype(
    [("number", "<u4"), ("level", "<f8"), ("ring", "<u2", (3,)), ("seen", "<M8[us]"), ("stage", "u1")],
    align=True,
)
"""Has padding (after `number` and at the end) and a sub-array."""

TOUCH = np.dtype(
    [("number", "<u4"), ("at", "<M8[us]"), ("channel", "S8"), ("price", "<i8"), ("ctr", "<f4"), ("own", "?")]
)
SALE = np.dtype([("number", "<u4"), ("at", "<M8[us]"), ("value_micro", "<i8")])
EPISODE = np.dtype([("episode", "<i8"), ("ended", "<M8[us]")])
NONE = np.zeros(0)
START = np.datetime64("2026-01-05T00:00:00", "us")


def open_store(url: str, *, read_only: bool = False) -> SharedStore:
    """A store that knows the public rows of these users."""
    return storage.open_store(url, read_only=read_only, public=public_of)


def birth(world: str = "demo", **changes: Any) -> Birth:
    return replace(Birth(world, config='{"a": 1}', fingerprint="f00d", schema=1), **changes)


def users(numbers: Sequence[int], level: float) -> np.ndarray[Any, Any]:
    rows = np.zeros(len(numbers), USER)
    rows["number"] = numbers
    rows["level"] = level
    rows["ring"] = np.arange(3) + np.asarray(numbers, dtype=int)[:, None]
    rows["seen"] = START + np.timedelta64(int(level * 1e6), "us")
    rows["stage"] = np.asarray(numbers, dtype=int) % 5
    return rows


def public_of(birth: Birth, rows: np.ndarray[Any, Any], names: Mapping[int, str]) -> dict[str, Any]:
    count = len(rows)
    ids = [names.get(int(number), default_id(int(number))) for number in rows["number"]]
    return {
        "user_id": ids,
        "canonical_user_id": np.array(ids, dtype="U40"),
        "current_journey_state": ["AWARE"] * count,
        "awareness_level": rows["level"].astype(np.float32),
        "fatigue_score": [0.5] * count,
        "intent_score": np.full(count, np.nan),
        "episode_count": rows["stage"],
        "last_episode": [None] * count,
        "first_seen": np.full(count, START),
        "last_seen": rows["seen"],
        "touchpoint_history": ['[{"channel":"é"}]'] * count,
        "conversion_history": ["[]"] * count,
        "is_active": np.ones(count, dtype=bool),
    }


def touches(count: int, sequence: int) -> np.ndarray[Any, Any]:
    rows = np.zeros(count, TOUCH)
    rows["number"] = np.arange(count)
    rows["at"] = START + np.arange(count).astype("m8[s]") + np.timedelta64(sequence, "h")
    rows["channel"] = b"search"
    rows["price"] = sequence * 1_000_000 + np.arange(count)
    rows["ctr"] = 0.1
    rows["own"] = np.arange(count) % 2 == 0
    return rows


def batch(
    sequence: int,
    numbers: Sequence[int] = (),
    *,
    world: str = "demo",
    shard: int = 0,
    names: dict[int, str] | None = None,
    archived: Sequence[int] = (),
    touch: int = 0,
    level: float | None = None,
    **changes: Any,
) -> Batch:
    """A batch whose every value follows from its sequence, so that a wrong one shows."""
    rows = users(numbers, float(sequence) if level is None else level)
    brought: dict[str, Any] = {
        "world": world,
        "shard": shard,
        "sequence": sequence,
        "users": rows,
        "names": names or {},
        "archived": np.array(archived, dtype=np.uint32),
        "touchpoints": touches(touch, sequence) if touch else NONE,
        "conversions": NONE,
        "episodes": np.array([(sequence, START + np.timedelta64(sequence, "D"))], EPISODE),
        "market": b"market" + bytes([sequence % 256]),
        "summary": {"clock": sequence},
    }
    return Batch(**(brought | changes))


@dataclass(frozen=True)
class Kind:
    """A kind of store under test: its URL, and its stored user rows seen behind its back."""

    scheme: str
    url: str

    def raw_rows(self, store: Store, world: str) -> dict[int, bytes]:
        """number -> stored bytes of the users not archived."""
        assert isinstance(store, SharedStore)
        if self.scheme == "memory":
            found = store._place._worlds.get(world)  # type: ignore[attr-defined]
            return {n: u.row for n, u in found.users.items() if not u.archived} if found else {}
        if self.scheme == "bigquery":
            return _warehouse_rows(store, world)
        path, rows = self.url.removeprefix("sqlite:///"), {}
        blocks = "SELECT users, x'' FROM base WHERE world = ?"
        journal = "SELECT users, archived FROM journal WHERE world = ? ORDER BY position"
        for users_of_it, archived in [*query(path, blocks, world), *query(path, journal, world)]:
            for row in np.frombuffer(users_of_it, USER):
                rows[int(row["number"])] = row.tobytes()
            for number in np.frombuffer(archived, "<i8").tolist():
                del rows[number]
        return rows

    def raw_stamp(self, store: Store, us: int) -> None:
        """Pretends that the last commit was stamped at a moment."""
        assert isinstance(store, SharedStore)
        if self.scheme == "memory":
            store._place._stamp = us  # type: ignore[attr-defined]
            return
        if self.scheme == "bigquery":
            with store._place.outbox.writing() as connection:  # type: ignore[attr-defined]
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('stamp_us', ?)", (us,))
            return
        connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("UPDATE store SET value = ? WHERE key = 'last_stamp_us'", (us,))
        connection.close()


def _warehouse_rows(store: SharedStore, world: str) -> dict[int, bytes]:
    place: Any = store._place
    asked = f"SELECT number, record FROM gaelp_people WHERE world = '{world}' AND NOT gone"
    folded = place.wire.found("gaelp_people") is not None
    rows = {row["number"]: row["record"] for row in place.wire.query(asked)} if folded else {}
    place.drain()
    pieces = f"SELECT body FROM gaelp_deltas WHERE world = '{world}' ORDER BY stamp_us, sequence, piece"
    for row in place.wire.query(pieces):
        parts = from_one(row["body"])[1]
        rows |= {int(user["number"]): user.tobytes() for user in np.frombuffer(parts[-1], USER)}
        for number in np.frombuffer(parts[1], "<i8").tolist():
            del rows[number]
    return rows


def query(path: str | Path, sql: str, *values: Any) -> list[Any]:
    """Asks a SQLite file over a connection of its own."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def start(script: str) -> subprocess.Popen[str]:
    """Starts a script in a process of its own, in the project's folder."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script: str, *, killed: bool = False, seconds: float = 60.0) -> str:
    """Runs a script to its end, by itself or by SIGKILL, and returns what it printed."""
    process = start(script)
    said, error = process.communicate(timeout=seconds)
    assert process.returncode == (-signal.SIGKILL if killed else 0), error
    return said


def born(store: Store, world: str = "demo", numbers: Any = range(5), **more: Any) -> Lease:
    lease = store.acquire(birth(world), expected=None)
    store.commit([(lease, batch(0, numbers, world=world, **more))])
    return lease


def seen(store: Store, world: str = "demo", at: int | None = None) -> dict[str, Any]:
    """Everything a reader can see of a world, as of a commit, in comparable values."""
    snapshot = store.load(world, at=at)
    tables = ("persistent_users", "touchpoints", "conversions", "episodes")
    return {
        "sequence": snapshot.sequence,
        "users": snapshot.users.tobytes(),
        "names": dict(snapshot.names),
        "market": snapshot.market,
        "summary": dict(snapshot.summary),
        **{table: list(store.rows(world, table, at=at)) for table in tables},
        "counts": [store.count(world, table, at=at) for table in tables],
    }


def writer(store: Store) -> sqlite3.Connection:
    """The connection that a SQLite store writes with."""
    assert isinstance(store, SharedStore)
    connection: sqlite3.Connection = store._place._writer  # type: ignore[attr-defined]
    return connection
