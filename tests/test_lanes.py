"""Eight exponentials at once are eight exponentials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from gaelp_env.config import MarketConfig
from gaelp_env.constants import constants_of
from gaelp_env.exponentials import exponential
from gaelp_env.lanes import LANES, kept_of_each
from gaelp_env.response import kept
from gaelp_env.upkeep import ADSTOCK, AWARENESS, FATIGUE, INTENT

HALF_LIVES = st.lists(st.floats(0.1, 1e5), min_size=LANES, max_size=LANES)


@njit
def left_of(elapsed_h, fading):  # type: ignore[no-untyped-def]
    return kept_of_each(elapsed_h, fading)


@given(st.floats(0.0, 1e6), HALF_LIVES)
def test_each_lane_is_what_one_exponential_gives_bit_for_bit(
    elapsed_h: float, half_lives: list[float]
) -> None:
    fading = -np.log(2.0) / np.array(half_lives)
    alone = [exponential(x) if x >= -708.0 else 0.0 for x in (elapsed_h * fading).tolist()]
    assert list(left_of(elapsed_h, fading)) == alone


@given(st.floats(0.0, 500.0), st.floats(0.0, 500.0), HALF_LIVES)
def test_two_short_waits_are_one_long_one(one_h: float, other_h: float, half_lives: list[float]) -> None:
    fading = -np.log(2.0) / np.array(half_lives)
    both = np.array(left_of(one_h, fading)) * np.array(left_of(other_h, fading))
    assert both == pytest.approx(np.array(left_of(one_h + other_h, fading)), rel=1e-9, abs=1e-300)


def test_nothing_is_lost_at_once_and_half_after_a_half_life() -> None:
    fading = -np.log(2.0) / np.full(LANES, 24.0)
    assert left_of(0.0, fading) == (1.0,) * LANES
    assert left_of(24.0, fading) == pytest.approx((0.5,) * LANES, rel=1e-15)
    assert left_of(1e9, fading) == (0.0,) * LANES


def test_the_lanes_of_a_market_are_its_half_lives() -> None:
    config = MarketConfig()
    left, response = left_of(30.0, constants_of(config).fading), config.response
    assert left[AWARENESS] == pytest.approx(kept(30.0, 24.0 * response.awareness_half_life_d), rel=1e-14)
    assert left[INTENT] == pytest.approx(kept(30.0, 24.0 * response.intent_half_life_d), rel=1e-14)
    assert left[FATIGUE] == pytest.approx(kept(30.0, 24.0 * response.fatigue_half_life_d), rel=1e-14)
    stocks = [kept(30.0, 24.0 * channel.adstock_half_life_d) for channel in config.channels.in_order()]
    assert left[ADSTOCK:] == pytest.approx(stocks, rel=1e-14)
