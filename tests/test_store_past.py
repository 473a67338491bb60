"""`gaelp history`, `gaelp keep`, `gaelp fork` and `--at`: the past of worlds from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.cli import main
from agents.commits import commit_asked, named
from agents.evaluate_worlds import commits_of
from agents.inspect import inspect_user, inspect_world
from gaelp_env.world import World
from tests.worlds import begun, play, state


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A world of four episodes that keeps three commits, and one of another name that keeps its last."""
    url = f"sqlite:///{tmp_path}/my.db"
    for name, keep in (("demo", 3), ("other", None)):
        world = begun(url, name, keep_commits=keep)
        play(world, 4)
        world.close()
    return url


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    assert main([*arguments, "--json"]) == status
    shown = capsys.readouterr()
    return json.loads(shown.out) if status == 0 else shown.err


def test_history_lists_the_commits_that_can_be_read(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    demo, other = said(capsys, "history", "--store", url)
    assert (demo["world"], demo["shard"]) == ("demo", 0)
    assert [line["commit"] for line in demo["commits"]] == [2, 3, 4]
    assert [line["summary"]["episodes"] for line in demo["commits"]] == [2, 3, 4]
    times = [line["committed_at"] for line in demo["commits"]]
    assert times == sorted(times) and len(set(times)) == 3
    assert [line["commit"] for line in other["commits"]] == [4]
    assert main(["history", "--store", url, "--world", "demo"]) == 0
    out = capsys.readouterr().out
    assert "Commits of demo" in out and "other" not in out
    assert "2026-01-05" in out and all(len(line) <= 80 for line in out.splitlines())


def test_keep_is_remembered_by_the_world(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keep", "--store", url, "--world", "other", "--commits", "2", "--hours", "0"]) == 0
    assert capsys.readouterr().out == f"{url} other: keeps 2 commits and those of 0 hours\n"
    world = World.open(url, "other")
    world.reset()
    play(world, 3)
    world.close()
    (other,) = said(capsys, "history", "--store", url, "--world", "other")
    assert [line["commit"] for line in other["commits"]] == [6, 7]
    assert "add --commits, --hours, or both" in said(capsys, "keep", "--store", url, status=2)
    writer = World.open(url, "demo")
    writer.reset()
    writer.step([1.0] * 5)
    assert "is being written by" in said(capsys, "keep", "--store", url, "--commits", "2", status=1)


def test_a_fork_from_the_command_line_plays_on_as_the_world_did(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = f"sqlite:///{tmp_path}/fork.db"
    made = said(capsys, "fork", "--store", url, "--to", to, "--as", "copy", "--at", "2")
    assert (made["world"], made["parent"], made["store"]) == ("copy", "demo@2", to)
    assert main(["fork", "--store", url, "--to", to, "--at", "first"]) == 0
    line = capsys.readouterr().out
    assert line == f"{to} demo: forked from demo@2, {made['people']:,} people\n"
    lives = []
    for place, name, episodes in ((to, "copy", 2), (to, "demo", 2), (url, "demo", 0)):
        world = World.open(place, name)
        world.reset()
        play(world, episodes)
        lives.append(state(world))
        world.close()
    assert lives[0] == lives[1] == lives[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--at", "1"], "Commit 1 of world 'demo' (shard 0)"),
        (["--at", "9"], "There is no commit 9 of world 'demo'"),
        (["--at", "two"], "A commit is a number from 0 on, first or latest, and not 'two'."),
        (["--world", "nobody"], "There is no world 'nobody'"),
        (["--as", "a b"], "'a b' cannot name a world"),
        (["--as", "copy/*"], "'copy/*' cannot name a world"),
        (["--to", "memory:x"], "would end with this command; name a file"),
        (["--to", "SAME"], "World 'demo' is in"),
        (["--store", "sqlite:///nowhere.db"], "There is no file for the store"),
    ],
)
def test_a_fork_that_cannot_be_is_refused_in_a_sentence(
    url: str, tmp_path: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["fork", "--store", url, "--to", f"sqlite:///{tmp_path}/fork.db"]
    given += [url if argument == "SAME" else argument for argument in arguments]
    assert main(given) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert shown.err.startswith("gaelp: ") and says in shown.err
    assert not (tmp_path / "fork.db").exists()


def test_inspect_and_evaluate_look_at_earlier_commits(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    then, now = inspect_world(url, "demo", "2"), inspect_world(url, "demo")
    (one,), (two,) = then["worlds"], now["worlds"]
    assert (one["commit"], one["episodes_finished"], one["summary"]["episodes"]) == (2, 2, 2)
    assert one["logged"]["episodes"] == 2 and two["logged"]["episodes"] == 4
    assert one["counts"]["user_episodes"] < two["counts"]["user_episodes"]
    assert inspect_world(url, "demo", "first") == then
    met = [inspect_user(url, "u000000003", "demo", at) for at in ("2", "3", "latest")]
    assert [journey["commit"] for journey in met] == [2, 3, 4]
    assert met[0]["episodes"] <= met[1]["episodes"] <= met[2]["episodes"]
    assert met[0]["events"] == met[2]["events"][: len(met[0]["events"])]
    assert main(["inspect", "--store", url, "--world", "demo", "--at", "1"]) == 2
    assert "commits 2 to 4 can be read" in capsys.readouterr().err
    assert [commits_of(url, ["demo"], at)[0].sequence for at in ("first", "3", "latest")] == [2, 3, 4]


def test_what_is_typed_as_a_commit() -> None:
    assert [commit_asked(text) for text in ("first", "latest", "0", "12")] == ["first", "latest", 0, 12]
    assert [named(text) for text in ("first", "latest", "12")] == [
        "first commit kept", "last commit", "commit 12",
    ]  # fmt: skip
    for text in ("-1", "", "1.5", "Latest", "²"):
        with pytest.raises(ValueError, match="from 0 on, first or latest"):
            commit_asked(text)
