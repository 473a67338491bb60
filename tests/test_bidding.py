"""Whose ads are seen on a page: rivals beside our slot, above the reserve, down the cascade."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from gaelp_env.auction import price_at
from gaelp_env.bidding import LOST, clears_floor, rival_ads
from gaelp_env.chance import AUCTION, SLOTS, uniforms
from gaelp_env.config_load import load_config
from gaelp_env.constants import as_record, constants_of
from gaelp_env.ledger import MOMENT
from gaelp_env.market import Market
from gaelp_env.opening import rank_floors
from gaelp_env.plan import plan_of
from gaelp_env.prices import FAMILIES, relative_price
from gaelp_env.rivalry import drawn_tables
from gaelp_env.slots import next_quantile

USERS, MEDIAN, LOG_SD, FLOOR, FLOOR_SD = 20_000, 50.0, 0.8, 45.0, 0.6
SHOWN = st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4)


@njit
def ads_of(constants, moment, users, ours, winnable):  # type: ignore[no-untyped-def]
    """Rivals' ads seen, of one auction a user on channel 0."""
    seen = np.empty(users, np.int64)
    for user in range(users):
        bids = uniforms(moment[0].key, user, moment[0].tick, AUCTION, 0)
        order = uniforms(moment[0].key, user, moment[0].tick, SLOTS, 0)
        seen[user] = rival_ads(constants[0], moment[0], 0, bids, order, ours, winnable)
    return seen


@njit
def cleared(constants, moment, u_rival, u_floor):  # type: ignore[no-untyped-def]
    return clears_floor(constants[0], moment[0], 0, u_rival, u_floor)


@njit
def luck_of(key, tick, users, rivals):  # type: ignore[no-untyped-def]
    """The four draws of each auction, and the quantiles of the four highest rivals."""
    luck, scores = np.empty((users, 4)), np.empty((users, 4))
    for user in range(users):
        luck[user, 0], luck[user, 1], luck[user, 2], luck[user, 3] = uniforms(key, user, tick, AUCTION, 0)
        second, third, fourth, _creative = uniforms(key, user, tick, SLOTS, 0)
        scores[user, 0] = luck[user, 0]
        scores[user, 1] = next_quantile(scores[user, 0], second, rivals, 2)
        scores[user, 2] = next_quantile(scores[user, 1], third, rivals, 3)
        scores[user, 3] = next_quantile(scores[user, 2], fourth, rivals, 4)
    return luck, scores


@lru_cache
def ranked(family: str) -> tuple[Any, Any, Any, float]:
    """Constants, the moment of a tick with its reserves ranked, tables of prices, and the family's shape."""
    config = load_config({"prices.family": family, "prices.log_sd": LOG_SD, "prices.floor_log_sd": FLOOR_SD})
    c, tables, moment = constants_of(config), drawn_tables(config), np.zeros(1, MOMENT)
    moment["price_median"], moment["floor_median"] = MEDIAN, FLOOR
    moment["prices_at"] = tables.ctypes.data
    rank_floors(as_record(c)[0], plan_of(config)[0], moment[0], tables)
    return as_record(c), moment, tables, c.price_shape


def seen(*, ours: int = LOST, winnable: bool = True, floor_share: float = 0.0, median: float = MEDIAN,
         **search: Any) -> np.ndarray:  # fmt: skip
    prices = {"log_sd": LOG_SD, "floor_share": floor_share, "floor_log_sd": FLOOR_SD}
    config = load_config({"prices": prices, "channels.search": {"rule": "gsp", **search}})
    c, tables, moment = constants_of(config), drawn_tables(config), np.zeros(1, MOMENT)
    moment["key"], moment["tick"] = 9, 4
    moment["price_median"], moment["floor_median"] = median, FLOOR
    moment["prices_at"] = tables.ctypes.data
    rank_floors(as_record(c)[0], plan_of(config)[0], moment[0], tables)
    return np.asarray(ads_of(as_record(c), moment, USERS, ours, winnable))


def price(quantiles: np.ndarray, median: float, sd: float) -> np.ndarray:
    quantile = NormalDist().inv_cdf
    return median * np.exp(sd * np.array([quantile(u) if u > 0.0 else -math.inf for u in quantiles]))


@pytest.mark.parametrize(("slots", "expected"), [(1, 0.9), (2, 0.9 * 1.8), (3, 0.9 * 2.28)])
def test_a_page_without_us_shows_as_many_ads_as_its_slots_are_exposed(slots: int, expected: float) -> None:
    """View rate .9, exposures 1, .8, .6: 1, 1.8 and 2.28 ads of those who look."""
    count = seen(slots=slots, view_rate=0.9, slot_view=[1.0, 0.8, 0.6, 0.5])
    assert count.max() == slots
    assert count.mean() == pytest.approx(expected, abs=4.0 * count.std() / math.sqrt(USERS))


@given(st.integers(1, 4), st.integers(0, 3), SHOWN, st.floats(0.0, 1.0))
@settings(max_examples=15)
def test_our_slot_takes_one_ad_from_whoever_looks_so_far_down(
    slots: int, ours: int, shown: list[float], view_rate: float
) -> None:
    setting: dict[str, Any] = {"slots": slots, "slot_view": shown, "view_rate": view_rate}
    alone, beside = seen(**setting), seen(ours=ours, **setting)
    assert (beside == alone - (alone > ours)).all()


