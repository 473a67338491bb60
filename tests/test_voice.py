"""Share of voice: three shares that are one, and what they do to an order's chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.config_load import load_config
from gaelp_env.market import Market
from gaelp_env.voice import share_of_voice

SCORE = st.floats(0.0, 1.0)
STANDING = st.floats(0.01, 10.0)
OUTSIDE = st.floats(0.0, 10.0)
POWER = st.one_of(st.just(1.0), st.floats(0.2, 6.0))


@given(SCORE, SCORE, STANDING, OUTSIDE, POWER)
def test_our_share_is_one(ours: float, rivals: float, standing: float, outside: float, power: float) -> None:
    assert 0.0 < share_of_voice(ours, rivals, standing, outside, power) <= 1.0
    assert share_of_voice(ours, 0.0, standing, 0.0, power) == 1.0


@given(SCORE, SCORE, SCORE, STANDING, OUTSIDE, POWER)
def test_it_rises_with_our_awareness_and_falls_with_theirs(
    ours: float, rivals: float, more: float, standing: float, outside: float, power: float
) -> None:
    share = share_of_voice(ours, rivals, standing, outside, power)
    assert share_of_voice(min(1.0, ours + more), rivals, standing, outside, power) >= share - 1e-15
    assert share_of_voice(ours, min(1.0, rivals + more), standing, outside, power) <= share + 1e-15


@given(SCORE, SCORE, STANDING, OUTSIDE, POWER)
def test_ours_the_rivals_and_the_outside_options_sum_to_one(
    ours: float, rivals: float, standing: float, outside: float, power: float
) -> None:
    """Each of the three attractions takes the place of ours in turn."""
    attraction = standing + ours
    shares = [
        share_of_voice(ours, rivals, standing, outside, power),
        share_of_voice(rivals, attraction, 0.0, outside, power),
        share_of_voice(outside, attraction, 0.0, rivals, power),
    ]
    assert sum(shares) == pytest.approx(1.0, abs=1e-12)


@given(SCORE, SCORE, STANDING, OUTSIDE, POWER, st.floats(0.1, 10.0))
def test_attraction_has_no_unit(
    ours: float, rivals: float, standing: float, outside: float, power: float, scale: float
) -> None:
    scaled = share_of_voice(scale * ours, scale * rivals, scale * standing, scale * outside, power)
    assert scaled == pytest.approx(share_of_voice(ours, rivals, standing, outside, power), abs=1e-12)


@given(SCORE, SCORE, STANDING, OUTSIDE)
def test_a_power_of_one_is_the_limit_of_its_neighbours(
    ours: float, rivals: float, standing: float, outside: float
) -> None:
    near = share_of_voice(ours, rivals, standing, outside, 1.0 + 1e-9)
    assert share_of_voice(ours, rivals, standing, outside, 1.0) == pytest.approx(near, abs=1e-7)


def test_shares_worked_by_hand() -> None:
    assert share_of_voice(0.3, 0.4, 0.3, 0.3, 1.0) == pytest.approx(0.6 / 1.3, rel=1e-15)
    assert share_of_voice(0.3, 0.4, 0.3, 0.3, 2.0) == pytest.approx(0.36 / 0.61, rel=1e-14)
    assert share_of_voice(0.0, 0.0, 0.3, 0.3, 1.0) == 0.5


def first_visits(**rivals: object) -> np.ndarray:
    """The visits of a first tick without ads of ours."""
    differs = {f"rivals.{name}": value for name, value in rivals.items()}
    config = load_config(
        {"people.users": 3000, "people.visits_per_day": 20.0, "conversion.visit_rate": [0.5] * 5, **differs}
    )
    market = Market.born(config, 2)
    market.begin_episode()
    return market.advance(np.zeros(5)).visits


def test_a_market_multiplies_the_chance_of_an_order_by_our_share() -> None:
    """Before any ad is seen our share is a / (a + o), in every first visit."""
    whole, half = first_visits(share_of_voice=False), first_visits(standing=0.2, outside=0.2)
    third = first_visits(standing=0.2, outside=0.4)
    firsts = [np.unique(visits["number"], return_index=True) for visits in (whole, half, third)]
    assert len(firsts[0][0]) > 100
    chances = [visits["buy"][first] for visits, (_, first) in zip((whole, half, third), firsts, strict=True)]
    fresh = np.isclose(chances[1] * 2.0, chances[0], rtol=1e-4)
    assert fresh.mean() > 0.9  # the rest have seen a rival's ad before their first visit
    assert (chances[1] <= 0.5 * chances[0] * (1 + 1e-4)).all()
    assert chances[2][fresh] == pytest.approx(chances[0][fresh] / 3.0, rel=1e-4)
