"""What a tick closes with: totals since birth, trailing counters, budgets and their pacing."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.config import MarketConfig
from gaelp_env.constants import Season, season_of
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
    """Makes the budget of an episode whole; its pacing begins where the last episode's ended."""
    record["episode_tick"] = record["spent_micro"] = record["exhausted"] = 0
    record["episode_attributed"] = record["episode_revenue_micro"] = 0


def close_budgets(record: Any, ledger: Any, config: MarketConfig) -> None:
    """Moves the pacing multiplier, and begins the budget of a new day; the clock has moved on already.

    `pacing: even` plans every budget that has a period, so that its spend follows the traffic tick by
    tick: that of the episode, and that of the calendar day (UTC), whose first one begins with the world.
    The multiplier follows the one that is most ahead of its plan: the least error counts. A lifetime
    budget has no period and no plan. A day that is over moves nothing: nobody bids, so its ticks tell
    nothing, and the next day begins with the multiplier that this one was left with.
    """
    budget, season, tick_h = config.budget, season_of(config), config.clock.tick_h
    closed = int(record["tick"]) - 1
    if budget.pacing == "even" and (ledger["stopped"] or not record["day_over"]):
        errors = _errors(record, int(ledger["spend_micro"].sum()), closed, config)
        if errors:
            record["pace"] = paced(float(record["pace"]), *min(errors, key=sum), budget.pacing_gain)
    if budget.per_day is not None and season.day(tick_h * (closed + 1)) != season.day(tick_h * closed):
        record["day_spent_micro"] = record["day_over"] = 0


def _errors(record: Any, in_tick_micro: int, closed: int, config: MarketConfig) -> list[tuple[float, float]]:
    """How far each planned budget is behind: (planned - spent) / budget, and 1 - spent / planned in the tick.

    Args:
      in_tick_micro: spent in the tick that closes, micro-units.
      closed: number of that tick.
    """
    budget, played, errors = config.budget, int(record["episode_tick"]), []
    plans = [(budget.per_episode, "spent_micro", closed + 1 - played, config.clock.episode_ticks)]
    if budget.per_day is not None:
        plans.append(
            (budget.per_day, "day_spent_micro", *day_of(closed, season_of(config), config.clock.tick_h))
        )
    for allowed, name, first, count in plans:
        if allowed > 0.0:
            shares, gone = traffic_shares(config, first, count), closed + 1 - first
            spent, in_tick = int(record[name]) / MICRO / allowed, in_tick_micro / MICRO / allowed
            behind_tick = 1.0 - in_tick / max(float(shares[min(gone, count) - 1]), 1e-9)
            errors.append((float(shares[:gone].sum()) - spent, behind_tick))
    return errors


def day_of(tick: int, season: Season, tick_h: float) -> tuple[int, int]:
    """The first tick, and how many, of the calendar day (UTC) in which a tick begins; none before tick 0."""
    day = season.day(tick_h * tick)
    first, after = (math.ceil((24.0 * n - season.start_h % 24.0 - 1e-9) / tick_h) for n in (day, day + 1))
    first = max(0, first)
    return first, after - first


@lru_cache(maxsize=8)
def traffic_shares(config: MarketConfig, first: int, count: int) -> NDArray[np.float64]:
    """The shares `[count]` of so many ticks, from `first` on, in their traffic; they sum to one (never
    change them)."""
    season = season_of(config)
    hours = config.clock.tick_h * (first + np.arange(count))
    weights = season.traffic[np.floor(season.start_h + hours + 1e-9).astype(np.int64) % 168]
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares
