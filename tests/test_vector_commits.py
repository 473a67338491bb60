"""Worlds that end together are committed together, all or none, and are then what single ones are."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from gaelp_env.env import AdMarketEnv
from gaelp_env.vector import AdMarketVectorEnv
from gaelp_env.world import World
from gaelp_env.world_place import Place
from storage import LeaseLost, StoreFull, WorldBusy, open_store
from storage.memory import MemoryPlace
from storage.shared import SharedStore
from storage.siblings import all_worlds
from storage.sqlite import SqlitePlace
from tests.worlds import STORES, TICKS, new_url, rows, state

N = 3
CONFIG = {"people.users": 60, "people.media_per_day": 12.0, "clock.episode_ticks": TICKS}


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


def made(url: str, mode: str = "NextStep", **terms: Any) -> AdMarketVectorEnv:
    return AdMarketVectorEnv(N, url, config=CONFIG, autoreset_mode=mode, **terms)


def acts(step: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(step).uniform(-1.0, 1.0, (N, 5)).astype(np.float32)


def play(envs: AdMarketVectorEnv, steps: int) -> None:
    for step in range(steps):
        envs.step(acts(step))


def sequences(url: str) -> dict[str, int]:
    return {line.birth.world: line.sequence for _, line in all_worlds(url)}


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The worlds of every commit, one list a commit."""
    seen: list[list[str]] = []
    for kind in (MemoryPlace, SqlitePlace):

        def noted(place: Any, pairs: Any, commit: Any = kind.commit) -> None:
            commit(place, pairs)
            seen.append(sorted({batch.world for _, batch in pairs}))

        monkeypatch.setattr(kind, "commit", noted)
    return seen


ALL = [f"demo/{k}" for k in range(N)]


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_one_commit_covers_all_that_end_together(url: str, mode: str, commits: list[list[str]]) -> None:
    envs = made(url, mode)
    envs.reset(seed=1)
    play(envs, TICKS)
    assert commits == [ALL]
    assert sequences(url) == dict.fromkeys(ALL, 1)
    stamps = {row["updated_at"] for world in ALL for row in rows(url, "persistent_users", world)}
    assert len(stamps) == 1, "one commit has one stamp"
    play(envs, 2)
    envs.reset()
    assert commits == [ALL, ALL], "what a reset ends is committed together"
    play(envs, 1)
    envs.close()
    assert commits == [ALL, ALL, ALL], "and what close ends"
    envs.close()
    assert sequences(url) == dict.fromkeys(ALL, 3)


def test_worlds_that_end_apart_are_committed_apart(url: str, commits: list[list[str]]) -> None:
    envs = made(url)
    envs.reset(seed=1)
    play(envs, 2)
    envs.reset(seed=1, options={"reset_mask": np.array([False, True, False])})
    play(envs, TICKS)
    assert commits == [["demo/0", "demo/2"], ["demo/1"]]
    envs.close()


def test_commit_every_counts_the_episodes_of_each(url: str, commits: list[list[str]]) -> None:
    envs = made(url, "SameStep", commit_every=2)
    envs.reset(seed=1)
    play(envs, 3 * TICKS)
    assert commits == [ALL]
    envs.close()
    assert commits == [ALL, ALL]


def test_the_people_are_those_of_single_worlds(url: str, tmp_path: Path) -> None:
    envs = made(url, "SameStep")
    envs.reset(seed=6)
    play(envs, 2 * TICKS)
    envs.close()
    envs = made(url, "SameStep")
    envs.reset()
    play(envs, TICKS)
    for place in range(N):
        env = AdMarketEnv(None, config=CONFIG)
        env.reset(seed=6 + place)
        for steps in (2 * TICKS, TICKS):
            for step in range(steps):
                if env.step(acts(step)[place])[3]:
                    env.reset()
        assert state(env.world) == state(envs.worlds[place])
    envs.close()


