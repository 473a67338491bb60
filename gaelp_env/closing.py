"""What a tick closes with: totals since birth, trailing counters, budgets and their pacing."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from gaelp_env.ledger import MICRO, K
from gaelp_env.opening import hour_of_week
from gaelp_env.pacing import paced


@njit(cache=True)
def close_tick(records, ledgers, keep):  # type: ignore[no-untyped-def]
    """Adds a tick to the market record, and lets the clock go on by one.

    Args:
      records, ledgers: `[1]` of RECORD, written, and of LEDGER, whose totals of the episode are written.
      keep: what is left of a trailing sum after a tick, in (0, 1).
    """
    r, t = records[0], ledgers[0]
    r.tick += 1
    r.episode_tick += 1
    r.visits += t.visits
    r.conversions += t.conversions
    r.attributed += t.attributed
    r.margin_micro += t.margin_micro
    for k in range(K):
        r.touches += t.views[k]
        r.clicks += t.clicks[k]
        r.spend_micro += t.spend_micro[k]
        r.day_spent_micro += t.spend_micro[k]
        r.trail[0, k] = r.trail[0, k] * keep + t.opportunities[k]  # in the order of TRAIL
        r.trail[1, k] = r.trail[1, k] * keep + t.wins[k]
        r.trail[2, k] = r.trail[2, k] * keep + t.views[k]
        r.trail[3, k] = r.trail[3, k] * keep + t.clicks[k]
        r.trail[4, k] = r.trail[4, k] * keep + t.spend_micro[k]
    r.trail_attributed = r.trail_attributed * keep + t.attributed
    r.trail_orders = r.trail_orders * keep + t.conversions
    r.episode_attributed += t.attributed
    r.episode_revenue_micro += t.attributed_revenue_micro
    t.episode_spend_micro = r.spent_micro
    t.episode_attributed = r.episode_attributed
    t.episode_revenue_micro = r.episode_revenue_micro


def begin_budget(record: Any) -> None:
    """Makes the budget of an episode whole; its pacing begins where the last episode's ended."""
    record["episode_tick"] = record["spent_micro"] = record["exhausted"] = 0
    record["episode_attributed"] = record["episode_revenue_micro"] = 0


@njit(inline="always")
def _day(p, hours):  # type: ignore[no-untyped-def]
    """Number of the calendar day (UTC) at `hours` on the simulated clock, 0 for that of the epoch."""
    return int(math.floor((p.start_h % 24.0 + hours + 1e-9) / 24.0))


@njit(cache=True)
def day_of(plan, tick):  # type: ignore[no-untyped-def]
    """The first tick, and how many, of the calendar day (UTC) in which a tick begins; none before tick 0."""
    p = plan[0]
    day, into_h = _day(p, p.tick_h * tick), p.start_h % 24.0
    first = max(0, int(math.ceil((24.0 * day - into_h - 1e-9) / p.tick_h)))
    return first, int(math.ceil((24.0 * (day + 1) - into_h - 1e-9) / p.tick_h)) - first


@njit(cache=True)
def traffic_shares(plan, first, count, gone):  # type: ignore[no-untyped-def]
    """Of the traffic of `count` ticks from `first` on: the shares of the first `gone`, and of their last."""
    whole = part = share = 0.0
    for k in range(count):
        weight = plan[0].traffic[hour_of_week(plan[0], plan[0].tick_h * (first + k))]
        whole += weight
        if k < gone:
            part, share = part + weight, weight
    return part / whole, share / whole


@njit(inline="always")
def _errors(plan, spent_micro, in_tick_micro, budget, first, count, closed):  # type: ignore[no-untyped-def]
    """How far a budget is behind its plan: (planned - spent) / budget, and 1 - spent / planned in the tick.

    Args:
      spent_micro, in_tick_micro: so far, and in the tick that closes, micro-units.
      budget: currency, > 0.
      first, count: ticks of its period.
      closed: number of the tick that closes.
    """
    planned, in_tick = traffic_shares(plan, first, count, closed + 1 - first)
    behind_tick = 1.0 - in_tick_micro / MICRO / budget / max(in_tick, 1e-9)
    return planned - spent_micro / MICRO / budget, behind_tick


@njit(cache=True)
def close_budgets(plan, records, ledgers):  # type: ignore[no-untyped-def]
    """Moves the pacing multiplier, and begins the budget of a new day; the clock has moved on already.

    `pacing: even` plans every budget that has a period, so that its spend follows the traffic tick by
    tick: that of the episode, and that of the calendar day (UTC), whose first one begins with the world.
    The multiplier follows the one that is most ahead of its plan: the least error counts. A lifetime
    budget has no period and no plan. A day that is over moves nothing: nobody bids, so its ticks tell
    nothing, and the next day begins with the multiplier that this one was left with.
    """
    p, r, t = plan[0], records[0], ledgers[0]
    closed = r.tick - 1
    planned = (p.per_episode > 0.0) + 2 * (p.per_day > 0.0)
    if p.even and planned and (t.stopped or not r.day_over):
        in_tick = 0
        for k in range(K):
            in_tick += t.spend_micro[k]
        behind, behind_tick = math.inf, 0.0
        if planned & 1:
            first = closed + 1 - r.episode_tick
            behind, behind_tick = _errors(
                plan, r.spent_micro, in_tick, p.per_episode, first, p.episode_ticks, closed
            )
        if planned & 2:
            first, count = day_of(plan, closed)
            day, day_tick = _errors(plan, r.day_spent_micro, in_tick, p.per_day, first, count, closed)
            if day + day_tick < behind + behind_tick:
                behind, behind_tick = day, day_tick
        r.pace = paced(r.pace, behind, behind_tick, p.pacing_gain)
    if p.daily and _day(p, p.tick_h * (closed + 1)) != _day(p, p.tick_h * closed):
        r.day_spent_micro = r.day_over = 0
