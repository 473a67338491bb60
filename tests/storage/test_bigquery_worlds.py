"""Worlds of the market in BigQuery: people remember, worlds move there and back, and tools read them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pyarrow.parquet as parquet  # type: ignore[import-untyped]
import pytest

import gaelp_env
from agents.cli import main
from agents.inspect import inspect_user
from agents.store_care import copy_store
from agents.store_moves import contents
from gaelp_env.config_load import load_config
from gaelp_env.world import World
from gaelp_env.world_public import public_of
from storage import open_store
from storage.shards import shard_url
from storage.siblings import all_worlds
from tests.storage.small import run
from tests.worlds import SMALL
from tests.worlds import play as play_world


@pytest.fixture
def url(bigquery_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GAELP_OUTBOX", str(tmp_path / "outbox"))
    return bigquery_url


def play(store: str, world: str = "demo", episodes: int = 1) -> None:
    env = gym.make(f"{gaelp_env.__name__}:AdMarket-tiny-v1", store=store, world=world)
    for _ in range(episodes):
        env.reset()
        done = False
        while not done:
            done = bool(env.step(np.full(env.action_space.shape or (), 0.5, np.float32))[3])
    env.close()


FOUNDERS = ("sara_mobile_001", "mike_desktop_002", "lisa_tablet_003")
EPISODE = """
from gaelp_env.config_load import load_config
from gaelp_env.world import World
world = World.open({url!r}, config=load_config("founding"))
for user in {users!r}:
    print(world.get_or_create_user(user, f"{{user}}_episode_{episode}")["touchpoints"], end=" ")
    world.record_touchpoint(user)
