"""Meeting people: the fused loop over the users who arrive in a tick, and the orders that fall due.

This is the inner half of the story that market.py tells. For each candidate of a user, in the order
of the moments:

1. the clock of the stage has run on; the user may have left;
2. the candidate is a visit to our site, or a slot on a channel, and may come to nothing;
3. a user who is met is brought up to date: scores fade, the episode counts them once;
4. the slot is auctioned, if we bid and the budget still runs;
5. an ad that is won may be seen, and one that is seen may be clicked; awareness, fatigue and stage move;
6. a click or an unasked visit brings them to the site, where intent rises, the stage may move, and an
   order may be decided, which falls due later.

People do not influence each other here: only our budget couples them, and market.py sees to that.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gaelp_env.arrivals import MAX_CANDIDATES, sort_moments
from gaelp_env.attribution import last_click
from gaelp_env.auction import FIRST, OWNED, micro, payment, price_at, wins
from gaelp_env.chance import AUCTION, CANDIDATE, CLOCK, RESPOND, VISIT, uniforms
from gaelp_env.constants import MAX_TOUCHES
from gaelp_env.conversion import buy_probability, delay_h, order_value
from gaelp_env.journey import CONVERTED, NEVER_H, stage_below, waiting_time
from gaelp_env.ledger import MICRO, SCORE_UNIT, K
from gaelp_env.population import BOUGHT, CLICKED, COLD, GONE, HOT, KNOWN, REACHED, RING, RING_ORDERS
from gaelp_env.prefetch import prefetch
from gaelp_env.prospect import advance_probability, expected_lift
from gaelp_env.response import click_probability, fade, lift, wear

HOT_BYTES, COLD_BYTES = HOT.itemsize, COLD.itemsize
AHEAD = 12
"""How many users ahead of use a row is fetched, so that it has arrived when it is needed."""


@njit(inline="always")
def stage_clock(key, number, tick_h, entered_h, stage, half_life_h):  # type: ignore[no-untyped-def]
    """When a stage entered at `entered_h` falls back: its draw is addressed by that moment."""
    if half_life_h >= NEVER_H:
        return NEVER_H
    tick = int(entered_h / tick_h)
    second = int((entered_h - tick * tick_h) * 3600.0)
    a, _b, _c, _d = uniforms(key, number, tick, CLOCK, 8 * second + stage)
    return entered_h + waiting_time(a, half_life_h)


@njit(inline="always")
def enter(c, key, row, stage, moment_h):  # type: ignore[no-untyped-def]
    """Puts a user into a stage and starts its clock."""
    row.stage = stage
    row.stage_until_h = stage_clock(key, row.number, c.tick_h, moment_h, stage, c.back_half_life_h[stage])


@njit(inline="always")
def visit_site(c, m, row, rest, moment_h, j, u_move, counts):  # type: ignore[no-untyped-def]
    """A visit to our site: intent rises, an order may be decided, else the stage may move.

    Args:
      row, rest: the user's hot and cold half, up to date at `moment_h`.
      j: number of the candidate in the tick.
      u_move: uniform for the move.
      counts: the ledger's counters.
    Returns: 1 if an order was decided.
    """
    counts.visits += 1
    rest.visits += 1
    row.flags |= KNOWN
    row.intent = lift(row.intent, c.intent_per_visit)
    if row.due_h < 0.0:
        u_buy, u_value, u_part, u_within = uniforms(m.key, row.number, m.tick, VISIT, j)
        if u_buy < buy_probability(c.buy_rate[row.stage], row.propensity, row.intent, c.intent_boost):
            value = order_value(u_value, c.order_value, c.order_log_sd)
            rest.order_value = value
            rest.decided_h = moment_h
            w, means = c.delay_weights, c.delay_means_h
            row.due_h = moment_h + delay_h(
                u_part, u_within, w[0], w[1], means[0], means[1], means[2], c.delay_max_h
            )
            counts.decisions += 1
            counts.decided_micro += int(np.float64(rest.order_value) * c.margin * MICRO + 0.5)
            return 1
    if u_move < advance_probability(c, row.stage, row.awareness, row.intent, c.visit_push):
        enter(c, m.key, row, row.stage + 1, moment_h)
    return 0


@njit(inline="always")
def see_ad(c, m, table, row, rest, channel, moment_h, u_move, left, click, counts):  # type: ignore[no-untyped-def]
    """An ad of ours is seen: its worth accrues, awareness rises, fatigue counts, the stage may move.

    Args:
      left: share of its effect that wear and quality leave, in [0, 1].
      click: probability that it is clicked.
    """
    before = row.awareness
    after = lift(before, c.awareness_gain[channel] * left)
    push = c.forward_push[channel]
    worth = expected_lift(
        c, table, row.stage, before, after, row.intent, push, click, row.propensity, row.due_h >= 0.0
    )
    counts.accrued_micro += int(np.floor(worth * MICRO + 0.5))
    row.awareness = after
    row.fatigue += np.float32(1.0)
    rest.touches += 1
    row.flags |= REACHED
    if u_move < advance_probability(c, row.stage, after, row.intent, push):
        enter(c, m.key, row, row.stage + 1, moment_h)


@njit(inline="always")
def note_touch(row, rest, channel, moment_h, clicked):  # type: ignore[no-untyped-def]
    """Writes a touch into the user's ring of last touches, and a click into the user's record."""
    head = row.ring_head
    rest.ring_minute[head] = int(moment_h * 60.0)
    rest.ring_channel[head] = channel
    rest.ring_clicked[head] = clicked
    row.ring_head = (head + 1) % RING
    if clicked:
        rest.clicks += 1
        rest.last_click_h = moment_h
        rest.last_click_channel = channel
        row.flags |= CLICKED


@njit(inline="always")
def bring_up_to_date(c, m, row, moment_h):  # type: ignore[no-untyped-def]
    """Lets the scores fade to `moment_h` and counts the user as met in the open episode."""
    elapsed = moment_h - row.seen_h
    if row.awareness > 0.0:  # an exponential saved for each score that was never raised
        row.awareness = fade(row.awareness, elapsed, c.awareness_half_life_h)
    if row.fatigue > 0.0:
        row.fatigue = fade(row.fatigue, elapsed, c.fatigue_half_life_h)
    if row.intent > 0.0:
        row.intent = fade(row.intent, elapsed, c.intent_half_life_h)
    row.seen_h = moment_h
    if row.last_episode != m.episode:
        row.last_episode = m.episode
        row.episodes += 1
        return 1
    return 0


@njit(inline="always")
def let_clock_run(c, m, row, moment_h):  # type: ignore[no-untyped-def]
    """Lets the stage fall back as often as its clocks have rung by `moment_h`."""
    while row.stage_until_h <= moment_h:
        enter(c, m.key, row, stage_below(row.stage), row.stage_until_h)


@njit(inline="always")
def tally(row, sign, sums):  # type: ignore[no-untyped-def]
    """Adds (sign 1) or takes away (-1) a user's part in the running sums over the population."""
    sums.stage_count[row.stage] += sign
    sums.awareness_sum += sign * int(row.awareness * SCORE_UNIT + 0.5)
    sums.fatigue_sum += sign * int(row.fatigue / (1.0 + row.fatigue) * SCORE_UNIT + 0.5)
    sums.intent_sum += sign * int(row.intent * SCORE_UNIT + 0.5)
    sums.reached += sign * ((row.flags & REACHED) != 0)
    sums.clicked += sign * ((row.flags & CLICKED) != 0)
    sums.bought += sign * ((row.flags & BOUGHT) != 0)


