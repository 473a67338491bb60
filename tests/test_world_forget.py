"""People who are to be forgotten: what a world is without them, and that it goes on as ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaelp_env.undo import BLOCK_USERS
from gaelp_env.world import World
from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import WorldBusy, WorldNotFound
from storage.shared import SharedStore
from tests.worlds import SMALL, STORES, begun, new_url, play, rows, state, stored

SARA = "sara_mobile_001"


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


def named(url: Any, **terms: Any) -> World:
    world = begun(url, **terms)
    play(world, 1)
    world.get_or_create_user(SARA)
    world.record_touchpoint(SARA, "search", clicked=True)
    world.record_conversion(SARA, 12.5)
    play(world, 2)
    return world


def test_a_person_is_nowhere_and_the_world_goes_on_alike_when_reopened(url: str) -> None:
    world = named(url)
    number = world.names.number_of(SARA)
    erased = world.forget(SARA)
    for what in ("records", "names", "persistent_users", "touchpoints"):
        assert erased.erased[what] == 1
    assert erased.erased["conversions"] >= 1
    assert world.sequence == 4
    assert not any(
        row["number"] == number for table in ("touchpoints", "conversions") for row in rows(url, table)
    )
    assert not any(row["user_id"] == SARA for row in rows(url, "persistent_users"))
    assert stored(url) == state(world)
    with pytest.raises(LookupError, match="knows no user"):
        world.record_touchpoint(SARA)
    with pytest.raises(LookupError, match="left for good"):
        world.record_touchpoint(f"u{number:09d}")
    world.close()
    one = World.open(url)
    one.reset()
    play(one, 2)
    unbroken = state(one)
    one.close()
    assert stored(url) == unbroken
    again = World.open(url)
    assert again.get_or_create_user(SARA)["created"]
    assert again.names.number_of(SARA) > number
    again.close()


def test_the_others_live_on_as_if_the_person_had_left(tmp_path: Path) -> None:
    """Chance is addressed, so nobody else's luck changes; all but the sums over people are equal."""
    ends = []
    for forgotten in (False, True):
        world = named(new_url("sqlite", tmp_path))
        number = world.names.number_of(SARA)
        if forgotten:
            world.forget(SARA)
        world.reset()
        # Without bids only: a budget would couple people.
        for _ in range(3):
            while not world.over:
                world.step(np.zeros(5))
            world.end_episode()
        people = world.playing().population
        ends.append(people.rows(people.number[: people.size] != number))
        world.close()
    assert ends[0].tobytes() == ends[1].tobytes()


def test_an_earlier_commit_is_read_and_forked_without_the_person(url: str) -> None:
    world = named(url, keep_commits=10)
    number = world.names.number_of(SARA)
    play(world, 2)
    world.fold()
    world.forget(SARA)
    world.close()
    reader = World.open(url, mode="read", pin=4)
    reader.reset(seed=1)
    people = reader.playing().population
    assert number not in people.number[: people.size]
    assert int(reader.playing().record["active"]) == people.size
    living = people.size
    play(reader, 1)
    reader.close()
    fork = reader.fork(new_url("memory", None), "fork", at=4)
    fork.reset()
    assert SARA not in fork.names.by_number.values()
    assert fork.playing().population.size == living
    fork.close()


def test_a_seed_does_not_bear_them_again(url: str) -> None:
    world = named(url)
    number = world.names.number_of(SARA)
    world.forget("u000000003")
    world.forget(SARA)
    for seed in (5, 6):
        world.reset(seed=seed)
        play(world, 2)
        here = world.playing().population.number[: world.playing().population.size]
        assert not np.isin([3, number], here).any()
    world.close()


def test_forgetting_twice_and_a_stranger_finds_nothing(url: str) -> None:
    world = named(url)
    world.forget(SARA)
    at = world.sequence
    for name in (SARA, "nobody", "u999999999"):
        assert set(world.forget(name).erased.values()) == {0}
    assert world.sequence == at
    play(world, 1)
    assert world.sequence == at + 1
    world.close()


def test_a_forgetting_that_broke_off_is_finished(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = named(url)
    with monkeypatch.context() as patch:
        patch.setattr(SharedStore, "forget", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            world.forget(SARA)
    world.let_go()
    assert any(row["user_id"] == SARA for row in rows(url, "persistent_users"))
    again = World.open(url)
    erased = again.forget(SARA).erased
    assert (erased["persistent_users"], erased["names"], again.sequence) == (1, 1, 4)
    play(again, 1)
    assert stored(url) == state(again)
    again.close()


@pytest.mark.parametrize("verb", ["forget", "commit"])
@pytest.mark.parametrize("people", [300, BLOCK_USERS + 300])
def test_no_way_back_leads_to_a_person_whose_forgetting_failed(
    people: int, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The world in memory is without the person from then on, and the same call finishes the work."""
    url = new_url("sqlite", tmp_path)
    config = SMALL.model_copy(update={"people": SMALL.people.model_copy(update={"users": people})})
    world = named(url, config=config)
    number = world.names.number_of(SARA)
    assert world.playing().small == (people <= BLOCK_USERS)
    with monkeypatch.context() as patch:
        patch.setattr(SharedStore, verb, lambda *_: (_ for _ in ()).throw(OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            world.forget(SARA)
    world.reset(seed=3)
    people_now = world.playing().population
    assert number not in people_now.number[: people_now.size]
    play(world, 1)
    world.forget(SARA)
    assert not any(row["user_id"] == SARA for row in rows(url, "persistent_users"))
    play(world, 1)
    assert stored(url) == state(world)
    world.close()


def test_all_identities_of_a_person_go(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    world = begun(url)
    for name in ("sara_mobile", "sara_desktop", "mike"):
        world.get_or_create_user(name)
    play(world, 1)
    same = lambda birth, users, names: {  # noqa: E731
        **(made := public_of(birth, users, names)),
        "canonical_user_id": ["sara" if name.startswith("sara") else name for name in made["user_id"]],
    }
    world.close()
    store = open_store(url, public=same)
    world = World.open(store)
    world.reset()
    for name in ("sara_mobile", "sara_desktop", "mike"):
        world.get_or_create_user(name)
    play(world, 1)
    assert world.forget("sara_desktop").erased["names"] == 2
    assert set(world.names.by_number.values()) == {"mike"}
    world.close()
    store.close()


def test_what_cannot_be_forgotten_is_refused(url: str) -> None:
    with pytest.raises(WorldNotFound):
        World.open(url).forget(SARA)
    with pytest.raises(RuntimeError, match="writes to no store"):
        begun(None).forget(SARA)
    world = named(url)
    with pytest.raises(RuntimeError, match="writes to no store"):
        World.open(url, mode="read").forget(SARA)
    with pytest.raises(WorldBusy):
        World.open(url).forget(SARA)
    world.close()
