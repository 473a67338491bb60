"""Impressions are the same market: constant bids leave the people, ledger and events of AdMarketEnv."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.reward import REWARDS
from tests.impressions import answer, bids, by_ticks, floor_of, people, record_of, twin
from tests.markets import busy_world, full_world

ONE_CREATIVE = {"creatives": [1.0], "rotation": "even"}
CLOCK = {"tick_minutes": 60.0, "episode_ticks": 12}
ACTION = (0.5, 0.7, 0.3, 0.2, 0.9)


def full(per_episode: float = 1000.0, **changes: object) -> MarketConfig:
    response = {**ONE_CREATIVE, **dict(changes.pop("response", {}))}  # type: ignore[call-overload]
    return full_world(per_episode, **{"clock": CLOCK, "response": response, **changes})


BUSY = busy_world().model_copy(update={"clock": full().clock})
RIVALS = load_config("rivals")
RIVALS = RIVALS.model_copy(
    update={"people": BUSY.people, "clock": BUSY.clock, "response": full().response, "budget": BUSY.budget}
)
WORLDS = {
    "busy": BUSY,
    "full": full(),
    "daily": full(budget={"per_day": 1.5, "pacing": "even"}),
    "lifetime": full(budget={"lifetime": 2.0}),
    "targeting": full(channels={"display": {"targeting": [1.2, 1.0, 0.0, 0.8]}}),
    "empty": load_config({"people.users": 3, "people.media_per_day": 0.5, "clock.episode_ticks": 6}),
}


def same(config: MarketConfig, seed: int, action: tuple[float, ...] = ACTION, episodes: int = 2) -> int:
    """Plays both ways and holds them together tick by tick; returns how often the ads were seen."""
    floor, market = floor_of(config, seed), twin(config, seed)
    books = floor.books[0]
    world, seen = books.world, 0
    for _ in range(episodes):
        touches, visits, orders, chances = [], [], [], []
        for _ in by_ticks(floor, action):
            played = world.playing()
            while market.record["tick"] < played.record["tick"]:
                tick = market.advance(bids(action, config))
                touches.append(tick.touchpoints)
                visits.append(tick.visits)
                orders.append(tick.conversions)
                chances.append(tick.click_probability)
            assert played.record["last"].tobytes() == market.record["last"].tobytes()
            assert record_of(played) == record_of(market)
            assert people(floor) == market.population.rows(slice(None)).tobytes()
        for mine, theirs in (
            (books.touchpoints(), touches), (books.visits(), visits), (books.orders(), orders),
            (books.click_probability(), chances),
        ):  # fmt: skip
            assert mine.tobytes() == np.concatenate(theirs).tobytes()
        seen += len(books.touchpoints())
        floor.end(0)
        world.end_episode()
        world.reset()
        market.end_episode()
        market.take_changes()
        market.begin_episode()
        floor.begin([0], np.zeros((1, 99), np.float32)[:, : floor._entries])
    return seen


@pytest.mark.parametrize("name", WORLDS)
def test_constant_bids_leave_the_same_people_ledger_and_events(name: str) -> None:
    seen = same(WORLDS[name], seed=7)
    assert seen > 50 or name == "empty"


def test_rivals_who_learn_learn_the_same() -> None:
    assert same(RIVALS, seed=3, action=(0.1, 0.2, 0.3, 0.4, 0.5)) > 50


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.floats(-0.875, 1.0, width=32), min_size=5, max_size=5))
def test_whatever_the_bids_and_the_seed(seed: int, action: list[float]) -> None:
    same(WORLDS["full"], seed, tuple(action), episodes=1)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.0, 0.6))
def test_a_budget_stops_bidding_at_the_same_charge(seed: int, budget: float) -> None:
    same(full(budget), seed, episodes=1)


def test_a_budget_is_crossed_in_such_a_world() -> None:
    market = twin(full(0.3), 5)
    stopped = [int(market.advance(bids(ACTION, full(0.3))).ledger["stopped"]) for _ in range(12)]
    assert sum(stopped) == 1


@pytest.mark.parametrize("name", REWARDS)
def test_rewards_of_an_episode_sum_to_those_of_ticks(name: str) -> None:
    config = full(conversion={"delay_means_h": [0.1, 0.2, 0.3], "buy_rate": [0.3] * 5})
    market = twin(config, 11)
    theirs = sum(REWARDS[name](market.advance(bids(ACTION, config)).ledger, config.goals) for _ in range(12))
    floor = floor_of(config, 11, name)
    mine = sum(by_ticks(floor, ACTION))
    assert mine == pytest.approx(theirs, abs=1e-9 * max(1.0, abs(theirs)))
    assert mine != 0.0


def test_no_bid_is_no_bid() -> None:
    config = WORLDS["full"]
    floor, market = floor_of(config, 4), twin(config, 4)
    for _ in by_ticks(floor, (-1.0,) * 5):
        pass
    for _ in range(config.clock.episode_ticks):
        market.advance(np.zeros(5))
    assert people(floor) == market.population.rows(slice(None)).tobytes()


def test_another_bid_at_one_opportunity_changes_what_that_one_user_does() -> None:
    """Nobody else is touched within the tick: people are independent given the bids."""
    config = BUSY
    one, other = floor_of(config, 9), floor_of(config, 9)
    user = int(one.desks["user"][0])
    answer(one, (1.0,) * 5)
    answer(other, (-1.0,) * 5)
    for floor in (one, other):
        floor.desks["pause"] = 1
        while floor.desks["asks"][0]:
            answer(floor, (-1.0,) * 5)
    rows = [floor.books[0].world.playing().population.hot.copy() for floor in (one, other)]
    differ = rows[0]["number"][rows[0] != rows[1]]
    assert differ.tolist() in ([], [user])
