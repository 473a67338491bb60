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
from numba import njit
from numpy.typing import NDArray

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.constants import levels_of, season_of
from gaelp_env.ledger import MICRO, SCORE_UNIT, K
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


_LENS = np.dtype(
    [
        ("start_h", "<f8"),  # hour of the week at tick 0
        ("tick_h", "<f8"),
        ("episode_ticks", "<f8"),
        ("budget", "<f8"),  # of an episode, currency
        ("per_day", "<f8"),  # below 0: there is none
        ("lifetime", "<f8"),  # below 0: there is none
        ("traffic", "<f8", (168,)),  # levels: logs over the season's range
        ("price", "<f8", (24,)),
        ("click", "<f8", (24,)),
        ("log_price", "<f8", (24,)),
        ("moves", "<f8", (K,)),
        ("reference", "<f8", (K,)),  # CPM
        ("log_multiple", "<f8", (K,)),
    ]
)
"""What an observation needs of a configuration."""


@lru_cache(maxsize=64)
def lens_of(config: MarketConfig) -> NDArray[Any]:
    """Through what a market of this configuration is seen, `[1]`, opaque (never change it)."""
    season, levels = season_of(config), levels_of(config)
    lens = np.zeros(1, _LENS)
    lens["start_h"], lens["tick_h"] = season.start_h, config.clock.tick_h
    lens["episode_ticks"] = config.clock.episode_ticks
    budget = config.budget
    lens["budget"] = max(budget.per_episode, 1e-9)
    lens["per_day"] = -1.0 if budget.per_day is None else budget.per_day
    lens["lifetime"] = -1.0 if budget.lifetime is None else budget.lifetime
    lens["traffic"] = [math.log(max(weight, 0.05)) / 3.0 for weight in season.traffic]
    lens["price"] = [math.log(level) for level in season.price]
    lens["click"] = [math.log(weight) for weight in season.click]
    lens["log_price"], lens["moves"] = season.log_price, levels.moves
    lens["reference"], lens["log_multiple"] = levels.reference, levels.log_multiple
    return lens


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
    seen: NDArray[np.float32] = observe_markets(np.asarray(record).reshape(1), lens_of(config), observe)[0]
    return seen


def observe_markets(
    records: NDArray[Any], lenses: NDArray[Any], observe: str = "advertiser"
) -> NDArray[np.float32]:
    """The observations of many markets: row by row what `observe_market` says.

    Args:
      records: `[N]` of RECORD.
      lenses: `[N]`, the `lens_of` each market's configuration.
      observe: "advertiser" or "full".
    Returns: `[N, entries]`, a fresh float32 array.
    """
    seen = np.empty((len(records), len(names(observe))), np.float32)
    _look(records, lenses, observe == "full", seen)
    return seen


@njit(cache=True, nogil=True)
def _look(records, lenses, full, seen):  # type: ignore[no-untyped-def]
    for n in range(len(records)):
        at = _see_time_and_budget(records[n], lenses[n], seen[n])
        at = _see_channels(records[n], lenses[n], seen[n], at)
        at = _see_audience(records[n], seen[n], at)
        if full:
            _see_hidden(records[n], seen[n], at)
        for i in range(len(seen[n])):
            seen[n, i] = min(max(seen[n, i], np.float32(-1.0)), np.float32(1.0))


@njit(inline="always")
def _squash(x):  # type: ignore[no-untyped-def]
    """Maps [0, inf) to [0, 1): x / (1 + x)."""
    return x / (1.0 + x)


@njit(inline="always")
def _share(top, bottom):  # type: ignore[no-untyped-def]
    return top / max(bottom, 1e-12) if bottom > 0.0 else 0.0


@njit(inline="always")
def _hour_of_week(lens, tick):  # type: ignore[no-untyped-def]
    """As Season.hour_of_week, of the beginning of a tick."""
    return int(math.floor(lens.start_h + lens.tick_h * tick + 1e-9)) % 168


