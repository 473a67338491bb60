"""The closed forms of the journey by themselves: against numbers by hand, and against other ways to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import closed_forms_journey as journey
from agents.closed_forms_exact import days_to_convert, occupancy, two_state_discounted
from gaelp_env.special_cases import STAGE_HALF_LIVES_D

SHARE = st.floats(0.02, 0.98)
NEVER_D = 1e12


def test_the_discounted_cap_by_hand() -> None:
    """omega .4, rho .2, g .95: k = .19 / .24, V = 1 / (.43 - .38 k); always at .3: (1 + 7.6 x .3) / .43."""
    form = two_state_discounted(0.4, 0.2, 0.95, 0.3)
    assert form.capped == pytest.approx(7.7419, abs=5e-5)
    assert form.always == pytest.approx(3.28 / 0.43)
    assert form.threshold == pytest.approx(0.3065, abs=5e-5)


@given(SHARE, SHARE, SHARE, st.floats(0.0, 1.5))
def test_the_better_of_the_two_is_what_value_iteration_finds(
    omega: float, rho: float, discount: float, tired: float
) -> None:
    """Bellman's equation, worked to its fixed point: fresh is always shown, fatigued shown or skipped."""
    form = two_state_discounted(omega, rho, discount, tired)
    fresh = fatigued = 0.0
    for _ in range(math.ceil(30.0 / -math.log(discount))):
        skipped = discount * (rho * fresh + (1.0 - rho) * fatigued)
        shown_again = tired + discount * fatigued
        fresh, fatigued = (
            1.0 + discount * (omega * fatigued + (1.0 - omega) * fresh),
            max(skipped, shown_again),
        )
    if tired <= 1.0:  # beyond it, even a fresh user would rather be fatigued
        assert fresh == pytest.approx(max(form.capped, form.always), rel=1e-9)
    apart = form.capped - form.always
    assert apart == pytest.approx(0.0, abs=1e-9) or (apart > 0.0) == (tired < form.threshold)


@given(SHARE, SHARE)
def test_a_patient_threshold_is_the_undiscounted_one(omega: float, rho: float) -> None:
    patient = two_state_discounted(omega, rho, 1.0 - 1e-9, 0.0)
    assert patient.threshold == pytest.approx(rho / (rho + omega), rel=1e-6)


def test_days_to_an_order_of_who_never_falls_back() -> None:
    """Three steps of 1 / .3 days each, and two days until an order."""
    days = days_to_convert(0.3, (NEVER_D, NEVER_D, NEVER_D), 0.5)
    assert days == pytest.approx([12.0, 2.0 + 2.0 / 0.3, 2.0 + 1.0 / 0.3, 2.0])


def test_days_to_an_order_where_orders_are_rare_follow_from_the_occupancy() -> None:
    """Rare orders hardly move the shares of the stages: one comes in 1 / (rate x settled share) days."""
    settled = occupancy(0.3, STAGE_HALF_LIVES_D, 1e4, 1e4 + 1.0)[3]
    days = days_to_convert(0.3, STAGE_HALF_LIVES_D, 1e-7)
    assert days == pytest.approx(np.full(4, 1e7 / settled), rel=1e-4)


def test_a_chain_that_is_not_the_formula_s_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journey, "STAGE_FORWARD", 0.12)
    figures = journey.time_to_convert(3, 12)
    assert max(abs(figure.off) for figure in figures) > 4.0
