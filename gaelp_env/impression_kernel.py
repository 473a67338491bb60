"""One opportunity at a time, for any number of worlds in one call.

For each world: 1. the bid that was asked for is answered: auction, view, click, visit; if its charge would
cross a budget, bidding stops there and it counts as no bid. 2. The tick's candidates are met, by moment (ties
by user), until there is an opportunity that we may bid for; between two ticks the market turns
(impression_turn.py). 3. What a bidder sees there is written down, and what the step has brought.

People, luck and effects are those of encounters.py: both call opportunities.py for each candidate.
"""

from __future__ import annotations

import math

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]

from gaelp_env.actions import bid_of
from gaelp_env.auction import OWNED
from gaelp_env.bidding import LOST
from gaelp_env.chance import AUCTION, RESPOND, SLOTS, uniforms
from gaelp_env.impression_desk import (
    ACCRUED,
    ANY,
    ASKS,
    CANDIDATE,
    DESK,
    EMPTY,
    GROW,
    OPEN,
    ORDERS,
    OVER,
    PAUSED,
    SPEND,
    bare,
    gain,
)
from gaelp_env.impression_turn import close_turn, open_turn
from gaelp_env.impression_view import write_opportunity, write_view
from gaelp_env.ledger import LEDGER, MICRO, MOMENT, RECORD, TOUCH, VISIT
from gaelp_env.opening import rank_bid
from gaelp_env.opportunities import (
    CLICK,
    DECIDED,
    SEEN,
    VISIT_HERE,
    below_cap,
    bid_for,
    channel_at,
    reachable,
    show_rivals,
    visit_unasked,
)
from gaelp_env.pointers import pointer, prices_of
from gaelp_env.population import CHANGED, COLD, HOT
from gaelp_env.prefetch import prefetch
from gaelp_env.reward import cpa_score_of, roas_score_of
from gaelp_env.upkeep import audience_of, bring_up_to_date, device_now, let_clock_run, tally
from gaelp_env.visiting import visits_now

REWARD_CODES = {
    "profit": 0, "accrued_profit": 1, "attributed_profit": 2, "conversions": 3, "cpa_score": 4,
    "roas_score": 5,
}  # fmt: skip
HOT_BYTES, COLD_BYTES, CANDIDATE_BYTES = HOT.itemsize, COLD.itemsize, CANDIDATE.itemsize
PRICES_AT = MOMENT.fields["price_median"][1] if MOMENT.fields else 0
AHEAD = 4
"""How many worlds ahead of use the rows of a user are fetched."""


@njit(inline="always")
def _asked(c, p, m, desk, r, t):  # type: ignore[no-untyped-def]
    """Meets the tick's next candidate. Returns: whether it is an opportunity that we may bid for."""
    listed = carray(pointer(desk.candidates), desk.room, CANDIDATE)
    one = listed[desk.cursor]
    desk.cursor += 1
    if desk.cursor + 1 < desk.count:
        _fetch_user(desk, listed[desk.cursor + 1].place)
    i, j, now_h = one.place, one.j, one.at_h
    row = carray(pointer(desk.hot), desk.capacity, HOT)[i]
    if row.leaves_h <= now_h:
        return False
    rest = carray(pointer(desk.cold), desk.capacity, COLD)[i]
    row.marks |= CHANGED
    t.candidates += 1
    tally(row, -1, r)
    let_clock_run(c, m, row, now_h)
    channel = channel_at(c, row, one.kind)
    if channel == VISIT_HERE:
        if visits_now(c, row, now_h, one.real):
            visit = carray(pointer(desk.visits), desk.room, VISIT)[desk.n_visits]
            if visit_unasked(
                c, m, row, rest, now_h, j, uniforms(m.key, row.number, m.tick, RESPOND, j), t, r, visit
            ):
                carray(pointer(desk.pending), desk.room, np.int64)[desk.n_pending] = i
                desk.n_pending += 1
            desk.n_visits += desk.keep
    elif reachable(c, row, channel, one.real):
        r.met += bring_up_to_date(c, m, row, now_h)
        t.opportunities[channel] += 1
        audience = audience_of(row)
        if (
            not desk.over
            and p.targeting[channel, audience] > 0.0
            and below_cap(c, row, rest, channel, now_h, t)
        ):
            _a, _b, _c, u_device = uniforms(m.key, row.number, m.tick, RESPOND, j)
            desk.asks, desk.place, desk.j, desk.channel, desk.audience = 1, i, j, channel, audience
            desk.user, desk.at_h, desk.winnable = row.number, now_h, one.winnable
            desk.device = device_now(c, row, u_device)
            return True
        bids = uniforms(m.key, row.number, m.tick, AUCTION, j)
        order = uniforms(m.key, row.number, m.tick, SLOTS, j)
        show_rivals(c, m, row, channel, bids, order, LOST, one.winnable < c.winnable[channel], t)
    tally(row, 1, r)
    return False


@njit(inline="always")
def _most(c, bid, channel):  # type: ignore[no-untyped-def]
    """The most that an opportunity can cost at a bid, micro-units."""
    price = c.send_cost_cpm[channel] if c.rule[channel] == OWNED else bid
    if c.by_click[channel]:
        price /= c.predicted_click_rate[channel]
    return price * 1000.0 + 1.0


