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

import math
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.adstock import hill
from gaelp_env.config import MarketConfig
from gaelp_env.constants import as_record, constants_of
from gaelp_env.conversion import buy_probability
from gaelp_env.journey import CONVERTED, can_advance, forward_probability, stage_below
from gaelp_env.response import fade, lift, revert
from gaelp_env.voice import share_of_voice

AWARENESS_KNOTS = 17
INTENT_KNOTS = 13
STEP_H = 3.0
"""Hours in a step of the solution; half of it changes the table by less than two per cent."""

Floats = NDArray[np.float64]


@njit(inline="always")
def prospect(table, stage, awareness, intent):  # type: ignore[no-untyped-def]
    """Looks the prospect up, linear between the knots.

    Args:
      table: `[5, AWARENESS_KNOTS, INTENT_KNOTS]` currency units.
      stage: 0 … 4.
      awareness, intent: in [0, 1].
    """
    a = awareness * (AWARENESS_KNOTS - 1)
    i = intent * (INTENT_KNOTS - 1)
    a0 = min(int(a), AWARENESS_KNOTS - 2)
    i0 = min(int(i), INTENT_KNOTS - 2)
    a -= a0
    i -= i0
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
    back = c.return_probability[stage]
    if back <= 0.0:
        return value
    gap_h = c.same_day_share * c.same_day_h + (1.0 - c.same_day_share) * c.gap_mean_h
    later_a = fade(awareness, gap_h, c.awareness_half_life_h)
    later_i = revert(lift(intent, c.intent_per_visit), c.intent_base, gap_h, c.intent_half_life_h)
    again = single_visit(c, table, stage, later_a, later_i, propensity, 1.0)
    again -= propensity * prospect(table, stage, later_a, later_i)
    return value + back / (1.0 - back) * again


@njit(inline="always")
def fading_area(stock, half, slope, most):  # type: ignore[no-untyped-def]
    """The area under min(h(E), most) while a stock fades to nothing, in units of H / ln 2.

        int_0^E min(h(x), most) dx / x,   h(x) = x**s / (K**s + x**s)
        = ln(1 + (E / K)**s) / s up to the stock E' at which h = most, and most ln(E / E') beyond

    Args:
      stock: E >= 0 at the beginning.
      half, slope: K > 0 and s > 0 of `adstock.hill`.
      most: > 0; from one on it binds nothing.
    Returns: >= 0, rising in E.
    """
    if stock <= 0.0:
        return 0.0
    odds = slope * math.log(stock / half)  # of h, in logs
    if most < 1.0:
        bound = math.log(most / (1.0 - most))
        if odds > bound:
            return (most * (odds - bound) - math.log1p(-most)) / slope
    return (odds if odds > 40.0 else math.log1p(math.exp(odds))) / slope


@njit(nogil=True)
def visits_brought(c, table, stage, awareness, intent, propensity, stock, channel):  # type: ignore[no-untyped-def]
    """What the unasked visits are worth that one more ad in the adstock brings.

        extra visits = g v_s (H / ln 2) (A(E + 1) - A(E)),   A: `fading_area`

    which is the integral of the saturated stock over its fading, for any slope and with v_s (1 + g h) held
    to at most one, as if all of the stock faded with the channel's half-life.

    Args:
      stock: E of all channels before the ad.
    Returns: currency units.
    """
    rate = c.adstock_visit * c.visit_rate[stage]
    if rate <= 0.0:
        return 0.0
    per_h = rate * c.visits_per_day / 24.0
    most = (1.0 - c.visit_rate[stage]) / rate
    if most <= 0.0:
        return 0.0
    span_h = c.adstock_half_life_h[channel] / 0.6931471805599453
    area = fading_area(stock + 1.0, c.adstock_half, c.adstock_slope, most)
    extra = per_h * span_h * (area - fading_area(stock, c.adstock_half, c.adstock_slope, most))
    later_i = revert(intent, c.intent_base, span_h, c.intent_half_life_h)
    adds = value_of_visit(c, table, stage, awareness, later_i, propensity)
    return extra * (adds - propensity * prospect(table, stage, awareness, later_i))


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


@njit(nogil=True)
def expected_lift(c, table, stage, awareness, after, intent, push, click, propensity, often):  # type: ignore[no-untyped-def]
    """Expected incremental margin of one ad seen, over its click, its push and the visit it brings.

    Args:
      stage, awareness, intent: before the ad; `after` is the awareness after it.
      push: beta of the channel.
      click: probability of the click.
      propensity: of the user, times what their share of voice makes of it.
      often: what the ads seen lately make of the buy rate at a visit right now.
    Returns: currency units.
    """
    before = propensity * prospect(table, stage, awareness, intent)
    moves = advance_probability(c, stage, after, intent, push)
    seen = prospect(table, stage, after, intent)
    visit = value_of_visit(c, table, stage, after, intent, propensity, often)
    if moves > 0.0:
        seen += moves * (prospect(table, stage + 1, after, intent) - seen)
        visit += moves * (value_of_visit(c, table, stage + 1, after, intent, propensity, often) - visit)
    return (1.0 - click) * propensity * seen + click * visit - before
