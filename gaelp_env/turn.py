"""A whole tick of a small market, compiled: what market.py tells, for any number of markets in one call.

A desk is one record a market, and reaches the market's arrays by their addresses. The parts are those that a
large market calls from Python: opening.py, births.py, arrivals.py, encounters.py, rivalry.py and closing.py.
A tick of a thousand people takes less time than Python needs to call its parts one by one.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]

from gaelp_env.arrivals import list_comers
from gaelp_env.auction import OWNED
from gaelp_env.births import births_by, take_in
from gaelp_env.closing import close_budgets, close_tick
from gaelp_env.encounters import meet, settle
from gaelp_env.ledger import CONVERSION, LEDGER, MOMENT, RECORD, TOUCH, VISIT, A, K
from gaelp_env.opening import FEW, moved, open_moment, rank_bids, rank_floors
from gaelp_env.pointers import pointer, prices_of
from gaelp_env.population import COLD, HOT, WORDS_COLD, WORDS_HOT
from gaelp_env.prices import KNOTS
from gaelp_env.rivalry import let_adapt, make_tables

ADDRESSES = (
    "hot", "cold", "number", "rate", "changed", "record", "moment", "ledger", "tables", "index", "counts",
    "touches", "touch_h", "touch_click", "visits", "won_h", "won_number", "won_cost", "pending",
    "orders", "order_h",
)  # fmt: skip
CLOSED, BORN = 0, 1
"""Phases: between two ticks; newcomers are in, nobody has been met."""
PLAYED, MORE_PEOPLE, MORE_ROOM = 0, 1, 2
"""What a call ends with: a tick; the people's columns are too short; the arrays of events are."""
TURN = np.dtype(
    [
        *((name, "<u8") for name in ADDRESSES),  # where the market's arrays lie
        ("size", "<i8"),  # users
        ("capacity", "<i8"),  # rows that the people's columns have
        ("room", "<i8"),  # candidates that the arrays of events have room for
        ("waiting", "<i8"),  # pending orders that their arrays have room for
        ("n_pending", "<i8"),
        ("phase", "<i8"),
        ("births", "<i8"),  # of the tick
        ("need", "<i8"),  # rows or candidates that there was no room for
    ]
)
CAME = (
    "status", "listed", "total", "charges", "touches", "decided", "visits", "orders", "wins", "size",
    "clicks",
)  # fmt: skip
"""What a call tells of each market, columns of its result."""


@njit(inline="always")
def _bid(c, p, r, m, bids, given):  # type: ignore[no-untyped-def]
    """Puts our bids for the tick into the moment; none once a budget is over.

    Args:
      bids: `[K, A]` CPM.
      given: `[K]`, written: the highest of a channel.
    """
    over = r.exhausted or r.day_over or r.all_over
    for k in range(K):
        given[k] = 0.0
        for a in range(A):
            bid = 0.0 if over else max(bids[k, a], 0.0)
            given[k] = max(given[k], bid)
            m.bid_cpm[k, a] = bid * p.targeting[k, a] * r.pace


@njit(inline="always")
def _dearest(c, m):  # type: ignore[no-untyped-def]
    """The most that one auction can cost, micro-units; 0 without a bid."""
    dearest = 0.0
    for k in range(K):
        bid = 0.0
        for a in range(A):
            bid = max(bid, m.bid_cpm[k, a])
        if bid > 0.0:
            price = c.send_cost_cpm[k] if c.rule[k] == OWNED else bid
            if c.by_click[k]:
                price /= c.predicted_click_rate[k]
            dearest = max(dearest, price)
    return 0.0 if dearest == 0.0 else dearest * 1000.0 + 1.0


@njit(inline="always")
def tightest(p, r):  # type: ignore[no-untyped-def]
    """(Micro-units left, which budget): 0 episode, 1 day, 2 life of the world; on a tie the longest."""
    left, mark = p.per_episode_micro - r.spent_micro, 0
    if p.per_day_micro - r.day_spent_micro <= left:
        left, mark = p.per_day_micro - r.day_spent_micro, 1
    if p.lifetime_micro - r.spend_micro <= left:
        left, mark = p.lifetime_micro - r.spend_micro, 2
    return left, mark


@njit(cache=True, nogil=True)
def _copy_rows(desk, index, listed, hot, cold, changed, back):  # type: ignore[no-untyped-def]
    """Copies the listed rows out of the population, or back into it."""
    words_hot = carray(pointer(desk.hot), (desk.capacity, WORDS_HOT), np.uint64)
    words_cold = carray(pointer(desk.cold), (desk.capacity, WORDS_COLD), np.uint64)
    marks = carray(pointer(desk.changed), desk.capacity, np.uint8)
    for k in range(listed):
        i = index[k]
        if back:
            words_hot[i, :], words_cold[i, :], marks[i] = hot[k, :], cold[k, :], changed[k]
        else:
            hot[k, :], cold[k, :], changed[k] = words_hot[i, :], words_cold[i, :], marks[i]


