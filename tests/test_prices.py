"""Laws of the price families; closed forms of second price and of shading met by their own draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gaelp_env.auction import price_at, quantile_of
from gaelp_env.chance import normal_quantile
from gaelp_env.prices import (
    EXPONENTIAL,
    FAMILIES,
    GAMMA,
    KNOTS,
    LOGLOGISTIC,
    LOGNORMAL,
    POWER,
    TABLE,
    Z_END,
    flat_table,
    gamma_table,
    quantile_table,
    rank_of,
    relative_price,
)

UNIT = st.floats(1e-6, 1.0 - 1e-6)
CPM = st.floats(0.01, 1000.0)
SHAPE = st.floats(0.05, 3.0)
CLOSED = st.sampled_from([LOGNORMAL, LOGLOGISTIC, EXPONENTIAL, POWER])
FLAT = flat_table()
PRICES = st.lists(CPM, min_size=2, max_size=129).map(sorted)
MEDIAN, LOG_SD, VALUE = math.exp(4.045), 0.914, 80.0
"""iPinYou's prices and the value of the worked examples."""


def twin(family: int, u: NDArray[np.float64], shape: float) -> NDArray[np.float64]:
    """Quantiles by SciPy, divided by the median."""
    from scipy import stats

    law = {
        LOGNORMAL: stats.lognorm(shape),
        GAMMA: stats.gamma(shape),
        LOGLOGISTIC: stats.fisk(shape),
        EXPONENTIAL: stats.expon(),
        POWER: stats.powerlaw(shape),
    }[family]
    return np.asarray(law.ppf(u) / law.median())


@given(CLOSED, UNIT, SHAPE, CPM)
def test_a_price_and_its_rank_are_each_others_inverse(
    family: int, u: float, shape: float, median: float
) -> None:
    price = median * relative_price(family, u, shape, FLAT)
    assert rank_of(family, price, median, shape, FLAT) == pytest.approx(u, abs=2e-9)


@given(PRICES, UNIT)
def test_a_table_and_its_rank_are_each_others_inverse(prices: list[float], u: float) -> None:
    table = quantile_table(prices)
    price = relative_price(TABLE, u, 0.0, table)
    assert rank_of(TABLE, price * (1 + 1e-9), 1.0, 0.0, table) >= u - 1e-4
    assert rank_of(TABLE, price * (1 - 1e-9), 1.0, 0.0, table) <= u + 1e-4


@given(st.floats(0.05, 1000.0), UNIT)
def test_a_gamma_price_and_its_rank_are_each_others_inverse(shape: float, u: float) -> None:
    table = gamma_table(shape)
    assert rank_of(GAMMA, relative_price(GAMMA, u, 0.0, table), 1.0, 0.0, table) == pytest.approx(u, abs=1e-8)


@given(CLOSED, UNIT, UNIT, SHAPE)
def test_prices_are_positive_rise_with_the_draw_and_have_median_one(
    family: int, u: float, other: float, shape: float
) -> None:
    low, high = sorted((u, other))
    assert 0.0 < relative_price(family, low, shape, FLAT) <= relative_price(family, high, shape, FLAT)
    assert relative_price(family, 0.5, shape, FLAT) == pytest.approx(1.0, abs=1e-12)
    assert rank_of(family, 1.0, 1.0, shape, FLAT) == pytest.approx(0.5, abs=1e-12)


@given(st.sampled_from(sorted(FAMILIES.values())), CPM, CPM, CPM, SHAPE, st.floats(0.01, 100.0))
def test_a_higher_bid_has_no_lower_rank_and_ranks_have_no_unit(
    family: int, bid: float, more: float, median: float, shape: float, scale: float
) -> None:
    table = quantile_table([0.4, 0.9, 1.1, 3.0])
    rank = rank_of(family, bid, median, shape, table)
    assert 0.0 <= rank <= rank_of(family, bid + more, median, shape, table) <= 1.0
    assert rank_of(family, bid * scale, median * scale, shape, table) == pytest.approx(rank, abs=1e-9)


@given(st.floats(-1.0, 1000.0), st.floats(-1.0, 1000.0), st.floats(0.0, 3.0))
def test_a_lognormal_rank_is_the_auctions_own_to_the_last_bit(bid: float, median: float, sd: float) -> None:
    assert rank_of(LOGNORMAL, bid, median, sd, FLAT) == quantile_of(bid, median, sd)