@njit(inline="always")
def buy_slot(c, m, channel, number, j, moment_h):  # type: ignore[no-untyped-def]
    """Auctions a slot.

    Returns: (cost in micro-units or -1 if it is not won, uniform that tells whether it is seen).
    """
    u_price, u_has_floor, u_floor, u_view = uniforms(m.key, number, m.tick, AUCTION, j)
    if c.rule[channel] == OWNED:
        if u_price > m.beats_rivals[channel]:
            return -1, u_view
        return micro(c.send_cost_cpm[channel]), u_view
    if not wins(
        u_price, u_has_floor, u_floor, m.beats_rivals[channel], m.beats_floor[channel], c.floor_share
    ):
        return -1, u_view
    if c.rule[channel] == FIRST:
        return micro(m.bid_cpm[channel]), u_view
    rival = price_at(u_price, m.price_median[channel], c.price_log_sd)
    floor = 0.0
    if u_has_floor < c.floor_share:
        floor = price_at(u_floor, m.floor_median[channel], c.floor_log_sd)
    return micro(payment(c.rule[channel], m.bid_cpm[channel], rival, floor)), u_view


@njit(cache=True, nogil=True)
def meet(  # type: ignore[no-untyped-def]
    constants, moment, table, hot, cold, changed, index, candidates, count, counts, sums, touches, won,
    decided,
):  # fmt: skip
    """Meets the users who arrive, one after the other, each at all their moments.

    Args:
      constants, moment, table: Constants and MOMENT, one-element arrays, and the prospect table.
      hot, cold, changed: the population's columns; changed in place.
      index, candidates: `[count]` positions and numbers of candidates.
      counts, sums: one-element views of LEDGER and RECORD, added to in place.
      touches: TOUCH buffer for the ads seen; `at` is left to the caller (hours in `touch_h`).
      won: (moment h `[.]`, user number `[.]`, cost `[.]`, touch moment `[.]`) buffers.
      decided: int64 buffer for the positions of users who decided an order.
    Returns: (auctions won, ads seen, orders decided).
    """
    c, m, ledger, total = constants[0], moment[0], counts[0], sums[0]
    won_h, won_number, won_cost, touch_h = won
    n_won = n_touch = n_decided = 0
    hot_at, cold_at = np.uint64(hot.ctypes.data), np.uint64(cold.ctypes.data)
    hot_bytes, cold_bytes = np.uint64(HOT_BYTES), np.uint64(COLD_BYTES)
    at_h, luck = np.empty(MAX_CANDIDATES), np.empty((MAX_CANDIDATES, 3))
    which = np.empty(MAX_CANDIDATES, np.int64)
    for k in range(count):
        if k + AHEAD < count:
            ahead = np.uint64(index[k + AHEAD])
            prefetch(hot_at + ahead * hot_bytes)  # type: ignore[call-arg]
            prefetch(cold_at + ahead * cold_bytes)
            prefetch(cold_at + ahead * cold_bytes + np.uint64(64))
        i = index[k]
        row, rest = hot[i], cold[i]
        n = candidates[k]
        for j in range(n):
            u, luck[j, 0], luck[j, 1], luck[j, 2] = uniforms(m.key, row.number, m.tick, CANDIDATE, j)
            at_h[j] = m.start_h + c.tick_h * u
            which[j] = j
        sort_moments(at_h, which, n)
        tallied = False
        for place in range(n):
            j, now_h = which[place], at_h[place]
            if row.leaves_h <= now_h:
                break
            ledger.candidates += 1
            u_kind, u_real, u_winnable = luck[j, 0], luck[j, 1], luck[j, 2]
            if not tallied:
                tally(row, -1, total)
                tallied = True
            let_clock_run(c, m, row, now_h)
            kind = u_kind * row.rate
            if kind < c.visits_per_day:
                if u_real < c.visit_rate[row.stage]:
                    total.met += bring_up_to_date(c, m, row, now_h)
                    _x, _y, u_move, _z = uniforms(m.key, row.number, m.tick, RESPOND, j)
                    if visit_site(c, m, row, rest, now_h, j, u_move, ledger):
                        decided[n_decided] = i
                        n_decided += 1
                continue
            share = (kind - c.visits_per_day) / (row.rate - c.visits_per_day)
            channel = 0
            while channel < K - 1 and share >= c.share_up_to[channel]:
                channel += 1
            if c.known_only[channel] and not row.flags & KNOWN:
                continue
            if u_real >= c.audience[channel, row.stage]:
                continue
            total.met += bring_up_to_date(c, m, row, now_h)
            ledger.opportunities[channel] += 1
            if m.bid_cpm[channel] <= 0.0 or now_h > m.stop_h:
                continue
            if now_h == m.stop_h and row.number >= m.stop_number:
                continue
            ledger.bids[channel] += 1
            if u_winnable >= c.winnable[channel]:
                continue
            cost, u_view = buy_slot(c, m, channel, row.number, j, now_h)
            if cost < 0:
                continue
            ledger.wins[channel] += 1
            ledger.spend_micro[channel] += cost
            won_h[n_won], won_number[n_won], won_cost[n_won] = now_h, row.number, cost
            n_won += 1
            if u_view >= c.view_rate[channel]:
                continue
            u_click, u_ad_move, u_visit_move, _d = uniforms(m.key, row.number, m.tick, RESPOND, j)
            left = wear(row.fatigue, c.fatigue_exponent) * c.quality[min(rest.touches, MAX_TOUCHES - 1)]
            click = click_probability(c.click_rate[channel, row.stage], left, m.click_weight)
            see_ad(c, m, table, row, rest, channel, now_h, u_ad_move, left, click, ledger)
            clicked = u_click < click
            note_touch(row, rest, channel, now_h, clicked)
            ledger.views[channel] += 1
            touch = touches[n_touch]
            touch.number, touch.tick, touch.channel = row.number, m.tick, channel
            touch.own, touch.clicked, touch.price_micro, touch.episode = 1, clicked, cost, m.episode
            touch_h[n_touch] = now_h
            n_touch += 1
            if clicked:
                ledger.clicks[channel] += 1
                if visit_site(c, m, row, rest, now_h, j, u_visit_move, ledger):
                    decided[n_decided] = i
                    n_decided += 1
        if tallied:
            tally(row, 1, total)
            changed[i] = 1
    return n_won, n_touch, n_decided


