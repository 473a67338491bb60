"""`gaelp forget`: what it says before, what it does, and what it says remains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.cli import main
from agents.store_forget import forget_user
from gaelp_env.world import World
from gaelp_env.world_shards import Share
from storage.base import WorldBusy, WorldNotFound, default_id
from tests.worlds import SMALL, begun, new_url, play, rows

SARA = "sara_mobile_001"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store in which somebody lives in a world, its fork and the fork's fork, and a namesake elsewhere."""
    found = new_url("sqlite", tmp_path)
    world = begun(found)
    world.get_or_create_user(SARA, f"visit of {SARA}")
    world.record_touchpoint(SARA, "search", clicked=True)
    play(world, 1)
    fork = world.fork(found, "fork")
    fork.fork(found, "grandchild").close()
    other = begun(found, "namesake")
    other.get_or_create_user(SARA)
    play(other, 1)
    for one in (world, fork, other):
        one.close()
    return found


def files_of(url: str) -> bytes:
    return b"".join(file.read_bytes() for file in Path(url.removeprefix("sqlite:///")).parent.iterdir())


def test_it_says_first_and_erases_then(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(url)
    assert main(["forget", SARA, "--store", url]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{url} demo: {SARA} (number 60)"
    assert lines[1] == "Found: 1 persistent_users, 1 touchpoints, 0 conversions."
    assert lines[-1] == "Nothing was erased. To erase the person for good, add --yes."
    assert files_of(url) == before
    assert main(["forget", SARA, "--store", url, "--yes", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["identities"] == {SARA: 60}
    assert report["erased"] == {
        "records": 1, "past": 0, "names": 1, "persistent_users": 1, "touchpoints": 1, "conversions": 0,
    }  # fmt: skip
    assert {"base", "journal", "past", "names"} <= set(report["searched"])
    assert not any(row["user_id"] == SARA for row in rows(url, "persistent_users"))


def test_it_names_every_world_that_still_holds_them(url: str) -> None:
    remains = forget_user(url, SARA, "demo", accept=True)["remains"]
    for world, what in (
        ("fork", "fork (demo@1)"),
        ("grandchild", "fork (fork@0)"),
        ("namesake", "user of that name"),
    ):
        (sentence,) = (one for one in remains if f"World {world!r}" in one)
        assert what in sentence
        assert f"run `gaelp forget {SARA} --store {url} --world {world}`" in sentence
    assert any("1 episodes of the world are labelled" in one for one in remains)
    assert any("number alone stays (60)" in one for one in remains)
    assert any("Copies, exports" in one for one in remains)
    for world in ("fork", "grandchild", "namesake"):
        remains = forget_user(url, SARA, world, accept=True)["remains"]
    assert not any(one.startswith("World ") for one in remains)


def test_not_a_byte_is_left_when_all_have_forgotten(url: str) -> None:
    for world in ("demo", "fork", "grandchild", "namesake"):
        forget_user(url, SARA, world, accept=True)
    assert files_of(url).count(SARA.encode()) == 1  # the label of an episode, which was told of


def test_somebody_without_a_name_is_somebody_else_elsewhere(url: str) -> None:
    remains = forget_user(url, "u000000007", "demo", accept=False)["remains"]
    told = [one for one in remains if one.startswith("World ")]
    assert len(told) == 2
    assert all("is a fork" in one for one in told)


def test_what_cannot_be_forgotten_is_told(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forget", "nobody", "--store", url]) == 2
    assert "There is no user 'nobody' in world 'demo'; nothing was erased" in capsys.readouterr().err
    assert main(["forget", "nobody", "--store", url, "--yes"]) == 0
    assert "nobody of that name" in capsys.readouterr().out
    with pytest.raises(WorldNotFound):
        forget_user(url, SARA, "else", accept=True)
    world = World.open(url)
    world.reset()
    play(world, 1)
    with pytest.raises(WorldBusy):
        forget_user(url, SARA, "demo", accept=True)
    world.close()


def test_a_person_is_found_in_the_shard_where_they_live(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    World.create(url, "demo", config=SMALL, shards=2, shard=1, seed=5).close()
    numbers = [share.first_number + 3 for share in (Share(0, 2), Share(1, 2))]
    for number in numbers:
        report = forget_user(url, default_id(number), "demo", accept=True)
        assert report["identities"] == {default_id(number): number}
        assert (report["erased"]["records"], report["erased"]["persistent_users"]) == (1, 1)
    for shard in (0, 1):
        with World.open(url, "demo", mode="read", shard=shard) as reader:
            reader.reset(seed=1)
            people = reader.playing().population
            assert people.size == 29
            assert numbers[shard] not in people.number[: people.size]
