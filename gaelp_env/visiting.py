"""A person on our site: unasked, back again, or by a click on an ad of ours."""

from __future__ import annotations

import numpy as np
from numba import njit

from gaelp_env.adstock import gained
from gaelp_env.chance import VISIT, uniforms
from gaelp_env.conversion import buy_probability, delay_h, order_value
from gaelp_env.devices import how_many
from gaelp_env.funnel import CART, CHECKOUT, ORDER, VIEW, depth_of
from gaelp_env.ledger import MICRO
from gaelp_env.population import KNOWN, NEVER_S
from gaelp_env.prospect import advance_probability
from gaelp_env.response import lift
from gaelp_env.sessions import NO_SOURCE, return_chance, return_rate
from gaelp_env.upkeep import counted, enter, frequency_weight, stock_at, stock_of, voice_of


@njit(inline="always")
def visit_chance(c, row, moment_h):  # type: ignore[no-untyped-def]
    """The probability that a visit candidate becomes a visit: of the stage, of adstock, of a return.

    A return's hazard (per hour) becomes a probability through the rate of the candidates.
    """
    unasked = c.visit_rate[row.stage]
    if c.adstock_visit > 0.0:
        unasked = gained(
            unasked, c.adstock_visit, stock_at(c, row, moment_h), c.adstock_half, c.adstock_slope
        )
    if row.visit_s == NEVER_S:
        return unasked
    buyer = row.due_h >= 0.0 or row.conversions > 0
    likely = c.return_buyer if buyer else c.return_probability[row.stage]
    likely = return_chance(likely, row.propensity, c.return_propensity)
    gap_h = max(0.0, moment_h - row.visit_s / 3600.0)
    again = return_rate(gap_h, likely, c.same_day_share, c.same_day_h, c.gap_mean_h)
    return min(1.0, unasked + again * 24.0 / c.visits_per_day)


@njit(inline="always")
def visits_now(c, row, moment_h, u):  # type: ignore[no-untyped-def]
    """Whether a visit candidate becomes a visit: `u` is below `visit_chance`.

    Most who never visited are told by the most that adstock could make of the stage's rate.
    """
    if row.visit_s == NEVER_S and u >= c.visit_rate[row.stage] * (1.0 + c.adstock_visit):
        return False
    return u < visit_chance(c, row, moment_h)


@njit(nogil=True)
def decide_order(c, row, rest, moment_h, u_value, u_part, u_within, counts):  # type: ignore[no-untyped-def]
    """An order is decided: its value, and how late it falls due. The journey ends with it."""
    rest.order_value = order_value(u_value, c.order_value, c.order_log_sd)
    rest.decided_h = moment_h
    w, means = c.delay_weights, c.delay_means_h
    row.due_h = moment_h + delay_h(u_part, u_within, w[0], w[1], means[0], means[1], means[2], c.delay_max_h)
    counts.decisions += 1
    counts.decided_micro += int(np.float64(rest.order_value) * c.margin * MICRO + 0.5)


@njit(nogil=True)
def visit_site(c, m, row, rest, moment_h, j, u_move, device, source, channel, counts, visit):  # type: ignore[no-untyped-def]
    """A visit to our site: intent rises, an order may be decided, else the stage may move.

    Args:
      row, rest: the user's hot and cold half, up to date at `moment_h`, in an open journey.
      j: number of the candidate in the tick.
      u_move: uniform for the move.
      device: of the session.
      source, channel: where the visit comes from, and the channel of the ad that was clicked, or -1.
      counts: the ledger's counters.
      visit: one VISIT, written.
    Returns: 1 if an order was decided.
    """
    counts.visits += 1
    if channel < 0 and row.visits > 0:
        counts.returns += 1
    row.visits = counted(row.visits)
    row.flags |= KNOWN
    if row.source == NO_SOURCE:
        row.source = source
    row.visit_s = int(moment_h * 3600.0)
    row.intent = lift(row.intent, c.intent_per_visit)
    u_buy, u_value, u_part, u_within = uniforms(m.key, row.number, m.tick, VISIT, j)
    weight = c.device_buy[device] * frequency_weight(c, stock_of(row))
    weight *= voice_of(c, row.awareness, row.rival_awareness)
    buys = buy_probability(c.buy_rate[row.stage], row.propensity, row.intent, c.intent_boost, weight)
    depth = depth_of(u_buy, buys, c.order_rate, c.checkout_rate, c.cart_rate)
    waits = row.due_h >= 0.0
    if waits:  # a person with an order pending decides no other
        depth, buys = min(depth, CHECKOUT), 0.0
    visit.number, visit.at_h, visit.buy = row.number, moment_h, buys
    row.devices |= 1 << device
    visit.source, visit.channel, visit.device, visit.depth = source, channel, device, depth
    visit.devices, visit.journey = how_many(row.devices), row.journeys
    if depth == ORDER:
        decide_order(c, row, rest, moment_h, u_value, u_part, u_within, counts)
        row.devices = 0
        return 1
    if depth >= VIEW and c.intent_per_view > 0.0:
        row.intent = lift(row.intent, c.intent_per_view)
    if depth >= CART and c.intent_per_cart > 0.0:
        row.intent = lift(row.intent, c.intent_per_cart)
    push = c.visit_push[min(row.stage, 2)]
    if u_move < advance_probability(c, row.stage, row.awareness, row.intent, push):
        enter(c, m.key, row, row.stage + 1, moment_h)
    return 0
