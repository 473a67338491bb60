"""Shards far apart in commits: readers and forks see each as near to the barrier as it goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.inspect import inspect_world
from gaelp_env.config_load import load_config
from gaelp_env.world import World
from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import CommitNotFound
from storage.names import TABLES
from storage.shared import SharedStore
from storage.siblings import all_worlds
from storage.whole import whole_world
from tests.worlds import new_url, play

APART = 20
"""So many commits one shard is ahead of the other: more than retention.REACH."""
CONFIG = load_config({"people.users": 8, "people.media_per_day": 12.0, "clock.episode_ticks": 2})
PLACES = ("memory", "files", "one file")


def played(store: SharedStore | str, shard: int, episodes: int) -> None:
    """Plays a shard of two on for some episodes."""
    with World.open(store, config=CONFIG, shards=2, shard=shard) as world:
        world.reset(seed=None if world.sequence else 5)
        play(world, episodes)


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Shard 0 at commit APART, shard 1 at 1, in a store of each kind; it keeps the last commit only."""
    kind = request.param
    url = new_url("memory" if kind == "memory" else "sqlite", tmp_path)
    store: SharedStore | str = open_store(url, public=public_of) if kind == "one file" else url
    for shard, episodes in ((1, 1), (0, APART)):
        played(store, shard, episodes)
    yield url
    if isinstance(store, SharedStore):
        store.close()


def test_rows_and_counts_of_all_shards_are_what_their_people_are(url: str) -> None:
    ((place, line),) = all_worlds(url)
    assert [shard.sequence for shard in line.shards] == [APART, 1]
    with whole_world(place, line, public_of) as whole:
        ahead, behind = (whole.load("demo", shard) for shard in (0, 1))
        assert behind.sequence == 1 < ahead.sequence < APART
        assert whole.count("demo", "episodes") == ahead.sequence + 1
        for table in TABLES:
            assert len(list(whole.rows("demo", table))) == whole.count("demo", table)
        exactly = whole.as_of(1)
        with pytest.raises(CommitNotFound, match="shard 0"):
            exactly.count("demo", "episodes")
    assert inspect_world(url)["total"]["logged"]["episodes"] == ahead.sequence + 1


@pytest.mark.parametrize("shard", [0, 1])
def test_a_fork_by_a_reader_takes_each_shard_as_near_as_it_goes(url: str, shard: int, tmp_path: Path) -> None:
    with World.open(url, mode="read", pin="latest", shard=shard) as reading:
        reading.reset()
        target = new_url("sqlite", tmp_path)
        reading.fork(target, "copy").close()
    ((_, line),) = all_worlds(target)
    assert (line.birth.parent, [each.sequence for each in line.shards]) == ("demo@1", [0, 0])


def test_a_fork_by_a_reader_of_a_numbered_commit_is_of_no_other(tmp_path: Path) -> None:
    url = new_url("memory", tmp_path)
    for shard in (0, 1):
        played(url, shard, 1)
    with World.open(url, mode="read", pin=1, shard=1) as reading:
        reading.reset()
        played(url, 0, APART)
        with pytest.raises(CommitNotFound, match="shard 0"):
            reading.fork(new_url("sqlite", tmp_path), "copy")
