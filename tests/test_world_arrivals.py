"""Worlds that are created, copied or forked with several shards: whole, or nobody reads or plays any."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.inspect import inspect_world, list_worlds
from agents.store_care import copy_store
from gaelp_env.config_load import load_config
from gaelp_env.world import World
from storage import open_store
from storage.base import NotAStore, StoreError, WorldExists
from storage.family_names import shard_path
from storage.shared import SharedStore
from storage.siblings import all_worlds
from storage.whole import whole_world
from tests.house import ROOT
from tests.test_world_shards import CONFIG, S, part, snapshots
from tests.worlds import SMALL, STORES, new_url, play, state

Act = Callable[[], Any]


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


def stopped(act: Act, owner: type, verb: str, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Does something that is interrupted when it calls a verb of a class for the so-and-so-manyth time."""
    original, calls = getattr(owner, verb), []

    def interrupted(*arguments: Any, **keywords: Any) -> Any:
        calls.append(verb)
        if len(calls) > after:
            raise KeyboardInterrupt
        return original(*arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(owner, verb, interrupted)
        with pytest.raises(KeyboardInterrupt):
            act()


def create(url: str, **changes: Any) -> World:
    return World.create(url, **{"config": SMALL, "seed": 3, "shards": S, **changes})


def refused_to_all(url: str, words: str) -> None:
    """Nobody reads or plays any shard, whatever they ask for."""
    for shard in (*range(S), None):
        with pytest.raises(StoreError, match=words):
            World.open(url, shard=shard).reset(seed=9)
    for shard in range(S):
        with pytest.raises(StoreError, match=words):
            World.open(url, shard=shard, mode="read").reset()
    with pytest.raises(StoreError, match=words):
        World.open(url, shard=1).fork("memory:", "other")
    ((place, line),) = all_worlds(url)
    with pytest.raises(StoreError, match=words), whole_world(place, line):
        pass
    for act in (lambda: inspect_world(url), lambda: copy_store(url, "memory:copy", "demo")):
        with pytest.raises(StoreError, match=words):
            act()
    assert [each["world"] for each in list_worlds(url)] == ["demo"]


@pytest.mark.parametrize("after", [1, 3])
def test_a_creation_that_was_stopped_is_finished_by_the_same(
    url: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(lambda: create(url), World, "found", after, monkeypatch)
    refused_to_all(url, "'demo' in .* is being created, .* run World.create again with the same arguments")
    for changes in ({"seed": 4}, {"config": load_config({"people.users": 40})}):
        with pytest.raises(StoreError, match="another seed or configuration"):
            create(url, **changes)
    with pytest.raises(StoreError, match="born with shards=4, and shards=2"):
        create(url, shards=2)
    world = create(url, shard=2)
    assert (world.shard, world.sequence, world.place.held) == (2, 0, True)
    world.close()
    other = new_url("sqlite" if url.startswith("sqlite") else "memory", tmp_path)
    create(other).close()
    assert snapshots(url) == snapshots(other)
    with pytest.raises(WorldExists):
        create(url)


def test_a_creation_is_finished_though_the_shard_to_be_held_is_there(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(lambda: create(url, shard=3), World, "found", 2, monkeypatch)
    world = create(url, shard=1)
    assert (world.shard, world.sequence, world.place.held) == (1, 0, True)
    play(world)
    assert world.sequence == 1
    world.close()


CREATES = """
    import os, sys
    from gaelp_env.world import World
    from tests.test_world_arrivals import create
    found = World.found
    def killed(world, *arguments, **keywords):
        if world.shard == 2:
            os._exit(9)
        found(world, *arguments, **keywords)
    World.found = killed
    create(sys.argv[1], shard=3)
"""


def test_a_creation_that_was_killed_is_finished(tmp_path: Path) -> None:
    url, other = new_url("sqlite", tmp_path), new_url("sqlite", tmp_path)
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(CREATES), url], cwd=ROOT, check=False)
    assert done.returncode == 9
    refused_to_all(url, "is being created")
    for place in (url, other):
        create(place).close()
    assert snapshots(url) == snapshots(other)


def test_whoever_looked_before_a_creation_bears_nobody_in_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = part(url, 2)
    config = load_config(CONFIG)
    stopped(lambda: create(url, config=config), World, "found", 1, monkeypatch)
    with pytest.raises(StoreError, match=r"is being created, .* shard 2 is not there yet"):
        play(early)
    ((_, line),) = all_worlds(url)
    assert [each.shard for each in line.shards] == [1]
    create(url, config=config).close()
    early.reset()
    play(early)
    assert early.sequence == 1
    early.close()


def grown(url: str, commits: tuple[int, ...] = (1, 2, 1, 3)) -> None:
    for shard, episodes in enumerate(commits):
        world = part(url, shard)
        play(world, episodes)
        world.close()


def test_a_fork_that_was_stopped_is_finished_as_of_its_commit_after_the_source_went_on(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown(url)
    source, target = World.open(url, shard=0), new_url("sqlite", tmp_path)
    stopped(lambda: source.fork(target, "demo"), World, "found", 2, monkeypatch)
    words = (
        "is a fork of demo@1 that was not finished: shard [03] is not there yet.* at=1; what is there is kept"
    )
    refused_to_all(target, words)
    grown(url, (3, 3, 3, 3))
    with pytest.raises(StoreError, match=words):
        source.fork(target, "demo")
    source.fork(target, "demo", at=1).close()
    ((_, line),) = all_worlds(target)
    assert (line.birth.parent, line.sequence, len(line.shards)) == ("demo@1", 0, S)
    with pytest.raises(WorldExists):
        source.fork(target, "demo", at="latest")


@pytest.mark.parametrize("kinds", [("memory", "sqlite"), ("sqlite", "memory"), ("sqlite", "sqlite")])
def test_a_copy_that_was_stopped_is_finished_by_the_same(
    kinds: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = (new_url(kind, tmp_path) for kind in kinds)
    grown(source)
    stopped(lambda: copy_store(source, target, "demo"), SharedStore, "adopt", 2, monkeypatch)
    refused_to_all(
        target, "is being copied from another store, and of its 4 shards shard 2 .* run the copy again"
    )
    with pytest.raises(StoreError, match="is being copied"):
        create(target, config=load_config({"people.users": 62}))
    (line,) = copy_store(source, target, "demo")
    assert line["now"]
    ends = []
    for place in (source, target):
        worlds = [World.open(place, shard=shard) for shard in range(S)]
        for world in worlds:
            world.reset()
            play(world)
        ends.append([state(world) for world in worlds])
        for world in worlds:
            world.close()
    assert ends[0] == ends[1]


def test_a_copy_of_whole_files_that_was_stopped_is_not_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents import store_care

    source, target = new_url("sqlite", tmp_path), new_url("sqlite", tmp_path)
    grown(source)
    original, copied = store_care.copy_file, []

    def interrupted(*paths: str) -> Any:
        copied.append(paths)
        if len(copied) > 2:
            raise KeyboardInterrupt
        return original(*paths)

    with monkeypatch.context() as patched:
        patched.setattr(store_care, "copy_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            copy_store(source, target)
    refused_to_all(target, r"shard 2, .* is missing.*a copy that was stopped is run again")
    copy_store(source, target)
    assert snapshots(target) == snapshots(source)


def test_a_world_that_grows_is_copied_as_it_is_and_grows_on(url: str, tmp_path: Path) -> None:
    grown(url, (1, 2))
    target = new_url("sqlite", tmp_path)
    copy_store(url, target, "demo")
    ends = []
    for place in (url, target):
        world = part(place, 3)
        play(world)
        ends.append(state(world))
        world.close()
        ((_, line),) = all_worlds(place)
        assert [each.shard for each in line.shards] == [0, 1, 3]
    assert ends[0] == ends[1]


def test_a_lost_file_of_a_world_that_was_created_is_missed_all_the_same(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    create(url).close()
    path = Path(shard_path(url.removeprefix("sqlite:///"), "demo", 1))
    path.unlink()
    with pytest.raises(NotAStore, match=r"shard 1, .* is missing"):
        create(url)
    store = open_store(f"sqlite:///{path}", read_only=True)
    assert not path.exists()
    store.close()
