"""Laws of fading, lift and wear, and numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.config import MarketConfig
from gaelp_env.response import click_probability, fade, lift, revert, wear

SHARE = st.floats(0.0, 1.0)
HOURS = st.floats(0.0, 5000.0)
HALF_LIFE = st.floats(0.1, 5000.0)


@given(SHARE, HOURS, HOURS, HALF_LIFE)
def test_two_short_waits_equal_one_long_one(score: float, first: float, second: float, half: float) -> None:
    apart = fade(fade(score, first, half), second, half)
    assert apart == pytest.approx(fade(score, first + second, half), rel=1e-12, abs=1e-300)


@given(SHARE, HOURS, HALF_LIFE)
def test_fading_never_raises_a_score_nor_makes_it_negative(score: float, hours: float, half: float) -> None:
    assert 0.0 <= fade(score, hours, half) <= score
    assert fade(score, 0.0, half) == score


@given(SHARE, SHARE, HOURS, HOURS, HALF_LIFE)
def test_two_short_ways_back_to_a_base_equal_one_long_one(
    score: float, base: float, first: float, second: float, half: float
) -> None:
    apart = revert(revert(score, base, first, half), base, second, half)
    assert apart == pytest.approx(revert(score, base, first + second, half), rel=1e-12, abs=1e-12)
    assert min(score, base) - 1e-12 <= apart <= max(score, base) + 1e-12
    assert revert(score, 0.0, first, half) == pytest.approx(fade(score, first, half), rel=1e-15)


def test_half_of_the_way_to_its_base_is_gone_after_the_half_life() -> None:
    assert revert(0.9, 0.1, 45.0, 45.0) == pytest.approx(0.5, rel=1e-15)


def test_half_is_left_after_the_half_life() -> None:
    assert fade(0.8, 504.0, 504.0) == pytest.approx(0.4, rel=1e-15)
    assert fade(1.0, 3.0 * 168.0, 168.0) == pytest.approx(0.125, rel=1e-14)


def test_a_thousand_steps_in_single_precision_stay_within_a_ten_thousandth() -> None:
    score = np.float32(0.9)
    for _ in range(1000):
        score = np.float32(fade(float(score), 336.0 / 1000.0, 504.0))
    assert float(score) == pytest.approx(fade(0.9, 336.0, 504.0), rel=1e-4)


@given(SHARE, SHARE, SHARE)
def test_the_order_of_equal_time_exposures_does_not_matter(score: float, one: float, two: float) -> None:
    assert lift(lift(score, one), two) == pytest.approx(lift(lift(score, two), one), abs=1e-15)


@given(SHARE, SHARE)
def test_a_lift_goes_up_and_stays_below_one(score: float, gain: float) -> None:
    assert score - 1e-16 <= lift(score, gain) <= 1.0
    assert lift(score, 0.0) == pytest.approx(score, abs=1e-16)
    assert lift(score, 1.0) == 1.0


@given(st.integers(0, 200), st.floats(0.0, 0.5))
def test_n_equal_exposures_have_the_closed_form(n: int, gain: float) -> None:
    score = 0.0
    for _ in range(n):
        score = lift(score, gain)
    assert score == pytest.approx(1.0 - (1.0 - gain) ** n, abs=1e-13)


@given(st.floats(0.0, 500.0), st.floats(0.01, 100.0), st.floats(0.01, 5.0))
def test_wear_is_a_share_that_falls_with_every_ad(remembered: float, more: float, exponent: float) -> None:
    assert 0.0 < wear(remembered + more, exponent) < wear(remembered, exponent) <= 1.0
    assert wear(0.0, exponent) == 1.0
    assert wear(remembered, 0.0) == 1.0


def test_wear_reproduces_the_published_power_laws() -> None:
    assert wear(3.0, 0.43) == pytest.approx(0.551, abs=5e-4)  # Meta: 45 % fewer clicks at the 4th exposure
    channels = MarketConfig().channels
    assert wear(3.0, channels.social.fatigue_exponent) == wear(3.0, 0.43)
    seen = [wear(n - 1.0, channels.display.fatigue_exponent) for n in (2, 3, 5)]
    assert seen == pytest.approx([0.847, 0.787, 0.729], rel=0.05)  # Criteo attribution, within user


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 5.0))
def test_a_click_probability_is_one(base: float, left: float, hour_weight: float) -> None:
    assert 0.0 <= click_probability(base, left, hour_weight) <= 1.0


def test_a_click_is_base_times_what_is_left_times_the_hour() -> None:
    assert click_probability(0.004, 0.5, 1.5) == pytest.approx(0.003, rel=1e-15)
    assert click_probability(0.9, 1.0, 2.0) == 1.0


def test_steady_state_of_daily_impulses() -> None:
    """E* = r / (1 - 2 ** (-1 / H)), just after an impulse."""
    stock, rate, half_d = 0.0, 2.0, 7.0
    for _ in range(400):
        stock = fade(stock, 24.0, 24.0 * half_d) + rate
    assert stock == pytest.approx(rate / (1.0 - math.pow(2.0, -1.0 / half_d)), rel=1e-12)
