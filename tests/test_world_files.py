"""Files that earlier releases wrote: worlds in them are read as they are, play on, and can be folded."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from agents.store_care import fold_store
from gaelp_env.world import World
from storage import open_store
from tests.worlds import play, rows, state

GOLDEN = Path(__file__).parent / "golden" / "world_v1.db"
"""Two worlds of sixty people, by the last release whose stores kept a row a user."""
THERE = {"demo": (3, "a5ea681f2fff5f3f", 14, 3), "copy/1": (1, "f288e46a198f09b1", 7, 1)}
"""World -> its last commit, the digest of people and market, touchpoints and episodes on record."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    shutil.copyfile(GOLDEN, tmp_path / "my.db")
    return f"sqlite:///{tmp_path / 'my.db'}"


def found(url: str, world: str) -> tuple[Any, ...]:
    store = open_store(url, read_only=True)
    snapshot = store.load(world)
    digest = hashlib.sha256(snapshot.users.tobytes() + snapshot.market).hexdigest()[:16]
    counts = [store.count(world, table) for table in ("touchpoints", "episodes")]
    store.close()
    return (snapshot.sequence, digest, *counts)


def test_a_file_with_a_row_a_user_is_read_without_a_change(url: str, tmp_path: Path) -> None:
    assert {world: found(url, world) for world in THERE} == THERE
    reader = World.open(url, mode="read")
    reader.reset(seed=1)
    play(reader, 1)
    reader.close()
    assert (tmp_path / "my.db").read_bytes() == GOLDEN.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["my.db"]


def test_its_worlds_play_on_as_their_forks_do(url: str) -> None:
    for name in THERE:
        fork = World.open(url, name).fork("memory:", "copy")
        fork.reset()
        world = World.open(url, name)
        world.reset()
        play(world, 2)
        play(fork, 2)
        assert state(world) == state(fork)
        world.close()
        fork.close()
        assert found(url, name)[0] == THERE[name][0] + 2
    assert fold_store(url) == {url: 0}


def test_its_public_rows_are_what_the_records_say(url: str) -> None:
    before = rows(url, "persistent_users")
    world = World.open(url, "demo")
    world.reset()
    play(world, 1)
    world.close()
    after = {row["user_id"]: row for row in rows(url, "persistent_users")}
    same = [row for row in before if after[row["user_id"]] == row]
    assert 0 < len(same) < len(before) <= len(after)
    assert after["sara_mobile_001"]["created_at"] == next(
        row["created_at"] for row in before if row["user_id"] == "sara_mobile_001"
    )
