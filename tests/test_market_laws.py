"""The default market is a real decision: doing nothing earns nothing, excess loses, the best is between."""

from __future__ import annotations

from functools import lru_cache

import pytest

from gaelp_env.actions import bids_cpm
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.ledger import MICRO
from gaelp_env.market import Market
from tests.markets import reference_cpm, told

DEFAULT = MarketConfig()
DAYS = 2
GRID = (-1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0)
"""Actions tried on a channel: from no bid to the highest."""


def days_of(market: Market, action: tuple[float, ...], days: int) -> tuple[float, float]:
    """(expected incremental margin, spend) of a constant action over some episodes of a day."""
    accrued = spend = 0
    for _ in range(days):
        market.begin_episode()
        for _ in range(DEFAULT.clock.episode_ticks):
            ledger = market.advance(bids_cpm(action, DEFAULT)).ledger
            accrued, spend = accrued + int(ledger["accrued_micro"]), spend + int(ledger["spend_micro"].sum())
        market.end_episode()
    return accrued / MICRO, spend / MICRO


@lru_cache
def fresh() -> tuple[Market, object]:
    market = Market.born(DEFAULT, 1)
    return market, market.checkpoint()


@lru_cache
def worth(action: tuple[float, ...]) -> tuple[float, float]:
    """(expected incremental margin, spend) over DAYS days, always from the same people with the same luck."""
    market, beginning = fresh()
    market.rollback(beginning)
    return days_of(market, action, DAYS)


def profit(action: tuple[float, ...]) -> float:
    margin, spend = worth(action)
    return margin - spend


def with_one(action: tuple[float, ...], channel: int, value: float) -> tuple[float, ...]:
    return (*action[:channel], value, *action[channel + 1 :])


@lru_cache
def best_constant() -> tuple[float, ...]:
    """The best constant action on the grid, by two rounds of one channel after the other."""
    best = (0.0,) * len(CHANNELS)
    for _ in range(2):
        for channel in range(len(CHANNELS)):
            best = max((with_one(best, channel, value) for value in GRID), key=profit)
    return best


def test_never_bidding_has_no_incremental_profit_at_all() -> None:
    one, two = Market.born(DEFAULT, 3), Market.born(DEFAULT, 3)
    for _ in range(96):
        mine, twin = one.advance(bids_cpm([-1.0] * 5, DEFAULT)), two.advance(-reference_cpm(DEFAULT))
        assert told(mine) == told(twin)
        assert mine.ledger["accrued_micro"] == mine.ledger["spend_micro"].sum() == len(mine.touchpoints) == 0
    assert one.record["touches"] == one.record["reached"] == 0
    assert one.record["visits"] > 0
    assert profit((-1.0,) * 5) == 0.0


@pytest.mark.parametrize("budget", [DEFAULT.budget.per_episode, 1e6])
def test_always_bidding_the_maximum_loses_money(budget: float) -> None:
    config = DEFAULT.model_copy(update={"budget": DEFAULT.budget.model_copy(update={"per_episode": budget})})
    margin, spend = days_of(Market.born(config, 2), (1.0,) * 5, 4)
    assert margin < 0.95 * spend


@pytest.mark.parametrize("channel", range(len(CHANNELS)), ids=CHANNELS)
def test_no_channel_alone_pays_at_the_highest_bid_more_than_at_the_best(channel: int) -> None:
    best = best_constant()
    assert profit(with_one(best, channel, 1.0)) <= profit(best)
    assert profit(with_one(best, channel, -1.0)) <= profit(best)


def test_the_best_constant_bid_is_interior_on_three_channels_at_least() -> None:
    best = best_constant()
    gains = {
        name: min(profit(best) - profit(with_one(best, channel, end)) for end in (-1.0, 1.0))
        for channel, name in enumerate(CHANNELS)
        if best[channel] not in (-1.0, 1.0)
    }
    interior = [name for name, gain in gains.items() if gain > 0.02 * profit(best)]
    assert len(interior) >= 3, (best, gains)


def test_the_best_constant_bid_earns_and_there_is_something_to_learn() -> None:
    margin, spend = worth(best_constant())
    assert margin > 1.2 * spend
    assert profit(best_constant()) > 1.1 * profit((0.0,) * 5)


def test_a_day_has_thirty_expected_incremental_orders() -> None:
    margin, _ = worth(best_constant())
    orders_a_day = margin / (DEFAULT.conversion.order_value * DEFAULT.conversion.margin) / DAYS
    assert orders_a_day >= 30.0
