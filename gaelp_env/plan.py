"""The configuration as the numbers that the opening and the closing of a tick read."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaelp_env.config import MarketConfig
from gaelp_env.constants import Floats, as_record, levels_of, season_of, targeting_of
from gaelp_env.ledger import MICRO
from gaelp_env.rivals import STRATEGIES

NO_LIMIT = 2**62
"""Micro-units of a budget that is not there."""


class Plan(NamedTuple):
    """What does not change while a world lives. `[K]` is by channel, `[R]` by rival."""

    tick_h: float
    episode_ticks: int
    start_h: float  # hour of the week (Monday 0 h = 0) at tick 0
    traffic: Floats  # [168]
    log_price: Floats  # [24]
    click: Floats  # [24]
    reference: Floats  # [K]
    log_multiple: Floats  # [K]
    floor: Floats  # [K]
    moves: Floats  # [K]
    targeting: Floats  # [K, A]
    price_log_sd: float
    floor_log_sd: float
    pressure_log_sd: float
    pressure_half_life_h: float
    media_per_day: float
    media_log_sd: float
    propensity_log_sd: float
    stay_h: float  # mean
    stay_days: float
    per_episode: float  # currency
    per_day: float  # currency; below 0: none
    per_episode_micro: int
    per_day_micro: int  # NO_LIMIT: none
    lifetime_micro: int
    daily: int  # 1: there is a budget of the day
    even: int  # 1: the platform paces us
    pacing_gain: float
    bidders: int  # 1: rivals bid, 0: prices are drawn
    strategy: NDArray[np.int64]  # [R]
    value: Floats  # [R]
    value_log_sd: Floats  # [R]
    rival_budget: Floats  # [R]
    learning_rate: float
    target_cpa: float
    target_roas: float


def _micro(budget: float | None) -> int:
    return NO_LIMIT if budget is None else min(NO_LIMIT, round(budget * MICRO))


@lru_cache(maxsize=64)
def plan_of(config: MarketConfig) -> NDArray[Any]:
    """The plan of a configuration as a one-element record (never change it)."""
    season, levels, people, prices = season_of(config), levels_of(config), config.people, config.prices
    budget, rivals = config.budget, config.rivals.in_order()
    return as_record(
        Plan(
            tick_h=config.clock.tick_h,
            episode_ticks=config.clock.episode_ticks,
            start_h=season.start_h,
            traffic=season.traffic,
            log_price=season.log_price,
            click=season.click,
            reference=levels.reference,
            log_multiple=levels.log_multiple,
            floor=levels.floor,
            moves=levels.moves,
            targeting=targeting_of(config),
            price_log_sd=prices.log_sd,
            floor_log_sd=prices.floor_log_sd,
            pressure_log_sd=prices.pressure_log_sd,
            pressure_half_life_h=prices.pressure_half_life_h,
            media_per_day=people.media_per_day,
            media_log_sd=people.media_log_sd,
            propensity_log_sd=people.propensity_log_sd,
            stay_h=24.0 * people.stay_days,
            stay_days=people.stay_days,
            per_episode=budget.per_episode,
            per_episode_micro=_micro(budget.per_episode),
            per_day_micro=_micro(budget.per_day),
            lifetime_micro=_micro(budget.lifetime),
            daily=int(budget.per_day is not None),
            even=int(budget.pacing == "even"),
            per_day=-1.0 if budget.per_day is None else budget.per_day,
            pacing_gain=budget.pacing_gain,
            bidders=int(config.rivals.kind != "drawn"),
            strategy=np.array([STRATEGIES[rival.strategy] for rival in rivals], np.int64),
            value=np.array([rival.value for rival in rivals], np.float64),
            value_log_sd=np.array([rival.value_log_sd for rival in rivals], np.float64),
            rival_budget=np.array([rival.budget_per_day for rival in rivals], np.float64),
            learning_rate=config.rivals.learning_rate,
            target_cpa=config.goals.target_cpa,
            target_roas=config.goals.target_roas,
        )
    )
