"""The prospect of a person left alone: the margin to expect from them if we never bid again.

An ad that is seen changes a person; what it changed is worth the difference in prospect. Prospect plus
margin decided is a martingale while no ad is seen, so summed over the ads of a policy these differences
have, if the prospect is exact, the expectation of the paired difference from the never-bidding twin (the
performance difference lemma, Kakade and Langford, ICML 2002). A reward made of them has neither delay
nor the noise of orders that come anyway.

The prospect is solved on a grid of stage x awareness x intent at the mean traffic weight, for a
propensity of one; a user's is scaled by propensity, since orders are rare.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.adstock import hill
from gaelp_env.config import MarketConfig
from gaelp_env.constants import as_record, constants_of
from gaelp_env.conversion import buy_probability
from gaelp_env.journey import CONVERTED, can_advance, forward_probability, stage_below
from gaelp_env.ledger import AWARENESS_KNOTS, INTENT_KNOTS
from gaelp_env.response import fade, lift, revert
from gaelp_env.voice import share_of_voice

STEP_H = 3.0
"""Hours in a step of the solution; half of it changes the table by less than two per cent."""

Floats = NDArray[np.float64]


@njit(inline="always")
def cell_of(awareness, intent):  # type: ignore[no-untyped-def]
    """The knots below a point of the grid, and how far beyond them it lies: (a0, i0, a, i in [0, 1])."""
    a = awareness * (AWARENESS_KNOTS - 1)
    i = intent * (INTENT_KNOTS - 1)
    a0 = min(int(a), AWARENESS_KNOTS - 2)
    i0 = min(int(i), INTENT_KNOTS - 2)
    a -= a0
    i -= i0
    return a0, i0, a, i


@njit(inline="always")
def prospect(table, stage, awareness, intent):  # type: ignore[no-untyped-def]
    """Looks the prospect up, linear between the knots.

    Args:
      table: `[5, AWARENESS_KNOTS, INTENT_KNOTS]` currency units.
      stage: 0 … 4.
      awareness, intent: in [0, 1].
    """
    a0, i0, a, i = cell_of(awareness, intent)
    low = table[stage, a0, i0] * (1.0 - i) + table[stage, a0, i0 + 1] * i
    high = table[stage, a0 + 1, i0] * (1.0 - i) + table[stage, a0 + 1, i0 + 1] * i
    return low * (1.0 - a) + high * a


@njit(inline="always")
def advance_probability(c, stage, awareness, intent, push):  # type: ignore[no-untyped-def]
    """The probability of one stage forward at an event; 0 from INTENT and CONVERTED."""
    if not can_advance(stage):
        return 0.0
    if c.forward_fixed >= 0.0:
        return c.forward_fixed
    known = awareness
    if c.awareness_half > 0.0:
        known = hill(awareness, c.awareness_half, c.awareness_slope)
    return forward_probability(
        c.forward_base[stage], known, intent, push, c.awareness_push[stage], c.intent_push[stage],
        c.both_push,
    )  # fmt: skip


@njit(nogil=True)
def single_visit(c, table, stage, awareness, intent, propensity, often):  # type: ignore[no-untyped-def]
    """What a visit is worth as it begins, if nobody came back for it: see `value_of_visit`."""
    after = lift(intent, c.intent_per_visit)
    voice = 1.0
    if c.share_of_voice:
        voice = share_of_voice(awareness, c.rival_mean, c.standing, c.outside, c.power)
    buys = buy_probability(c.buy_rate[stage], propensity, after, c.intent_boost, voice * often)
    moves = advance_probability(c, stage, awareness, after, c.visit_push[min(stage, 2)])
    goes_on = prospect(table, stage, awareness, after)
    if moves > 0.0:
        goes_on += moves * (prospect(table, stage + 1, awareness, after) - goes_on)
    margin = c.order_value * c.margin
    return (
        buys * (margin + propensity * prospect(table, CONVERTED, awareness, after))
        + (1.0 - buys) * propensity * goes_on
    )


@njit(inline="always")
def mean_return(c, stage, awareness, intent):  # type: ignore[no-untyped-def]
    """How many visits follow a visit in the mean, r / (1 - r), and the scores after the mean gap.

    Returns: (visits that follow, awareness, intent).
    """
    back = c.return_probability[stage]
    gap_h = c.same_day_share * c.same_day_h + (1.0 - c.same_day_share) * c.gap_mean_h
    later_a = fade(awareness, gap_h, c.awareness_half_life_h)
    later_i = revert(lift(intent, c.intent_per_visit), c.intent_base, gap_h, c.intent_half_life_h)
    return back / (1.0 - back), later_a, later_i


@njit(nogil=True)
def value_of_visit(c, table, stage, awareness, intent, propensity, often=1.0):  # type: ignore[no-untyped-def]
    """What a visit is worth as it begins: margin of its order, the prospect after it, and the returns.

    A visit is followed by r / (1 - r) others in the mean; each is worth what a visit adds to the prospect
    when the scores have faded over the mean gap.

    Args:
      stage, awareness, intent: before the visit.
      propensity: of the user.
      often: what the ads seen lately make of the buy rate at this visit.
    Returns: currency units, for this user (scaled by propensity).
    """
    value = single_visit(c, table, stage, awareness, intent, propensity, often)
    more, later_a, later_i = mean_return(c, stage, awareness, intent)
    if more <= 0.0:
        return value
    again = single_visit(c, table, stage, later_a, later_i, propensity, 1.0)
    again -= propensity * prospect(table, stage, later_a, later_i)
    return value + more * again


@njit(cache=True)
def _solve(constants, leaves_per_h, steps):  # type: ignore[no-untyped-def]
    c = constants[0]
    table = np.zeros((5, AWARENESS_KNOTS, INTENT_KNOTS))
    stays = np.exp(-STEP_H * leaves_per_h)
    keep_awareness = 2.0 ** (-STEP_H / c.awareness_half_life_h)
    keep_intent = 2.0 ** (-STEP_H / c.intent_half_life_h)
    for _ in range(steps):
        fresh = np.zeros_like(table)
        for s in range(5):
            falls = 1.0 - 2.0 ** (-STEP_H / c.back_half_life_h[s])
            visits = 1.0 - np.exp(-STEP_H * c.visits_per_day / 24.0 * c.visit_rate[s])
            for a in range(AWARENESS_KNOTS):
                awareness = a / (AWARENESS_KNOTS - 1)
                for i in range(INTENT_KNOTS):
                    intent = i / (INTENT_KNOTS - 1)
                    later_a = awareness * keep_awareness
                    later_i = c.intent_base + (intent - c.intent_base) * keep_intent
                    idle = prospect(table, s, later_a, later_i)
                    if s > 0:
                        idle += falls * (prospect(table, stage_below(s), later_a, later_i) - idle)
                    visit = value_of_visit(c, table, s, later_a, later_i, 1.0)
                    fresh[s, a, i] = stays * (visits * visit + (1.0 - visits) * idle)
        table = fresh
    return table


@lru_cache(maxsize=64)
def prospect_table(config: MarketConfig) -> Floats:
    """Solves the prospect for a configuration: `[5, AWARENESS_KNOTS, INTENT_KNOTS]`, currency units.

    Steps back from a far horizon (six mean stays, at most two years) in steps of STEP_H.
    """
    stay_h = 24.0 * config.people.stay_days
    steps = int(min(6.0 * stay_h, 17_520.0) / STEP_H)
    table: Floats = _solve(as_record(constants_of(config)), 1.0 / stay_h, max(steps, 1))
    return table
