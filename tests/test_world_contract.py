"""The contract of a world, clause by clause, on every store: people, episodes, seeds, chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaelp_env.config_load import load_config
from gaelp_env.world import World
from storage import StoreFull, WorldExists, open_store
from tests.worlds import SMALL, STORES, TICKS, begun, new_url, plan, play, played, rows, state, step, stored


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


# 1. People persist.


def test_reset_begins_the_next_episode_with_the_same_people(url: str) -> None:
    world = begun(url)
    play(world)
    before, tick = state(world), int(world.playing().record["tick"])
    world.reset()
    assert state(world) == before
    assert tick == TICKS
    step(world)
    assert int(world.playing().record["tick"]) == TICKS + 1
    world.close()


def test_people_are_the_same_in_another_process_of_the_world(url: str) -> None:
    world = begun(url)
    play(world, 3)
    left = state(world)
    world.close()
    again = World.open(url)
    again.reset()
    assert state(again) == left
    assert again.playing().config == SMALL
    again.close()


def test_newcomers_are_born_leavers_archived_and_no_number_is_reused(url: str) -> None:
    config = load_config({"people.users": 60, "people.stay_days": 0.5, "clock.episode_ticks": 12})
    world = World.open(url, config=config)
    world.reset(seed=3)
    for _ in range(4):
        play(world, 2)
        world.close()
        world.reset()
    totals = world.totals()
    world.close()
    users = rows(url, "persistent_users")
    ids = [user["user_id"] for user in users]
    assert len(set(ids)) == len(ids) == totals["people_ever"]
    assert sum(user["is_active"] for user in users) == totals["people"]
    assert totals["people"] < totals["people_ever"] - 20
    assert totals["people_ever"] > 80


# 2. An episode is a transaction.


def test_what_ended_is_committed_at_once(url: str) -> None:
    world = begun(url)
    play(world)
    assert world.sequence == 1
    assert [row["ticks"] for row in rows(url, "episodes")] == [TICKS]
    world.close()


def test_reset_ends_an_episode_of_at_least_one_tick(url: str) -> None:
    world = begun(url)
    step(world)
    world.reset()
    assert [row["ticks"] for row in rows(url, "episodes")] == [1]
    assert world.episodes_finished == 1
    world.close()


def test_close_ends_and_commits_an_episode_of_at_least_one_tick(url: str) -> None:
    world = begun(url, commit_every=10)
    play(world)
    step(world)
    step(world)
    world.close()
    world.close()
    assert [row["ticks"] for row in rows(url, "episodes")] == [TICKS, 2]


def test_an_episode_of_no_tick_is_no_episode(url: str) -> None:
    world = begun(url)
    world.reset()
    world.reset()
    world.close()
    store = open_store(url)
    assert store.worlds() == []
    store.close()
    world.reset(seed=5)
    play(world)
    world.reset()
    world.reset()
    world.end_episode()
    world.close()
    assert len(rows(url, "episodes")) == 1


def test_commit_every_k_commits_k_episodes_at_once_and_close_the_rest(url: str) -> None:
    world = begun(url, commit_every=3)
    seen = []
    for _ in range(5):
        play(world)
        seen.append(world.sequence)
    assert seen == [-1, -1, 1, 1, 1]
    assert len(rows(url, "episodes")) == 3
    world.close()
    assert [row["episode"] for row in rows(url, "episodes")] == [1, 2, 3, 4, 5]


def test_committing_twice_is_committing_once(url: str) -> None:
    world = begun(url)
    play(world)
    assert world.commit() == world.commit() == 1
    world.close()
    assert len(rows(url, "episodes")) == 1


def test_commit_within_an_episode_keeps_it_open(url: str) -> None:
    world = begun(url, commit_every=10)
    play(world, 2)
    step(world)
    assert world.commit() == 1
    assert stored(url) == played(5, 2)
    assert len(rows(url, "episodes")) == 2
    while not world.over:
        step(world)
    world.end_episode()
    play(world)
    unbroken = state(world)
    world.close()
    assert unbroken == played(5, 4)
    world.reset()
    assert state(world) == unbroken


def test_what_is_not_committed_is_lost_and_nothing_else(url: str) -> None:
    world = begun(url, commit_every=2)
    play(world, 2)
    kept = state(world)
    play(world)
    step(world)
    del world
    again = World.open(url)
    again.reset()
    assert state(again) == kept
    again.close()


def test_a_tick_that_raised_half_way_is_rolled_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = begun(url)
    play(world)
    kept = state(world)
    world.reset()
    step(world)
    market = world.playing()
    real = type(market).advance

    def broken(self: Any, bids: Any) -> Any:
        real(self, bids)
        raise MemoryError("half-way")

    with monkeypatch.context() as patch:
        patch.setattr(type(market), "advance", broken)
        with pytest.raises(MemoryError):
            step(world)
    with pytest.raises(RuntimeError, match=r"raised half-way; reset\(\) or rollback\(\)"):
        world.step(plan(0))
    with pytest.raises(RuntimeError, match="raised half-way"):
        world.end_episode()
    world.close()
    assert len(rows(url, "episodes")) == 1
    world.reset()
    assert state(world) == kept
    world.close()


def test_rollback_drops_the_open_episode_and_its_events(url: str) -> None:
    world = begun(url, commit_every=5)
    play(world)
    kept = state(world)
    step(world)
    step(world)
    world.rollback()
    assert state(world) == kept
    play(world, 2)
    assert state(world) == played(5, 3)
    world.close()
    assert len(rows(url, "touchpoints")) == sum(row["views"] for row in rows(url, "episodes"))


class Failing:
    """A store that refuses the next commits with an error."""

    def __init__(self, url: str) -> None:
        self._store = open_store(url)
        self.url = url
        self.errors: list[Exception] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, pairs: Any) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self._store.commit(pairs)


def test_a_full_disk_loses_nothing(url: str) -> None:
    store = Failing(url)
    world = begun(store)
    play(world)
    store.errors = [StoreFull("no room"), StoreFull("no room"), StoreFull("no room")]
    with pytest.raises(StoreFull):
        play(world)
    with pytest.raises(StoreFull):
        play(world)
    assert len(rows(url, "episodes")) == 1
    with pytest.raises(StoreFull):
        world.close()
    world.close()
    assert [row["episode"] for row in rows(url, "episodes")] == [1, 2, 3]
    world.reset()
    assert state(world) == played(5, 3)
    world.close()


# 3. A seed never changes committed people.


def test_before_any_episode_has_finished_a_seed_decides_who_is_born(url: str) -> None:
    world = begun(url)
    first = state(world)
    step(world)
    world.reset(seed=6)
    assert state(world) != first
    step(world)
    world.reset(seed=5)
    assert state(world) == first
    world.close()


@pytest.mark.parametrize("commit_every", [1, 3])
def test_afterwards_it_drops_the_unfinished_episode_and_rekeys_chance(url: str, commit_every: int) -> None:
    world = begun(url, commit_every=commit_every)
    play(world)
    people = world.playing().population.rows(slice(None))
    step(world)
    world.reset(seed=9)
    assert world.playing().population.rows(slice(None)).tobytes() == people.tobytes()
    assert world.episodes_finished == 1
    once = [step(world).ledger.tobytes() for _ in range(2)]
    world.reset(seed=9)
    assert [step(world).ledger.tobytes() for _ in range(2)] == once
    after_nine = state(world)
    world.reset(seed=10)
    step(world)
    step(world)
    assert state(world) != after_nine
    world.close()


def test_people_whose_birth_is_committed_stay(url: str) -> None:
    World.create(url, config=SMALL, seed=5).close()
    world = World.open(url)
    world.reset(seed=77)
    seeded = world.playing().population.rows(slice(None))
    world.close()
    world.reset()
    assert world.playing().population.rows(slice(None)).tobytes() == seeded.tobytes()
    world.close()
    with pytest.raises(WorldExists):
        World.create(url, config=SMALL)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "7"])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(ValueError, match="A seed is a whole number"):
        World.open(config=SMALL).reset(seed=seed)


# 4. Chance is addressed, not consumed.


@pytest.mark.parametrize("commit_every", [1, 2])
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(url: str, commit_every: int) -> None:
    world = begun(url, commit_every=commit_every)
    for _ in range(6):
        play(world)
        world.close()
        world.reset()
    assert state(world) == played(5, 6)
    world.close()


def test_two_policies_meet_the_same_candidates(url: str) -> None:
    candidates = []
    for scale in (0.0, 1.0):
        world = World.open(config=SMALL)
        world.reset(seed=5)
        candidates.append([int(world.step(scale * plan(t)).ledger["candidates"]) for t in range(TICKS)])
    assert candidates[0] == candidates[1]
    assert sum(candidates[0]) > 0


# 5. Only our budget couples people.


def test_spending_stops_at_the_budget_and_the_market_goes_on(url: str) -> None:
    config = load_config(
        {
            "people.users": 300,
            "people.media_per_day": 40.0,
            "clock.episode_ticks": 8,
            "budget.per_episode": 0.2,
        }
    )
    world = World.open(url, config=config)
    world.reset(seed=2)
    ticks = [world.step(np.full(5, 40.0)) for _ in range(8)]
    assert world.over
    spent = sum(int(tick.ledger["spend_micro"].sum()) for tick in ticks)
    assert 0 < spent <= 200_000
    stopped = [int(tick.ledger["stopped"]) for tick in ticks]
    assert sum(stopped) >= 1
    last = ticks[-1].ledger
    assert last["opportunities"].sum() > 0
    assert last["wins"].sum() == 0
    world.close()
    assert rows(url, "episodes")[0]["spend_micro"] == spent


# 8. Simulated time is real time.


def test_event_times_are_utc_on_the_simulated_clock(url: str) -> None:
    world = begun(url)
    play(world, 3)
    end = world.totals()["clock"]
    world.close()
    episodes = rows(url, "episodes")
    text = [str(np.datetime64(str(row["started"]))) for row in episodes]
    assert text[0].startswith("2026-01-05T00:00:00")
    assert [str(row["started"]) for row in episodes[1:]] == [str(row["ended"]) for row in episodes[:-1]]
    assert str(np.datetime64(str(episodes[-1]["ended"]), "s")) == end
    spans = {row["episode"]: (str(row["started"]), str(row["ended"])) for row in episodes}
    touches = rows(url, "touchpoints")
    assert touches
    for touch in touches:
        started, ended = spans[touch["episode"]]
        assert started <= str(touch["at"]) < ended
    assert all(str(user["last_seen"]) <= str(episodes[-1]["ended"]) for user in rows(url, "persistent_users"))


def test_audit_columns_carry_one_stamp_a_commit(url: str) -> None:
    world = begun(url)
    play(world)
    first = {row["user_id"]: row for row in rows(url, "persistent_users")}
    play(world)
    second = {row["user_id"]: row for row in rows(url, "persistent_users")}
    world.close()
    changed = {name for name in first if second[name]["updated_at"] != first[name]["updated_at"]}
    assert changed
    assert all(second[name]["created_at"] == first[name]["created_at"] for name in first)
    later = {str(second[name]["updated_at"]) for name in changed}
    assert len(later) == 1
    assert later.pop() > max(str(row["updated_at"]) for row in first.values())


# 9. The horizon is truncation.


def test_past_the_horizon_there_is_no_tick(url: str) -> None:
    world = begun(url)
    for _ in range(TICKS):
        assert not world.over
        step(world)
    assert world.over
    with pytest.raises(RuntimeError, match=r"is over after 4 ticks; call reset\(\)"):
        step(world)
    world.reset()
    assert [row["ticks"] for row in rows(url, "episodes")] == [TICKS]
    world.close()
