"""Stages go forward by events and back by clocks that are kept in the state."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from gaelp_env.config import MarketConfig
from gaelp_env.constants import as_record, constants_of
from gaelp_env.journey import (
    AWARE,
    CONSIDERING,
    CONVERTED,
    INTENT,
    NEVER_H,
    UNAWARE,
    can_advance,
    forward_probability,
    stage_below,
    waiting_time,
)  # fmt: skip
from gaelp_env.ledger import MOMENT
from gaelp_env.population import HOT
from gaelp_env.upkeep import enter, let_clock_run

LOGIT = st.floats(-5.0, 5.0)
SHARE = st.floats(0.0, 1.0)


@njit
def enter_all(constants, moment, hot, stage, moment_h):  # type: ignore[no-untyped-def]
    for i in range(len(hot)):
        enter(constants[0], moment[0].key, hot[i], stage, moment_h)


@njit
def run_clocks(constants, moment, hot, until_h):  # type: ignore[no-untyped-def]
    for i in range(len(hot)):
        let_clock_run(constants[0], moment[0], hot[i], until_h)


def people(count: int, stage: int, key: int = 11) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(constants, moment, hot rows) of people who all enter `stage` at hour 0."""
    constants, moment = as_record(constants_of(MarketConfig())), np.zeros(1, MOMENT)
    hot = np.zeros(count, HOT)
    hot["number"] = np.arange(count)
    moment["key"] = key
    enter_all(constants, moment, hot, stage, 0.0)
    return constants, moment, hot


@given(LOGIT, SHARE, SHARE, LOGIT, LOGIT, LOGIT)
def test_a_forward_probability_is_one(
    base: float, awareness: float, intent: float, push: float, gamma: float, zeta: float
) -> None:
    p = forward_probability(base, awareness, intent, push, gamma, zeta)
    assert 0.0 < p < 1.0
    assert math.log(p / (1 - p)) == pytest.approx(base + push + gamma * awareness + zeta * intent, abs=1e-6)


def test_forward_probabilities_worked_by_hand() -> None:
    assert forward_probability(0.0, 0.0, 0.0, 0.0, 2.0, 1.0) == 0.5
    assert forward_probability(-2.0, 0.5, 1.0, 0.0, 2.0, 1.0) == 0.5
    assert forward_probability(-math.log(9.0), 0.0, 0.0, 0.0, 2.0, 1.0) == pytest.approx(0.1, rel=1e-14)


def test_who_can_advance_and_where_a_stage_falls() -> None:
    assert [can_advance(stage) for stage in range(5)] == [True, True, True, False, False]
    assert [stage_below(s) for s in (AWARE, CONSIDERING, INTENT, CONVERTED)] == [
        UNAWARE, AWARE, CONSIDERING, AWARE,
    ]  # fmt: skip


@given(st.floats(1e-9, 1.0 - 1e-9), st.floats(0.01, 1000.0))
def test_a_waiting_time_is_exponential_with_its_half_life(u: float, half_life_h: float) -> None:
    assert 2.0 ** (-waiting_time(u, half_life_h) / half_life_h) == pytest.approx(u, rel=1e-9)


def test_unaware_has_no_clock() -> None:
    _, _, hot = people(10, UNAWARE)
    assert (hot["stage_until_h"] == NEVER_H).all()


def test_after_fourteen_idle_days_the_stages_are_where_the_law_puts_them() -> None:
    """From INTENT .133/.527/.334/.006 over UNAWARE … INTENT."""
    constants, moment, hot = people(40_000, INTENT)
    run_clocks(constants, moment, hot, 14.0 * 24.0)
    shares = np.bincount(hot["stage"], minlength=5) / len(hot)
    assert shares == pytest.approx([0.133, 0.527, 0.334, 0.006, 0.0], abs=0.01)


def test_a_satiated_buyer_is_aware_again_after_the_half_life() -> None:
    constants, moment, hot = people(40_000, CONVERTED)
    run_clocks(constants, moment, hot, 30.0 * 24.0)
    assert (hot["stage"] == CONVERTED).mean() == pytest.approx(0.5, abs=0.01)
    assert (hot["stage"] == CONSIDERING).sum() == 0


@pytest.mark.parametrize("steps", [2, 1000])
def test_one_long_absence_equals_many_partial_steps_path_by_path(steps: int) -> None:
    constants, moment, hot = people(2_000, INTENT, key=2**63 + 5)
    lazy = hot.copy()
    run_clocks(constants, moment, lazy, 336.0)
    ends = np.sort(np.random.default_rng(1).uniform(0.0, 336.0, steps - 1))
    for until_h in (*ends, 336.0):
        run_clocks(constants, moment, hot, until_h)
    assert (lazy == hot).all()
    assert len(np.unique(hot["stage"])) == 4


def test_clocks_of_different_people_stages_and_moments_are_different() -> None:
    constants, moment, hot = people(1_000, INTENT)
    first = hot["stage_until_h"].copy()
    enter_all(constants, moment, hot, INTENT, 5.0)
    again = hot["stage_until_h"] - 5.0
    assert len(np.unique(first)) == 1_000
    assert abs(np.corrcoef(first, again)[0, 1]) < 0.1