@njit(inline="always")
def note_order(rest, due_h, value):  # type: ignore[no-untyped-def]
    """Writes an order into the user's short list of last orders, the oldest giving way."""
    filled = rest.ring_orders
    if filled == RING_ORDERS:
        for k in range(RING_ORDERS - 1):
            rest.order_minute[k] = rest.order_minute[k + 1]
            rest.order_paid[k] = rest.order_paid[k + 1]
        filled = RING_ORDERS - 1
    rest.order_minute[filled] = int(due_h * 60.0)
    rest.order_paid[filled] = value
    rest.ring_orders = filled + 1


@njit(inline="always")
def settle_one(c, m, row, rest, due_h, value, order, ledger):  # type: ignore[no-untyped-def]
    """One order falls due: it is attributed and booked, and its buyer is satiated."""
    channel = last_click(rest.last_click_h, rest.last_click_channel, due_h, c.window_h)
    revenue = int(value * MICRO + 0.5)
    margin = int(value * c.margin * MICRO + 0.5)
    order.number, order.tick, order.value_micro, order.margin_micro = row.number, m.tick, revenue, margin
    order.attributed_channel, order.episode = channel, m.episode
    note_order(rest, due_h, value)
    rest.conversions += 1
    ledger.conversions += 1
    ledger.revenue_micro += revenue
    ledger.margin_micro += margin
    if channel >= 0:
        ledger.attributed += 1
        ledger.attributed_micro += margin
        row.flags |= BOUGHT
    enter(c, m.key, row, CONVERTED, due_h)


@njit(cache=True, nogil=True)
def settle(constants, moment, hot, cold, changed, pending, count, until_h, counts, sums, orders, order_h):  # type: ignore[no-untyped-def]
    """Lets the orders fall due that are due before `until_h`.

    Args:
      pending: `[count]` positions of users with a pending order; the ones that stay are moved to
        the front, in their order.
      orders: CONVERSION buffer; times are left to the caller (`order_h[., 0]` due, `[., 1]` decided).
    Returns: (how many stay pending, how many fell due).
    """
    c, m, ledger, total = constants[0], moment[0], counts[0], sums[0]
    stay = due = 0
    for k in range(count):
        i = pending[k]
        row, rest = hot[i], cold[i]
        if row.due_h >= until_h:
            pending[stay] = i
            stay += 1
            continue
        if not row.flags & GONE:
            tally(row, -1, total)
        order_h[due, 0], order_h[due, 1] = row.due_h, rest.decided_h
        settle_one(c, m, row, rest, row.due_h, np.float64(rest.order_value), orders[due], ledger)
        due += 1
        row.due_h = -1.0
        if not row.flags & GONE:
            tally(row, 1, total)
        changed[i] = 1
    return stay, due