@pytest.mark.parametrize("rivals", [1, 2, 3])
def test_a_slot_without_a_rival_is_empty(rivals: int) -> None:
    all_seen: dict[str, Any] = {"view_rate": 1.0, "slot_view": [1.0] * 4, "slots": 4, "rivals": rivals}
    assert (seen(**all_seen) == rivals).all()
    assert (seen(ours=0, **all_seen) == rivals).all()
    assert (seen(ours=0, floor_share=1.0, winnable=False, **all_seen) == rivals).all()


def test_where_nobody_bids_nobody_is_seen() -> None:
    assert not seen(median=0.0).any()
    assert not seen(median=0.0, winnable=False).any()


@pytest.mark.parametrize("ours", [LOST, 0, 1])
@pytest.mark.parametrize("rivals", [2, 8])
def test_rivals_below_the_reserve_leave_their_slots_empty(ours: int, rivals: int) -> None:
    share, shown = 0.7, np.cumprod([1.0, 0.8, 0.6])
    count = seen(ours=ours, floor_share=share, slots=3, rivals=rivals, view_rate=0.9)
    luck, scores = luck_of(9, 4, USERS, rivals)
    floors = np.where(luck[:, 1] < share, price(luck[:, 2], FLOOR, FLOOR_SD), 0.0)
    expected = np.zeros(USERS, int)
    for slot in (slot for slot in range(3) if slot != ours):
        rival = slot - (0 <= ours < slot)
        there = (scores[:, rival] > 0.0) & (price(scores[:, rival], MEDIAN, LOG_SD) >= floors)
        expected += there & (luck[:, 3] < 0.9 * shown[slot])
    assert (count == expected).all()
    assert 0.3 * count.mean() < (count < seen(ours=ours, slots=3, rivals=rivals, view_rate=0.9)).mean()


@given(st.floats(1e-9, 1.0 - 1e-9), st.floats(1e-9, 1.0 - 1e-9), st.sampled_from(sorted(FAMILIES)))
@settings(max_examples=300)
def test_ranks_known_to_the_tick_decide_as_the_two_prices_do(
    u_rival: float, u_floor: float, family: str
) -> None:
    constants, moment, tables, shape = ranked(family)
    relative = relative_price(FAMILIES[family], u_rival, shape, tables[0])
    rival, floor = MEDIAN * relative, price_at(u_floor, FLOOR, FLOOR_SD)
    if rival != pytest.approx(floor, rel=1e-6):
        assert cleared(constants, moment, u_rival, u_floor) == (rival > floor)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@settings(max_examples=15)
def test_more_reserves_never_show_more_rivals(one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert (seen(floor_share=high, slots=3) <= seen(floor_share=low, slots=3)).all()


def played(bids: list[float], changes: dict[str, Any]) -> dict[str, np.ndarray]:
    """What a day comes to, by channel."""
    config = load_config(
        {"people.users": 800, "people.media_per_day": 30.0, "budget.per_episode": 1e9} | changes
    )
    market = Market.born(config, 8)
    market.begin_episode()
    ledgers = [market.advance(np.array(bids)).ledger for _ in range(48)]
    return {
        name: sum(ledger[name] for ledger in ledgers) for name in ("wins", "rival_views", "opportunities")
    }


@pytest.mark.parametrize("bids", [[0.0] * 5, [300.0, 80.0, 30.0, 120.0, 1.0]])
def test_a_reserve_beyond_everybody_leaves_all_slots_empty(bids: list[float]) -> None:
    closed = played(
        bids, {"prices.floor_share": 1.0, "prices.floor_median": 100.0, "prices.floor_log_sd": 0.0}
    )
    assert not closed["rival_views"].any()
    assert not closed["wins"][:4].any()
    assert closed["opportunities"].sum() > 3000


def test_beyond_reach_a_rival_has_the_slot_whatever_the_reserve() -> None:
    closed = {"prices.floor_share": 1.0, "prices.floor_median": 100.0, "channels.social.winnable": 0.0}
    for bid in (0.0, 1e4):
        sums = played([0.0, bid, 0.0, 0.0, 0.0], closed)
        share = sums["rival_views"][1] / sums["opportunities"][1]
        assert share == pytest.approx(0.7, abs=4.0 * math.sqrt(0.21 / sums["opportunities"][1]))


def test_rivals_are_seen_beside_an_ad_of_ours_that_is_always_first() -> None:
    """Bids beyond all: we hold slot 0, and the two rivals below are exposed at .8 and .48."""
    sums = played(
        [1e6, 1e6, 1e6, 1e6, 0.0], {"prices.floor_share": 0.0, "channels.search.audience": [0.9] * 5}
    )
    assert (sums["wins"][:4] == sums["opportunities"][:4]).all()
    assert not sums["rival_views"][1:].any()
    ads, pages = sums["rival_views"][0], sums["opportunities"][0]
    assert ads / pages == pytest.approx(0.9 * 1.28, abs=4.0 / math.sqrt(pages))
