"""The commands on a world of several shards: each is shown, and all are read, kept and copied as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.cli import main
from agents.evaluate_play import Start, play
from agents.evaluate_worlds import commits_of, population_of, read_commits, shards_of, write_commits
from agents.inspect import inspect_user, inspect_world, list_worlds
from agents.store_care import copy_store, fold_store, repair_store
from gaelp_env.config_load import load_config
from gaelp_env.world import World
from gaelp_env.world_shards import Share
from storage.base import WorldBusy
from storage.siblings import all_worlds
from tests.test_world_shards import CONFIG, S, part, snapshots
from tests.worlds import new_url, step
from tests.worlds import play as play_world


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A world of four shards: at commits 1, 2, 1 and 3."""
    url = new_url("sqlite", tmp_path)
    for shard, episodes in enumerate((1, 2, 1, 3)):
        world = part(url, shard)
        play_world(world, episodes)
        world.close()
    return url


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_worlds_shows_a_line_for_every_shard(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    held = World.open(url, shard=2)
    held.reset()
    step(held)
    (line,) = list_worlds(url)
    assert line["commit"] == 1
    assert [shard["commit"] for shard in line["shards"]] == [1, 2, 1, 3]
    assert [bool(shard["holder"]) for shard in line["shards"]] == [False, False, True, False]
    assert [shard["store"][-5:] for shard in line["shards"]] == ["@0.db", "@1.db", "@2.db", "@3.db"]
    text = shown(capsys, "worlds", "--store", url)
    for words in ("1 of 4 shards", "shard 0", "shard 3", f"process {os.getpid()}"):
        assert words in text
    held.close()
    assert json.loads(shown(capsys, "worlds", "--store", url, "--json"))[0]["shards"][2]["holder"] == ""


def test_inspect_unites_the_users_of_all_shards_at_the_barrier(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = inspect_world(url)
    (world,) = report["worlds"]
    assert world["commit"] == 1
    assert world["episodes_finished"] == S
    commits = commits_of(url, ["demo"])
    assert world["users"]["active"] == sum(len(commit.users) for commit in commits)
    assert world["logged"]["episodes"] == S
    assert "barrier 1" in shown(capsys, "inspect", "--store", url)


def test_inspect_finds_a_user_in_whatever_shard_they_live(url: str) -> None:
    for shard in range(S):
        user_id = f"u{Share(shard, S).first_number + 3:09d}"
        journey = inspect_user(url, user_id)
        assert (journey["shard"], journey["user_id"]) == (shard, user_id)
        assert journey["commit"] == 1


def test_a_world_in_parts_is_shown_as_far_as_it_is_born(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = new_url("sqlite", tmp_path)
    world = part(url, 1)
    play_world(world, 2)
    world.close()
    (line,) = list_worlds(url)
    assert line["commit"] == -1
    assert [shard["commit"] for shard in line["shards"]] == [None, 2, None, None]
    assert "unborn" in shown(capsys, "worlds", "--store", url)
    assert inspect_world(url)["worlds"][0]["episodes_finished"] == 2
    assert "barrier none yet" in shown(capsys, "inspect", "--store", url)


def test_an_evaluation_plays_every_shard(url: str, tmp_path: Path) -> None:
    config = load_config(CONFIG)
    assert shards_of(url, ["demo"]) == S
    commits = commits_of(url, ["demo"])
    assert [(commit.world, commit.sequence) for commit in commits] == [
        (f"demo (shard {shard})", 1) for shard in range(S)
    ]
    write_commits(tmp_path / "commits.npz", commits)
    kept = read_commits(tmp_path / "commits.npz")
    assert [commit.share for commit in kept] == [Share(shard, S) for shard in range(S)]
    start, fresh = Start("commit", config, tuple(kept)), Start("fresh", config, shards=S)
    for begin in (start, fresh):
        markets = [begin.market(replicate, 7) for replicate in range(2 * S)]
        assert [market.config for market in markets[:S]] == [Share(k, S).of(config) for k in range(S)]
        assert play(None, markets, days=1, run_out_days=0).margin.shape == (2 * S,)
    together = population_of(config, commits)
    assert together["people_ever"] >= config.people.users
    assert together["people_ever"] < 2 * config.people.users
    assert [line.sequence for _, line in all_worlds(url)] == [1]


def test_gaelp_evaluate_plays_every_shard(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(
        capsys, "evaluate", "never", "--store", url, "--replicates", "4", "--days", "1",
        "--run-out-days", "0", "--json",
    )  # fmt: skip
    commits = json.loads(text)["starts"][0]["commits"]
    assert commits == {f"demo (shard {shard})": 1 for shard in range(S)}


def test_fold_repair_and_copy_take_the_files_of_all_shards(url: str, tmp_path: Path) -> None:
    assert list(fold_store(url)) == [url.replace(".db", f".demo@{shard}.db") for shard in range(S)]
    assert repair_store(url, accept=False) == []
    target = f"sqlite:///{tmp_path}/other.db"
    lines = copy_store(url, target)
    assert [(line["world"], line["commit"]) for line in lines] == [
        ("demo", 1), ("demo", 2), ("demo", 1), ("demo", 3)
    ]  # fmt: skip
    assert snapshots(target) == snapshots(url)
    assert inspect_world(target)["total"] == inspect_world(url)["total"]
    assert not any(line["now"] for line in copy_store(url, target))


def test_a_fold_of_a_shard_that_is_being_written_names_the_writer(url: str) -> None:
    script = (
        "import sys\nfrom gaelp_env.world import World\nfrom tests.worlds import step\n"
        f"world = World.open({url!r}, shard=1)\nworld.reset()\nstep(world)\nprint('held', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).resolve().parents[1],
    ) as holder:  # fmt: skip
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WorldBusy, match=f"process {holder.pid}"):
            fold_store(url)
        assert _commits(url) == [1, 2, 1, 3]
        holder.stdin.close()
    assert all(commits == 0 for commits in fold_store(url).values())


def _commits(url: str) -> list[Any]:
    ((_, line),) = all_worlds(url)
    return [shard.sequence for shard in line.shards]
