"""`gaelp fold`, `gaelp copy` and `gaelp repair`: what they do to files, and what they say."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from agents.cli import main
from agents.store_care import copy_store, fold_store, repair_store
from gaelp_env.world import World
from storage import open_store
from storage.base import BadStoreURL, NotAStore, WorldExists, WorldNotFound
from storage.siblings import sibling_path
from tests.worlds import SMALL, begun, play, state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "my.db"


def left_by_a_killed_writer(path: Path, name: str = "demo") -> World:
    """A world of three episodes whose commits nobody has folded; it must be kept."""
    store = open_store(f"sqlite:///{path}")
    world = begun(store, name)
    play(world, 3)
    store.public = None
    return world


def sql(path: Path, query: str) -> Any:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()


def test_fold_brings_files_and_siblings_up(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    side = Path(sibling_path(str(path), "demo/1"))
    for file, name in ((path, "demo"), (side, "demo/1")):
        left_by_a_killed_writer(file, name).close()
    assert sql(path, "SELECT count(*) FROM persistent_users") == 0
    assert main(["fold", "--store", f"sqlite:///{path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"sqlite:///{path}: 4 commits folded", f"sqlite:///{side}: 4 commits folded"]
    assert sql(path, "SELECT count(*) FROM persistent_users") >= 60
    assert sql(path, "SELECT max(episode) FROM episodes") == 3
    assert fold_store(f"sqlite:///{path}") == {f"sqlite:///{path}": 0, f"sqlite:///{side}": 0}


def test_a_copy_plays_on_as_the_store_does_and_is_left_when_whole(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = left_by_a_killed_writer(path)
    other = path.with_name("other.db")
    urls = [f"sqlite:///{path}", f"sqlite:///{other}"]
    assert main(["copy", *urls]) == 0
    assert capsys.readouterr().out.startswith(f"{urls[1]} demo: copied, commit 3, 6")
    assert [entry.name for entry in path.parent.iterdir() if "other" in entry.name] == ["other.db"]
    assert main(["copy", *urls, "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["now"], line["commit"], line["counts"]["episodes"]) == (False, 3, 3)
    copied = World.open(urls[1])
    copied.reset()
    world.reset()
    play(world, 2)
    play(copied, 2)
    assert state(world) == state(copied)
    copied.close()
    play(world, 1)
    with pytest.raises(WorldExists, match="does not hold what"):
        copy_store(*urls)
    world.close()


def test_what_cannot_be_copied_is_named(path: Path) -> None:
    with pytest.raises(WorldNotFound):
        copy_store(f"sqlite:///{path}", "sqlite:///other.db")
    World.create(f"sqlite:///{path}", config=SMALL).close()
    with pytest.raises(BadStoreURL, match="same file"):
        copy_store(f"sqlite:///{path}", f"sqlite:///{path}")
    for command in (fold_store, lambda url: repair_store(url, accept=False)):
        with pytest.raises(BadStoreURL, match="is no file"):
            command("memory:")
    with pytest.raises(BadStoreURL, match="private to whoever opens it"):
        copy_store(f"sqlite:///{path}", "memory:")


def test_repair_says_first_and_does_then(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{path}"
    left_by_a_killed_writer(path).close()
    asked = ["repair", "--store", url]
    assert main(asked) == 0
    assert capsys.readouterr().out == f"{url}: nothing is damaged.\n"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE journal SET users = zeroblob(length(users)) WHERE sequence = 2")
    connection.close()
    with pytest.raises(NotAStore, match=rf"commit 2 of world 'demo'.*gaelp repair --store {url}"):
        World.open(url).reset()
    assert main(asked) == 1
    said = capsys.readouterr().out
    assert "loses commits 2 to 3: it goes on from commit 1." in said
    assert said.endswith("To give this up, add --yes.\n")
    with pytest.raises(NotAStore):
        World.open(url).reset()
    assert main([*asked, "--yes"]) == 0
    assert capsys.readouterr().out.endswith("Given up; the store can be written again.\n")
    world = World.open(url)
    world.reset()
    assert world.sequence == 1
    play(world, 1)
    world.close()
    assert repair_store(url, accept=False) == []
