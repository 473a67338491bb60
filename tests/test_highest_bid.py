"""The law of the highest bid among rivals, beside products, powers and drawn bids."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gaelp_env.highest_bid import NOBODY_BIDS, highest_table, law_of_highest
from gaelp_env.prices import KNOTS, TABLE, Z_END, rank_of

LN_MEDIAN = st.floats(0.0, 6.0)
SD = st.floats(0.05, 2.5)
FOUR = st.lists(st.tuples(LN_MEDIAN, SD, st.booleans()), min_size=4, max_size=4)
Z = np.linspace(-Z_END, Z_END, KNOTS)


def phi(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def highest(bidders: list[tuple[float, float, bool]]) -> tuple[float, NDArray[np.float64]]:
    table = np.full(KNOTS, np.nan)
    ln_median, sd, active = (np.array(column) for column in zip(*bidders, strict=True))
    return float(highest_table(ln_median, sd, active, table)), table


@given(FOUR)
def test_the_distribution_of_the_highest_bid_is_the_product_of_the_rivals(
    bidders: list[tuple[float, float, bool]],
) -> None:
    _, table = highest(bidders)
    alive = [(mean, sd) for mean, sd, active in bidders if active]
    for i in range(0, KNOTS, 37) if alive else ():
        for ln_price, bound in ((table[i] - 1e-3, 1), (table[i] + 1e-3, -1)):
            product = math.prod(phi((ln_price - mean) / sd) for mean, sd in alive)
            assert bound * (phi(Z[i]) - product) >= -1e-12


@given(FOUR)
def test_the_highest_bid_rises_with_the_draw_and_is_at_least_that_of_each(
    bidders: list[tuple[float, float, bool]],
) -> None:
    ln_median, table = highest(bidders)
    assert (np.diff(table) >= 0.0).all()
    assert ln_median == table[KNOTS // 2]
    for mean, sd, active in bidders:
        assert not active or (table >= mean + sd * Z - 1e-3).all()


@given(FOUR, st.floats(-3.0, 3.0))
def test_the_highest_bid_has_no_unit_and_no_order(
    bidders: list[tuple[float, float, bool]], shift: float
) -> None:
    _, table = highest(bidders)
    if any(active for *_, active in bidders):
        moved = [(mean + shift, sd, active) for mean, sd, active in reversed(bidders)]
        np.testing.assert_allclose(highest(moved)[1], table + shift, atol=1e-3)


def test_one_rival_is_its_own_lognormal_and_nobody_bids_nothing() -> None:
    ln_median, table = highest([(4.0, 0.9, True), (9.0, 0.9, False)])
    np.testing.assert_allclose(table, 4.0 + 0.9 * Z, atol=1e-12)
    assert ln_median == pytest.approx(4.0, abs=1e-12)
    ln_median, table = highest([(4.0, 0.9, False)] * 4)
    assert ln_median == NOBODY_BIDS
    assert (table == NOBODY_BIDS).all()
    assert math.exp(ln_median) == 0.0
    assert rank_of(TABLE, 0.01, math.exp(ln_median), 0.0, table - ln_median) == 1.0


def test_n_equal_rivals_by_hand() -> None:
    """P(highest <= x) = Phi(z)**n: the median is at Phi^-1(2**(-1/n)); n = 2: 0.54487, n = 4: 0.99815."""
    assert highest([(3.0, 0.8, True)] * 2)[0] == pytest.approx(3.0 + 0.8 * 0.544870, abs=1e-4)
    assert highest([(3.0, 0.8, True)] * 4)[0] == pytest.approx(3.0 + 0.8 * 0.998151, abs=1e-4)


def test_a_posted_bid_hides_the_lower_ones() -> None:
    _, table = highest([(3.0, 0.8, True), (3.5, 0.0, True)])
    np.testing.assert_allclose(table, np.maximum(3.5, 3.0 + 0.8 * Z), atol=1e-12)
    assert (highest([(3.5, 0.0, True)])[1] == 3.5).all()


def test_the_highest_bid_agrees_with_drawn_bids() -> None:
    bidders = [(4.0, 0.9, True), (3.6, 0.3, True), (4.4, 0.05, True), (2.0, 2.0, True)]
    ln_median, table = highest(bidders)
    draws = np.random.default_rng(2).standard_normal((400_000, 4))
    bids = (np.array([b[0] for b in bidders]) + draws * np.array([b[1] for b in bidders])).max(axis=1)
    for ln_price in (4.3, 4.4, 4.5, 5.0, 6.0):
        rank = rank_of(TABLE, math.exp(ln_price - ln_median), 1.0, 0.0, table - ln_median)
        assert (bids <= ln_price).mean() == pytest.approx(rank, abs=0.003)


@given(FOUR, st.floats(-1.0, 8.0), st.integers(-1, 3))
def test_the_distribution_at_one_price_is_a_product_and_its_slope_that_of_the_product(
    bidders: list[tuple[float, float, bool]], ln_price: float, but: int
) -> None:
    ln_median, sd, active = (np.array(column) for column in zip(*bidders, strict=True))

    def product(x: float) -> float:
        others = [(mean, s) for r, (mean, s, there) in enumerate(bidders) if there and r != but]
        return math.prod(phi((x - mean) / s) for mean, s in others)

    below, above, hazard = law_of_highest(ln_price, ln_median, sd, active, but)
    assert below == pytest.approx(product(ln_price), rel=1e-9, abs=1e-300)
    assert above == pytest.approx(1.0 - product(ln_price), abs=1e-12)
    if below > 1e-12:
        slope = (math.log(product(ln_price + 1e-5)) - math.log(product(ln_price - 1e-5))) / 2e-5
        assert hazard == pytest.approx(slope, rel=1e-3, abs=1e-5)