@njit(inline="always")
def _answer(c, p, bid_cpm, creative, desk, kept):  # type: ignore[no-untyped-def]
    """Plays the opportunity that was asked for with a bid; <= 0 is none.

    Args:
      kept: (HOT, COLD, LEDGER, RECORD), one-element arrays for what is put back if a budget is crossed.
    """
    hot, cold = carray(pointer(desk.hot), desk.capacity, HOT), carray(pointer(desk.cold), desk.capacity, COLD)
    records, ledgers = carray(pointer(desk.record), 1, RECORD), carray(pointer(desk.ledger), 1, LEDGER)
    r, t, m = records[0], ledgers[0], carray(pointer(desk.moment), 1, MOMENT)[0]
    touch = carray(pointer(desk.touches), desk.room, TOUCH)[desk.n_touches]
    visit = carray(pointer(desk.visits), desk.room, VISIT)[desk.n_visits]
    i, channel, audience, now_h = desk.place, desk.channel, desk.audience, desk.at_h
    row, rest = hot[i], cold[i]
    came, cost, click, winnable = 0, 0, 0.0, desk.winnable < c.winnable[channel]
    desk.given_cpm[channel] = max(desk.given_cpm[channel], bid_cpm)
    m.bid_cpm[channel, audience] = bid_cpm * p.targeting[channel, audience] * r.pace
    m.creative = creative
    ours = bid_cpm > 0.0 and not desk.over
    bids = uniforms(m.key, row.number, m.tick, AUCTION, desk.j)
    order = uniforms(m.key, row.number, m.tick, SLOTS, desk.j)
    if ours:
        bid = m.bid_cpm[channel, audience]
        desk.stood_cpm[channel] = max(desk.stood_cpm[channel], bid)
        if winnable:
            rank_bid(c, p, m, prices_of(m), channel, audience)
        left = desk.left_micro - desk.spent_micro
        tight = _most(c, bid, channel) > left
        if tight:
            kept[0][0], kept[1][0], kept[2][0], kept[3][0] = hot[i], cold[i], ledgers[0], records[0]
        before = t.accrued_micro
        came, cost, click = bid_for(
            c, m, row, rest, now_h, desk.j, channel, audience, winnable, bids, order,
            uniforms(m.key, row.number, m.tick, RESPOND, desk.j), t, touch, visit,
        )  # fmt: skip
        if tight and cost > left:
            hot[i], cold[i], ledgers[0], records[0] = kept[0][0], kept[1][0], kept[2][0], kept[3][0]
            came, cost, ours = 0, 0, False
            desk.over = t.stopped = 1
            if desk.mark == 0:
                r.exhausted = 1
            elif desk.mark == 1:
                r.day_over = 1
            else:
                r.all_over = 1
        else:
            gain(desk, ACCRUED, t.accrued_micro - before)
    if not ours:
        show_rivals(c, m, row, channel, bids, order, LOST, winnable, t)
    if came & SEEN:
        carray(pointer(desk.touch_h), desk.room, np.float64)[desk.n_touches] = now_h
        carray(pointer(desk.touch_click), desk.room, np.float64)[desk.n_touches] = click
        desk.n_touches += desk.keep
    if came & CLICK:
        desk.n_visits += desk.keep
    if came & DECIDED:
        carray(pointer(desk.pending), desk.room, np.int64)[desk.n_pending] = i
        desk.n_pending += 1
    desk.spent_micro += cost
    gain(desk, SPEND, cost)
    tally(row, 1, r)
    desk.came, desk.cost_micro, desk.asks = came, cost, 0


@njit(inline="always")
def _bare_kept(kept):  # type: ignore[no-untyped-def]
    return bare(kept[0], HOT), bare(kept[1], COLD), bare(kept[2], LEDGER), bare(kept[3], RECORD)


@njit(inline="always")
def _reward(code, p, r, desk):  # type: ignore[no-untyped-def]
    """The reward for all that came since the last one; the sums begin anew."""
    g, spent = desk.gained, desk.gained[SPEND]
    value = 0.0
    if code < 3:  # margin, accrued and attributed margin less spend
        value = (g[2 if code == 0 else (1 if code == 1 else 3)] - spent) / MICRO
    elif code == 3:
        value = float(g[ORDERS])
    else:
        spend = (r.spent_micro + desk.spent_micro) / MICRO
        if code == 4:
            score = cpa_score_of(float(r.episode_attributed), spend, p.target_cpa)
        else:
            score = roas_score_of(r.episode_revenue_micro / MICRO, spend, p.target_roas)
        value, desk.score = score - desk.score, score
    for k in range(len(g)):
        g[k] = 0
    return value


@njit(inline="always")
def _fetch_user(desk, place):  # type: ignore[no-untyped-def]
    """Fetches both halves of a user's record."""
    row = desk.hot + np.uint64(place) * np.uint64(HOT_BYTES)
    rest = desk.cold + np.uint64(place) * np.uint64(COLD_BYTES)
    prefetch(row)  # type: ignore[call-arg]
    prefetch(row + np.uint64(64))
    prefetch(rest)


