"""The oracle's seasons: what hangs on the hour of the day and on the day of the week."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from gaelp_env import published
from gaelp_env.config import MarketConfig
from tests.oracle_chance import NORMAL


def price_level(by_hour: str, hour: int) -> float:
    """Level of rivals' prices: win rates by hour, turned into prices that span the published range."""
    if by_hour == "flat":
        return 1.0
    shares = zip(published.IPINYOU_WON_SHARE_BY_HOUR, published.HOUR_SHARES["avito"], strict=True)
    logs = [math.log(won / traffic) for won, traffic in shares]
    low, high = published.IPINYOU_WIN_RATE_RANGE
    span = published.IPINYOU_LOG_PRICE[1] * (NORMAL.inv_cdf(high) - NORMAL.inv_cdf(low))
    return math.exp(-span * (logs[hour] - sum(logs) / 24) / (max(logs) - min(logs)))


def click_level(by_hour: str, hour: int) -> float:
    """Readiness to click, mean one over the impressions that the rates were counted on."""
    if by_hour == "flat":
        return 1.0
    rates, shares = published.IPINYOU_CTR_BY_HOUR, published.IPINYOU_WON_SHARE_BY_HOUR
    mean = sum(r * s for r, s in zip(rates, shares, strict=True)) / sum(shares)
    return rates[hour] / mean


def traffic_level(traffic: str, weekdays: str, weekday: int, hour: int) -> float:
    """Weight of an hour among the candidates of a week, mean one."""
    days, hours = published.DAY_WEIGHTS[weekdays], published.HOUR_SHARES[traffic]
    return days[weekday] / (sum(days) / 7) * hours[hour] * 24 / sum(hours)


def begins(config: MarketConfig, tick: int) -> datetime:
    """The moment, UTC, at which a tick begins."""
    return datetime.fromisoformat(config.clock.epoch) + timedelta(minutes=config.clock.tick_minutes * tick)


def traffic_in(config: MarketConfig, tick: int) -> float:
    """Weight of a tick among the candidates of a week."""
    now = begins(config, tick)
    return traffic_level(config.people.traffic, config.people.weekdays, now.weekday(), now.hour)
