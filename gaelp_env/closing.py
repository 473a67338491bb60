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
    """Makes the budget of an episode whole, and lets its pacing begin anew."""
    record["episode_tick"] = record["spent_micro"] = record["exhausted"] = 0
    record["episode_attributed"] = record["episode_revenue_micro"] = 0
    record["pace"] = 1.0


@njit(inline="always")
def _day(p, hours):  # type: ignore[no-untyped-def]
    """Number of the calendar day (UTC) at `hours` on the simulated clock, 0 for that of the epoch."""
    return int(math.floor((p.start_h % 24.0 + hours + 1e-9) / 24.0))


@njit(cache=True)
def close_budgets(plan, records, ledgers):  # type: ignore[no-untyped-def]
    """Begins the budget of a new day, and moves the pacing multiplier; the clock has moved on already.

    The plan of `pacing: even` is that an episode's spend follows its traffic, tick by tick.
    """
    p, r, t = plan[0], records[0], ledgers[0]
    now_h = p.tick_h * r.tick
    if p.daily and _day(p, now_h) != _day(p, now_h - p.tick_h):
        r.day_spent_micro = r.day_over = 0
    if p.even:
        first, last = r.tick - r.episode_tick, min(r.episode_tick, p.episode_ticks) - 1
        whole = part = share = 0.0
        for k in range(p.episode_ticks):
            weight = p.traffic[hour_of_week(p, p.tick_h * (first + k))]
            whole += weight
            if k <= last:
                part, share = part + weight, weight
        in_tick = 0
        for k in range(K):
            in_tick += t.spend_micro[k]
        behind_tick = 1.0 - in_tick / MICRO / p.per_episode / max(share / whole, 1e-9)
        behind = part / whole - r.spent_micro / MICRO / p.per_episode
        r.pace = paced(r.pace, behind, behind_tick, p.pacing_gain)
