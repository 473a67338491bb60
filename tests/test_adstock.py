"""Laws of saturation, numbers worked by hand, and the stock that a user carries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.adstock import gained, hill
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.market import Market

STOCK = st.floats(0.0, 500.0)
HALF = st.floats(0.1, 100.0)
SLOPE = st.floats(0.5, 10.0)
SHARE = st.floats(0.0, 1.0)


@given(STOCK, HALF, SLOPE)
def test_saturation_is_a_share_and_nothing_for_nothing(stock: float, half: float, slope: float) -> None:
    share = hill(stock, half, slope)
    assert 0.0 <= share <= 1.0
    assert hill(0.0, half, slope) == 0.0
    if slope * math.log(max(stock, 1e-300) / half) < 30.0:  # beyond, 1 - h is below what a float can tell
        assert share < 1.0


@given(STOCK, STOCK, HALF, SLOPE)
def test_more_ads_never_saturate_less(stock: float, more: float, half: float, slope: float) -> None:
    assert hill(stock, half, slope) <= hill(stock + more, half, slope)


@given(HALF, SLOPE)
def test_half_is_reached_at_k(half: float, slope: float) -> None:
    assert hill(half, half, slope) == 0.5


@given(st.floats(0.01, 500.0), HALF, SLOPE)
def test_a_stock_and_its_mirror_image_about_k_share_one(stock: float, half: float, slope: float) -> None:
    assert hill(stock, half, slope) + hill(half * half / stock, half, slope) == pytest.approx(1.0, abs=1e-12)


@given(st.floats(0.01, 500.0), HALF, SLOPE, st.floats(0.1, 10.0))
def test_saturation_has_no_unit(stock: float, half: float, slope: float, scale: float) -> None:
    assert hill(stock * scale, half * scale, slope) == pytest.approx(hill(stock, half, slope), abs=1e-12)


@given(HALF, st.floats(0.5, 1.0), STOCK, STOCK)
def test_up_to_slope_one_every_ad_adds_less(half: float, slope: float, one: float, two: float) -> None:
    middle = hill(0.5 * (one + two), half, slope)
    assert middle >= 0.5 * (hill(one, half, slope) + hill(two, half, slope)) - 1e-12


@given(HALF, st.floats(1.2, 8.0), SHARE)
def test_above_slope_one_it_is_an_s(half: float, slope: float, place: float) -> None:
    """The bend is at K ((s - 1) / (s + 1)) ** (1 / s): ads add more and more before it, then ever less."""
    bend = half * ((slope - 1.0) / (slope + 1.0)) ** (1.0 / slope)
    for centre, sign in ((bend * (0.1 + 0.7 * place), 1), (bend * (1.2 + 5.0 * place), -1)):
        step = 0.05 * centre
        low, middle, high = (hill(centre + k * step, half, slope) for k in (-1, 0, 1))
        assert sign * (low + high - 2.0 * middle) >= -1e-12


def test_saturation_worked_by_hand() -> None:
    assert hill(1.56, 1.56, 1.0) == 0.5  # AMSS
    assert hill(3.12, 1.56, 1.0) == pytest.approx(2.0 / 3.0, rel=1e-15)
    assert hill(4.0, 8.0, 3.0) == pytest.approx(1.0 / 9.0, rel=1e-14)
    assert hill(16.0, 8.0, 3.0) == pytest.approx(8.0 / 9.0, rel=1e-14)


@given(SHARE, st.floats(0.0, 100.0), STOCK, STOCK, HALF, SLOPE)
def test_a_stock_raises_a_probability_and_leaves_it_one(
    p: float, gain: float, stock: float, more: float, half: float, slope: float
) -> None:
    raised = gained(p, gain, stock, half, slope)
    assert p <= raised <= 1.0
    assert raised <= gained(p, gain, stock + more, half, slope)
    assert gained(p, 0.0, stock, half, slope) == p
    assert gained(p, gain, 0.0, half, slope) == p


def test_a_gain_worked_by_hand() -> None:
    assert gained(0.02, 0.5, 1.56, 1.56, 1.0) == pytest.approx(0.025, rel=1e-15)
    assert gained(0.9, 0.5, 1.56, 1.56, 1.0) == 1.0


def test_a_users_stock_is_kept_by_channel_and_halves_after_its_half_life() -> None:
    """Search halves in a day, video in seven: after a day and two more ads 1/2 + 2 and 2 ** (-1/7)."""
    market = Market.born(load_config({"people.users": 3, "clock.tick_minutes": 60.0}), 1)
    market.begin_episode()
    number = market.name_user()
    for channel in (0, 3):
        market.touch(number, channel)
    for _ in range(24):
        market.advance(np.zeros(5))
    for _ in range(2):
        market.touch(number, 0)
    adstock = market.population.rows(slice(None))["adstock"][market.population.index_of(number)]
    half_life_d = [channel.adstock_half_life_d for channel in MarketConfig().channels.in_order()]
    assert (half_life_d[0], half_life_d[3]) == (1.0, 7.0)
    assert adstock.tolist() == pytest.approx([2.5, 0.0, 0.0, 2.0 ** (-1.0 / 7.0), 0.0], rel=1e-4)