@njit(inline="always")
def _fetch_list(desk):  # type: ignore[no-untyped-def]
    """Fetches the next candidates of a world, and where it keeps its sums."""
    at = desk.candidates + np.uint64(desk.cursor) * np.uint64(CANDIDATE_BYTES)
    prefetch(at)  # type: ignore[call-arg]
    prefetch(at + np.uint64(64))
    prefetch(at + np.uint64(128))
    for line in range(1, 4):
        prefetch(desk.record + np.uint64(64 * line))
    for line in range(4):
        prefetch(desk.ledger + np.uint64(64 * line))
    prefetch(desk.moment)
    prefetch(desk.moment + np.uint64(PRICES_AT))


@njit(inline="always")
def _fetch(desk):  # type: ignore[no-untyped-def]
    """Fetches the users whom the next step of a world meets: the one who waits, and the next two."""
    if desk.asks:
        _fetch_user(desk, desk.place)
    listed = carray(pointer(desk.candidates), desk.room, CANDIDATE)
    for k in range(desk.cursor, min(desk.cursor + 2, desk.count)):
        _fetch_user(desk, listed[k].place)


@njit(cache=True, nogil=True)
def play(  # type: ignore[no-untyped-def]
    first, last, constants, plan, desks, work, kept, blank, actions, code, told, pick, views, rewards,
    overs,
):  # fmt: skip
    """Plays worlds `first … last - 1` on: an answer each where a bid is asked for, then to the next one.

    Args:
      constants, plan: of the configuration.
      desks: `[N]` of DESK, whose arrays must stay where they are.
      work, kept, blank: to work in, see `open_turn` and `_answer`; for one thread.
      actions: `[N, 1]` or `[N, 2]` float32, finite: the bid, and the creative.
      code: of REWARD_CODES.
      pick: only worlds in this status are played; ANY for all but those that are OVER.
      told: 1 if a step is made, 0 if only the next opportunity is looked for.
      views: `[N, entries]` float32, written.
      rewards, overs: `[N]`, written if a step is made.
    Returns: how many worlds need more room; called again with `pick` GROW, those alone go on.
    """
    desks, kept = bare(desks, DESK), _bare_kept(kept)
    c, p = constants[0], plan[0]
    growing = 0
    for e in range(first, last):
        if e + 2 * AHEAD < last:
            _fetch_list(desks[e + 2 * AHEAD])
        if e + AHEAD < last:
            _fetch(desks[e + AHEAD])
        desk = desks[e]
        if desk.status != pick and (pick != ANY or desk.status == OVER):
            continue
        if desk.asks:
            a = actions[e, 0]
            bid_cpm = bid_of(float(a), p.reference[desk.channel], p.log_multiple[desk.channel])
            creative = -1
            if actions.shape[1] > 1:
                share = 0.5 * (min(1.0, max(-1.0, float(actions[e, 1]))) + 1.0)
                creative = min(c.creatives - 1, int(math.floor(share * c.creatives)))
            _answer(c, p, bid_cpm, creative, desk, kept)
        r, t = carray(pointer(desk.record), 1, RECORD)[0], carray(pointer(desk.ledger), 1, LEDGER)[0]
        m = carray(pointer(desk.moment), 1, MOMENT)[0]
        while True:
            if desk.phase != OPEN:
                if r.episode_tick >= p.episode_ticks:
                    desk.status = OVER if told else EMPTY
                    break
                if not open_turn(constants, plan, desk, work, blank):
                    desk.status = GROW
                    break
            while desk.cursor < desk.count and not desk.asks:
                _asked(c, p, m, desk, r, t)
            if desk.asks:
                desk.status = ASKS
                break
            close_turn(constants, plan, desk)
            if desk.pause:
                desk.status = PAUSED
                break
        if desk.status == GROW:
            growing += 1
            continue
        write_view(views, e, p, r, desk)
        if desk.asks:
            write_opportunity(
                views, e, desk, carray(pointer(desk.hot), desk.capacity, HOT)[desk.place],
                carray(pointer(desk.cold), desk.capacity, COLD)[desk.place],
            )  # fmt: skip
        if told:
            rewards[e] = _reward(code, p, r, desk)
            overs[e] = desk.status == OVER
    return growing


@njit(cache=True, nogil=True)
def finish(constants, plan, desks, e, kept):  # type: ignore[no-untyped-def]
    """Lets the open tick of world `e` pass without bids, up to its close."""
    desks, kept = bare(desks, DESK), _bare_kept(kept)
    desk = desks[e]
    desk.over = 1
    if desk.asks:
        _answer(constants[0], plan[0], 0.0, -1, desk, kept)
    r, t = carray(pointer(desk.record), 1, RECORD)[0], carray(pointer(desk.ledger), 1, LEDGER)[0]
    m = carray(pointer(desk.moment), 1, MOMENT)[0]
    while desk.cursor < desk.count:
        _asked(constants[0], plan[0], m, desk, r, t)
    close_turn(constants, plan, desk)
