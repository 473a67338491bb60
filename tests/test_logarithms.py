"""The inlined logarithm against exact arithmetic."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.exponentials import exponential
from gaelp_env.logarithms import logarithm

NORMAL = st.floats(1e-300, 1e300)


@given(st.one_of(NORMAL, st.floats(0.5, 2.0)))
def test_it_is_off_by_next_to_nothing(x: float) -> None:
    with localcontext() as context:
        context.prec = 40
        exact = Decimal(x).ln()
        assert abs(Decimal(logarithm(x)) - exact) <= Decimal("4e-16") * max(Decimal(1), abs(exact))


@given(st.floats(1e-15, 1e-3))
def test_near_one_it_keeps_its_digits(less: float) -> None:
    for x in (1.0 - less, 1.0 + less):
        assert logarithm(x) == pytest.approx(math.log(x), rel=1e-12)


@given(st.floats(-600.0, 600.0))
def test_it_undoes_the_exponential(x: float) -> None:
    assert logarithm(exponential(x)) == pytest.approx(x, rel=1e-14, abs=1e-15)


def test_values_known_by_heart() -> None:
    assert [logarithm(x) for x in (1.0, 2.0, 0.5, 1024.0)] == [0.0, *(math.log(2.0) * k for k in (1, -1, 10))]