@njit
def _see_time_and_budget(record, lens, row):  # type: ignore[no-untyped-def]
    hour = lens.start_h + lens.tick_h * record.tick
    week = _hour_of_week(lens, record.tick)
    day, turn = 2.0 * math.pi * (hour % 24.0) / 24.0, 2.0 * math.pi * (hour % 168.0) / 168.0
    progress = min(1.0, record.episode_tick / lens.episode_ticks)
    spent_last = 0
    for k in range(K):
        spent_last += record.last.spend_micro[k]
    left, ahead = _budgets(record, lens, progress)
    row[0], row[1], row[2], row[3] = math.sin(day), math.cos(day), math.sin(turn), math.cos(turn)
    row[4], row[5] = progress, lens.traffic[week]
    row[6], row[7] = lens.price[week % 24], lens.click[week % 24]
    row[8], row[9], row[10] = left, ahead, 10.0 * (spent_last / MICRO / lens.budget)
    return 11


@njit(inline="always")
def _spent_share(spent_micro, budget):  # type: ignore[no-untyped-def]
    """The share of a budget that is spent; a budget of nothing is."""
    return spent_micro / MICRO / budget if budget > 0.0 else 1.0


@njit(inline="always")
def _budgets(record, lens, progress):  # type: ignore[no-untyped-def]
    """What is left of the tightest budget, and how far the one most ahead is before its time, as shares.

    Args:
      progress: share of the episode gone.
    """
    spent = record.spent_micro / MICRO / lens.budget
    left, ahead = 1.0 - spent, spent - progress
    if lens.per_day >= 0.0:
        spent = _spent_share(record.day_spent_micro, lens.per_day)
        now_h, into_h = lens.tick_h * record.tick, lens.start_h % 24.0
        ends_h = 24.0 * (math.floor((into_h + now_h + 1e-9) / 24.0) + 1.0) - into_h
        begins_h = max(0.0, ends_h - 24.0)  # the first day begins with the world
        left, ahead = min(left, 1.0 - spent), max(ahead, spent - (now_h - begins_h) / (ends_h - begins_h))
    if lens.lifetime >= 0.0:
        left = min(left, 1.0 - _spent_share(record.spend_micro, lens.lifetime))
    return left, ahead


@njit
def _see_channels(record, lens, row, at):  # type: ignore[no-untyped-def]
    hour = _hour_of_week(lens, record.tick) % 24
    active = max(1.0, float(record.active))
    for k in range(K):
        opportunities, wins = record.trail[0, k], record.trail[1, k]  # in the order of TRAIL
        views, clicks, spend = record.trail[2, k], record.trail[3, k], record.trail[4, k]
        bid, reference, log_multiple = (
            record.bid_cpm[k] * record.pace,
            lens.reference[k],
            lens.log_multiple[k],
        )
        guidance = lens.moves[k] * (lens.log_price[hour] + record.pressure[k] + record.rival_level[k])
        row[at] = guidance / log_multiple
        row[at + 1] = math.log(max(bid, 1e-12) / reference) / log_multiple if bid > 0.0 else -1.0
        row[at + 2] = _share(float(record.last.wins[k]), float(record.last.opportunities[k]))
        row[at + 3] = _share(wins, opportunities)
        row[at + 4] = _squash(_share(spend / 1000.0, wins) / reference)
        row[at + 5] = _squash(views / active * 5.0)
        row[at + 6] = _squash(_share(clicks, views) * 50.0)
        at += 7
    return at


@njit
def _see_audience(record, row, at):  # type: ignore[no-untyped-def]
    active, reached = max(1.0, float(record.active)), float(record.reached)
    views, spend, orders = 0.0, 0.0, record.trail_attributed
    for k in range(K):
        views += record.trail[2, k]
        spend += record.trail[4, k]
    row[at], row[at + 1] = reached / active, _squash(10.0 * record.clicked / active)
    row[at + 2], row[at + 3] = _squash(100.0 * record.bought / active), _squash(views / max(1.0, reached))
    row[at + 4], row[at + 5] = _squash(orders / 10.0), _squash(spend / MICRO / max(1.0, orders) / 20.0)
    return at + 6


@njit
def _see_hidden(record, row, at):  # type: ignore[no-untyped-def]
    active = max(1.0, float(record.active))
    row[at] = record.awareness_sum / SCORE_UNIT / active
    row[at + 1] = record.fatigue_sum / SCORE_UNIT / active
    row[at + 2] = record.intent_sum / SCORE_UNIT / active
    for stage in range(len(record.stage_count)):
        row[at + 3 + stage] = record.stage_count[stage] / active
