"""Pacing: a multiplier within its bounds, and a budget that lasts as long as the traffic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.config_load import load_config
from gaelp_env.constants import season_of
from gaelp_env.market import Market
from gaelp_env.pacing import LEAST, paced
from tests.markets import state_of, told

MULTIPLIER = st.floats(LEAST, 1.0)
BEHIND = st.floats(-5.0, 5.0)
GAIN = st.floats(0.01, 100.0)
BIDS = 2.0 * np.array([60.0, 16.0, 6.0, 25.0, 1.0])


@given(MULTIPLIER, BEHIND, BEHIND, GAIN)
def test_a_multiplier_stays_within_its_bounds_and_moves_by_the_gain_at_most(
    multiplier: float, behind: float, behind_tick: float, gain: float
) -> None:
    after = paced(multiplier, behind, behind_tick, gain)
    assert LEAST <= after <= 1.0
    assert abs(math.log(after / multiplier)) <= gain + 1e-12


@given(MULTIPLIER, BEHIND, BEHIND, GAIN)
def test_who_is_ahead_of_the_plan_bids_no_more_and_who_is_behind_no_less(
    multiplier: float, behind: float, behind_tick: float, gain: float
) -> None:
    moved = paced(multiplier, behind, behind_tick, gain) - multiplier
    assert moved * (behind + behind_tick) >= 0.0
    assert paced(multiplier, 0.0, 0.0, gain) == multiplier


@given(MULTIPLIER, BEHIND, BEHIND, st.floats(0.0, 10.0), GAIN)
def test_more_spend_never_raises_the_multiplier(
    multiplier: float, behind: float, behind_tick: float, more: float, gain: float
) -> None:
    after = paced(multiplier, behind, behind_tick, gain)
    assert paced(multiplier, behind - more, behind_tick, gain) <= after
    assert paced(multiplier, behind, behind_tick - more, gain) <= after


def market_of(budget: float, *, pacing: str = "even", seed: int = 3, **keys: Any) -> Market:
    config = load_config(
        {
            "people.users": 3000, "people.media_per_day": 20.0, "budget.per_episode": budget,
            "budget.pacing": pacing, "prices.pressure_log_sd": 0.3, **keys,
        }
    )  # fmt: skip
    market = Market.born(config, seed)
    market.begin_episode()
    return market


def traffic_shares(market: Market) -> np.ndarray:
    """Share of the episode's traffic that has gone by after each tick."""
    config, season = market.config, season_of(market.config)
    hours = config.clock.tick_h * np.arange(config.clock.episode_ticks)
    weights = np.array([season.traffic[season.hour_of_week(float(hour))] for hour in hours])
    shares: np.ndarray = np.cumsum(weights) / weights.sum()
    return shares


def spend_shares(market: Market) -> np.ndarray:
    """Share of the budget that has been spent after each tick of an episode, bid by bid alike."""
    spends = []
    for _ in range(market.config.clock.episode_ticks):
        spends.append(int(market.advance(BIDS).ledger["spend_micro"].sum()))
        assert market.record["spent_micro"] <= round(market.config.budget.per_episode * 1e6)
        assert LEAST <= market.record["pace"] <= 1.0
    return np.cumsum(spends) / (1e6 * market.config.budget.per_episode)


@pytest.mark.parametrize("seed", [3, 4])
def test_spend_follows_the_traffic(seed: int) -> None:
    """Without pacing the budget is gone by early afternoon; with it, it lasts, and is spent."""
    even, hasty = market_of(200.0, seed=seed), market_of(200.0, pacing="none", seed=seed)
    traffic = traffic_shares(even)
    gap, gone = np.abs(spend_shares(even) - traffic), spend_shares(hasty)
    assert gone[-1] > 0.99
    assert (gone - traffic).max() > 0.25
    assert gap.max() < 0.08
    assert gap[-1] < 0.03


def test_a_budget_that_is_too_large_is_not_paced() -> None:
    """The multiplier stays one: pacing never bids more than was asked, and less only to save."""
    even, free = market_of(1e6), market_of(1e6, pacing="none")
    for _ in range(20):
        assert told(even.advance(BIDS)) == told(free.advance(BIDS))
        assert even.record["pace"] == 1.0


def test_an_episode_begins_unpaced() -> None:
    market = market_of(50.0)
    for _ in range(10):
        market.advance(BIDS)
    assert market.record["pace"] < 1.0
    market.end_episode()
    market.begin_episode()
    assert market.record["pace"] == 1.0


def test_the_first_tick_of_two_paces_differs_by_the_multiplier_alone() -> None:
    """A market paced to one half bids as one that is asked for half."""
    one, two = market_of(1e6, pacing="none"), market_of(1e6, pacing="none")
    one.record["pace"] = 0.5
    ours, theirs = one.advance(BIDS), two.advance(0.5 * BIDS)
    for name in ("bids", "wins", "views", "clicks", "spend_micro"):
        assert ours.ledger[name].tolist() == theirs.ledger[name].tolist()
    assert ours.touchpoints.tobytes() == theirs.touchpoints.tobytes()


@pytest.mark.parametrize("ticks", [5, 30])
def test_a_paced_market_is_resumed_bit_for_bit(ticks: int) -> None:
    unbroken = market_of(60.0)
    for _ in range(ticks):
        unbroken.advance(BIDS)
    resumed = Market.restored(unbroken.config, unbroken.population.rows(slice(None)), unbroken.record_bytes())
    paces = []
    for _ in range(15):
        paces.append(float(unbroken.record["pace"]))
        assert told(resumed.advance(BIDS)) == told(unbroken.advance(BIDS))
        assert state_of(resumed) == state_of(unbroken)
    assert LEAST <= min(paces) < 1.0


def test_a_budget_of_nothing_is_not_paced() -> None:
    market = market_of(0.0)
    assert not market.advance(BIDS).ledger["spend_micro"].any()
    assert market.record["pace"] == 1.0


def test_a_multiplier_worked_by_hand() -> None:
    """A quarter ahead at gain 1 times exp(-1/4); the error is cut at 1, the multiplier to [.05, 1]."""
    assert paced(0.4, -0.25, 0.0, 1.0) == pytest.approx(0.4 * math.exp(-0.25), rel=1e-14)
    assert paced(0.4, 0.1, -0.3, 0.5) == pytest.approx(0.4 * math.exp(-0.1), rel=1e-14)
    assert paced(0.4, -7.0, 1.0, 0.5) == pytest.approx(0.4 * math.exp(-0.5), rel=1e-14)
    assert paced(0.9, 0.5, 0.5, 1.0) == 1.0
    assert paced(0.06, -0.5, -0.5, 1.0) == LEAST


def test_a_market_moves_it_by_what_the_tick_and_the_episode_are_behind() -> None:
    """The first tick's plan is its share of the traffic, so both errors come from its spend alone."""
    market = market_of(200.0)
    plan = float(traffic_shares(market)[0])
    spent = int(market.advance(BIDS).ledger["spend_micro"].sum()) / 200e6
    error = max(-1.0, min(1.0, plan - spent + 1.0 - spent / plan))
    assert error < 0.0
    expected = math.exp(market.config.budget.pacing_gain * error)
    assert market.record["pace"] == pytest.approx(expected, rel=1e-9)
