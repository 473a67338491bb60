"""What a tick closes with: totals since birth, trailing counters, budgets and their pacing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from gaelp_env.config import MarketConfig
from gaelp_env.constants import season_of
from gaelp_env.ledger import MICRO, K
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


def close_budgets(record: Any, ledger: Any, config: MarketConfig) -> None:
    """Begins the budget of a new day, and moves the pacing multiplier; the clock has moved on already.

    The plan of `pacing: even` is that an episode's spend follows its traffic, tick by tick.
    """
    budget, season, tick_h = config.budget, season_of(config), config.clock.tick_h
    now_h = tick_h * int(record["tick"])
    if budget.per_day is not None and season.day(now_h) != season.day(now_h - tick_h):
        record["day_spent_micro"] = record["day_over"] = 0
    if budget.pacing == "even" and budget.per_episode > 0.0:
        played = int(record["episode_tick"])
        first = int(record["tick"]) - played
        hours = tick_h * (first + np.arange(config.clock.episode_ticks))
        weights = np.array([season.traffic[season.hour_of_week(float(hour))] for hour in hours])
        shares = weights / weights.sum()
        spent = int(record["spent_micro"]) / MICRO / budget.per_episode
        in_tick = int(ledger["spend_micro"].sum()) / MICRO / budget.per_episode
        behind_tick = 1.0 - in_tick / max(float(shares[min(played, len(shares)) - 1]), 1e-9)
        behind = float(shares[:played].sum()) - spent
        record["pace"] = paced(float(record["pace"]), behind, behind_tick, budget.pacing_gain)
