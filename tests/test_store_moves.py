"""`gaelp copy` from any store to any store: worlds arrive whole, once, and as they were."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.cli import main
from agents.store_care import copy_store
from agents.store_export import export_world
from agents.store_moves import contents, homes_of
from agents.store_resumed import Line, WorldsDiffer
from gaelp_env.config_load import load_config
from gaelp_env.world import World
from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import BadStoreURL, StoreError, WorldExists, WorldNotFound
from storage.moving import Portion, Rows
from storage.shards import shard_url
from storage.shared import SharedStore
from storage.siblings import all_worlds
from tests.house import ROOT
from tests.worlds import SMALL, TICKS, begun, new_url, play, rows, state

TABLES = ("persistent_users", "touchpoints", "conversions", "episodes")


def named(url: str, name: str = "demo") -> World:
    """A world of three episodes with somebody in it who was named; it must be closed."""
    world = begun(url, name)
    play(world, 2)
    world.get_or_create_user("sara_mobile_001")
    world.record_touchpoint("sara_mobile_001", "search", clicked=True)
    play(world, 1)
    return world


def test_a_world_comes_through_four_stores_as_it_was_and_plays_on(tmp_path: Path) -> None:
    urls = [new_url(kind, tmp_path) for kind in ("memory", "sqlite", "memory", "sqlite")]
    world = named(urls[0])
    lines = [copy_store(source, target) for source, target in itertools.pairwise(urls)]
    assert len({(line[0]["checksum"], line[0]["commit"], line[0]["now"]) for line in lines}) == 1
    for table in TABLES:
        assert rows(urls[3], table) == rows(urls[0], table)
    (line,) = lines[-1]
    assert line["counts"] == {table: len(rows(urls[0], table)) for table in TABLES}
    last = World.open(urls[3])
    last.reset()
    world.reset()
    for one in (last, world):
        one.record_conversion("sara_mobile_001", 25.0)
        play(one, 2)
    assert state(last) == state(world)
    last.close()
    world.close()


def test_what_has_arrived_is_left_and_what_differs_is_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = new_url("memory", None), new_url("sqlite", tmp_path)
    worlds = [named(source, name) for name in ("one", "two/0", "two/1")]
    assert main(["copy", source, target, "--world", "two/0"]) == 0
    assert capsys.readouterr().out.startswith(f"{target} two/0: copied, commit 3, 6")
    assert main(["copy", source, target, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(line["world"], line["now"]) for line in found] == [
        ("one", True),
        ("two/0", False),
        ("two/1", True),
    ]
    play(worlds[1], 1)
    before = rows(target, "episodes", "two/0")
    with pytest.raises(WorldExists, match=r"'two/0'.*commit 3 there, 4 here.*Nothing was changed"):
        copy_store(source, target)
    assert rows(target, "episodes", "two/0") == before
    for world in worlds:
        world.close()


@pytest.mark.parametrize("kinds", [("sqlite", "sqlite"), ("memory", "sqlite"), ("sqlite", "memory")])
def test_a_copy_goes_on_although_its_source_was_played_meanwhile(
    kinds: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = (new_url(kind, tmp_path) for kind in kinds)
    worlds = [begun(source, "kept", keep_commits=9), begun(source, "lost"), begun(source, "still")]
    for world in worlds:
        play(world, 2)
    copy_store(source, target)
    before = [rows(target, "touchpoints", world.name) for world in worlds]
    for world in worlds[:2]:
        play(world, 3)
        world.fold()
    worlds.append(begun(source, "young"))
    play(worlds[3], 1)
    with pytest.raises(WorldsDiffer, match=r"'lost'.*commit 2 there, 5 here.*Nothing was changed") as caught:
        copy_store(source, target)
    stands = {one["world"]: (one["state"], one["commit"], one["source_commit"]) for one in caught.value.lines}
    assert stands == {
        "kept": ("earlier", 2, 5),
        "lost": ("differs", 2, 5),
        "still": ("there", 2, 2),
        "young": ("copied", 1, 1),
    }
    assert [rows(target, "touchpoints", world.name) for world in worlds[:3]] == before
    for table in TABLES:
        assert rows(target, table, "young") == rows(source, table, "young")
    assert main(["copy", source, target, "--json"]) == 2
    said = capsys.readouterr()
    assert [line["state"] for line in json.loads(said.out)] == ["earlier", "differs", "there", "there"]
    assert "World 'lost' is in" in said.err
    assert main(["copy", source, target]) == 2
    assert "lost: there, as of commit 2, and differs (the source is at 5), 6" in capsys.readouterr().out
    for world in worlds:
        world.close()


def test_another_world_of_the_same_name_is_not_taken_for_an_earlier_commit(tmp_path: Path) -> None:
    source, target = new_url("sqlite", tmp_path), new_url("sqlite", tmp_path)
    with begun(source, keep_commits=9) as world:
        play(world, 4)
    other = World.open(target, config=SMALL)
    other.reset(seed=6)
    play(other, 2)
    other.close()
    (line,) = differs(source, target)
    assert (line["state"], line["commit"], line["source_commit"]) == ("differs", 2, 4)


@pytest.mark.parametrize("kinds", [("sqlite", "sqlite"), ("memory", "sqlite"), ("sqlite", "memory")])
def test_shards_that_are_missing_come_to_those_that_are_there_as_of_an_earlier_commit(
    kinds: tuple[str, str], tmp_path: Path
) -> None:
    source, target = (new_url(kind, tmp_path) for kind in kinds)
    terms = {"config": SMALL, "shards": 2, "keep_commits": 9}
    shards = [World.open(source, shard=shard, **terms) for shard in (1, 0)]
    for world in shards:
        world.reset(seed=5)
        play(world, 2)
        copied = copy_store(source, target, "demo")
        play(world, 1)
    assert [(line["state"], line["now"]) for line in copied] == [("earlier", True)]
    (line,) = copy_store(source, target, "demo")
    assert (line["state"], line["commit"], line["source_commit"]) == ("earlier", 2, 3)
    ((_, info),) = all_worlds(target)
    assert [one.sequence for one in info.shards] == [2, 2]
    for world in shards:
        world.close()


def differs(source: str, target: str) -> list[Line]:
    """The lines of a copy that finds something else."""
    with pytest.raises(WorldsDiffer) as caught:
        copy_store(source, target)
    return caught.value.lines


def test_one_world_joins_a_file_that_is_there(tmp_path: Path) -> None:
    first, second = new_url("sqlite", tmp_path), new_url("sqlite", tmp_path)
    for url, name in ((first, "left"), (second, "right")):
        named(url, name).close()
    with pytest.raises(WorldExists, match="copy one world into it with --world"):
        copy_store(first, second)
    assert [line["state"] for line in differs(first, second)] == ["left out"]
    (line,) = copy_store(first, second, "left")
    assert line["now"]
    for table in TABLES:
        assert rows(second, table, "left") == rows(first, table, "left")


def test_what_cannot_be_copied_is_named(tmp_path: Path) -> None:
    source, target = new_url("memory", None), new_url("sqlite", tmp_path)
    with pytest.raises(WorldNotFound, match="no world in"):
        copy_store(source, target)
    named(source).close()
    with pytest.raises(WorldNotFound, match=r"no world 'else' in .* it has 'demo'"):
        copy_store(source, target, "else")
    with pytest.raises(BadStoreURL, match="same store"):
        copy_store(source, source)
    with pytest.raises(BadStoreURL, match="private"):
        copy_store(source, "memory:")
    assert os.listdir(tmp_path) == []


def test_a_copy_that_arrives_otherwise_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = new_url("memory", None), new_url("sqlite", tmp_path)
    named(source).close()
    unload = SharedStore.unload

    def loses_a_row(
        store: SharedStore, world: str, shard: int | None = None, *, records: bool = True
    ) -> Iterator[Portion]:
        for portion in unload(store, world, shard, records=records):
            lost = isinstance(portion, Rows) and portion.table == "touchpoints" and "sqlite" in store.url
            yield Rows(portion.table, portion.rows[1:]) if lost else portion

    monkeypatch.setattr(SharedStore, "unload", loses_a_row)
    with pytest.raises(StoreError, match=r"arrived .* otherwise than it was sent"):
        copy_store(source, target)


def shards_of(url: str) -> list[tuple[str, int, bytes, bytes]]:
    """Where the shards of "demo" live, and where each stands, the store's stamps apart."""
    found = []
    for place, line in all_worlds(url):
        for shard, home in homes_of(place, line).items():
            store = open_store(home, read_only=True, public=public_of)
            one = store.load("demo", shard)
            found.append((home, one.sequence, one.users.tobytes(), one.market))
            store.close()
    return found