world.close()
"""


def test_the_founding_scenario_across_processes_and_its_report(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, Any]] = []
    for episode in (1, 2):
        said = run(EPISODE.format(url=url, users=FOUNDERS, episode=episode), seconds=300)
        assert said.split() == [str(episode - 1)] * 3, "what was committed elsewhere is remembered"
        store = open_store(url, read_only=True, public=public_of)
        rows.append({row["user_id"]: row for row in store.rows("demo", "persistent_users")})
        store.close()
    first, last = rows
    assert [last[user]["episode_count"] for user in FOUNDERS] == [2, 2, 2]
    assert [last[user]["current_journey_state"] for user in FOUNDERS] == ["CONSIDERING"] * 3
    assert all(last[user]["created_at"] == first[user]["created_at"] for user in FOUNDERS)
    assert main(["inspect", "--store", url, "--json"]) == 0
    (world,) = json.loads(capsys.readouterr().out)["worlds"]
    assert [line["user_id"] for line in world["named"]] == sorted(FOUNDERS)
    assert (world["episodes_finished"], world["users"]["met"]) == (6, 3)
    assert (world["counts"]["user_episodes"], world["logged"]["touchpoints"]) == (6, 6)
    assert main(["inspect", "--store", url]) == 0
    printed = capsys.readouterr().out
    named = ("found (met in an episode)", "episodes of users", "touchpoints", "conversions", "CONSIDERING")
    assert all(line in printed for line in named)
    journey = inspect_user(url, FOUNDERS[0])
    labels = [episode["label"] for episode in journey["episodes_with_events"]]
    assert labels == [f"{FOUNDERS[0]}_episode_{episode}" for episode in (1, 2)]
    assert main(["inspect", "--store", url, "--user", FOUNDERS[0]]) == 0
    told = capsys.readouterr().out
    assert (told.count("ad seen"), "time span" in told, "CONSIDERING" in told) == (2, True, True)


def test_a_world_moves_to_the_warehouse_and_back_and_tools_read_it_there(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    play(first, episodes=2)
    assert main(["copy", first, url, "--json"]) == 0
    there = json.loads(capsys.readouterr().out)[0]
    assert main(["copy", first, url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{**there, "now": False, "state": "there"}]
    assert main(["copy", url, last, "--json"]) == 0
    back = json.loads(capsys.readouterr().out)[0]
    assert (back["checksum"], back["counts"], back["commit"]) == (
        there["checksum"],
        there["counts"],
        there["commit"],
    )
    assert main(["inspect", "--store", url, "--json"]) == 0
    mine = json.loads(capsys.readouterr().out)
    assert main(["inspect", "--store", first, "--json"]) == 0
    assert _without_places(mine) == _without_places(json.loads(capsys.readouterr().out))
    for place in (url, first):
        assert main(["export", place, "--to", f"{tmp_path}/{place.partition(':')[0]}"]) == 0
    capsys.readouterr()
    for file in sorted((tmp_path / "sqlite").iterdir()):
        assert parquet.read_table(tmp_path / "bigquery" / file.name).equals(parquet.read_table(file))
    play(url)
    play(first)
    assert main(["fold", "--store", url]) == 0
    assert main(["store", "check", url]) == 0
    told = capsys.readouterr().out
    assert "persistent_users: fits" in told
    assert "drains every 60 s, 1 machine: up to 1,440 load jobs a day of 1,500\n" in told
    with monkeypatch.context() as often:
        often.setenv("GAELP_DRAIN_S", "30")
        assert main(["store", "check", url]) == 0
    assert "2,880 load jobs a day of 1,500, TOO MANY: set GAELP_DRAIN_S to 58" in capsys.readouterr().out
    places = [open_store(one, read_only=True, public=public_of) for one in (url, first)]
    worlds = [place.load("demo") for place in places]
    assert worlds[0].users.tobytes() == worlds[1].users.tobytes()
    for place in places:
        place.close()


def test_a_world_of_shards_in_one_place_comes_to_the_warehouse_and_back(url: str, tmp_path: Path) -> None:
    first, last = "memory:shards-to-the-warehouse", f"sqlite:///{tmp_path}/b.db"
    World.create(first, "demo", config=load_config({"people.users": 60}), shards=2, seed=5).close()
    lines = [copy_store(source, target)[0] for source, target in ((first, url), (url, last), (first, url))]
    assert [line["state"] for line in lines] == ["copied", "copied", "there"]
    assert len({line["checksum"] for line in lines}) == 1
    assert [place for place, _ in all_worlds(last)] == [last]
    copy_store(first, files := f"sqlite:///{tmp_path}/c.db")
    assert copy_store(files, url)[0]["state"] == "there"


def test_a_world_of_shards_moves_there_and_back_into_files_a_shard_at_a_time(
    url: str, tmp_path: Path
) -> None:
    places = [f"sqlite:///{tmp_path}/a.db", url, f"sqlite:///{tmp_path}/b.db"]
    World.create(places[0], "demo", config=SMALL, shards=2, shard=1, seed=5).close()
    for shard in (0, 1):
        opened = World.open(places[0], "demo", shard=shard)
        opened.reset()
        play_world(opened, 2 - shard)
        opened.close()
    for source, target in itertools.pairwise(places):
        (line,) = copy_store(source, target, "demo")
        assert (line["commit"], line["now"]) == (1, True)
    assert not copy_store(places[1], places[2], "demo")[0]["now"]
    ends = []
    for place in (places[0], places[2]):
        found = []
        for shard in (0, 1):
            store = open_store(shard_url(place, "demo", shard, 2), read_only=True, public=public_of)
            found.append(contents(store, "demo", shard))
            store.close()
        assert all(one.counts["touchpoints"] and one.counts["persistent_users"] for one in found)
        ends.append([one.checksum for one in found])
    assert ends[0] == ends[1]


def _without_places(report: Any) -> Any:
    if isinstance(report, dict):
        return {key: _without_places(value) for key, value in report.items() if key not in ("store", "url")}
    return [_without_places(one) for one in report] if isinstance(report, list) else report


def test_sub_worlds_live_in_one_dataset(url: str) -> None:
    envs = [gym.make("gaelp_env:AdMarket-tiny-v1", store=url, world="demo/*") for _ in range(2)]
    for env in envs:
        env.reset(seed=1)
        env.step(env.action_space.sample())
    names = [env.unwrapped.world.name for env in envs]  # type: ignore[attr-defined]
    assert names == ["demo/0", "demo/1"]
    for env in envs:
        env.close()
