"""Meeting people: the fused loop over the users who arrive in a tick, and the orders that fall due.

This is the inner half of the story that market.py tells. For each candidate of a user, in the order
of the moments:

1. the clock of the stage has run on; the user may have left;
2. the candidate is a visit to our site, or a slot on a channel, and may come to nothing;
3. a user who is met is brought up to date: scores fade, the episode counts them once;
4. the slot is auctioned, if we bid and the budget still runs;
5. rivals hold the slots that we do not, and their ads may be seen; an ad of ours may be seen, and one that
   is seen may be clicked; awareness, fatigue and stage move;
6. a click or an unasked visit brings them to the site, where intent rises, the stage may move, and an
   order may be decided, which falls due later.

People do not influence each other here: only our budget couples them, and market.py sees to that.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gaelp_env.arrivals import MAX_CANDIDATES, sort_moments
from gaelp_env.attribution import last_click
from gaelp_env.bidding import LOST
from gaelp_env.draws import BIDS, LUCK, ORDER, RESPONSE, ROOM, draw_all, drawn, no_words, note_candidates
from gaelp_env.journey import CONVERTED
from gaelp_env.lanes import kept_of_each
from gaelp_env.ledger import MICRO
from gaelp_env.opportunities import (
    CHARGED,
    CLICK,
    DECIDED,
    SEEN,
    VISIT_HERE,
    bid_for,
    channel_at,
    may_bid,
    reachable,
    show_rivals,
    visit_unasked,
)
from gaelp_env.population import BOUGHT, CHANGED, COLD, GONE, HOT, RING_ORDERS
from gaelp_env.prefetch import prefetch
from gaelp_env.undo import WORDS, keep_all, keep_what_changed, look, uncounted
from gaelp_env.upkeep import (
    audience_of,
    counted,
    enter,
    faded,
    let_clock_run,
    moved_on,
    standing,
    tally,
)
from gaelp_env.visiting import visits_now

HOT_BYTES, COLD_BYTES = HOT.itemsize, COLD.itemsize
AHEAD = 12
"""How many users ahead of use a row is fetched, so that it has arrived when it is needed."""


@njit(cache=True, nogil=True)
def meet(  # type: ignore[no-untyped-def]
    constants, moment, number, hot, cold, kept, index, candidates, count, counts, sums, touches,
    won, decided, visits,
):  # fmt: skip
    """Meets the users who arrive, one after the other, each at all their moments.

    Args:
      constants, moment: Constants and MOMENT, one-element arrays.
      number: user numbers by position.
      hot, cold: the population's columns; changed in place.
      kept: of undo.Undo: what rows were before they change goes there; None: nowhere.
      index, candidates: `[count]` positions and numbers of candidates.
      counts, sums: one-element views of LEDGER and RECORD, added to in place.
      touches: TOUCH buffer for the ads seen; `at` is left to the caller (hours in `touch_h`).
      won: (moment h `[.]`, user number `[.]`, cost `[.]`, touch moment `[.]`, click probability `[.]`);
        the first three may be empty if nobody asks for the charges.
      decided: int64 buffer for the positions of users who decided an order.
      visits: VISIT buffer.
    Returns: (charges, ads seen, orders decided, visits).
    """
    c, m, ledger, total = constants[0], moment[0], counts[0], sums[0]
    won_h, won_number, won_cost, touch_h, touch_click = won
    charges = len(won_h) > 0
    n_won = n_touch = n_decided = n_visit = 0
    hot_at, cold_at = np.uint64(hot.ctypes.data), np.uint64(cold.ctypes.data)
    hot_bytes, cold_bytes = np.uint64(HOT_BYTES), np.uint64(COLD_BYTES)
    at_h, which, words = np.empty(MAX_CANDIDATES), np.empty(MAX_CANDIDATES, np.int64), no_words()
    old, kept = np.empty(WORDS, np.uint32), uncounted(kept)
    begin = 0
    while begin < count:
        end, filled, first = begin, 0, 0
        while end < count and filled + candidates[end] <= ROOM:
            filled = note_candidates(words, filled, number[index[end]], candidates[end])
            end += 1
        draw_all(words, filled, m.key, m.tick)
        for k in range(begin, end):
            if k + AHEAD < count:
                ahead = np.uint64(index[k + AHEAD])
                prefetch(hot_at + ahead * hot_bytes)  # type: ignore[call-arg]
                prefetch(hot_at + ahead * hot_bytes + np.uint64(64))
                prefetch(cold_at + ahead * cold_bytes)
            i = index[k]
            row, rest = hot[i], cold[i]
            n = candidates[k]
            for j in range(n):
                at_h[j] = m.start_h + c.tick_h * drawn(words, LUCK, first + j)[0]
                which[j] = j
            sort_moments(at_h, which, n)
            met, before = False, standing(row)
            looked = look(kept, row, i, old)
            for place in range(n):
                j, now_h = which[place], at_h[place]
                if row.leaves_h <= now_h:
                    break
                ledger.candidates += 1
                _u, u_kind, u_real, u_winnable = drawn(words, LUCK, first + j)
                met = True
                left = kept_of_each(now_h - row.seen_h, c.fading)
                let_clock_run(c, m, row, now_h)
                channel = channel_at(c, row, u_kind)
                if channel == VISIT_HERE:
                    if visits_now(c, row, now_h, u_real):
                        response = drawn(words, RESPONSE, first + j)
                        if visit_unasked(c, m, row, rest, now_h, j, response, ledger, total, visits[n_visit]):
                            decided[n_decided] = i
                            n_decided += 1
                        n_visit += 1
                    continue
                if not reachable(c, row, channel, u_real):
                    continue
                total.met += faded(c, m, row, now_h, left)
                ledger.opportunities[channel] += 1
                audience = audience_of(row)
                winnable = u_winnable < c.winnable[channel]
                bids, order = drawn(words, BIDS, first + j), drawn(words, ORDER, first + j)
                if not may_bid(c, m, row, rest, channel, audience, now_h, ledger):
                    show_rivals(c, m, row, channel, bids, order, LOST, winnable, ledger)
                    continue
                came, cost, click = bid_for(
                    c, m, row, rest, now_h, j, channel, audience, winnable, bids, order,
                    drawn(words, RESPONSE, first + j), ledger, touches[n_touch], visits[n_visit],
                )  # fmt: skip
                if came & CHARGED and charges:
                    won_h[n_won], won_number[n_won], won_cost[n_won] = now_h, row.number, cost
                    n_won += 1
                if came & SEEN:
                    touch_h[n_touch], touch_click[n_touch] = now_h, click
                    n_touch += 1
                if came & CLICK:
                    n_visit += 1
                if came & DECIDED:
                    decided[n_decided] = i
                    n_decided += 1
            first += n
            if met:
                moved_on(before, standing(row), total)
                row.marks |= CHANGED
                if looked:
                    keep_what_changed(kept, row, i, old)
        begin = end
    return n_won, n_touch, n_decided, n_visit


@njit(inline="always")
def note_order(row, rest, due_h, value):  # type: ignore[no-untyped-def]
    """Writes an order into the user's short list of last orders, the oldest giving way."""
    filled = row.ring_orders
    if filled == RING_ORDERS:
        for k in range(RING_ORDERS - 1):
            rest.order_minute[k] = rest.order_minute[k + 1]
            rest.order_paid[k] = rest.order_paid[k + 1]
        filled = RING_ORDERS - 1
    rest.order_minute[filled] = int(due_h * 60.0)
    rest.order_paid[filled] = value
    row.ring_orders = filled + 1


