"""From one tick to the next, compiled: what market.py's `advance` does around the people it meets.

The parts are those of opening.py, births.py, arrivals.py, encounters.py, rivalry.py and closing.py.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]

from gaelp_env.arrivals import list_comers
from gaelp_env.births import births_by, take_in
from gaelp_env.chance import CANDIDATE as CANDIDATE_DRAWS
from gaelp_env.chance import uniforms
from gaelp_env.encounters import settle
from gaelp_env.impression_desk import (
    ATTRIBUTED,
    BORN,
    CANDIDATE,
    CLOSED,
    MARGIN,
    OPEN,
    ORDERS,
    bare,
    gain,
)
from gaelp_env.impression_view import write_head
from gaelp_env.ledger import CONVERSION, LEDGER, MOMENT, RECORD, A, K
from gaelp_env.opening import FEW, open_moment, rank_floors
from gaelp_env.pointers import pointer, prices_of
from gaelp_env.population import COLD, HOT
from gaelp_env.prices import KNOTS
from gaelp_env.turn import end_tick, tightest


@njit(inline="always")
def _bucket(at_h, start_h, tick_h, total):  # type: ignore[no-untyped-def]
    return min(total - 1, int((at_h - start_h) / tick_h * total))


@njit(cache=True, nogil=True)
def _list_candidates(c, m, desk, index, counts, met, total, raw, starts):  # type: ignore[no-untyped-def]
    """Lists the tick's candidates by moment, ties by user and then by number, in time linear in `total`."""
    hot = carray(pointer(desk.hot), desk.capacity, HOT)
    listed = carray(pointer(desk.candidates), desk.room, CANDIDATE)
    starts[: total + 1] = 0
    n = 0
    for k in range(met):
        row = hot[index[k]]
        for j in range(counts[k]):
            u, kind, real, winnable = uniforms(m.key, row.number, m.tick, CANDIDATE_DRAWS, j)
            one = raw[n]
            one.at_h, one.place, one.j = m.start_h + c.tick_h * u, index[k], j
            one.kind, one.real, one.winnable = kind, real, winnable
            starts[_bucket(one.at_h, m.start_h, c.tick_h, total) + 1] += 1
            n += 1
    for b in range(total):
        starts[b + 1] += starts[b]
    for k in range(total):
        b = _bucket(raw[k].at_h, m.start_h, c.tick_h, total)
        at = starts[b]
        starts[b] += 1
        listed[at] = raw[k]
    for k in range(1, total):
        if listed[k - 1].at_h > listed[k].at_h:
            raw[0] = listed[k]
            p = k - 1
            while p >= 0 and listed[p].at_h > raw[0].at_h:
                listed[p + 1] = listed[p]
                p -= 1
            listed[p + 1] = raw[0]
    desk.count, desk.cursor = total, 0


@njit(cache=True, nogil=True)
def open_turn(constants, plan, desk, work, blank):  # type: ignore[no-untyped-def]
    """Opens the next tick: season, newcomers, and who may be met when.

    Args:
      work: (positions, numbers of candidates by user, CANDIDATE, int64 by candidate), to work in.
      blank: one LEDGER of zeros.
    Returns: whether it is open; if not, an array is too short, and called again it goes on from there.
    """
    index, counts = bare(work[0], np.int64), bare(work[1], np.int64)
    raw, starts = bare(work[2], CANDIDATE), bare(work[3], np.int64)
    c, p = constants[0], plan[0]
    r, m = carray(pointer(desk.record), 1, RECORD)[0], carray(pointer(desk.moment), 1, MOMENT)[0]
    ledgers = carray(pointer(desk.ledger), 1, LEDGER)
    t = ledgers[0]
    if desk.phase == CLOSED:
        count = births_by(plan, r.key, r.tick, r.initial_users)
        if desk.size + count > desk.capacity:
            desk.need = desk.size + count
            return False
        ledgers[0] = blank[0]
        t.tick = desk.tick = r.tick
        m.prices_at = desk.tables
        desk.weight = open_moment(p, r, m)
        m.ranked = 0
        desk.over = (r.exhausted or r.day_over or r.all_over) != 0
        desk.left_micro, desk.mark = tightest(p, r)
        desk.spent_micro = 0
        for k in range(K):
            desk.given_cpm[k] = desk.stood_cpm[k] = 0.0
            for a in range(A):
                m.bid_cpm[k, a] = 0.0
        if count:
            take_in(constants, plan, desk, r, count)
            t.births = count
        write_head(p, r, desk)
        desk.phase = BORN
    if len(index) <= desk.size:
        desk.need = 0
        return False
    number = carray(pointer(desk.number), desk.capacity, np.uint32)
    rate = carray(pointer(desk.rate), desk.capacity, np.float32)
    met, total = list_comers(r.key, r.tick, number, rate, 0, desk.size, desk.weight, index, counts)
    desk.need = total + desk.n_pending + max(desk.n_touches, desk.n_visits, desk.n_orders)
    if desk.need > desk.room or total >= len(raw):
        return False
    if not desk.keep:
        desk.n_orders = 0
    if total > FEW and not m.ranked:
        rank_floors(c, p, m, prices_of(m))
    _list_candidates(c, m, desk, index, counts, met, total, raw, starts)
    desk.phase = OPEN
    return True


@njit(cache=True, nogil=True)
def close_turn(constants, plan, desk):  # type: ignore[no-untyped-def]
    """Closes the tick: orders fall due, rivals adapt, counters and budgets move, the clock goes on."""
    p = plan[0]
    records, moments = carray(pointer(desk.record), 1, RECORD), carray(pointer(desk.moment), 1, MOMENT)
    ledgers, r = carray(pointer(desk.ledger), 1, LEDGER), records[0]
    t = ledgers[0]
    r.spent_micro += desk.spent_micro
    desk.spent_micro = 0
    hot, cold = carray(pointer(desk.hot), desk.capacity, HOT), carray(pointer(desk.cold), desk.capacity, COLD)
    pending = carray(pointer(desk.pending), desk.room, np.int64)
    orders = carray(pointer(desk.orders), desk.room, CONVERSION)
    order_h = carray(pointer(desk.order_h), (desk.room, 2), np.float64)
    first = desk.n_orders
    stay, due = settle(
        constants, moments, hot, cold, None, pending, desk.n_pending, p.tick_h * (r.tick + 1), ledgers,
        records, orders[first:], order_h[first:],
    )  # fmt: skip
    desk.n_pending = stay
    desk.n_orders += due
    gain(desk, MARGIN, t.margin_micro)
    gain(desk, ATTRIBUTED, t.attributed_micro)
    gain(desk, ORDERS, t.conversions)
    for k in range(K):
        r.bid_cpm[k] = desk.given_cpm[k]
        desk.wins += t.wins[k]
    tables = carray(pointer(desk.tables), (K, KNOTS), np.float64)
    end_tick(constants, plan, records, ledgers, desk.stood_cpm, tables)
    desk.phase = CLOSED