@njit(cache=True, nogil=True)
def _crossing(desk, charges, left):  # type: ignore[no-untyped-def]
    """(Moment, user number) of the first charge that the budget does not bear."""
    at_h = carray(pointer(desk.won_h), desk.room, np.float64)
    number = carray(pointer(desk.won_number), desk.room, np.uint32)
    cost = carray(pointer(desk.won_cost), desk.room, np.int64)
    order = np.argsort(at_h[:charges], kind="mergesort")  # equal moments stay in the order of the users
    spent = 0
    for k in order:
        spent += cost[k]
        if spent > left:
            return at_h[k], np.int64(number[k])
    return at_h[order[-1]], np.int64(number[order[-1]])


@njit(inline="always")
def _spent(t):  # type: ignore[no-untyped-def]
    spent = 0
    for k in range(K):
        spent += t.spend_micro[k]
    return spent


@njit(cache=True, nogil=True)
def _meet(constants, desk, listed, charges):  # type: ignore[no-untyped-def]
    """Meets those listed. Returns: (charges, ads seen, orders decided, visits).

    Args:
      charges: whether they are asked for afterwards.
    """
    room = desk.room if charges else 0
    pending = carray(pointer(desk.pending), desk.waiting, np.int64)
    won = (
        carray(pointer(desk.won_h), room, np.float64),
        carray(pointer(desk.won_number), room, np.uint32),
        carray(pointer(desk.won_cost), room, np.int64),
        carray(pointer(desk.touch_h), desk.room, np.float64),
        carray(pointer(desk.touch_click), desk.room, np.float64),
    )
    return meet(
        constants, carray(pointer(desk.moment), 1, MOMENT),
        carray(pointer(desk.number), desk.capacity, np.uint32),
        carray(pointer(desk.hot), desk.capacity, HOT), carray(pointer(desk.cold), desk.capacity, COLD),
        carray(pointer(desk.changed), desk.capacity, np.uint8),
        carray(pointer(desk.index), desk.capacity + 1, np.int64),
        carray(pointer(desk.counts), desk.capacity + 1, np.int64), listed,
        carray(pointer(desk.ledger), 1, LEDGER), carray(pointer(desk.record), 1, RECORD),
        carray(pointer(desk.touches), desk.room, TOUCH), won, pending[desk.n_pending :],
        carray(pointer(desk.visits), desk.room, VISIT),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _play(constants, plan, desk, listed, total, blank):  # type: ignore[no-untyped-def]
    """Meets everybody; if a budget would be crossed, puts the tick back and stops in time."""
    r, m = carray(pointer(desk.record), 1, RECORD), carray(pointer(desk.moment), 1, MOMENT)[0]
    ledgers = carray(pointer(desk.ledger), 1, LEDGER)
    left, mark = tightest(plan[0], r[0])
    dearest = _dearest(constants[0], m)
    tight = dearest > 0.0 and total * dearest > left
    index = carray(pointer(desk.index), desk.capacity + 1, np.int64)
    rows = listed if tight else 0
    hot, cold = np.empty((rows, WORDS_HOT), np.uint64), np.empty((rows, WORDS_COLD), np.uint64)
    changed, before = np.empty(rows, np.uint8), np.empty(1 if tight else 0, RECORD)
    if tight:
        _copy_rows(desk, index, listed, hot, cold, changed, False)
        before[0] = r[0]
    came = _meet(constants, desk, listed, tight)
    if tight and _spent(ledgers[0]) > left:
        m.stop_h, m.stop_number = _crossing(desk, came[0], left)
        _copy_rows(desk, index, listed, hot, cold, changed, True)
        r[0], ledgers[0] = before[0], blank[0]
        came = _meet(constants, desk, listed, False)
        ledgers[0].stopped = 1
        if mark == 0:
            r[0].exhausted = 1
        elif mark == 1:
            r[0].day_over = 1
        else:
            r[0].all_over = 1
    r[0].spent_micro += _spent(ledgers[0])
    return came


@njit(inline="always")
def end_tick(constants, plan, records, ledgers, stood, tables):  # type: ignore[no-untyped-def]
    """The clock goes on by a tick whose orders have fallen due: rivals adapt, counters and budgets move.

    Args:
      stood: `[K]` CPM, the highest bids that stood on a channel.
      tables: `[K, KNOTS]` of rivals' prices, written where rivals bid.
    """
    p, r = plan[0], records[0]
    if p.bidders:
        let_adapt(constants, plan, records, ledgers, stood)
    close_tick(records, ledgers, 2.0 ** (-p.tick_h / 24.0))
    close_budgets(plan, records, ledgers)
    pressure = moved(r.key, r.tick, r.pressure, p.pressure_log_sd, p.tick_h, p.pressure_half_life_h)
    for k in range(K):
        r.pressure[k] = pressure[k]
    r.last = ledgers[0]
    if p.bidders:
        make_tables(plan, records, tables)


@njit(cache=True, nogil=True)
def _close(constants, plan, desk, given):  # type: ignore[no-untyped-def]
    """Orders fall due, rivals adapt, counters and budgets move, the clock goes on. Returns: orders due."""
    p = plan[0]
    records, moments = carray(pointer(desk.record), 1, RECORD), carray(pointer(desk.moment), 1, MOMENT)
    ledgers, r, m = carray(pointer(desk.ledger), 1, LEDGER), records[0], moments[0]
    stay, due = settle(
        constants, moments, carray(pointer(desk.hot), desk.capacity, HOT),
        carray(pointer(desk.cold), desk.capacity, COLD),
        carray(pointer(desk.changed), desk.capacity, np.uint8),
        carray(pointer(desk.pending), desk.waiting, np.int64), desk.n_pending, p.tick_h * (r.tick + 1),
        ledgers, records, carray(pointer(desk.orders), desk.waiting, CONVERSION),
        carray(pointer(desk.order_h), (desk.waiting, 2), np.float64),
    )  # fmt: skip
    desk.n_pending = stay
    ledgers[0].tick, ledgers[0].births = r.tick, desk.births
    stood = np.empty(K)
    for k in range(K):
        r.bid_cpm[k], stood[k] = given[k], 0.0
        for a in range(A):
            stood[k] = max(stood[k], m.bid_cpm[k, a])
    end_tick(constants, plan, records, ledgers, stood, carray(pointer(desk.tables), (K, KNOTS), np.float64))
    return due


@njit(cache=True, nogil=True)
def play_turns(constants, plan, desks_at, first, last, bids, blank, came):  # type: ignore[no-untyped-def]
    """Plays a tick of the markets `first … last - 1`, one after the other.

    A market whose arrays are too short says so, and has not been met; called again, with longer ones, it
    goes on from there. One whose status is PLAYED beforehand is left alone.

    Args:
      constants, plan: of the configuration of all of them.
      desks_at: `[N]` uint64, addresses of their desks (TURN).
      bids: `[N, K, A]` CPM.
      blank: one LEDGER of zeros.
      came: `[N, len(CAME)]` int64; the status is read and written, the rest written.
    Returns: how many markets need more.
    """
    given, short, c, p = np.empty(K), 0, constants[0], plan[0]
    for e in range(first, last):
        if came[e, 0] == PLAYED:
            continue
        desk = carray(pointer(desks_at[e]), 1, TURN)[0]
        r, m = carray(pointer(desk.record), 1, RECORD)[0], carray(pointer(desk.moment), 1, MOMENT)[0]
        ledgers = carray(pointer(desk.ledger), 1, LEDGER)
        if desk.phase == CLOSED:
            count = births_by(plan, r.key, r.tick, r.initial_users)
            if desk.size + count > desk.capacity:
                desk.need, came[e, 0] = desk.size + count, MORE_PEOPLE
                short += 1
                continue
            desk.births = count
            if count:
                take_in(constants, plan, desk, r, count)
            desk.phase = BORN
        weight = open_moment(p, r, m)
        m.prices_at = desk.tables
        _bid(c, p, r, m, bids[e], given)
        index = carray(pointer(desk.index), desk.capacity + 1, np.int64)
        rate = carray(pointer(desk.rate), desk.capacity, np.float32)
        number = carray(pointer(desk.number), desk.capacity, np.uint32)
        counts = carray(pointer(desk.counts), desk.capacity + 1, np.int64)
        listed, total = list_comers(r.key, r.tick, number, rate, 0, desk.size, weight, index, counts)
        if total > desk.room or desk.n_pending + 2 * total > desk.waiting:
            desk.need, came[e, 0] = total, MORE_ROOM
            short += 1
            continue
        rank_bids(c, p, m, prices_of(m))
        m.ranked = 0
        if total > FEW:
            rank_floors(c, p, m, prices_of(m))
        ledgers[0] = blank[0]
        charges, touches, decided, visits = _play(constants, plan, desk, listed, total, blank)
        desk.n_pending += decided
        due = _close(constants, plan, desk, given)
        desk.phase = CLOSED
        came[e, 0], came[e, 1], came[e, 2], came[e, 3] = PLAYED, listed, total, charges
        came[e, 4], came[e, 5], came[e, 6], came[e, 7] = touches, decided, visits, due
        came[e, 8], came[e, 9], came[e, 10] = 0, desk.size, 0
        for k in range(K):
            came[e, 8] += ledgers[0].wins[k]
            came[e, 10] += ledgers[0].clicks[k]
    return short
