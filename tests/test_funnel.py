"""How deep a visit goes: nested steps, and the published ratios between them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.funnel import CART, CHECKOUT, LANDING, ORDER, VIEW, depth_of
from gaelp_env.market import Market

UNIT = st.floats(1e-9, 1.0 - 1e-9)
RATE = st.floats(0.01, 1.0)
VISITS = MarketConfig().visits
RATES = (VISITS.order_rate, VISITS.checkout_rate, VISITS.cart_rate)
STEPS = (LANDING, VIEW, CART, CHECKOUT, ORDER)


@njit
def depths(u, buys, order_rate, checkout_rate, cart_rate):  # type: ignore[no-untyped-def]
    """The depth of each draw."""
    out = np.empty(len(u), np.int64)
    for i in range(len(u)):
        out[i] = depth_of(u[i], buys, order_rate, checkout_rate, cart_rate)
    return out


@given(UNIT, UNIT, st.floats(0.0, 1.0), RATE, RATE, RATE)
def test_a_luckier_visit_goes_no_less_deep(
    one: float, two: float, buys: float, order: float, checkout: float, cart: float
) -> None:
    low, high = sorted((one, two))
    assert depth_of(low, buys, order, checkout, cart) >= depth_of(high, buys, order, checkout, cart)


@given(UNIT, st.floats(0.0, 1.0), RATE, RATE, RATE)
def test_an_order_has_exactly_its_own_probability_whatever_the_steps_are(
    u: float, buys: float, order: float, checkout: float, cart: float
) -> None:
    assert (depth_of(u, buys, order, checkout, cart) == ORDER) == (u < buys)


@given(UNIT, st.floats(0.0, 1.0), st.floats(0.0, 1.0), RATE, RATE, RATE)
def test_who_is_likelier_to_buy_goes_no_less_deep(
    u: float, one: float, two: float, order: float, checkout: float, cart: float
) -> None:
    low, high = sorted((one, two))
    assert depth_of(u, low, order, checkout, cart) <= depth_of(u, high, order, checkout, cart)


@given(st.floats(0.001, 1.0), RATE, RATE, RATE)
def test_steps_have_the_ratios_of_their_rates(
    part: float, order: float, checkout: float, cart: float
) -> None:
    """P(step or deeper) is p over the rates above it, as long as that is no certainty."""
    buys = part * order * checkout * cart
    reach = {ORDER: buys, CHECKOUT: buys / order, CART: buys / order / checkout, VIEW: part}
    for step, share in reach.items():
        for u, inside in ((share * (1 - 1e-9), True), (share * (1 + 1e-9), False)):
            assert (depth_of(u, buys, order, checkout, cart) >= step) == inside


def test_depths_worked_by_hand() -> None:
    """p = .02 over .5, .5, .4: checkout below .04, cart below .08, product view below .2."""
    draws = (0.019, 0.02, 0.039, 0.041, 0.079, 0.081, 0.199, 0.201)
    assert [depth_of(u, 0.02, 0.5, 0.5, 0.4) for u in draws] == [4, 3, 3, 2, 2, 1, 1, 0]
    assert STEPS == (0, 1, 2, 3, 4)


def test_the_default_rates_are_the_published_funnel() -> None:
    """GA4: .205 of viewers fill a cart, .774 of carts reach the checkout, .455 of these order."""
    assert pytest.approx((0.455, 0.774, 0.205), rel=0.002) == RATES
    found = depths(np.random.default_rng(1).random(4_000_000), 0.02, *RATES)
    reached = [int((found >= step).sum()) for step in STEPS]
    for step, published in ((CART, 0.2048), (CHECKOUT, 0.7744), (ORDER, 0.4549)):
        share, before = reached[step] / reached[step - 1], reached[step - 1]
        assert share == pytest.approx(published, abs=4.0 * math.sqrt(published * (1.0 - published) / before))


def test_visits_of_a_market_go_as_deep_as_their_own_chance_says() -> None:
    """Each visit reports its chance of an order; the steps are reached as often as these foretell."""
    config = load_config(
        {
            "people.users": 2000, "people.visits_per_day": 12.0, "conversion.visit_rate": [0.6] * 5,
            "conversion.buy_rate": [0.02] * 5, "clock.tick_minutes": 120.0,
        }
    )  # fmt: skip
    market = Market.born(config, 6)
    market.begin_episode()
    visits = np.concatenate([market.advance(np.zeros(5)).visits for _ in range(12)])
    visits = visits[visits["buy"] > 0.0]  # a person who waits for an order decides no other
    assert len(visits) > 8000
    reach = visits["buy"].astype(float)
    for step, rate in ((ORDER, RATES[0]), (CHECKOUT, RATES[1]), (CART, RATES[2]), (VIEW, 1.0)):
        expected = np.minimum(reach, 1.0)
        spread = math.sqrt((expected * (1.0 - expected)).sum())
        assert (visits["depth"] >= step).sum() == pytest.approx(expected.sum(), abs=4.0 * spread + 1.0)
        reach = reach / rate
