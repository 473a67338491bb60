"""Rival bidders of a market: they move prices, they adapt to us, and they are part of its state."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.constants import constant_record_of, levels_of, median_prices
from gaelp_env.env import AdMarketEnv
from gaelp_env.ledger import LEDGER, K, R
from gaelp_env.market import Market
from gaelp_env.plan import plan_of
from gaelp_env.prices import KNOTS, flat_table
from gaelp_env.rivalry import drawn_tables, initial_shades, let_adapt, price_tables
from gaelp_env.rivals import LEARNING, NONE, PACED, SHADING, TRUTHFUL
from tests.markets import state_of, told

CPM = np.array([60.0, 16.0, 6.0, 25.0, 1.0])
NOTHING: Mapping[str, Any] = MappingProxyType({})
SMALL = {
    "people.users": 250, "people.media_per_day": 40.0, "clock.tick_minutes": 60.0, "budget.per_episode": 1e6,
    "prices.pressure_log_sd": 0.0, "prices.by_hour": "flat", "clock.episode_ticks": 24,
}  # fmt: skip
LEARNERS = {
    "kind": "bidders", "learning_rate": 0.05,
    "one": {"strategy": "learning", "value": 1.0, "shade": 0.7},
    "two": {"strategy": "learning", "value": 1.0, "shade": 0.7},
}  # fmt: skip
MIXED = {
    "kind": "bidders", "learning_rate": 0.1,
    "one": {"strategy": "truthful", "value": 0.55},
    "two": {"strategy": "shading", "value": 0.8, "shade": 0.7},
    "three": {"strategy": "paced", "value": 0.9, "shade": 0.8, "budget_per_day": 20.0},
    "four": {"strategy": "learning", "value": 1.1, "shade": 0.8},
}  # fmt: skip


def ruled(rule: str) -> dict[str, Any]:
    """The rule of the four channels that are auctioned."""
    return {f"channels.{name}.rule": rule for name in CHANNELS[:4]}


def market_of(rivals: Mapping[str, Any], seed: int = 5, keys: Mapping[str, Any] = NOTHING) -> Market:
    market = Market.born(load_config({**SMALL, "rivals": rivals, **keys}), seed)
    market.begin_episode()
    return market


def test_a_configuration_says_who_the_rivals_are() -> None:
    config = load_config({"rivals": MIXED})
    bidders = plan_of(config)[0]
    assert bidders["strategy"].tolist() == [TRUTHFUL, SHADING, PACED, LEARNING]
    assert bidders["value"].tolist() == [0.55, 0.8, 0.9, 1.1]
    assert bidders["rival_budget"].tolist() == [0.0, 0.0, 20.0, 0.0]
    assert plan_of(MarketConfig())[0]["strategy"].tolist() == [NONE] * R
    shades = initial_shades(config)
    assert shades.shape == (R, K)
    assert shades[:, 0].tolist() == [1.0, 0.7, 0.8, 0.8]
    assert (shades == shades[:, :1]).all()


@pytest.mark.parametrize(
    "family", ["lognormal", "gamma", "loglogistic", "exponential", "uniform", "quantiles"]
)
def test_every_family_of_drawn_prices_has_the_median_of_its_channel(family: str) -> None:
    """As many auctions are won at a bid of the median as are lost, whatever the family."""
    keys: dict[str, Any] = {"prices.family": family, "prices.shape": 1.5, "prices.floor_share": 0.0}
    keys |= ruled("first")
    market = market_of({"kind": "drawn"}, keys=keys)
    tables = drawn_tables(market.config)
    assert tables.shape == (K, KNOTS)
    assert (tables[:, KNOTS // 2] == 0.0).all()
    assert (tables[0] == flat_table()).all() == (family not in ("gamma", "quantiles"))
    bids = wins = 0
    for _ in range(24):
        ledger = market.advance(CPM * [1, 1, 1, 1, 0]).ledger
        bids, wins = bids + int(ledger["bids"].sum()), wins + int(ledger["wins"].sum())
    assert bids > 3000
    assert wins / bids == pytest.approx(0.5, abs=0.04)


def test_drawn_prices_never_change() -> None:
    market = market_of({"kind": "drawn"})
    before = drawn_tables(market.config)
    for _ in range(5):
        market.advance(20.0 * CPM)
    assert price_tables(market.record, market.config) is before
    assert not market.record["rival_level"].any()
    assert not market.record["rival_spent"].any()


def test_the_median_price_is_the_rivals_own() -> None:
    """One truthful rival alone: the median price is the median of its value, times its shade."""
    market = market_of({"kind": "bidders", "one": {"strategy": "shading", "value": 0.8, "shade": 0.5}})
    expected = 0.4 * levels_of(market.config).reference
    assert median_prices(market.record, market.config)[:4] == pytest.approx(expected[:4], rel=1e-9)
    assert median_prices(market.record, market.config)[4] == CPM[4]  # email is owned


@pytest.mark.parametrize(("z", "share"), [(-1.0, 0.158655), (0.0, 0.5), (1.0, 0.841345)])
def test_bids_win_as_often_as_the_rivals_bid_less(z: float, share: float) -> None:
    """One rival who bids .4 of the reference, log-normal with sd .6: at its quantile z we win Phi(z)."""
    one = {"strategy": "shading", "value": 0.8, "shade": 0.5, "value_log_sd": 0.6}
    keys = ruled("second") | {"prices.floor_share": 0.0, "channels.search.charge": "impression"}
    market, bids, wins = market_of({"kind": "bidders", "one": one}, keys=keys), 0, 0
    for _ in range(24):
        ledger = market.advance(0.4 * np.exp(0.6 * z) * CPM * [1, 1, 1, 1, 0]).ledger
        bids, wins = bids + int(ledger["bids"].sum()), wins + int(ledger["wins"].sum())
    assert bids > 3000
    assert wins / bids == pytest.approx(share, abs=4.0 * (0.25 / bids) ** 0.5)


def test_more_rivals_make_dearer_prices() -> None:
    one = {"kind": "bidders", "one": {"strategy": "truthful"}}
    both = one | {"two": {"strategy": "truthful"}}
    medians = [median_prices(m.record, m.config)[:4] for m in map(market_of, (one, both))]
    assert (medians[1] > 1.1 * medians[0]).all()


def level_after(bids: np.ndarray, rivals: dict[str, Any], ticks: int = 72) -> np.ndarray:
    market = market_of(rivals)
    for _ in range(ticks):
        market.advance(bids)
    return np.asarray(market.record["rival_level"]).copy()


def test_prices_move_when_we_bid_much_more() -> None:
    """First price, learning rivals: they shade less against a strong bidder, so our own bids raise prices."""
    first = ruled("first")
    levels = []
    for times in (0.0, 1.5):
        market = market_of(LEARNERS, keys=first)
        for _ in range(96):
            market.advance(times * CPM)
        levels.append(np.asarray(market.record["rival_level"])[:4].copy())
    assert (levels[1] > levels[0] + 0.05).all()


@pytest.mark.parametrize("bids", [0, 30, 100])
def test_rivals_meet_us_at_the_share_of_opportunities_that_we_bid_for(bids: int) -> None:
    """What a rival with a budget spends is a mixture of its spend with us at all and at no opportunities."""
    spent = []
    for count in (0, 100, bids):
        market = market_of(MIXED)
        ledger = np.zeros((), LEDGER)
        ledger["opportunities"], ledger["bids"] = 100, count
        adapt_to(market, ledger, 1.5 * CPM)
        spent.append(float(market.record["rival_spent"][2]))
    assert spent[1] != pytest.approx(spent[0], rel=0.05)
    assert spent[2] == pytest.approx((1.0 - bids / 100) * spent[0] + bids / 100 * spent[1], rel=1e-9)


def adapt_to(market: Market, ledger: Any, our_bids: np.ndarray) -> None:
    let_adapt(
        constant_record_of(market.config),
        plan_of(market.config),
        market._records,
        ledger.reshape(1),
        our_bids,
    )


def test_rivals_learn_nothing_from_a_tick_without_opportunities() -> None:
    market = market_of(MIXED)
    before = np.asarray(market.record["rival_shade"]).copy()
    adapt_to(market, np.zeros((), LEDGER), CPM)
    assert market.record["rival_shade"][3].tolist() == before[3].tolist()
    assert not market.record["rival_spent"].any()


def test_truthful_and_shading_rivals_do_not_move() -> None:
    fixed = {"kind": "bidders", "one": {"strategy": "truthful"}, "two": {"strategy": "shading", "shade": 0.6}}
    assert (level_after(0.0 * CPM, fixed, 24) == level_after(10.0 * CPM, fixed, 24)).all()


def test_a_rivals_budget_is_spent_by_the_day_and_whole_again_on_the_next() -> None:
    rivals = {
        "kind": "bidders",
        "one": {"strategy": "truthful", "budget_per_day": 4.0},
        "two": {"strategy": "truthful"},
    }
    market, spent, levels = market_of(rivals), [], []
    for _ in range(48):
        market.advance(np.zeros(K))
        spent.append(float(market.record["rival_spent"][0]))
        levels.append(float(market.record["rival_level"][1]))
    assert max(spent) >= 4.0
    assert spent[23] < 4.0  # midnight has passed
    rests = np.array(spent) >= 4.0
    assert 0 < rests.sum() < 48
    assert np.unique(np.round(np.array(levels)[rests], 6)).size == 1
    assert min(np.array(levels)[~rests]) > max(np.array(levels)[rests]) + 0.1
    assert market.record["rival_spent"][1] == 0.0  # without a budget nothing is booked


def test_the_same_seed_is_the_same_story_and_another_is_not() -> None:
    stories = []
    for seed in (5, 5, 6):
        market = market_of(MIXED, seed)
        stories.append([told(market.advance(CPM * (1 + t % 3))) for t in range(30)])
    assert stories[0] == stories[1] != stories[2]


@pytest.mark.parametrize("ticks", [0, 1, 23, 24, 40])
def test_a_market_of_bidders_is_restored_from_its_record_bit_for_bit(ticks: int) -> None:
    unbroken = market_of(MIXED)
    for t in range(ticks):
        unbroken.advance(CPM * (1 + t % 3))
    restored = Market.restored(
        unbroken.config, unbroken.population.rows(slice(None)), unbroken.record_bytes()
    )
    assert state_of(restored) == state_of(unbroken)
    for t in range(30):
        bids = CPM * (1 + t % 5)
        assert told(restored.advance(bids)) == told(unbroken.advance(bids))
        assert state_of(restored) == state_of(unbroken)
    assert len(np.unique(unbroken.record["rival_shade"])) > 3


def test_rivals_shades_stay_within_their_bounds_and_so_do_prices() -> None:
    market = market_of(MIXED | {"learning_rate": 1.0})
    for t in range(60):
        market.advance(CPM * (0.0 if t % 2 else 50.0))
        shade = market.record["rival_shade"]
        assert (shade >= 0.05).all()
        assert (shade <= 1.0).all()
        assert np.isfinite(market.record["rival_level"]).all()


def test_the_same_people_come_whatever_the_rivals_do() -> None:
    markets = [market_of(rivals) for rivals in ({"kind": "drawn"}, LEARNERS, MIXED)]
    for t in range(48):
        counts = {int(market.advance(CPM * (t % 4)).ledger["candidates"]) for market in markets}
        assert len(counts) == 1


def test_where_all_rivals_rest_any_bid_wins_for_the_reserve() -> None:
    """A rival with a budget of a hundredth of a cent rests after a tick: then only the reserve is paid."""
    rivals = {
        "kind": "bidders",
        "one": {"strategy": "truthful", "budget_per_day": 1e-4},
        "two": {"strategy": "truthful", "budget_per_day": 1e-4},
    }
    second: dict[str, Any] = {
        f"channels.{name}.rule": "second" for name in ("search", "social", "display", "video")
    }
    second |= {"channels.search.charge": "impression", "prices.floor_share": 0.0}
    market = market_of(rivals, keys=second)
    for _ in range(2):
        market.advance(np.zeros(K))
    ledger = market.advance(0.01 * CPM).ledger
    assert ledger["bids"][:4].sum() > 50
    assert (ledger["wins"][:4] == ledger["bids"][:4]).all()
    assert not ledger["spend_micro"][:4].any()
    alone = market.advance(np.zeros(K)).ledger
    assert alone["opportunities"][:4].sum() > 50
    assert not alone["rival_views"].any(), "ads of rivals who do not bid are not seen"


def played(bid: float, seed: int, episodes: int = 3) -> tuple[list[float], np.ndarray]:
    """Rewards and the rivals' levels of an environment that bids alike."""
    first = ruled("first")
    env = AdMarketEnv(config=SMALL | first | {"rivals": LEARNERS})
    env.reset(seed=seed)
    rewards = []
    for _ in range(episodes):
        for _ in range(24):
            rewards.append(env.step(np.full(K, bid, np.float32))[1])
        env.reset()
    levels = np.asarray(env.world.playing().record["rival_level"]).copy()
    env.close()
    return rewards, levels


def test_through_the_environment_rivals_answer_our_bids_and_seeds_repeat_the_story() -> None:
    high, high_again, low = played(0.5, 3), played(0.5, 3), played(-1.0, 3)
    assert high[0] == high_again[0]
    assert (high[1] == high_again[1]).all()
    assert (high[1] != low[1])[:4].any()
    assert played(0.5, 4)[0] != high[0]
