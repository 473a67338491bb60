"""The fit recovers constants that are known, and says so when it cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

pytest.importorskip("scipy")

from agents.calibrate_fit import MISSING, fit, misses, moved
from agents.calibrate_free import FREE, Free, value_of, with_constants
from agents.calibrate_published import PUBLISHED
from agents.calibrate_targets import Target, Tolerance
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
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


def test_misses_are_kept_within_reach() -> None:
    targets = [target("a", 1.0), target("b", 1.0), target("c", 1.0)]
    assert misses(targets, {"a": 1.1, "b": -50.0}) == pytest.approx([2.0, -MISSING, MISSING])


@pytest.mark.parametrize("one", FREE, ids=lambda one: one.name)
def test_a_free_constant_starts_inside_bounds_that_a_configuration_accepts(one: Free) -> None:
    assert 0.0 <= one.to_unit(one.start) <= 1.0
    assert one.from_unit(one.to_unit(one.start)) == pytest.approx(one.start, rel=1e-5)
    for value in (one.low, one.high):
        changed = with_constants(load_config("calibrated"), {one.name: value})
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
