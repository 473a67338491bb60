"""Forks of a world of several shards: all of them, as of one commit, and whole or not played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gaelp_env.world import World
from storage.base import CommitNotFound, StoreError, WorldExists
from storage.siblings import all_worlds
from tests.test_world_shards import S, part
from tests.worlds import STORES, new_url, play, state


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


def test_a_fork_copies_all_shards_as_of_the_barrier(url: str, tmp_path: Path) -> None:
    for shard, episodes in enumerate((2, 3, 2, 5)):
        world = part(url, shard)
        play(world, episodes)
        world.close()
    source = World.open(url, shard=2)
    target = new_url("sqlite", tmp_path)
    fork = source.fork(target, "copy")
    assert (fork.shard, fork.sequence) == (2, 0)
    assert fork.birth is not None and (fork.birth.parent, fork.birth.shards) == ("demo@2", S)
    fork.close()
    for shard in range(S):
        copy = World.open(target, "copy", shard=shard)
        copy.reset()
        play(copy, 2)
        long = part(new_url("memory", None), shard)
        play(long, 4)
        assert state(copy) == state(long)
        copy.close()
    with pytest.raises(WorldExists):
        source.fork(target, "copy")


def test_a_fork_that_was_killed_is_finished_by_another_and_not_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, target = new_url("sqlite", tmp_path), new_url("sqlite", tmp_path)
    for shard in range(S):
        world = part(url, shard)
        play(world)
        world.close()
    source, births = World.open(url, shard=0), []

    def found(world: World, *arguments: Any, **keywords: Any) -> None:
        births.append(world.shard)
        if len(births) == 3:
            raise KeyboardInterrupt
        original(world, *arguments, **keywords)

    original = World.found
    monkeypatch.setattr(World, "found", found)
    with pytest.raises(KeyboardInterrupt):
        source.fork(target, "copy")
    monkeypatch.undo()
    for shard in range(S):
        with pytest.raises(StoreError, match=r"fork of demo@1 that was not finished: shard 0 .* with at=1"):
            World.open(target, "copy", shard=shard).reset()
    source.fork(target, "copy").close()
    assert [line.sequence for _, line in all_worlds(target)] == [0]


def test_a_fork_of_an_earlier_commit_and_a_reader_of_it_see_all_shards_then(url: str, tmp_path: Path) -> None:
    for shard in range(S):
        world = part(url, shard, keep_commits=3)
        play(world, 5)
        world.close()
    reading = World.open(url, mode="read", pin=3, shard=1)
    reading.reset()
    assert (reading.sequence, reading.episodes_finished) == (3, 3)
    target = new_url("sqlite", tmp_path)
    reading.fork(target, "copy").close()
    World.open(url, shard=0).fork(target, "first", at="first").close()
    with pytest.raises(CommitNotFound):
        World.open(url, shard=0).fork(target, "none", at=1)
    assert [line.birth.parent for _, line in all_worlds(target)] == ["demo@3", "demo@3"]
    for shard in range(S):
        copy, long = World.open(target, "copy", shard=shard), part(new_url("memory", None), shard)
        copy.reset()
        play(long, 3)
        assert state(copy) == state(long)
        copy.close()
