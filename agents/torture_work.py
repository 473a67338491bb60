"""What is played while a store is tortured: a small world whose every value follows from its commit.

So whoever finds commit s there knows what people, rows and events must be there, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage import open_store
from storage.base import Batch, Birth, default_id

WORLD = "demo"
PEOPLE = 400
"""Born with the world; one more comes with every commit, and one leaves with every second."""
EVENTS = 5
USER = np.dtype([("number", "<u4"), ("commit", "<u4"), ("noise", "<u8", (6,))])
TOUCH = np.dtype([("number", "<u4"), ("at", "<M8[us]"), ("commit", "<u4")])
START = np.datetime64("2026-01-05", "us")


class Broken(Exception):
    """A store that holds something else than what was committed; the message says what."""


def birth(world: str = WORLD) -> Birth:
    """The birth of the world."""
    return Birth(world, "{}", "0", 1)


def batch(sequence: int, world: str = WORLD) -> Batch:
    """Commit `sequence`: a third of the people change, one comes, every second time one leaves."""
    there = _numbers(sequence - 1) if sequence else np.arange(PEOPLE)
    numbers = there[there % 3 == sequence % 3] if sequence else there
    if sequence:
        numbers = np.append(numbers, PEOPLE + sequence - 1)
    leaving = _leaving(sequence)
    touches = np.zeros(EVENTS, TOUCH)
    touches["number"], touches["commit"] = np.arange(EVENTS), sequence
    touches["at"] = START + np.timedelta64(sequence, "m")
    none = np.zeros(0)
    return Batch(
        world, 0, sequence, _users(numbers, sequence), {}, np.array(leaving, np.uint32), touches, none, none,
        b"market %d" % sequence, {"commit": sequence},
    )  # fmt: skip


def public_of(birth: Birth, users: NDArray[Any], names: Mapping[int, str]) -> dict[str, Any]:
    """The public columns of the people; most say nothing."""
    ids = [default_id(int(number)) for number in users["number"]]
    count = len(users)
    moment = np.full(count, START)
    return {
        "user_id": ids, "canonical_user_id": ids, "current_journey_state": ["AWARE"] * count,
        "awareness_level": np.zeros(count), "fatigue_score": np.zeros(count), "intent_score": np.zeros(count),
        "episode_count": users["commit"], "last_episode": users["commit"], "first_seen": moment,
        "last_seen": moment, "touchpoint_history": ["[]"] * count, "conversion_history": ["[]"] * count,
        "is_active": np.ones(count, np.int8),
    }  # fmt: skip


def check(url: str, world: str = WORLD) -> int:
    """Which commit a store holds, -1 if none. Raises Broken if it is not wholly that one."""
    store = open_store(url, public=public_of)
    try:
        lines = [line for line in store.worlds() if line.birth.world == world]
        if not lines:
            return -1
        snapshot = store.load(world)
        at = snapshot.sequence
        expected = _state(at)
        if snapshot.users.tobytes() != expected.tobytes():
            raise Broken(f"the people of commit {at} are not those that were committed")
        if (snapshot.market, snapshot.summary) != (b"market %d" % at, {"commit": at}):
            raise Broken(f"the market record of commit {at} is another one's")
        events = [row["commit"] for row in store.rows(world, "touchpoints")]
        if events != [commit for commit in range(at + 1) for _ in range(EVENTS)]:
            raise Broken(f"the events of commit {at} are not those of all commits, each once, in order")
        rows = {row["user_id"]: row for row in store.rows(world, "persistent_users")}
        active = {name: row["episode_count"] for name, row in rows.items() if row["is_active"]}
        if active != {default_id(int(u["number"])): int(u["commit"]) for u in expected}:
            raise Broken(f"the public rows of commit {at} are not those of its people")
        if len(rows) != PEOPLE + at or store.count(world, "persistent_users") != len(rows):
            raise Broken(f"commit {at} has {len(rows)} public rows and not {PEOPLE + at}")
        return at
    finally:
        store.close()


def _leaving(sequence: int) -> list[int]:
    return [sequence // 2 - 1] if sequence and sequence % 2 == 0 and sequence // 2 <= PEOPLE else []


def _numbers(sequence: int) -> NDArray[np.int64]:
    """Who lives after a commit."""
    return np.arange(min(sequence // 2, PEOPLE), PEOPLE + sequence)


def _users(numbers: NDArray[Any], sequence: Any) -> NDArray[Any]:
    users = np.zeros(len(numbers), USER)
    users["number"], users["commit"] = numbers, sequence
    mixed = np.asarray(numbers, np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.asarray(sequence, np.uint64)
    users["noise"] = mixed[:, None] * np.arange(1, 7, dtype=np.uint64)
    return users


def _state(sequence: int) -> NDArray[Any]:
    numbers = _numbers(sequence)
    latest = np.zeros(len(numbers), np.int64)
    for commit in range(1, sequence + 1):
        there = _numbers(commit - 1)
        latest[(numbers % 3 == commit % 3) & (numbers <= there[-1])] = commit
        latest[numbers == PEOPLE + commit - 1] = commit
    return _users(numbers, latest)
