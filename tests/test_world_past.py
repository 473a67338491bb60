"""The past of a world: read and forked at earlier commits, as far as it keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from gaelp_env.world import World
from storage import open_store
from storage.base import CommitNotFound
from tests.worlds import SMALL, STORES, begun, new_url, play, state, step

EPISODES = 5
KEPT = 4


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


def grown(url: str) -> list[bytes]:
    """A world of five episodes that keeps four commits; returns how it stood after each, its birth first."""
    world = begun(url, keep_commits=KEPT)
    stood = [state(world)]
    for episode in range(EPISODES):
        play(world)
        stood.append(state(world))
        if episode == 2:
            world.fold()
    world.close()
    return stood


@pytest.mark.parametrize("at", range(EPISODES - KEPT + 1, EPISODES + 1))
def test_a_fork_at_a_commit_plays_on_as_the_world_did(url: str, at: int) -> None:
    stood = grown(url)
    world = World.open(url, mode="read")
    fork = world.fork("memory:", "copy", at=at)
    fork.reset()
    assert fork.birth is not None
    assert (fork.birth.parent, state(fork)) == (f"demo@{at}", stood[at])
    for later in range(at + 1, EPISODES + 1):
        play(fork)
        assert state(fork) == stood[later]


def test_a_fork_may_begin_at_the_first_commit_that_is_kept_and_in_the_same_store(url: str) -> None:
    stood = grown(url)
    world = World.open(url)
    fork = world.fork(url, "copy", at="first")
    fork.reset()
    assert state(fork) == stood[EPISODES - KEPT + 1]
    fork.close()
    with pytest.raises(
        CommitNotFound, match=r"Commit 0 of world 'demo'.*commits 2 to 5 can be read.*keep_commits"
    ):
        world.fork(url, "other", at=0)
    assert [line.birth.world for line in open_store(url, read_only=True).worlds()] == ["demo", "copy"]


def test_reading_is_pinned_to_a_commit_by_its_number(url: str) -> None:
    stood = grown(url)
    lives = []
    for _ in range(2):
        reader = World.open(url, mode="read", pin=3)
        reader.reset(seed=1)
        assert (reader.sequence, reader.episodes_finished) == (3, 3)
        people = len(state(reader)) - len(reader.playing().record_bytes())
        assert state(reader)[:people] == stood[3][:people]
        step(reader)
        lives.append(state(reader))
        reader.reset(seed=1)
        assert reader.sequence == 3
    assert lives[0] == lives[1]
    with pytest.raises(CommitNotFound, match="There is no commit 9"):
        World.open(url, mode="read", pin=9).reset()


def test_a_reader_forks_its_pin_or_another_commit(url: str) -> None:
    stood = grown(url)
    reader = World.open(url, mode="read", pin=3)
    reader.reset()
    for at, expected in (("latest", 3), (4, 4), ("first", 2)):
        fork = reader.fork("memory:", "copy", at=at)
        fork.reset()
        assert state(fork) == stood[expected]


def test_an_environment_reads_and_keeps_by_plain_arguments(url: str) -> None:
    env = gym.make("gaelp_env:AdMarket-tiny-v1", store=url, world="demo", keep_commits=3, keep_hours=0.0)
    for _ in range(4):
        env.reset()
        over = False
        while not over:
            over = env.step(env.action_space.sample())[3]
    env.close()
    store = open_store(url, read_only=True)
    assert [line.sequence for line in store.history("demo")] == [2, 3, 4]
    store.close()
    env = gym.make("gaelp_env:AdMarket-tiny-v1", store=url, world="demo", mode="read", pin=2)
    assert env.reset(seed=3)[1]["episode_number"] == 3
    env.close()
    vector = gym.make_vec(
        "gaelp_env:AdMarket-tiny-v1", 2, store=url, world="many", keep_commits=2, commit_every=1
    )
    vector.reset(seed=1)
    for _ in range(60):
        vector.step(vector.action_space.sample())
    vector.close()
    store = open_store(url, read_only=True)
    assert [len(store.history(f"many/{e}")) for e in range(2)] == [2, 2]
    store.close()


def test_the_retention_outlives_whoever_set_it(url: str) -> None:
    grown(url)
    world = World.open(url)
    world.reset()
    play(world, 2)
    world.close()
    store = open_store(url, read_only=True)
    assert [line.sequence for line in store.history("demo")] == [4, 5, 6, 7]
    assert [line.summary["episodes"] for line in store.history("demo")] == [4, 5, 6, 7]
    store.close()


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"keep_commits": 0}, "keep_commits is a whole number of commits, 1"),
        ({"keep_commits": 2.0}, "not 2.0"),
        ({"keep_hours": -1}, "keep_hours is a number of hours from 0 on"),
        ({"keep_hours": float("inf")}, "not inf"),
        ({"pin": "last"}, "pin cannot be 'last'; did you mean 'latest'"),
        ({"pin": "12"}, "give the commit as the number 12"),
        ({"pin": -1}, "number of a commit from 0 on, not -1"),
        ({"pin": True}, "not True"),
    ],
)
def test_terms_that_cannot_be_are_refused_at_the_door(terms: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        World.open("memory:x", config=SMALL, **terms)