def refuse(monkeypatch: pytest.MonkeyPatch, kind: str, error: Exception) -> pytest.MonkeyPatch:
    def commit(place: Any, pairs: Sequence[Any]) -> None:
        raise error

    monkeypatch.setattr({"memory": MemoryPlace, "sqlite": SqlitePlace}[kind], "commit", commit)
    return monkeypatch


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("kind", STORES)
def test_a_commit_that_fails_leaves_all_in_memory(
    kind: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_url(kind, tmp_path)
    envs, twins = made(url, mode), made(new_url(kind, tmp_path), mode)
    for each in (envs, twins):
        each.reset(seed=1)
        play(each, TICKS - 1)
    with monkeypatch.context() as patch:
        refuse(patch, kind, StoreFull("no room"))
        with pytest.raises(StoreFull):
            envs.step(acts(9))
        assert sequences(url) == {}
        with pytest.raises(ResetNeeded):
            envs.step(acts(0))
        with pytest.raises(StoreFull):
            envs.close()
        assert not envs.closed
    envs.reset()
    twins.step(acts(9))
    twins.reset()
    for each in (envs, twins):
        play(each, TICKS)
    assert sequences(url) == dict.fromkeys(ALL, 2)
    assert [state(world) for world in envs.worlds] == [state(world) for world in twins.worlds]
    envs.close()
    twins.close()


def take_over(url: str, world: str) -> None:
    """Lets the store forget who holds a world."""
    store = open_store(url)
    assert isinstance(store, SharedStore)
    if url.startswith("memory"):
        store.home._claims[world, 0].token = "another"  # type: ignore[attr-defined]
    else:
        with store.home._writing() as connection:  # type: ignore[attr-defined]
            connection.execute("UPDATE worlds SET lease_token = 'another' WHERE world = ?", (world,))
    store.close()


def test_a_lease_that_is_lost_costs_its_world_alone(url: str) -> None:
    envs = made(url)
    envs.reset(seed=1)
    play(envs, TICKS - 1)
    take_over(url, "demo/1")
    with pytest.raises(LeaseLost, match="demo/1"):
        envs.step(acts(9))
    assert sequences(url) == {}
    assert [world.market is None for world in envs.worlds] == [False, True, False]
    envs.close()
    assert sequences(url) == {"demo/0": 1, "demo/2": 1}


def test_a_world_that_another_writes_is_found_before_anything_moves(url: str) -> None:
    other = World.open(url, "demo/2")
    other.reset(seed=1)
    other.step(np.zeros(5))
    envs = made(url)
    envs.reset(seed=1)
    before = [state(world) for world in envs.worlds]
    with pytest.raises(WorldBusy, match="demo/2"):
        envs.step(acts(0))
    assert [state(world) for world in envs.worlds] == before
    other.market = None
    other.close()
    other.place.close()
    envs.step(acts(0))
    envs.close()


def test_free_worlds_and_reading_ones(url: str) -> None:
    free = [made(url, world="demo/*"), made(url, world="demo/*")]
    for envs in free:
        envs.reset(seed=1)
        play(envs, TICKS)
    assert [world.name for envs in free for world in envs.worlds] == [f"demo/{k}" for k in range(2 * N)]
    for envs in free:
        envs.close()
    before = sequences(url)
    readers = [
        AdMarketVectorEnv(N, url, world="demo/4", mode="read"),
        AdMarketVectorEnv(N, url, world=["demo/4"] * N, mode="read", autoreset_mode="SameStep"),
    ]
    for envs in readers:
        observations, _ = envs.reset(seed=[5, 5, 6])
        assert (observations == observations[0]).all()
        found = envs.step(np.zeros((N, 5), np.float32))
        assert found[4]["opportunities"][0] == found[4]["opportunities"][1]
        play(envs, TICKS)
        envs.reset(options={"continue": True})
        envs.close()
    assert sequences(url) == before


def test_one_store_is_one_home_whatever_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    homes = []
    for text in ("sqlite:///a.db", f"sqlite:///{tmp_path}/a.db", "sqlite:///b.db", "memory:", "memory:"):
        place = Place(text, "demo")
        place.open()
        homes.append(place)
    assert homes[0].home is homes[1].home
    assert len({id(place.home) for place in homes}) == 4
    for place in homes:
        place.close()


KILLED = """
import os, sys
import numpy as np
from gaelp_env.vector import AdMarketVectorEnv
from tests.test_vector_commits import acts, made, TICKS
from storage import sqlite_journal, sqlite
envs = made(sys.argv[1])
envs.reset()
calls = 0
write = sqlite_journal.append
def kill_at_last(*arguments):
    global calls
    written = write(*arguments)
    calls += 1
    if calls == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
    return written
sqlite.append = kill_at_last
for step in range(TICKS):
    envs.step(acts(step))
"""


@pytest.mark.parametrize("parcel", [1, N])
def test_killed_in_the_middle_of_a_commit_no_world_has_moved(parcel: int, tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    envs = made(url)
    envs.reset(seed=1)
    play(envs, TICKS)
    envs.close()
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, url, str(parcel)], cwd=Path(__file__).parents[1], check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert sequences(url) == dict.fromkeys(ALL, 1)
    assert {len(rows(url, "episodes", world)) for world in ALL} == {1}
    envs = made(url)
    envs.reset()
    play(envs, TICKS)
    envs.close()
    assert sequences(url) == dict.fromkeys(ALL, 2)
