"""What an agent sees: a flat float32 vector, every entry named, every bound finite.

`advertiser` holds only what an advertiser can really see: time, budget, own bids, spend, wins, views,
clicks, attributed orders, and audience sizes by what people did (saw an ad, clicked, bought).
`full` adds the hidden means of awareness, fatigue and intent and the hidden shares of the stages.
All comes from the market record: nothing scans the population.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.constants import levels_of, price_log_levels, season_of
from gaelp_env.ledger import MICRO, SCORE_UNIT, TRAIL
from gaelp_env.population import STAGES

OBSERVE = ("advertiser", "full")
_TIME = (
    "hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "episode_progress", "traffic_level", "price_level",
    "click_level",
)  # fmt: skip
_BUDGET = ("budget_left", "spent_against_time", "spend_last_tick")
_CHANNEL = (
    "price_guidance", "bid", "win_rate", "win_rate_day", "price_day", "frequency_day", "click_rate_day",
)  # fmt: skip
_AUDIENCE = (
    "reached_share", "clicked_share", "bought_share", "ads_a_reached_user", "attributed_orders_day",
    "cost_share_day",
)  # fmt: skip
_HIDDEN = ("mean_awareness", "mean_fatigue", "mean_intent", *(f"share_{s.lower()}" for s in STAGES))


def _check(observe: str) -> None:
    if observe not in OBSERVE:
        raise ValueError(f"There is no observation {observe!r}; the known ones are {', '.join(OBSERVE)}.")


@lru_cache(maxsize=4)
def names(observe: str = "advertiser") -> tuple[str, ...]:
    """The names of the entries, in order. Raises ValueError for an unknown `observe`."""
    _check(observe)
    listed = [*_TIME, *_BUDGET]
    listed += [f"{channel}_{name}" for channel in CHANNELS for name in _CHANNEL]
    listed += _AUDIENCE
    return (*listed, *_HIDDEN) if observe == "full" else tuple(listed)


def space(observe: str = "advertiser") -> Box:
    """The space of the observation: every entry in [-1, 1]."""
    return Box(-1.0, 1.0, (len(names(observe)),), np.float32)


def _squash(x: Any) -> Any:
    """Maps [0, inf) to [0, 1): x / (1 + x)."""
    return x / (1.0 + x)


def _shares(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(bottom > 0.0, top / np.maximum(bottom, 1e-12), 0.0)


def observe_market(record: Any, config: MarketConfig, observe: str = "advertiser") -> NDArray[np.float32]:
    """The observation at the beginning of a tick.

    Entries (all in [-1, 1]): levels are logs over the season's range; rates and shares are as they
    are; unbounded ratios x come as x / (1 + x). `price_guidance` is the median of rivals' highest price
    in the coming tick on the scale of the action (0: the reference, 1: the highest bid). `_day` are
    trailing sums with a half-life of a day. `budget_left` is the share that is left of the tightest budget
    (the least share, of those of episode, day and the world's life that exist); `spent_against_time` is
    share spent less share of the period gone, of the budget of episode or day that is most ahead of its
    time; `spend_last_tick` is ten times a share of the episode's budget. `bid` is the last tick's bid times
    the platform's pacing multiplier as it stands now, on the scale of the action: what really went, or
    would go, to the auction; -1 is no bid, or one that low.

    Args:
      record: the market record (RECORD), before the tick that is to be decided.
      config: of the market.
      observe: "advertiser" or "full".
    Returns: a fresh float32 array.
    """
    _check(observe)
    season, clock = season_of(config), config.clock
    hour = season.start_h + clock.tick_h * int(record["tick"])
    week = season.hour_of_week(hour - season.start_h)
    progress = min(1.0, int(record["episode_tick"]) / clock.episode_ticks)
    day, turn = 2.0 * math.pi * (hour % 24.0) / 24.0, 2.0 * math.pi * (hour % 168.0) / 168.0
    entries = [
        math.sin(day), math.cos(day), math.sin(turn), math.cos(turn), progress,
        math.log(max(season.traffic[week], 0.05)) / 3.0, math.log(season.price[week % 24]),
        math.log(season.click[week % 24]),
    ]  # fmt: skip
    spent_last = int(record["last"]["spend_micro"].sum()) / MICRO / max(config.budget.per_episode, 1e-9)
    entries += [*_budgets(record, config, progress), 10.0 * spent_last]
    parts = [np.array(entries), _channels(record, config).ravel(), _audience(record)]
    if observe == "full":
        parts.append(_hidden(record))
    entries_32: NDArray[np.float32] = np.clip(np.concatenate(parts), -1.0, 1.0).astype(np.float32)
    return entries_32


def _budgets(record: Any, config: MarketConfig, progress: float) -> tuple[float, float]:
    """What is left of the tightest budget, and how far the one most ahead is before its time, as shares.

    Args:
      progress: share of the episode gone.
    """
    budget, season = config.budget, season_of(config)
    spent = int(record["spent_micro"]) / MICRO / max(budget.per_episode, 1e-9)
    left, ahead = 1.0 - spent, spent - progress
    if budget.per_day is not None:
        spent = _spent_share(record["day_spent_micro"], budget.per_day)
        now_h = config.clock.tick_h * int(record["tick"])
        ends_h = 24.0 * (season.day(now_h) + 1) - season.start_h % 24.0
        begins_h = max(0.0, ends_h - 24.0)  # the first day begins with the world
        left, ahead = min(left, 1.0 - spent), max(ahead, spent - (now_h - begins_h) / (ends_h - begins_h))
    if budget.lifetime is not None:
        left = min(left, 1.0 - _spent_share(record["spend_micro"], budget.lifetime))
    return left, ahead


def _spent_share(spent_micro: Any, budget: float) -> float:
    """The share of a budget that is spent; a budget of nothing is."""
    return int(spent_micro) / MICRO / budget if budget > 0.0 else 1.0


def _channels(record: Any, config: MarketConfig) -> NDArray[np.float64]:
    """`[5, 7]` entries by channel."""
    trail = dict(zip(TRAIL, record["trail"], strict=True))
    levels = levels_of(config)
    reference, log_multiple = levels.reference, levels.log_multiple
    bid = record["bid_cpm"] * float(record["pace"])
    last = record["last"]
    bid_level = np.where(bid > 0.0, np.log(np.maximum(bid, 1e-12) / reference) / log_multiple, -1.0)
    paid = _shares(trail["spend_micro"] / 1000.0, trail["wins"])
    return np.column_stack(
        [
            price_log_levels(record, config) / log_multiple,
            bid_level,
            _shares(last["wins"].astype(np.float64), last["opportunities"].astype(np.float64)),
            _shares(trail["wins"], trail["opportunities"]),
            _squash(paid / reference),
            _squash(trail["views"] / max(1.0, float(record["active"])) * 5.0),
            _squash(_shares(trail["clicks"], trail["views"]) * 50.0),
        ]
    )


def _audience(record: Any) -> NDArray[np.float64]:
    active = max(1.0, float(record["active"]))
    reached = float(record["reached"])
    spend, value = record["trail"][TRAIL.index("spend_micro")].sum(), float(record["trail_attributed"])
    return np.array(
        [
            reached / active,
            _squash(10.0 * float(record["clicked"]) / active),
            _squash(100.0 * float(record["bought"]) / active),
            _squash(float(record["trail"][TRAIL.index("views")].sum()) / max(1.0, reached)),
            _squash(value / 10.0),
            _squash(float(spend) / MICRO / max(1.0, value) / 20.0),
        ]
    )


def _hidden(record: Any) -> NDArray[np.float64]:
    active = max(1.0, float(record["active"]))
    sums = [record["awareness_sum"], record["fatigue_sum"], record["intent_sum"]]
    return np.array([*(float(s) / SCORE_UNIT / active for s in sums), *(record["stage_count"] / active)])
