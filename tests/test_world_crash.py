"""kill -9 at random moments: no episode is half there, and the world goes on as if unbroken."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaelp_env.world import World
from gaelp_env.world_public import public_of
from storage import Store, open_store
from tests.worlds import SMALL, TICKS, new_url, play, state

KILLS = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A store with a newborn world, and the process that plays it in children."""
    url = new_url("sqlite", tmp_path)
    World.create(url, config=SMALL, seed=7).close()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash", url],
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield url, process
    process.communicate(timeout=60)


def ask(process: subprocess.Popen[str], line: str) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def check_whole(store: Store) -> int:
    """No episode is half there, and every counter equals the events; returns the episodes there are."""
    (line,) = store.worlds()
    episodes = list(store.rows("demo", "episodes"))
    totals = dict(line.summary)
    assert [row["episode"] for row in episodes] == list(range(1, totals["episodes"] + 1))
    assert all(row["ticks"] == TICKS for row in episodes)
    assert totals["tick"] == TICKS * len(episodes)
    users = list(store.rows("demo", "persistent_users"))
    snapshot = store.load("demo")
    touches = store.count("demo", "touchpoints")
    assert touches == totals["touchpoints"] == sum(row["views"] for row in episodes)
    assert store.count("demo", "conversions") == totals["conversions"]
    assert sum(user["episode_count"] for user in users) == totals["met"]
    assert sum(user["is_active"] for user in users) == totals["people"] == len(snapshot.users)
    if len(users) == len(snapshot.users):
        assert int(snapshot.users["touches"].sum()) == touches
    return len(episodes)


def test_kill_nine_at_any_moment(server: tuple[str, subprocess.Popen[str]]) -> None:
    url, process = server
    chance = random.Random(20)
    twin = World.create(config=SMALL, seed=7)
    twin.reset()
    moved = 0
    for kill in range(KILLS):
        child = ask(process, str(1 + 2 * (kill % 2)))
        time.sleep(chance.uniform(0.0, 0.2))
        os.kill(child, signal.SIGKILL)
        assert ask(process, "") == -signal.SIGKILL
        store = open_store(url, read_only=True, public=public_of)
        episodes = check_whole(store)
        snapshot = store.load("demo")
        store.close()
        moved += episodes > twin.episodes_finished
        play(twin, episodes - twin.episodes_finished)
        assert snapshot.users.tobytes() + snapshot.market == state(twin)
    assert moved >= KILLS // 2
    world = World.open(url)
    world.reset()
    play(world, 3)
    play(twin, 3)
    assert state(world) == state(twin)
    world.close()
