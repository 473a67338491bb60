"""Intervals against numbers worked by hand and printed tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.evaluate_statistics import interval, ratio_interval, t_probability, t_quantile

# Two-sided 95 % points of Student's t, as printed in every table.
TABLE = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    9: 2.262,
    10: 2.228,
    19: 2.093,
    29: 2.045,
    60: 2.000,
}


@pytest.mark.parametrize(("degrees", "printed"), TABLE.items())
def test_t_quantile_is_the_printed_one(degrees: int, printed: float) -> None:
    assert t_quantile(degrees) == pytest.approx(printed, abs=5.1e-4)


def test_t_probability_in_closed_form() -> None:
    assert t_probability(1.0, 1) == pytest.approx(0.5)  # Cauchy: 2 / pi * atan(1)
    assert t_probability(math.sqrt(2.0), 2) == pytest.approx(math.sqrt(0.5))  # t / sqrt(2 + t^2)
    assert t_probability(0.0, 7) == 0.0


def test_interval_worked_by_hand() -> None:
    # 2, 4, 6: mean 4, s = 2, half = 4.302653 * 2 / sqrt(3) = 4.968275
    found = interval(np.array([2.0, 4.0, 6.0]))
    assert found.mean == 4.0
    assert found.low == pytest.approx(4.0 - 4.968275, abs=1e-5)
    assert found.high == pytest.approx(4.0 + 4.968275, abs=1e-5)
    assert not found.above_zero()
    assert interval(np.array([20.0, 22.0, 24.0])).above_zero()


def test_an_interval_needs_two_replicates() -> None:
    with pytest.raises(ValueError, match="at least 2 replicates, and there are 1"):
        interval(np.array([1.0]))


def test_ratio_of_constants_has_no_width() -> None:
    found = ratio_interval(np.array([6.0, 6.0, 6.0]), np.array([2.0, 2.0, 2.0]))
    assert (found.mean, found.low, found.high) == (3.0, 3.0, 3.0)


def test_ratio_with_a_constant_denominator_is_the_interval_of_the_numerator() -> None:
    above = np.array([2.0, 4.0, 6.0])
    plain, found = interval(above), ratio_interval(above, np.full(3, 4.0))
    assert plain.low is not None and plain.high is not None
    assert found.mean == 1.0
    assert found.low == pytest.approx(plain.low / 4.0)
    assert found.high == pytest.approx(plain.high / 4.0)


def test_a_ratio_to_what_may_be_zero_is_unbounded() -> None:
    found = ratio_interval(np.array([5.0, 6.0, 7.0]), np.array([-1.0, 0.5, 1.5]))
    assert found.mean == pytest.approx(18.0)
    assert (found.low, found.high) == (None, None)
    nothing = ratio_interval(np.array([5.0, 6.0]), np.array([0.0, 0.0]))
    assert (nothing.mean, nothing.low, nothing.high) == (None, None, None)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(5, 9)), min_size=3, max_size=12),
    st.floats(0.1, 10.0),
)
def test_a_bounded_ratio_holds_its_estimate_and_scales(
    pairs: list[tuple[float, float]], scale: float
) -> None:
    above, below = (np.array(column) for column in zip(*pairs, strict=True))
    found, scaled = ratio_interval(above, below), ratio_interval(scale * above, below)
    assert found.mean is not None and scaled.mean is not None
    assert scaled.mean == pytest.approx(scale * found.mean, abs=1e-9)
    if found.low is not None and found.high is not None:
        assert found.low - 1e-9 <= found.mean <= found.high + 1e-9


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    draws = np.random.default_rng(7).normal(3.0, 2.0, (2_000, 10))
    held = [found.low <= 3.0 <= found.high for found in map(interval, draws)]  # type: ignore[operator]
    assert 0.935 <= np.mean(held) <= 0.965
