"""Ticks at the desk, of one market or of many, are those of the large market's path, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.config_load import load_config
from gaelp_env.constants import levels_of
from gaelp_env.ledger import A, K
from gaelp_env.market import Market, Tick
from gaelp_env.threads import set_threads
from gaelp_env.turns import MARKETS_A_THREAD, play_together

BUDGETS = {
    "people.users": 500, "people.media_per_day": 20.0, "people.stay_days": 3.0, "budget.per_episode": 2.0,
    "budget.per_day": 1.5, "budget.lifetime": 2.9, "budget.pacing": "even", "clock.episode_ticks": 30,
}  # fmt: skip
MARKETS: dict[str, Any] = {
    "usual": {"people.users": 1000},
    "crowded": {"people.users": 1500, "people.media_per_day": 40.0, "budget.per_episode": 40.0},
    "rivals": "rivals",
    "first model": "tiny_v0",
    "budgets": BUDGETS,
}


class InBlocks(Market):
    """A market that never sits at the desk."""

    @property
    def small(self) -> bool:
        return False


def told(tick: Tick) -> tuple[bytes, ...]:
    parts = (tick.ledger, tick.touchpoints, tick.click_probability, tick.visits, tick.conversions)
    return tuple(part.tobytes() for part in parts)


def state(market: Market) -> tuple[bytes, bytes, list[int]]:
    people = market.population
    return people.rows(slice(0, people.size)).tobytes(), market.record_bytes(), market._pending.tolist()


@pytest.mark.parametrize("name", MARKETS)
@pytest.mark.parametrize("multiple", [1.0, 3.0])
def test_a_tick_at_the_desk_is_that_of_a_large_market(name: str, multiple: float) -> None:
    config = load_config(MARKETS[name])
    ours, theirs = Market.born(config, 3), InBlocks.born(config, 3)
    bids = np.array(levels_of(config).reference) * multiple
    stopped = 0
    for tick in range(80):
        for market in (ours, theirs):
            if int(market.record["episode_tick"]) >= config.clock.episode_ticks:
                market.end_episode()
            if tick == 50:
                market.take_changes()
        one, other = ours.advance(bids), theirs.advance(bids)
        stopped += int(one.ledger["stopped"])
        assert told(one) == told(other)
    assert state(ours) == state(theirs)
    assert ours.population.size > 0
    if name in ("crowded", "budgets"):
        assert stopped > 0


def test_all_three_budgets_end_at_the_desk_as_elsewhere() -> None:
    for limit, mark in (("per_episode", "exhausted"), ("per_day", "day_over"), ("lifetime", "all_over")):
        config = load_config({"people.users": 500, "people.media_per_day": 30.0, f"budget.{limit}": 0.2})
        ours, theirs = Market.born(config, 5), InBlocks.born(config, 5)
        bids = 2.0 * np.array(levels_of(config).reference)
        for _ in range(20):
            assert told(ours.advance(bids)) == told(theirs.advance(bids))
        assert int(ours.record[mark]) == 1
        assert state(ours) == state(theirs)


@settings(max_examples=15)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.lists(st.floats(0.0, 300.0), min_size=K * A, max_size=K * A), min_size=1, max_size=4),
)
def test_whatever_we_bid_by_audience(seed: int, bids: list[list[float]]) -> None:
    config = load_config("tiny")
    ours, theirs = Market.born(config, seed), InBlocks.born(config, seed)
    for row in bids:
        cpm = np.array(row).reshape(K, A)
        assert told(ours.advance(cpm)) == told(theirs.advance(cpm))
    assert state(ours) == state(theirs)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_markets_together_are_each_alone(threads: int) -> None:
    config, count = load_config("tiny"), 3 * MARKETS_A_THREAD + 1
    together = [Market.born(config, seed) for seed in range(count)]
    alone = [Market.born(config, seed) for seed in range(count)]
    rng = np.random.default_rng(1)
    set_threads(threads)
    try:
        for _ in range(12):
            bids = rng.uniform(0.0, 100.0, (count, K, A))
            came = play_together(together, bids)
            for market, other, bid, row in zip(together, alone, bids, came, strict=True):
                assert told(market.left_behind(row)) == told(other.advance(bid))
    finally:
        set_threads(None)
    assert [state(market) for market in together] == [state(market) for market in alone]


def test_a_market_that_goes_back_sits_down_anew() -> None:
    """Arrays and tables that were put in the place of others are found, and so is a list of orders."""
    for source in ("tiny", "rivals"):
        config = load_config(source)
        market = Market.born(config, 2)
        bids = 2.0 * np.array(levels_of(config).reference)
        point = market.checkpoint()
        first = [told(market.advance(bids)) for _ in range(30)]
        market.rollback(point)
        assert [told(market.advance(bids)) for _ in range(30)] == first