@given(UNIT, SHAPE)
def test_a_lognormal_price_is_the_auctions_own(u: float, sd: float) -> None:
    assert relative_price(LOGNORMAL, u, sd, FLAT) == price_at(u, 1.0, sd)


@pytest.mark.parametrize("family", [LOGNORMAL, GAMMA, LOGLOGISTIC, EXPONENTIAL, POWER])
@pytest.mark.parametrize("shape", [0.3, 0.95, 1.8, 20.0])
def test_the_families_are_those_of_scipy(family: int, shape: float) -> None:
    u = np.linspace(0.001, 0.999, 333)
    table = gamma_table(shape) if family == GAMMA else FLAT
    ours = [relative_price(family, x, shape, table) for x in u]
    np.testing.assert_allclose(ours, twin(family, u, shape), rtol=1e-4 if family == GAMMA else 1e-7)


def test_values_worked_by_hand() -> None:
    assert relative_price(EXPONENTIAL, 0.75, 0.0, FLAT) == pytest.approx(2.0)
    assert relative_price(POWER, 0.25, 1.0, FLAT) == pytest.approx(0.5)
    assert relative_price(POWER, 0.125, 2.0, FLAT) == pytest.approx(0.5)
    assert relative_price(LOGLOGISTIC, 0.8, 2.0, FLAT) == pytest.approx(2.0)
    assert rank_of(POWER, 3.0, 1.0, 1.0, FLAT) == 1.0
    assert rank_of(EXPONENTIAL, 6.0, 2.0, 0.0, FLAT) == pytest.approx(0.875)
    assert rank_of(LOGLOGISTIC, 3.0, 1.0, 1.0, FLAT) == pytest.approx(0.75)
    assert rank_of(LOGNORMAL, 5.0, 5.0, 0.0, FLAT) == 1.0
    assert rank_of(LOGNORMAL, 4.99, 5.0, 0.0, FLAT) == 0.0


@pytest.mark.parametrize("family", sorted(FAMILIES.values()))
def test_the_ends(family: int) -> None:
    assert rank_of(family, 0.0, 1.0, 1.0, FLAT) == 0.0
    assert rank_of(family, -1.0, 0.0, 1.0, FLAT) == 0.0
    assert rank_of(family, 1e-9, 0.0, 1.0, FLAT) == 1.0
    assert rank_of(family, 1e30, 1.0, 1.0, FLAT) == 1.0
    for u in (2.0**-33, 1.0 - 2.0**-33):
        assert math.isfinite(relative_price(family, u, 1.0, FLAT))


def surplus(family: int, shape: float, median: float, value: float, bid: float, first: bool) -> float:
    """What a bid earns, by the mean over 20,001 equally likely prices."""
    draws = (np.arange(20_001) + 0.5) / 20_001
    prices = median * np.array([relative_price(family, u, shape, FLAT) for u in draws])
    return float(np.where(prices <= bid, value - (bid if first else prices), 0.0).mean())


@pytest.mark.parametrize(
    ("family", "shape", "median", "value", "expected"),
    [
        (LOGNORMAL, LOG_SD, MEDIAN, VALUE, 26.116),
        (POWER, 1.0, 50.0, 80.0, 32.0),
        (EXPONENTIAL, 0.0, math.log(2.0) / 2.0, 1.0, 0.56767),
    ],
)
def test_truthful_second_price_bids_have_the_surplus_of_science_2_3(
    family: int, shape: float, median: float, value: float, expected: float
) -> None:
    truthful = surplus(family, shape, median, value, value, first=False)
    assert truthful == pytest.approx(expected, rel=1e-3)
    assert all(surplus(family, shape, median, value, value * x, first=False) < truthful for x in (0.8, 1.2))


@pytest.mark.parametrize(
    ("family", "shape", "median", "value", "best"),
    [
        (LOGNORMAL, LOG_SD, MEDIAN, VALUE, 42.1928),
        (LOGNORMAL, 1.0, 1.0, 1.0, 0.548597),
        (POWER, 1.0, 50.0, 80.0, 40.0),
        (POWER, 3.0, 0.5 ** (1 / 3), 1.0, 0.75),
        (EXPONENTIAL, 0.0, math.log(2.0), 1.0, 0.442854),
        (LOGLOGISTIC, 1.0, 2.0, 3.0, 1.162278),
    ],
)
def test_the_best_first_price_bids_are_those_of_science_2_4(
    family: int, shape: float, median: float, value: float, best: float
) -> None:
    bids = np.linspace(0.2 * value, 0.9 * value, 70_001)
    earned = (value - bids) * np.array([rank_of(family, bid, median, shape, FLAT) for bid in bids])
    assert bids[earned.argmax()] == pytest.approx(best, rel=1e-4)