@njit(inline="always")
def settle_one(c, m, row, rest, due_h, value, order, ledger):  # type: ignore[no-untyped-def]
    """One order falls due: it is attributed and booked, and its buyer is satiated."""
    channel = last_click(row.last_click_h, row.last_click_channel, due_h, c.window_h)
    revenue = int(value * MICRO + 0.5)
    margin = int(value * c.margin * MICRO + 0.5)
    order.number, order.tick, order.value_micro, order.margin_micro = row.number, m.tick, revenue, margin
    order.attributed_channel, order.episode = channel, m.episode
    note_order(row, rest, due_h, value)
    row.conversions = counted(row.conversions)
    ledger.conversions += 1
    ledger.revenue_micro += revenue
    ledger.margin_micro += margin
    if channel >= 0:
        ledger.attributed += 1
        ledger.attributed_micro += margin
        ledger.attributed_revenue_micro += revenue
        row.flags |= BOUGHT
    enter(c, m.key, row, CONVERTED, due_h)


@njit(cache=True, nogil=True)
def settle(constants, moment, hot, cold, kept, pending, count, until_h, counts, sums, orders, order_h):  # type: ignore[no-untyped-def]
    """Lets the orders fall due that are due before `until_h`.

    Args:
      kept: as in `meet`.
      pending: `[count]` positions of users with a pending order; the ones that stay are moved to
        the front, in their order.
      orders: CONVERSION buffer; times are left to the caller (`order_h[., 0]` due, `[., 1]` decided).
    Returns: (how many stay pending, how many fell due).
    """
    c, m, ledger, total = constants[0], moment[0], counts[0], sums[0]
    stay = due = 0
    old = np.empty(WORDS, np.uint32)
    for k in range(count):
        i = pending[k]
        row, rest = hot[i], cold[i]
        if row.due_h >= until_h:
            pending[stay] = i
            stay += 1
            continue
        if look(kept, row, i, old):
            keep_all(kept, row, i, old)
        if not row.flags & GONE:
            tally(row, -1, total)
        order_h[due, 0], order_h[due, 1] = row.due_h, rest.decided_h
        settle_one(c, m, row, rest, row.due_h, np.float64(rest.order_value), orders[due], ledger)
        due += 1
        row.due_h = -1.0
        if not row.flags & GONE:
            tally(row, 1, total)
        row.marks |= CHANGED
    return stay, due
