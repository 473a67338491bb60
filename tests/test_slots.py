"""The generalised second price: order statistics, prices of slots, the cascade, and worked examples."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from gaelp_env.auction import RULES, quantile_of
from gaelp_env.bidding import LOST, buy_slot
from gaelp_env.chance import AUCTION, SLOTS, uniforms
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.constants import as_record, constants_of
from gaelp_env.ledger import MOMENT
from gaelp_env.market import Market
from gaelp_env.rivalry import drawn_tables
from gaelp_env.slots import (
    MOST,
    cost_per_click,
    next_quantile,
    price_of_slot,
    seen_share,
    with_soft_floor,
)

UNIT = st.floats(1e-9, 1.0 - 1e-9)
CPM = st.floats(0.01, 1000.0)
QUALITY = st.floats(0.01, 100.0)
USERS = 60_000
MEDIAN, LOG_SD = 50.0, 0.8


@given(UNIT, UNIT, st.integers(1, 64), st.integers(2, 64))
def test_the_next_score_is_no_higher(above: float, u: float, rivals: int, place: int) -> None:
    below = next_quantile(above, u, rivals, place)
    assert 0.0 <= below <= above
    assert below == 0.0 or place <= rivals


@given(UNIT, UNIT, UNIT, st.integers(2, 64))
def test_a_higher_draw_is_a_higher_score(above: float, one: float, two: float, rivals: int) -> None:
    low, high = sorted((one, two))
    assert next_quantile(above, low, rivals, 2) <= next_quantile(above, high, rivals, 2)


def test_a_next_score_worked_by_hand() -> None:
    """n = 8: W_2 = .8 * .5 ** (8 / 7); of two rivals the second lies below by .5 ** 2."""
    assert next_quantile(0.8, 0.5, 8, 2) == pytest.approx(0.8 * 0.5 ** (8.0 / 7.0), rel=1e-14)
    assert next_quantile(0.8, 0.5, 2, 2) == pytest.approx(0.2, rel=1e-14)
    assert next_quantile(0.8, 0.5, 2, 3) == 0.0


@pytest.mark.parametrize("rivals", [4, 8, 40])
def test_the_scores_have_the_law_of_sorted_draws(rivals: int) -> None:
    """Each of n rivals has the distribution H ** (1/n): as quantiles of H the draws are V ** n, sorted."""
    rng = np.random.default_rng(1)
    drawn = np.sort(rng.random((USERS, rivals)) ** rivals, axis=1)[:, ::-1][:, :MOST]
    u = rng.random((USERS, MOST))
    made = np.empty_like(u)
    made[:, 0] = u[:, 0]
    for i in range(USERS):
        for place in range(2, MOST + 1):
            made[i, place - 1] = next_quantile(made[i, place - 2], u[i, place - 1], rivals, place)
    grid = np.linspace(0.02, 0.98, 49)
    for column in range(MOST):
        theirs = np.searchsorted(np.sort(drawn[:, column]), grid) / USERS
        ours = np.searchsorted(np.sort(made[:, column]), grid) / USERS
        assert np.abs(ours - theirs).max() < 1.95 * math.sqrt(2.0 / USERS)  # Kolmogorov and Smirnov at .1 %
    ratio = np.log(made[:, 1] / made[:, 0]), np.log(drawn[:, 1] / drawn[:, 0])
    assert ratio[0].mean() == pytest.approx(ratio[1].mean(), rel=0.03)


@given(CPM, CPM, QUALITY, st.floats(0.0, 1000.0))
def test_a_slot_costs_no_more_than_the_bid_and_no_less_than_reserve_and_next_score(
    bid: float, next_price: float, quality: float, floor: float
) -> None:
    price = price_of_slot(bid, next_price, quality, floor)
    assert price <= bid
    if bid >= floor and bid >= next_price / quality:
        assert price == max(floor, next_price / quality)


@given(CPM, CPM, QUALITY, CPM, st.floats(0.01, 100.0))
def test_a_slots_price_has_no_unit(
    bid: float, rival: float, quality: float, floor: float, scale: float
) -> None:
    scaled = price_of_slot(bid * scale, rival * scale, quality, floor * scale)
    assert scaled == pytest.approx(scale * price_of_slot(bid, rival, quality, floor), rel=1e-12)


def test_the_quality_score_example_of_science_2_1() -> None:
    """q = (.10, .05), b = (1, 3), scores .10 and .15: the second pays .10 / .05, the other the reserve."""
    assert price_of_slot(3.0, 1.0 * 0.10, 0.05, 0.01) == pytest.approx(2.0, rel=1e-15)
    assert price_of_slot(1.0, 0.0, 0.10, 0.01) == 0.01


def test_the_row_of_auctionnet() -> None:
    """Bids .2845 .2702 .2154 .1832 .1099 for three slots: each pays the next bid; .1832 wins the least."""
    bids = (0.2845, 0.2702, 0.2154, 0.1832, 0.1099)
    prices = [price_of_slot(bids[j], bids[j + 1], 1.0, 0.01) for j in range(4)]
    assert prices == [0.2702, 0.2154, 0.1832, 0.1099]
    assert prices[:3] == [0.2702, 0.2154, 0.1832]


def test_a_slot_is_seen_if_those_above_it_are() -> None:
    shown = np.array(MarketConfig().channels.search.slot_view)
    assert [seen_share(slot, shown) for slot in range(3)] == pytest.approx([1.0, 0.8, 0.48], rel=1e-15)


@given(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4))
def test_a_lower_slot_is_seen_no_more_often(shown: list[float]) -> None:
    shares = [seen_share(slot, np.array(shown)) for slot in range(MOST)]
    assert 0.0 <= min(shares) <= max(shares) <= 1.0
    assert shares == sorted(shares, reverse=True)


@given(CPM, CPM, st.floats(0.0, 1000.0))
def test_below_a_soft_floor_the_winner_pays_the_bid(price: float, more: float, soft: float) -> None:
    bid = price + more
    paid = with_soft_floor(price, bid, soft)
    assert paid == (bid if bid < soft else price)
    assert with_soft_floor(price, bid, 0.0) == price


def test_a_cost_per_click_worked_by_hand() -> None:
    assert cost_per_click(60.0, 0.04) == pytest.approx(1.5, rel=1e-15)
    assert cost_per_click(2000.0, 1.0) == 2.0


# --- the market's own auctions -----------------------------------------------------------------------


@njit
def bought(constants, moment, users):  # type: ignore[no-untyped-def]
    """Slot, price in CPM and whether the reserve was paid, of one auction a user on channel 0."""
    slots, prices, bound = np.empty(users, np.int64), np.empty(users), np.empty(users, np.int64)
    for user in range(users):
        bids = uniforms(moment[0].key, user, moment[0].tick, AUCTION, 0)
        order = uniforms(moment[0].key, user, moment[0].tick, SLOTS, 0)
        slots[user], prices[user], _, bound[user] = buy_slot(constants[0], moment[0], 0, 0, bids, order)
    return slots, prices, bound


@njit
def rivals_scores(key, tick, users, rivals):  # type: ignore[no-untyped-def]
    """Quantiles of the four highest rivals of each auction, from the draws that chance.py names."""
    out = np.empty((users, 4))
    for user in range(users):
        out[user, 0], _a, _b, _c = uniforms(key, user, tick, AUCTION, 0)
        second, third, fourth, _creative = uniforms(key, user, tick, SLOTS, 0)
        out[user, 1] = next_quantile(out[user, 0], second, rivals, 2)
        out[user, 2] = next_quantile(out[user, 1], third, rivals, 3)
        out[user, 3] = next_quantile(out[user, 2], fourth, rivals, 4)
    return out


def auctions(bid: float, **search: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    floor_share = search.pop("floor_share", 0.0)
    config = load_config(
        {
            "prices.log_sd": LOG_SD,
            "prices.floor_share": floor_share,
            "channels.search": {"rule": "gsp", **search},
        }
    )
    channel, moment = config.channels.search, np.zeros(1, MOMENT)
    moment["key"], moment["tick"], moment["bid_cpm"] = 9, 4, bid
    moment["price_median"], moment["floor_median"] = MEDIAN, 30.0
    moment["beats_rivals"] = quantile_of(bid * channel.quality_score, MEDIAN, LOG_SD)
    moment["beats_floor"] = quantile_of(bid, 30.0, config.prices.floor_log_sd)
    tables = drawn_tables(config)
    moment["prices_at"] = tables.ctypes.data
    return bought(as_record(constants_of(config)), moment, USERS)  # type: ignore[no-any-return]


@pytest.mark.parametrize("rivals", [1, 2, 3, 8])
def test_a_slot_is_that_below_the_rivals_who_score_more(rivals: int) -> None:
    """Each rival scores more with 1 - H ** (1/n), so the number above us is binomial."""
    bid, slots = 40.0, 4
    found = auctions(bid, slots=slots, rivals=rivals)[0]
    above = 1.0 - quantile_of(bid, MEDIAN, LOG_SD) ** (1.0 / rivals)
    for slot in range(slots):
        share = (
            math.comb(rivals, slot) * above**slot * (1.0 - above) ** (rivals - slot) if slot <= rivals else 0
        )
        spread = 4.0 * math.sqrt(share * (1.0 - share) / USERS)
        assert (found == slot).mean() == pytest.approx(share, abs=spread + 1e-12)
    assert ((found == LOST) | (found < slots)).all()


@given(CPM, st.floats(1.0, 5.0), st.sampled_from([1, 2, 8]), st.sampled_from([0.0, 0.639]))
def test_raising_a_bid_never_lowers_a_slot_and_prices_stay_below_it(
    bid: float, times: float, rivals: int, floor_share: float
) -> None:
    setting = {"slots": 4, "rivals": rivals, "floor_share": floor_share}
    low, paid, _ = auctions(bid, **setting)
    high, _, _ = auctions(bid * times, **setting)
    won = low != LOST
    assert (high[won] != LOST).all()
    assert (high[won] <= low[won]).all()
    assert (paid[won] <= bid).all()


def test_with_one_slot_and_quality_one_it_is_the_second_price_auction() -> None:
    slots, prices, bound = auctions(60.0, slots=1, floor_share=0.639)
    other = auctions(60.0, rule="second", floor_share=0.639)
    won = slots != LOST
    assert (won == (other[0] != LOST)).all()
    assert 0.3 < won.mean() < 0.6
    assert prices[won].tolist() == other[1][won].tolist()
    assert bound[won].tolist() == other[2][won].tolist()


def test_the_first_slot_costs_the_highest_rivals_score_over_our_quality() -> None:
    scores = rivals_scores(9, 4, USERS, 8)
    for quality in (1.0, 2.0):
        slots, prices, _ = auctions(60.0, slots=3, quality_score=quality)
        first = slots == 0
        assert prices[first] == pytest.approx(prices_at(scores[first, 0]) / quality, rel=1e-6)


@pytest.mark.parametrize("slot", [1, 2, 3])
def test_a_lower_slot_costs_the_score_of_the_rival_below_it(slot: int) -> None:
    scores = rivals_scores(9, 4, USERS, 8)
    slots, prices, _ = auctions(30.0, slots=4)
    here = slots == slot
    assert here.sum() > 3000
    assert prices[here] == pytest.approx(prices_at(scores[here, slot]), rel=1e-6)


def prices_at(quantiles: np.ndarray) -> np.ndarray:
    normal = NormalDist()
    return MEDIAN * np.exp(LOG_SD * np.array([normal.inv_cdf(u) for u in quantiles]))


def test_quality_is_a_rebate() -> None:
    """Twice the quality at half the bid: the same slots at half the price."""
    one, two = auctions(60.0, slots=3), auctions(30.0, slots=3, quality_score=2.0)
    assert (one[0] == two[0]).all()
    assert two[1] == pytest.approx(0.5 * one[1], rel=1e-12)


def test_a_reserve_is_kept_and_said_to_bind() -> None:
    slots, prices, bound = auctions(60.0, slots=3, floor_share=1.0)
    free = auctions(60.0, slots=3)
    won = slots != LOST
    assert (prices[won] >= free[1][won]).all()
    assert ((prices[won] > free[1][won]) <= (bound[won] == 1)).all()
    assert 0.1 < bound[won].mean() < 0.9


def test_below_the_soft_floor_all_slots_cost_the_bid() -> None:
    slots, prices, bound = auctions(60.0, slots=3, soft_floor_cpm=61.0, floor_share=1.0)
    assert (prices[slots != LOST] == 60.0).all()
    assert not bound.any()
    assert auctions(60.0, slots=3, soft_floor_cpm=60.0)[1].tolist() == auctions(60.0, slots=3)[1].tolist()


def searched(**search: Any) -> Any:
    """What a day of bids on search alone comes to, per channel 0."""
    config = load_config(
        {
            "people.users": 1500, "people.media_per_day": 30.0, "budget.per_episode": 1e9,
            "channels.search": {"audience": [0.9] * 5, "click_rate": [0.3] * 5, **search},
        }
    )  # fmt: skip
    market = Market.born(config, 8)
    market.begin_episode()
    ledgers = np.array([market.advance(np.array([120.0, 0, 0, 0, 0])).ledger for _ in range(48)])
    return {name: ledgers[name].sum(axis=0) for name in ("wins", "views", "clicks", "spend_micro")}, ledgers


def test_lower_slots_are_seen_by_the_cascade() -> None:
    """One rival, two slots: what is won beyond a single slot is the second one, seen half the time."""
    view = [1.0, 0.5, 0.5, 0.5]
    sums, _ = searched(slots=2, slot_view=view, view_rate=1.0, rivals=1, charge="impression")
    assert 0.5 * sums["wins"][0] < sums["views"][0] < sums["wins"][0]
    alone, _ = searched(slots=1, slot_view=view, view_rate=1.0, rivals=1, charge="impression")
    second = sums["wins"][0] - alone["wins"][0]
    share = (sums["views"][0] - alone["views"][0]) / second
    assert alone["views"][0] == alone["wins"][0]
    assert share == pytest.approx(0.5, abs=4.0 * math.sqrt(0.25 / second))


def test_a_channel_that_charges_clicks_charges_nothing_else() -> None:
    sums, ledgers = searched(slots=3, charge="click", predicted_click_rate=0.04)
    assert sums["clicks"][0] > 200
    assert (ledgers["spend_micro"][:, 0][ledgers["clicks"][:, 0] == 0] == 0).all()
    assert sums["spend_micro"][0] <= sums["clicks"][0] * (120.0 / 0.04 * 1000.0 + 0.5)
    by_view, _ = searched(slots=3, charge="impression")
    assert (by_view["wins"][0], by_view["clicks"][0]) == (sums["wins"][0], sums["clicks"][0])
    assert by_view["spend_micro"][0] > sums["wins"][0]


def test_every_rule_is_known_by_its_name() -> None:
    assert set(RULES) == {"second", "first", "gsp", "owned"}
