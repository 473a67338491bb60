"""The fit recovers constants that are known, and says so when it cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy")

from agents.calibrate_fit import MISSING, STEP, _Trials, fit, misses, moved
from agents.calibrate_free import FREE, Free, value_of, with_constants
from agents.calibrate_published import PUBLISHED
from agents.calibrate_targets import Target, Tolerance
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import ConfigError, load_config
from gaelp_env.config_words import entries

RATE = Free("conversion.buy_rate.1", 0.02, 0.002, 0.2)
GAP = Free("visits.gap_days", 6.0, 2.0, 20.0)


def target(name: str, value: float, size: float = 0.05, held_out: bool = False) -> Target:
    tolerance = Tolerance("relative", size)
    return Target(name, name, value, tolerance, "1", "made up", "", "emergent", held_out, ())


def toy(config: MarketConfig) -> Mapping[str, float]:
    """Two figures that follow from two constants; a third one contradicts the first."""
    rate, gap = value_of(config, RATE.name), value_of(config, GAP.name)
    return {"a": rate * gap, "b": math.exp(-gap / 7.0), "c": rate * gap, "held": rate}


def test_a_fit_recovers_known_constants() -> None:
    truth = with_constants(MarketConfig(), {RATE.name: 0.05, GAP.name: 9.0})
    targets = [target(name, toy(truth)[name]) for name in ("a", "b")]
    found = fit(MarketConfig(), targets, (RATE, GAP), toy, steps=60)
    assert value_of(found.config, RATE.name) == pytest.approx(0.05, rel=0.02)
    assert value_of(found.config, GAP.name) == pytest.approx(9.0, rel=0.02)
    assert found.after < 0.01 < found.before
    assert found.constants[GAP.name] == (6.0, value_of(found.config, GAP.name))
    assert found.runs > 3


def test_a_target_that_nothing_can_meet_does_not_drag_the_others_along() -> None:
    targets = [target("a", 0.3), target("b", 0.4), target("c", 0.01, 0.001)]
    found = fit(MarketConfig(), targets, (RATE, GAP), toy, steps=60)
    assert toy(found.config)["a"] == pytest.approx(0.3, rel=0.05)
    assert toy(found.config)["b"] == pytest.approx(0.4, rel=0.05)


def test_a_held_out_target_does_not_move_the_fit() -> None:
    targets = [target("a", 0.3), target("b", 0.4)]
    plain = fit(MarketConfig(), targets, (RATE, GAP), toy, steps=60)
    more = fit(MarketConfig(), [*targets, target("held", 99.0, held_out=True)], (RATE, GAP), toy, steps=60)
    assert more == plain


def test_a_fit_is_the_same_again() -> None:
    targets = [target("a", 0.3), target("b", 0.4)]
    assert fit(MarketConfig(), targets, (RATE, GAP), toy) == fit(MarketConfig(), targets, (RATE, GAP), toy)


def test_a_fit_that_does_not_converge_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"not converged in 2 steps.*nothing was written.*--steps"):
        fit(MarketConfig(), [target("a", 0.9), target("b", 0.1)], (RATE, GAP), toy, steps=2)


def test_nothing_to_fit_and_a_start_outside_its_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to fit"):
        fit(MarketConfig(), [target("held", 1.0, held_out=True)], (RATE,), toy)
    with pytest.raises(ValueError, match=r"visits.gap_days is 6 and the fit looks between 7 and 9"):
        fit(MarketConfig(), [target("a", 1.0)], (Free("visits.gap_days", 8.0, 7.0, 9.0),), toy)


OFTEN = Free("visits.return_buyer", 0.5, 0.25, 2.0)
"""A configuration accepts it up to 0.95."""
BUSY = with_constants(MarketConfig(), {"people.visits_per_day": 4.0})
"""Candidates to visit come often enough for any probability to return."""


def returns(config: MarketConfig) -> Mapping[str, float]:
    return {"often": value_of(config, OFTEN.name), "a": value_of(config, GAP.name)}


@pytest.mark.parametrize(("wanted", "least"), [(0.92, 0.9), (1.5, 0.8)], ids=["before", "beyond"])
def test_points_that_a_configuration_refuses_do_not_end_a_fit(wanted: float, least: float) -> None:
    with pytest.raises(ConfigError):
        moved(BUSY, (OFTEN,), np.array([1.0]))
    told: list[int] = []
    targets = [target("often", wanted), target("a", 9.0)]
    found = fit(BUSY, targets, (OFTEN, GAP), returns, steps=60, say=lambda runs, apart: told.append(runs))
    assert least <= value_of(found.config, OFTEN.name) <= 0.95
    assert value_of(found.config, GAP.name) == pytest.approx(9.0, rel=0.05)
    assert found.runs == told[-1]


def test_a_refused_point_misses_every_target_and_is_no_run_of_the_market() -> None:
    wanted = [target("often", 0.5), replace(target("a", 6.0), weight=4.0)]
    trials = _Trials(BUSY, (OFTEN, GAP), wanted, lambda configs: [*map(returns, configs)], None)
    assert trials.at(np.array([1.0, 0.5])) == pytest.approx([MISSING, 2.0 * MISSING])
    assert trials.runs == 0
    assert trials.distances == [MISSING**2]
    # At 0.94 the step up is refused, so the slope is that of the step down, as if there were no wall.
    edge = np.array([OFTEN.to_unit(0.94), GAP.to_unit(6.0)])
    step = (OFTEN.from_unit(edge[0] - STEP) - 0.94) / (0.05 * 0.5) / -STEP
    assert trials.slope(edge)[:, 0] == pytest.approx([step, 0.0], rel=1e-3)
    assert trials.runs == 3


def test_a_start_that_a_configuration_refuses_is_refused() -> None:
    broken = MarketConfig()
    broken = broken.model_copy(update={"visits": broken.visits.model_copy(update={"return_buyer": 1.5})})
    with pytest.raises(ConfigError, match="return_buyer"):
        fit(broken, [target("often", 0.5)], (OFTEN,), returns)


def test_misses_are_kept_within_reach() -> None:
    targets = [target("a", 1.0), target("b", 1.0), target("c", 1.0)]
    assert misses(targets, {"a": 1.1, "b": -50.0}) == pytest.approx([2.0, -MISSING, MISSING])


@pytest.mark.parametrize("one", FREE, ids=lambda one: one.name)
def test_a_free_constant_starts_inside_bounds_that_a_configuration_accepts(one: Free) -> None:
    assert 0.0 <= one.to_unit(one.start) <= 1.0
    assert one.from_unit(one.to_unit(one.start)) == pytest.approx(one.start, rel=1e-5)
    # Where constants do not go together a fit turns back, so here candidates to visit abound.
    for value in (one.low, one.high):
        changed = with_constants(load_config("calibrated"), {"people.visits_per_day": 8.0, one.name: value})
        assert value_of(changed, one.name) == value


def test_the_corners_of_the_cube_are_the_bounds() -> None:
    config = moved(MarketConfig(), (RATE, GAP), np.array([0.0, 1.0]))
    assert (value_of(config, RATE.name), value_of(config, GAP.name)) == (0.002, 20.0)


def test_constants_change_alone() -> None:
    config = with_constants(MarketConfig(), {RATE.name: 0.03})
    assert config.conversion.buy_rate == (0.006, 0.03, 0.05, 0.12, 0.02)
    assert with_constants(config, {RATE.name: 0.02}) == MarketConfig()
    with pytest.raises(KeyError, match="no constant"):
        value_of(config, "visits.gap_weeks")


def test_the_constants_that_targets_name_exist() -> None:
    for held in PUBLISHED:
        for name in held.constants:
            channel = name.replace("channels.*", "channels.display")
            assert channel in entries(), f"{held.name} names {name}, which is no key of a configuration"
