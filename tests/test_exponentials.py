"""The inlined exponential against exact arithmetic and the mathematical library."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.exponentials import exponential

WITHIN = st.floats(-708.0, 709.0)


@given(WITHIN)
def test_it_is_exact_to_two_units_in_the_last_place(x: float) -> None:
    with localcontext() as context:
        context.prec = 40
        exact = Decimal(x).exp()
        assert abs(Decimal(exponential(x)) - exact) <= Decimal("4e-16") * exact


@given(WITHIN, st.floats(0.0, 100.0))
def test_it_never_falls(x: float, more: float) -> None:
    assert exponential(min(x + more, 709.0)) >= exponential(x) * (1.0 - 5e-16)


@given(st.floats(-300.0, 300.0), st.floats(-300.0, 300.0))
def test_sums_become_products(x: float, y: float) -> None:
    assert exponential(x) * exponential(y) == pytest.approx(exponential(x + y), rel=1e-12)


def test_its_ends() -> None:
    assert exponential(0.0) == 1.0
    assert exponential(-1e300) == 0.0 == exponential(-746.0)
    assert exponential(-740.0) == pytest.approx(math.exp(-740.0), rel=0.1)  # below the normal numbers
    assert exponential(1e300) == exponential(709.0) == pytest.approx(math.exp(709.0))
