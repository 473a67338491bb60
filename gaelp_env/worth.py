"""What an ad that is seen is worth: the difference in prospect that it makes, looked up in tables.

The worth of a visit hangs on a person's propensity p, on what the ads seen lately make of the buy rate (w),
and on stage, awareness and intent:

    V = p (w T1 + T2 + p (w T3 + T4))

T1 is the margin of an order at this visit, T2 the prospect after it without an order and that of the
returns, T3 and T4 what an order changes in the two. They are kept at the knots of the prospect, with the
prospect itself as the first part, and are linear in between. The buy rate is cut at one for p = w = 1 only.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numba import njit

from gaelp_env.config import MarketConfig
from gaelp_env.constants import as_record, constants_of
from gaelp_env.conversion import buy_probability
from gaelp_env.journey import CONVERTED
from gaelp_env.ledger import AWARENESS_KNOTS, INTENT_KNOTS, WORTH, K
from gaelp_env.logarithms import logarithm
from gaelp_env.prospect import Floats, advance_probability, cell_of, mean_return, prospect, prospect_table
from gaelp_env.response import lift, revert
from gaelp_env.voice import share_of_voice

BROUGHT = 5
"""Place of the first of two parts for each channel: what a visit is worth that its adstock brings."""


@njit(inline="always")
def parts_at(table, stage, awareness, intent):  # type: ignore[no-untyped-def]
    """The five parts of the table, linear between the knots.

    Args:
      table: of shape WORTH, currency units.
      stage: 0 … 4.
      awareness, intent: in [0, 1].
    Returns: (prospect, T1, T2, T3, T4), for a propensity of one.
    """
    a0, i0, a, i = cell_of(awareness, intent)
    w00, w01, w10, w11 = (1.0 - a) * (1.0 - i), (1.0 - a) * i, a * (1.0 - i), a * i
    p = w00 * table[stage, a0, i0, 0] + w01 * table[stage, a0, i0 + 1, 0]
    p += w10 * table[stage, a0 + 1, i0, 0] + w11 * table[stage, a0 + 1, i0 + 1, 0]
    t1 = w00 * table[stage, a0, i0, 1] + w01 * table[stage, a0, i0 + 1, 1]
    t1 += w10 * table[stage, a0 + 1, i0, 1] + w11 * table[stage, a0 + 1, i0 + 1, 1]
    t2 = w00 * table[stage, a0, i0, 2] + w01 * table[stage, a0, i0 + 1, 2]
    t2 += w10 * table[stage, a0 + 1, i0, 2] + w11 * table[stage, a0 + 1, i0 + 1, 2]
    t3 = w00 * table[stage, a0, i0, 3] + w01 * table[stage, a0, i0 + 1, 3]
    t3 += w10 * table[stage, a0 + 1, i0, 3] + w11 * table[stage, a0 + 1, i0 + 1, 3]
    t4 = w00 * table[stage, a0, i0, 4] + w01 * table[stage, a0, i0 + 1, 4]
    t4 += w10 * table[stage, a0 + 1, i0, 4] + w11 * table[stage, a0 + 1, i0 + 1, 4]
    return p, t1, t2, t3, t4


@njit(inline="always")
def prospect_at(table, stage, awareness, intent):  # type: ignore[no-untyped-def]
    """The first part alone: the prospect of a person of propensity one, currency units."""
    a0, i0, a, i = cell_of(awareness, intent)
    low = table[stage, a0, i0, 0] * (1.0 - i) + table[stage, a0, i0 + 1, 0] * i
    high = table[stage, a0 + 1, i0, 0] * (1.0 - i) + table[stage, a0 + 1, i0 + 1, 0] * i
    return low * (1.0 - a) + high * a


@njit(inline="always")
def expected_lift(table, stage, before, after, intent, moves, click, propensity, often):  # type: ignore[no-untyped-def]
    """Expected incremental margin of one ad seen, over its click, its push and the visit it brings.

    Args:
      table: of shape WORTH.
      stage, intent: before the ad; `before` and `after` are the awareness.
      moves: probability that the ad moves the stage.
      click: probability of the click.
      propensity: of the user, times what their share of voice makes of it.
      often: what the ads seen lately make of the buy rate at a visit right now.
    Returns: currency units.
    """
    seen, t1, t2, t3, t4 = parts_at(table, stage, after, intent)
    if moves > 0.0:
        p, u1, u2, u3, u4 = parts_at(table, stage + 1, after, intent)
        seen += moves * (p - seen)
        t1 += moves * (u1 - t1)
        t2 += moves * (u2 - t2)
        t3 += moves * (u3 - t3)
        t4 += moves * (u4 - t4)
    visit = often * t1 + t2 + propensity * (often * t3 + t4)
    left_alone = prospect_at(table, stage, before, intent)
    return propensity * ((1.0 - click) * seen + click * visit - left_alone)


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
    if slope == 1.0 and most >= 1.0:
        return math.log1p(stock / half)
    odds = slope * math.log(stock / half)  # of h, in logs
    if most < 1.0:
        bound = math.log(most / (1.0 - most))
        if odds > bound:
            return (most * (odds - bound) - math.log1p(-most)) / slope
    return (odds if odds > 40.0 else math.log1p(math.exp(odds))) / slope


@njit(inline="always")
def area_gained(stock, half, slope, most):  # type: ignore[no-untyped-def]
    """What one more ad adds to `fading_area`: A(E + 1) - A(E)."""
    if slope == 1.0 and most >= 1.0:
        return logarithm(1.0 + 1.0 / (half + stock))
    return fading_area(stock + 1.0, half, slope, most) - fading_area(stock, half, slope, most)


@njit(inline="always")
def _brought_at(table, stage, awareness, intent, channel):  # type: ignore[no-untyped-def]
    """The two parts of what a visit is worth that adstock of a channel brings, linear between the knots."""
    a0, i0, a, i = cell_of(awareness, intent)
    w00, w01, w10, w11 = (1.0 - a) * (1.0 - i), (1.0 - a) * i, a * (1.0 - i), a * i
    one = BROUGHT + 2 * channel
    b1 = w00 * table[stage, a0, i0, one] + w01 * table[stage, a0, i0 + 1, one]
    b1 += w10 * table[stage, a0 + 1, i0, one] + w11 * table[stage, a0 + 1, i0 + 1, one]
    b2 = w00 * table[stage, a0, i0, one + 1] + w01 * table[stage, a0, i0 + 1, one + 1]
    b2 += w10 * table[stage, a0 + 1, i0, one + 1] + w11 * table[stage, a0 + 1, i0 + 1, one + 1]
    return b1, b2


@njit(inline="always")
def visits_brought(c, table, stage, awareness, intent, propensity, stock, channel):  # type: ignore[no-untyped-def]
    """What the unasked visits are worth that one more ad in the adstock brings.

        extra visits = g v_s (H / ln 2) (A(E + 1) - A(E)),   A: `fading_area`

    which is the integral of the saturated stock over its fading, for any slope and with v_s (1 + g h) held
    to at most one, as if all of the stock faded with the channel's half-life. What such a visit is worth,
    H / ln 2 later, and all of the factor before the areas is in the table.

    Args:
      table: of shape WORTH.
      stock: E of all channels before the ad.
    Returns: currency units.
    """
    rate = c.adstock_visit * c.visit_rate[stage]
    if rate <= 0.0 or c.visit_rate[stage] >= 1.0:
        return 0.0
    area = area_gained(stock, c.adstock_half, c.adstock_slope, (1.0 - c.visit_rate[stage]) / rate)
    b1, b2 = _brought_at(table, stage, awareness, intent, channel)
    return area * propensity * (b1 + propensity * b2)


@njit(nogil=True)
def worth_of_ad(  # type: ignore[no-untyped-def]
    c, table, stage, before, after, intent, moves, click, propensity, often, stock, channel
):
    """Expected incremental margin of one ad seen: `expected_lift` and `visits_brought`, as they say."""
    worth = expected_lift(table, stage, before, after, intent, moves, click, propensity, often)
    if c.adstock_visit > 0.0:
        worth += visits_brought(c, table, stage, after, intent, propensity, stock, channel)
    return worth


@njit(nogil=True)
def _one_visit(c, table, stage, awareness, intent):  # type: ignore[no-untyped-def]
    """Of a visit without returns: chance of an order, prospect without one, and what an order adds to it."""
    after = lift(intent, c.intent_per_visit)
    voice = 1.0
    if c.share_of_voice:
        voice = share_of_voice(awareness, c.rival_mean, c.standing, c.outside, c.power)
    buys = buy_probability(c.buy_rate[stage], 1.0, after, c.intent_boost, voice)
    moves = advance_probability(c, stage, awareness, after, c.visit_push[min(stage, 2)])
    goes_on = prospect(table, stage, awareness, after)
    if moves > 0.0:
        goes_on += moves * (prospect(table, stage + 1, awareness, after) - goes_on)
    return buys, goes_on, prospect(table, CONVERTED, awareness, after) - goes_on


@njit(cache=True)
def _parts(constants, table):  # type: ignore[no-untyped-def]
    c = constants[0]
    parts = np.zeros(WORTH)
    margin = c.order_value * c.margin
    for s in range(5):
        for a in range(AWARENESS_KNOTS):
            for i in range(INTENT_KNOTS):
                awareness, intent = a / (AWARENESS_KNOTS - 1), i / (INTENT_KNOTS - 1)
                buys, goes_on, changes = _one_visit(c, table, s, awareness, intent)
                part = parts[s, a, i]
                part[0] = table[s, a, i]
                part[1], part[2], part[3] = buys * margin, goes_on, buys * changes
                back, later_a, later_i = mean_return(c, s, awareness, intent)
                if back > 0.0:
                    buys, goes_on, changes = _one_visit(c, table, s, later_a, later_i)
                    idle = prospect(table, s, later_a, later_i)
                    part[2] += back * (buys * margin + goes_on - idle)
                    part[4] = back * buys * changes
    for s in range(5):
        for channel in range(K):
            span_h = c.adstock_half_life_h[channel] / 0.6931471805599453
            times = c.adstock_visit * c.visit_rate[s] * c.visits_per_day / 24.0 * span_h
            for a in range(AWARENESS_KNOTS):
                for i in range(INTENT_KNOTS):
                    awareness, intent = a / (AWARENESS_KNOTS - 1), i / (INTENT_KNOTS - 1)
                    later_i = revert(intent, c.intent_base, span_h, c.intent_half_life_h)
                    p, t1, t2, t3, t4 = parts_at(parts, s, awareness, later_i)
                    parts[s, a, i, BROUGHT + 2 * channel] = times * (t1 + t2 - p)
                    parts[s, a, i, BROUGHT + 2 * channel + 1] = times * (t3 + t4)
    return parts


@lru_cache(maxsize=64)
def worth_table(config: MarketConfig) -> Floats:
    """The table of a configuration, `WORTH`, currency units (never change it)."""
    parts: Floats = _parts(as_record(constants_of(config)), prospect_table(config))
    return parts
