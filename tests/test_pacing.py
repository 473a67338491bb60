"""Pacing: a multiplier within its bounds, and a budget that lasts as long as the traffic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.closing import close_budgets, day_of, traffic_shares
from gaelp_env.config_load import load_config
from gaelp_env.constants import season_of
from gaelp_env.ledger import LEDGER, RECORD
from gaelp_env.market import Market
from gaelp_env.pacing import LEAST, paced
from gaelp_env.plan import plan_of
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


def traffic_gone(market: Market) -> np.ndarray:
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
    traffic = traffic_gone(even)
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


def test_a_world_begins_unpaced_and_an_episode_as_the_last_one_ended() -> None:
    market = market_of(50.0)
    assert market.record["pace"] == 1.0
    for _ in range(10):
        market.advance(BIDS)
    paced = float(market.record["pace"])
    market.end_episode()
    market.begin_episode()
    assert market.record["pace"] == paced < 1.0


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
    plan = float(traffic_gone(market)[0])
    spent = int(market.advance(BIDS).ledger["spend_micro"].sum()) / 200e6
    error = max(-1.0, min(1.0, plan - spent + 1.0 - spent / plan))
    assert error < 0.0
    expected = math.exp(market.config.budget.pacing_gain * error)
    assert market.record["pace"] == pytest.approx(expected, rel=1e-9)


def days_of(market: Market, days: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """By calendar day: shares of its budget spent, and of its traffic gone by, after each tick."""
    config, season = market.config, season_of(market.config)
    tick_h, told, tick = config.clock.tick_h, [], 0
    for day in range(days):
        spends, weights = [], []
        while season.day(tick_h * tick) == day:
            spends.append(int(market.advance(BIDS).ledger["spend_micro"].sum()))
            weights.append(season.traffic[season.hour_of_week(tick_h * tick)])
            tick += 1
        told.append((np.cumsum(spends) / (1e6 * config.budget.per_day), np.cumsum(weights) / sum(weights)))
    return told


LONG: dict[str, Any] = {"budget.per_day": 150.0, "clock.episode_ticks": 480}


@pytest.mark.parametrize(("epoch", "first"), [("2026-01-05T00:00:00", 48), ("2026-01-07T12:30:00", 23)])
def test_spend_of_a_day_follows_its_traffic_from_where_the_world_begins(epoch: str, first: int) -> None:
    """A budget of the day in an episode of ten days, whose own budget is never felt.

    The world begins unpaced, so on its first day a few ticks are ahead before the multiplier has found
    its place.
    """
    days = days_of(market_of(1e6, **LONG, **{"clock.epoch": epoch}), 4)
    assert [len(spent) for spent, _ in days] == [first, 48, 48, 48]
    for day, (spent, traffic) in enumerate(days):
        assert np.abs(spent - traffic).max() < (0.1 if day else 0.2)
        assert 0.95 < spent[-1] <= 1.0
    hasty = days_of(market_of(1e6, pacing="none", **LONG, **{"clock.epoch": epoch}), 2)
    assert (hasty[1][0] - hasty[1][1]).max() > 0.25


def test_a_budget_of_the_day_that_is_too_large_is_not_paced() -> None:
    even = market_of(1e6, **LONG | {"budget.per_day": 1e6})
    for _ in range(60):
        even.advance(BIDS)
        assert even.record["pace"] == 1.0


FLAT = {
    "people.traffic": "flat", "people.weekdays": "flat", "clock.tick_minutes": 60.0,
    "clock.episode_ticks": 12, "budget.per_episode": 120.0, "budget.per_day": 240.0,
    "budget.pacing": "even", "budget.pacing_gain": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("spent", "today", "error"),
    [
        (60.0, 60.0, 0.0),  # half of the episode, a quarter of the day: both as planned
        (72.0, 60.0, -0.1),
        (60.0, 84.0, -0.1),
        (72.0, 84.0, -0.1),
        (66.0, 84.0, -0.1),  # the day is more ahead
        (72.0, 36.0, -0.1),  # the day is behind, and does not count
        (48.0, 36.0, 0.1),
    ],
)
def test_the_budget_most_ahead_of_its_plan_moves_the_multiplier(
    spent: float, today: float, error: float
) -> None:
    """Six hours of twelve, and of a day, at 10 an hour; the last tick itself was as planned."""
    record, ledger = np.zeros(1, RECORD), np.zeros(1, LEDGER)
    record["tick"] = record["episode_tick"] = 6
    record["spent_micro"], record["day_spent_micro"], record["pace"] = spent * 1e6, today * 1e6, 0.5
    ledger["spend_micro"][:, 0] = 10e6
    close_budgets(plan_of(load_config(FLAT | {"budget.lifetime": 1.0})), record, ledger)
    assert record["pace"] == pytest.approx(0.5 * math.exp(0.5 * error), rel=1e-12)
    assert record["day_spent_micro"] == today * 1e6


def test_a_day_that_is_over_moves_nothing_and_midnight_keeps_the_multiplier() -> None:
    config, record, ledger = load_config(FLAT), np.zeros(1, RECORD), np.zeros(1, LEDGER)
    record["tick"], record["episode_tick"], record["pace"] = 23, 11, 0.3
    record["day_spent_micro"], record["day_over"] = 240e6, 1
    close_budgets(plan_of(config), record, ledger)
    assert (record["pace"], record["day_over"]) == (0.3, 1)
    record["tick"], record["episode_tick"] = 24, 12
    close_budgets(plan_of(config), record, ledger)
    assert (record["pace"], record["day_over"], record["day_spent_micro"]) == (0.3, 0, 0)
    record["day_over"], ledger["stopped"] = 1, 1  # the tick that ends a day has bids, and tells something
    record["day_spent_micro"], record["tick"], record["episode_tick"] = 240e6, 25, 1
    ledger["spend_micro"][:, 0] = 240e6
    close_budgets(plan_of(config), record, ledger)
    assert record["pace"] == pytest.approx(0.3 * math.exp(-0.5), rel=1e-12)


@given(
    st.sampled_from([0.5, 1.0, 7.0, 30.0, 45.0, 60.0, 100.0, 120.0]),
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 20_000),
)
def test_a_day_holds_the_ticks_that_begin_in_it(minutes: float, born: int, tick: int) -> None:
    epoch = f"2026-01-07T{born // 60:02d}:{born % 60:02d}:00"
    config = load_config({"clock.epoch": epoch, "clock.tick_minutes": minutes})
    season, tick_h = season_of(config), minutes / 60.0
    first, count = day_of(plan_of(config), tick)
    day = season.day(tick_h * tick)
    assert 0 <= first <= tick < first + count
    for inside in (first, first + count - 1):
        assert season.day(tick_h * inside) == day
    assert first == 0 or season.day(tick_h * (first - 1)) == day - 1
    assert season.day(tick_h * (first + count)) == day + 1


@given(st.integers(0, 2000), st.integers(1, 500), st.data())
def test_shares_of_the_traffic_are_those_of_its_hours(first: int, count: int, draw: st.DataObject) -> None:
    config = load_config({"clock.epoch": "2026-01-07T12:30:00"})
    gone = draw.draw(st.integers(1, count))
    season, (part, last) = season_of(config), traffic_shares(plan_of(config), first, count, gone)
    weights = [season.traffic[season.hour_of_week(0.5 * tick)] for tick in range(first, first + count)]
    assert part == pytest.approx(sum(weights[:gone]) / sum(weights), rel=1e-12)
    assert last == pytest.approx(weights[gone - 1] / sum(weights), rel=1e-12)
    assert traffic_shares(plan_of(config), first, count, count + 3)[0] == pytest.approx(1.0, rel=1e-12)
