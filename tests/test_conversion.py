"""When people buy, for how much, and how late it shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.config import MarketConfig
from gaelp_env.constants import constants_of
from gaelp_env.conversion import buy_probability, delay_h, order_value

UNIT = st.floats(1e-9, 1.0 - 1e-9)
PARTS = MarketConfig().conversion
SHARES = constants_of(MarketConfig()).delay_weights
DELAY = (*SHARES[:2], *PARTS.delay_means_h, PARTS.delay_max_h)


def delays(n_part: int, n_within: int) -> np.ndarray:
    """Delays over a regular grid of both uniforms: integration, not sampling."""
    part, within = (np.arange(n_part) + 0.5) / n_part, (np.arange(n_within) + 0.5) / n_within
    return np.array([[delay_h(u, v, *DELAY) for v in within] for u in part]).ravel()


def test_delays_have_the_published_shares_at_an_hour_a_day_and_a_fortnight() -> None:
    found = delays(1000, 200)
    shares = [(found <= hours).mean() for hours in (1.0, 24.0, 336.0)]
    assert shares == pytest.approx([0.350, 0.500, 0.870], abs=0.003)
    assert SHARES.sum() == pytest.approx(1.0, abs=1e-15)


@given(UNIT, UNIT)
def test_a_delay_is_neither_negative_nor_beyond_the_end(u_part: float, u_within: float) -> None:
    assert 0.0 <= delay_h(u_part, u_within, *DELAY) <= PARTS.delay_max_h


@given(UNIT, UNIT, UNIT)
def test_a_delay_grows_with_its_uniform_within_a_part(u_part: float, one: float, two: float) -> None:
    assert (delay_h(u_part, one, *DELAY) <= delay_h(u_part, two, *DELAY)) or one > two


def test_a_part_is_a_truncated_exponential() -> None:
    mean, end, u = 281.0, 720.0, 0.3
    d = delay_h(0.99, u, *DELAY)
    assert (1.0 - math.exp(-d / mean)) / (1.0 - math.exp(-end / mean)) == pytest.approx(u, rel=1e-12)
    assert delay_h(0.0, 1.0 - 2.0**-33, 1.0, 0.0, 0.25, 11.5, 281.0, 1.0) == pytest.approx(1.0, abs=1e-6)


def test_orders_have_the_mean_and_the_median_of_their_law() -> None:
    u = (np.arange(100_000) + 0.5) / 100_000
    values = np.array([order_value(x, 69.2, 0.6) for x in u])
    assert values.mean() == pytest.approx(69.2, rel=1e-3)
    assert order_value(0.5, 69.2, 0.6) == pytest.approx(69.2 * math.exp(-0.18), rel=1e-12)
    assert np.log(values).std() == pytest.approx(0.6, rel=1e-3)
    assert order_value(0.123, 50.0, 0.0) == 50.0


@given(st.floats(0.0, 1.0), st.floats(0.0, 50.0), st.floats(0.0, 1.0), st.floats(0.0, 10.0))
def test_a_buy_probability_is_one_and_grows_with_intent(
    rate: float, propensity: float, intent: float, boost: float
) -> None:
    low, high = (buy_probability(rate, propensity, i, boost) for i in (0.0, intent))
    assert 0.0 <= low <= high <= 1.0


def test_a_buy_probability_worked_by_hand() -> None:
    assert buy_probability(0.03, 1.2, 0.3, 1.5) == pytest.approx(0.03 * 1.2 * 1.45, rel=1e-15)
    assert buy_probability(0.8, 3.0, 1.0, 1.5) == 1.0