def test_a_world_whose_shards_share_a_file_is_copied_and_exported_as_one(tmp_path: Path) -> None:
    first, second = new_url("sqlite", tmp_path), new_url("sqlite", tmp_path)
    store = open_store(first, public=public_of)
    config = load_config({"people.users": 60, "people.media_per_day": 12.0, "clock.episode_ticks": TICKS})
    for shard, episodes in ((1, 1), (0, 3)):
        with World.open(store, config=config, shards=2, shard=shard) as world:
            world.reset(seed=5)
            play(world, episodes)
    store.close()
    urls = [first, new_url("memory", None), second]
    for source, target in itertools.pairwise(urls):
        (line,) = copy_store(source, target, "demo")
        assert (line["commit"], line["now"]) == (1, True)
        assert not copy_store(source, target, "demo")[0]["now"]
    assert not copy_store(urls[1], first, "demo")[0]["now"]
    with pytest.raises(WorldExists, match="cannot be compared"):
        copy_store(second, first, "demo")
    (line,) = copy_store(first, third := new_url("sqlite", tmp_path), "demo")
    assert line["counts"] == {table: len(rows(first, table)) for table in TABLES}
    assert [place for place, *_ in shards_of(third)] == [third, third]
    assert [place for place, *_ in shards_of(second)] == [shard_url(second, "demo", k, 2) for k in (0, 1)]
    for url in (second, third):
        assert [rest for _, *rest in shards_of(url)] == [rest for _, *rest in shards_of(first)]
    for table in TABLES:
        assert rows(third, table) == rows(first, table)
    report = export_world(first, "demo", tmp_path / "out")
    assert {table: report["files"][table]["rows"] for table in TABLES} == line["counts"]
    ends = []
    for url in (first, third):
        with World.open(url, shard=0) as world:
            world.reset()
            play(world, 1)
            ends.append(state(world))
    assert ends[0] == ends[1]