def test_the_highest_of_uniform_bids_is_uniform_to_the_power_of_their_number() -> None:
    highest = np.random.default_rng(5).random((3, 200_000)).max(axis=0)
    median = 0.5 ** (1 / 3)
    for price in (0.3, 0.6, 0.9):
        assert (highest <= price).mean() == pytest.approx(rank_of(POWER, price, median, 3.0, FLAT), abs=0.004)


def test_two_quantiles_make_a_lognormal() -> None:
    sd = math.log(9.0) / (2.0 * normal_quantile(0.75))
    table = quantile_table([20.0, 180.0])
    for u in (0.001, 0.3, 0.5, 0.9, 0.9999):
        assert relative_price(TABLE, u, 0.0, table) == pytest.approx(
            relative_price(LOGNORMAL, u, sd, FLAT), rel=1e-9
        )


@given(PRICES)
def test_a_quantile_table_does_not_fall_and_is_zero_in_the_middle(prices: list[float]) -> None:
    table = quantile_table(prices)
    assert table.shape == (KNOTS,)
    assert np.isfinite(table).all()
    assert (np.diff(table) >= 0.0).all()
    assert table[KNOTS // 2] == 0.0


@given(PRICES, st.floats(0.01, 100.0))
def test_a_quantile_table_has_no_unit(prices: list[float], scale: float) -> None:
    scaled = quantile_table([scale * price for price in prices])
    np.testing.assert_allclose(scaled, quantile_table(prices), atol=1e-9)


def test_a_quantile_table_goes_through_its_quantiles() -> None:
    known = [5.0, 30.0, 50.0, 50.0, 70.0, 110.0, 300.0]
    table = quantile_table(known)
    for i, price in enumerate(known):
        assert 50.0 * relative_price(TABLE, (i + 0.5) / 7, 0.0, table) == pytest.approx(price, rel=0.01)
    assert rank_of(TABLE, 50.0, 50.0, 0.0, table) == pytest.approx(0.5, abs=0.01)
    assert rank_of(TABLE, 0.99 * 50.0, 50.0, 0.0, table) < rank_of(TABLE, 50.0, 50.0, 0.0, table)


def test_one_price_for_all_is_a_posted_price() -> None:
    table = quantile_table([7.0, 7.0, 7.0])
    assert (table == flat_table()).all()
    assert rank_of(TABLE, 1.0, 1.0, 0.0, table) == 1.0
    assert rank_of(TABLE, 0.99, 1.0, 0.0, table) == 0.0


@given(st.floats(0.05, 10_000.0))
def test_a_gamma_table_rises_and_has_median_one(shape: float) -> None:
    table = gamma_table(shape)
    assert np.isfinite(table).all()
    assert (np.diff(table) > 0.0).all()
    assert table[KNOTS // 2] == 0.0


def test_gamma_with_shape_one_is_the_exponential_far_into_both_tails() -> None:
    table = gamma_table(1.0)
    for z in (-6.0, -3.0, 0.0, 3.0, 6.0):
        i = round((z + Z_END) / (2 * Z_END) * (KNOTS - 1))
        knot = -Z_END + 2 * Z_END * i / (KNOTS - 1)
        tail = 0.5 * math.erfc(knot / math.sqrt(2.0))
        assert math.exp(table[i]) == pytest.approx(
            -math.log1p(-0.5 * math.erfc(-knot / math.sqrt(2.0))) / math.log(2.0)
            if knot < 0
            else -math.log(tail) / math.log(2.0),
            rel=1e-9,
        )


@pytest.mark.parametrize("shape", [0.0, -1.0, 0.01, 1e6, math.nan])
def test_a_gamma_shape_out_of_range_is_refused(shape: float) -> None:
    with pytest.raises(ValueError, match=r"choose one from 0\.05"):
        gamma_table(shape)


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ([1.0], "2 to 129"),
        ([1.0] * 130, "2 to 129"),
        ([1.0, math.nan], "finite and above 0"),
        ([0.0, 1.0], "finite and above 0"),
        ([2.0, 1.0], "sort them"),
        ([1e-200, 1.0, 1e200], "closer together"),
    ],
)
def test_quantiles_that_make_no_price_are_refused(prices: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantile_table(prices)
