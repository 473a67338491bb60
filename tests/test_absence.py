"""An absence is one jump: fourteen days at once are fourteen days in many steps, for whole persons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit

from gaelp_env.config import MarketConfig
from gaelp_env.constants import as_record, constants_of
from gaelp_env.journey import CONVERTED, INTENT
from gaelp_env.ledger import MOMENT
from gaelp_env.population import HOT
from gaelp_env.upkeep import bring_up_to_date, enter, let_clock_run, stock_at, stock_of

ABSENCE_H, STEPS, PEOPLE = 336.0, 1000, 20_000
SCORES = ("awareness", "rival_awareness", "intent", "fatigue", "adstock")
EXACT = np.dtype([(name, kind.replace("f4", "f8"), *shape) for name, kind, *shape in HOT.descr])
"""A user's hot half with all scores in double precision."""


@njit
def enter_all(constants, moment, hot, stages, moment_h):  # type: ignore[no-untyped-def]
    for i in range(len(hot)):
        enter(constants[0], moment[0].key, hot[i], stages[i], moment_h)


@njit
def bring_all(constants, moment, hot, moment_h):  # type: ignore[no-untyped-def]
    met = 0
    for i in range(len(hot)):
        let_clock_run(constants[0], moment[0], hot[i], moment_h)
        met += bring_up_to_date(constants[0], moment[0], hot[i], moment_h)
    return met


@njit
def stocks_later(constants, hot, moment_h):  # type: ignore[no-untyped-def]
    return np.array([stock_at(constants[0], hot[i], moment_h) for i in range(len(hot))])


@njit
def stocks_now(hot):  # type: ignore[no-untyped-def]
    return np.array([stock_of(hot[i]) for i in range(len(hot))])


def people(dtype: np.dtype, count: int, stage: int | None = None) -> tuple[np.ndarray, ...]:
    """(constants, moment, rows): people with scores of all sizes who enter a stage, or any, at hour 0."""
    rng = np.random.default_rng(7)
    constants, moment, hot = (
        as_record(constants_of(MarketConfig())),
        np.zeros(1, MOMENT),
        np.zeros(count, dtype),
    )
    moment["key"], moment["episode"] = 2**63 + 5, 1
    hot["number"], hot["touches"] = np.arange(count), 1
    for name in ("awareness", "rival_awareness", "intent"):
        hot[name] = rng.random(count)
    for name in ("fatigue", "adstock"):
        hot[name] = rng.exponential(3.0, hot[name].shape) * (rng.random(hot[name].shape) < 0.8)
    stages = rng.integers(0, 5, count) if stage is None else np.full(count, stage)
    enter_all(constants, moment, hot, stages, 0.0)
    return constants, moment, hot


def random_steps() -> np.ndarray:
    """A thousand moments, the last of which is the end of the absence."""
    return np.append(np.sort(np.random.default_rng(3).uniform(0.0, ABSENCE_H, STEPS - 1)), ABSENCE_H)


@pytest.mark.parametrize(("dtype", "slack"), [(HOT, 1e-4), (EXACT, 1e-12)], ids=["rows", "functions"])
def test_one_jump_of_fourteen_days_is_a_thousand_random_steps(dtype: np.dtype, slack: float) -> None:
    constants, moment, stepped = people(dtype, 4000)
    jumped = stepped.copy()
    met = [bring_all(constants, moment, stepped, moment_h) for moment_h in random_steps()]
    assert bring_all(constants, moment, jumped, ABSENCE_H) == len(jumped)
    assert met == [len(stepped)] + [0] * (STEPS - 1)
    for name in SCORES:
        assert (jumped[name] >= 0.0).all()
        assert stepped[name] == pytest.approx(jumped[name], rel=slack, abs=0.0), name
    for name in set(HOT.names) - set(SCORES):
        assert (stepped[name] == jumped[name]).all(), name
    assert len(np.unique(jumped["stage"])) == 5


def test_scores_after_an_absence_have_the_closed_form() -> None:
    constants, moment, hot = people(EXACT, 500)
    config, before = MarketConfig(), hot.copy()
    bring_all(constants, moment, hot, ABSENCE_H)
    response, days = config.response, ABSENCE_H / 24.0
    half_lives = {
        "awareness": response.awareness_half_life_d,
        "rival_awareness": response.awareness_half_life_d,
        "intent": response.intent_half_life_d,
        "fatigue": response.fatigue_half_life_d,
        "adstock": np.array([channel.adstock_half_life_d for channel in config.channels.in_order()]),
    }
    for name, half_life_d in half_lives.items():
        assert hot[name] == pytest.approx(before[name] * 0.5 ** (days / half_life_d), rel=1e-13)


def test_a_stock_asked_for_later_is_the_stock_of_later() -> None:
    constants, moment, hot = people(EXACT, 500)
    asked = stocks_later(constants, hot, ABSENCE_H / 4.0)
    bring_all(constants, moment, hot, ABSENCE_H / 4.0)
    assert asked == pytest.approx(stocks_now(hot), rel=1e-13)


def test_the_order_of_people_and_their_company_do_not_matter() -> None:
    constants, moment, together = people(HOT, 1000)
    apart = together[::-3].copy()
    bring_all(constants, moment, together, ABSENCE_H)
    bring_all(constants, moment, apart, ABSENCE_H)
    assert (apart == together[::-3]).all()


def exponential(rates: np.ndarray) -> np.ndarray:
    """exp of a matrix: its power series at a 2**-20 th of it, squared twenty times."""
    small, term = rates / 2.0**20, np.eye(len(rates))
    total = term.copy()
    for k in range(1, 8):
        term = term @ small / k
        total = total + term
    for _ in range(20):
        total = total @ total
    return total


def stage_law(days: float) -> np.ndarray:
    """exp(Q d) of the stages: each falls at rate ln 2 / half-life to the one below, CONVERTED to AWARE."""
    rates = np.zeros((5, 5))
    below = (0, 0, 1, 2, 1)
    for stage, half_life_d in enumerate(MarketConfig().journey.backward_half_life_d, start=1):
        rates[stage, below[stage]] = math.log(2.0) / half_life_d
        rates[stage, stage] = -rates[stage, below[stage]]
    return exponential(rates * days)


def test_the_law_of_the_stages_is_the_published_table() -> None:
    assert stage_law(14.0)[INTENT] == pytest.approx([0.133, 0.527, 0.334, 0.006, 0.0], abs=5e-4)
    assert stage_law(14.0).sum(axis=1) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("stage", range(1, CONVERTED + 1))
def test_after_an_absence_people_are_where_the_law_of_the_stages_puts_them(stage: int) -> None:
    """From INTENT .133/.527/.334/.006 over UNAWARE ... INTENT after fourteen idle days, 20,000 people."""
    constants, moment, hot = people(HOT, PEOPLE, stage)
    bring_all(constants, moment, hot, ABSENCE_H)
    shares = np.bincount(hot["stage"], minlength=5) / PEOPLE
    assert shares == pytest.approx(stage_law(ABSENCE_H / 24.0)[stage], abs=0.01)
