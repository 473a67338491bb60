"""Budgets of the episode, the day and the world's life: none is crossed, and each reopens when it says."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from gaelp_env.config_load import load_config
from gaelp_env.ledger import K
from gaelp_env.market import Market, Tick
from gaelp_env.world import World
from tests.markets import state_of, told

BIDS = np.array([120.0, 40.0, 15.0, 60.0, 2.0])
MICRO = 1e6
NOTHING: Mapping[str, Any] = MappingProxyType({})


def market_of(keys: Mapping[str, Any] = NOTHING, seed: int = 7) -> Market:
    base = {
        "people.users": 300, "people.media_per_day": 40.0, "people.traffic": "flat", "prices.by_hour": "flat",
        "people.weekdays": "flat", "clock.tick_minutes": 60.0, "budget.per_episode": 1e6,
    }  # fmt: skip
    market = Market.born(load_config({**base, **keys}), seed)
    market.begin_episode()
    return market


def hours(market: Market, count: int) -> list[Tick]:
    return [market.advance(BIDS) for _ in range(count)]


def spend(tick: Tick) -> int:
    return int(tick.ledger["spend_micro"].sum())


def test_a_day_budget_stops_bidding_and_opens_again_at_midnight() -> None:
    market = market_of({"budget.per_day": 4.0})
    for _ in range(3):
        ticks = hours(market, 24)
        assert 3.5e6 < sum(map(spend, ticks)) <= 4.0 * MICRO
        assert sum(int(tick.ledger["stopped"]) for tick in ticks) == 1
        stop = next(t for t, tick in enumerate(ticks) if tick.ledger["stopped"])
        assert stop < 20
        assert all(spend(tick) > 0 for tick in ticks[:stop])
        assert not any(tick.ledger["bids"].any() for tick in ticks[stop + 1 :])
        assert (market.record["day_over"], market.record["day_spent_micro"]) == (0, 0)


def test_a_day_begins_at_midnight_utc_and_not_with_the_episode() -> None:
    """Born at 18 h: the first budget lasts for six hours, the next one for twenty-four."""
    market = market_of({"budget.per_day": 1.0, "clock.epoch": "2026-01-05T18:00:00"})
    spends = [spend(tick) for tick in hours(market, 36)]
    days = [sum(spends[:6]), sum(spends[6:30]), sum(spends[30:])]
    assert all(0.7e6 < day <= MICRO for day in days)
    assert spends[6] > 0
    assert spends[30] > 0


def test_the_day_goes_on_when_an_episode_ends() -> None:
    market = market_of({"budget.per_day": 2.0, "clock.episode_ticks": 8})
    spent = 0
    for _ in range(3):
        spent += sum(map(spend, hours(market, 8)))
        market.end_episode()
        market.take_changes()
        market.begin_episode()
    assert 1.5e6 < spent <= 2.0 * MICRO
    assert spend(market.advance(BIDS)) > 0


def test_a_lifetime_budget_stops_for_good() -> None:
    market = market_of({"budget.lifetime": 5.0, "clock.episode_ticks": 24})
    total = 0
    for _ in range(3):
        total += sum(map(spend, hours(market, 24)))
        market.end_episode()
        market.begin_episode()
    assert 4.5e6 < total == market.record["spend_micro"] <= 5.0 * MICRO
    assert market.record["all_over"] == 1
    assert not market.advance(BIDS).ledger["bids"].any()


@pytest.mark.parametrize(
    "budgets",
    [
        {"budget.per_day": 2.0, "budget.per_episode": 3.0, "budget.lifetime": 7.0},
        {"budget.per_day": 2.0, "budget.per_episode": 2.0, "budget.lifetime": 2.0},
        {"budget.per_day": 5.0, "budget.per_episode": 1.5},
        {"budget.per_day": 0.0},
        {"budget.lifetime": 0.0},
    ],
)
def test_the_tightest_budget_holds_at_every_moment(budgets: dict[str, float]) -> None:
    market = market_of({**budgets, "clock.episode_ticks": 18})
    budget, spends = market.config.budget, []
    for t in range(90):
        if t and t % 18 == 0:
            market.end_episode()
            market.begin_episode()
        before = market.budget_left
        spends.append(spend(market.advance(BIDS)))
        assert spends[-1] <= round(before * MICRO)
        assert sum(spends[t - t % 18 :]) <= budget.per_episode * MICRO
        assert budget.per_day is None or sum(spends[t - t % 24 :]) <= budget.per_day * MICRO
        assert budget.lifetime is None or sum(spends) <= budget.lifetime * MICRO
    assert (sum(spends) > 0) == (min(budgets.values()) > 0.0)


def test_what_is_left_is_that_of_the_tightest_budget() -> None:
    market = market_of({"budget.per_day": 4.0, "budget.per_episode": 6.0, "budget.lifetime": 9.0})
    assert market.budget_left == 4.0
    spent = sum(map(spend, hours(market, 4))) / MICRO
    assert 0.0 < spent < 4.0
    assert market.budget_left == pytest.approx(4.0 - spent, abs=1e-9)
    spent += sum(map(spend, hours(market, 20))) / MICRO
    assert market.budget_left == pytest.approx(min(6.0 - spent, 4.0, 9.0 - spent), abs=1e-9)


def test_before_a_budget_is_crossed_nothing_differs_from_a_market_without_it() -> None:
    poor, rich = market_of({"budget.per_day": 2.0}), market_of()
    for _ in range(24):
        ours, theirs = poor.advance(BIDS), rich.advance(BIDS)
        assert ours.ledger["candidates"] == theirs.ledger["candidates"]
        played = len(ours.touchpoints)
        assert ours.touchpoints.tobytes() == theirs.touchpoints[:played].tobytes()
        if ours.ledger["stopped"]:
            break
        assert played == len(theirs.touchpoints)
    assert ours.ledger["stopped"] == 1
    assert 0 < played < len(theirs.touchpoints)


def test_charges_by_click_keep_a_budget_too() -> None:
    """A click costs thousands of times an impression: it is the click that would cross the budget."""
    keys: dict[str, Any] = {
        "budget.per_day": 30.0,
        "channels.search.audience": [1.0] * 5,
        "channels.search.share": 1.0,
    }
    keys |= {f"channels.{name}.share": 0.0 for name in ("social", "display", "video", "email")}
    market = market_of({**keys, "channels.search.click_rate": [0.2] * 5})
    for _ in range(2):
        ticks = hours(market, 24)
        assert 25.0 * MICRO < sum(map(spend, ticks)) <= 30.0 * MICRO
        stop = next(tick for tick in ticks if tick.ledger["stopped"])
        assert stop.ledger["bids"][0] < stop.ledger["opportunities"][0]


EVERYTHING = {
    "budget.per_day": 9.0, "budget.lifetime": 60.0, "budget.per_episode": 8.0, "budget.pacing": "even",
    "budget.frequency_cap": 3, "clock.episode_ticks": 20, "response.rotation": "freshest",
    "rivals": {
        "kind": "bidders", "learning_rate": 0.1,
        "one": {"strategy": "learning", "value": 1.2, "shade": 0.8},
        "two": {"strategy": "paced", "value": 1.0, "budget_per_day": 20.0},
        "three": {"strategy": "shading", "value": 0.9, "shade": 0.6},
    },
}  # fmt: skip
"""Rivals who bid, pacing, caps and all three budgets at once."""


def next_episode(market: Market) -> None:
    market.end_episode()
    market.take_changes()
    market.begin_episode()


@pytest.mark.parametrize("ticks", [0, 3, 17, 24, 31])
def test_with_everything_on_a_resumed_market_equals_the_unbroken_one(ticks: int) -> None:
    unbroken = market_of(EVERYTHING)
    for t in range(ticks):
        if t and t % 20 == 0:
            next_episode(unbroken)
        unbroken.advance(BIDS)
    resumed = Market.restored(unbroken.config, unbroken.population.rows(slice(None)), unbroken.record_bytes())
    assert state_of(resumed) == state_of(unbroken)
    for t in range(ticks, ticks + 30):
        if t and t % 20 == 0:
            next_episode(unbroken)
            next_episode(resumed)
        assert told(resumed.advance(BIDS)) == told(unbroken.advance(BIDS))
        assert state_of(resumed) == state_of(unbroken)


def test_with_everything_on_going_back_is_exact() -> None:
    market = market_of({**EVERYTHING, "clock.episode_ticks": 48})
    hours(market, 9)
    point = market.checkpoint()
    story = [told(tick) for tick in hours(market, 30)]
    after = state_of(market)
    market.rollback(point)
    assert [told(tick) for tick in hours(market, 30)] == story
    assert state_of(market) == after


def played(url: str | None, pieces: list[int]) -> bytes:
    """The state of a world whose episodes are played in so many sittings."""
    state = b""
    for sitting, episodes in enumerate(pieces):
        config = market_of(EVERYTHING).config if sitting == 0 else None
        world = World.open(url, "budgets", config=config)
        world.reset(seed=3 if sitting == 0 else None)
        for _ in range(episodes):
            while not world.over:
                world.step(BIDS)
            world.end_episode()
        state = state_of(world.playing())
        if url is not None:
            world.close()
    return state


def test_a_world_that_is_put_away_and_taken_up_again_plays_on_bit_for_bit(tmp_path: Any) -> None:
    """Day, lifetime, pace and rivals live in the market record: across commits and midnights."""
    broken = played(f"sqlite:///{tmp_path / 'a.db'}", [1, 2, 1])
    whole = played(f"sqlite:///{tmp_path / 'b.db'}", [4])
    assert broken == whole


def test_bids_of_nothing_cross_nothing() -> None:
    market = market_of({"budget.per_day": 0.0})
    for _ in range(30):
        assert not market.advance(np.zeros(K)).ledger["stopped"]