def test_a_world_that_has_a_file_a_shard_is_not_born_again_in_one(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    with begun(url, shards=2, shard=1) as world:
        play(world)
    store = open_store(url, public=public_of)
    with pytest.raises(WorldExists, match="demo@1"):
        World.create(store, "demo", config=SMALL, shards=2, shard=0, seed=5)
    store.close()
    assert [place for place, _, _, _ in shards_of(url)] == [url.replace(".db", ".demo@1.db")]


COPIES = """
    import sys
    from agents.store_care import copy_store
    def watch(world, passed, whole):
        print(world, passed, flush=True)
        if passed and world == "second":
            sys.stdin.readline()
    copy_store(sys.argv[1], sys.argv[2], sys.argv[3] or None, watch)
"""


def test_a_copy_that_is_killed_is_run_again(tmp_path: Path) -> None:
    source, target = new_url("sqlite", tmp_path), new_url("sqlite", tmp_path)
    for name in ("first", "second"):
        named(source, name).close()
    copy_store(source, target, "first")
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(COPIES), source, target, "second"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    while not child.stdout.readline().startswith("second 6"):
        pass
    child.send_signal(signal.SIGKILL)
    child.communicate()
    store = open_store(target, public=public_of)
    assert [line.birth.world for line in store.worlds()] == ["first"]
    before = contents(store, "first")
    (line,) = copy_store(source, target, "second")
    assert line["now"]
    assert contents(store, "first") == before
    assert [line.birth.world for line in store.worlds()] == ["first", "second"]
    store.close()
    for table in TABLES:
        assert rows(target, table, "second") == rows(source, table, "second")


@pytest.mark.parametrize("kinds", [("sqlite", "memory", "sqlite"), ("memory", "sqlite", "memory")])
def test_a_world_of_shards_comes_through_with_each_where_it_stood(
    kinds: tuple[str, ...], tmp_path: Path
) -> None:
    urls = [new_url(kind, tmp_path) for kind in kinds]
    World.create(urls[0], "demo", config=SMALL, shards=3, shard=2, seed=5).close()
    for shard, episodes in ((0, 2), (1, 1)):
        world = World.open(urls[0], "demo", shard=shard)
        world.reset()
        play(world, episodes)
        world.close()
    for source, target in itertools.pairwise(urls):
        (line,) = copy_store(source, target, "demo")
        assert (line["commit"], line["now"]) == (0, True)
        assert not copy_store(source, target, "demo")[0]["now"]
    ends = []
    for url in (urls[0], urls[2]):
        world = World.open(url, "demo", shard=0)
        world.reset()
        assert world.sequence == 2
        play(world, 1)
        ends.append(state(world))
        world.close()
        ((_, info),) = all_worlds(url)
        assert [(one.shard, one.sequence) for one in info.shards] == [(0, 3), (1, 1), (2, 0)]
    assert ends[0] == ends[1]
