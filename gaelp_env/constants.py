"""The configuration as the numbers that the loop reads: hours, logits, cumulated shares."""

from __future__ import annotations

import math
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaelp_env import published
from gaelp_env.auction import RULES
from gaelp_env.config import Conversion, MarketConfig
from gaelp_env.journey import NEVER_H

Floats = NDArray[np.float64]
MAX_TOUCHES = 64
"""How many values of creative quality there are; the last one stays."""


class Constants(NamedTuple):
    """What does not change while a world lives. `[K]` is by channel, `[S]` by stage."""

    rule: NDArray[np.int64]  # [K]
    share_up_to: Floats  # [K] cumulated
    winnable: Floats  # [K]
    view_rate: Floats  # [K]
    audience: Floats  # [K, S]
    click_rate: Floats  # [K, S]
    known_only: NDArray[np.int64]  # [K]
    awareness_gain: Floats  # [K]
    forward_push: Floats  # [K]
    send_cost_cpm: Floats  # [K]
    price_log_sd: float
    floor_log_sd: float
    floor_share: float
    visits_per_day: float
    awareness_half_life_h: float
    fatigue_half_life_h: float
    fatigue_exponent: float
    intent_half_life_h: float
    intent_per_visit: float
    quality: Floats  # [MAX_TOUCHES] by touch, the last stays
    forward_base: Floats  # [3]
    awareness_push: float
    visit_push: float
    intent_push: float
    forward_fixed: float  # -1: use the logit
    back_half_life_h: Floats  # [S]
    visit_rate: Floats  # [S]
    buy_rate: Floats  # [S]
    intent_boost: float
    order_value: float
    order_log_sd: float
    margin: float
    delay_weights: Floats  # [3]
    delay_means_h: Floats  # [3]
    delay_max_h: float
    window_h: float
    tick_h: float


@lru_cache(maxsize=64)
def constants_of(config: MarketConfig) -> Constants:
    """The numbers of a configuration; equal configurations share one object (never change it)."""
    channels = config.channels.in_order()
    response, journey, conversion = config.response, config.journey, config.conversion

    def by_channel(name: str) -> Floats:
        return np.array([getattr(c, name) for c in channels], np.float64)

    return Constants(
        rule=np.array([RULES[c.rule] for c in channels], np.int64),
        share_up_to=np.cumsum(by_channel("share")),
        winnable=by_channel("winnable"),
        view_rate=by_channel("view_rate"),
        audience=by_channel("audience"),
        click_rate=by_channel("click_rate"),
        known_only=by_channel("known_only").astype(np.int64),
        awareness_gain=by_channel("awareness_gain"),
        forward_push=by_channel("forward_push"),
        send_cost_cpm=by_channel("send_cost_cpm"),
        price_log_sd=config.prices.log_sd,
        floor_log_sd=config.prices.floor_log_sd,
        floor_share=config.prices.floor_share,
        visits_per_day=config.people.visits_per_day,
        awareness_half_life_h=24.0 * response.awareness_half_life_d,
        fatigue_half_life_h=24.0 * response.fatigue_half_life_d,
        fatigue_exponent=response.fatigue_exponent,
        intent_half_life_h=24.0 * response.intent_half_life_d,
        intent_per_visit=response.intent_per_visit,
        quality=np.array(
            (response.creative_quality + response.creative_quality[-1:] * MAX_TOUCHES)[:MAX_TOUCHES]
        ),
        forward_base=np.array(journey.forward_base, np.float64),
        awareness_push=journey.awareness_push,
        visit_push=journey.visit_push,
        intent_push=journey.intent_push,
        forward_fixed=-1.0 if journey.forward_probability is None else journey.forward_probability,
        back_half_life_h=np.array([NEVER_H, *(24.0 * d for d in journey.backward_half_life_d)]),
        visit_rate=np.array(conversion.visit_rate, np.float64),
        buy_rate=np.array(conversion.buy_rate, np.float64),
        intent_boost=conversion.intent_boost,
        order_value=conversion.order_value,
        order_log_sd=conversion.order_log_sd,
        margin=conversion.margin,
        delay_weights=delay_shares(conversion),
        delay_means_h=np.array(conversion.delay_means_h, np.float64),
        delay_max_h=conversion.delay_max_h,
        window_h=24.0 * conversion.attribution_window_d,
        tick_h=config.clock.tick_h,
    )


def delay_shares(conversion: Conversion) -> Floats:
    """The shares of the three parts among delays up to the longest, `[3]`.

        w_i (1 - exp(-D / m_i)) / sum_j w_j (1 - exp(-D / m_j))

    The weights w are fitted to the whole mixture cut at D, so a part that lasts loses more of its own.
    """
    weights, means = np.array(conversion.delay_weights), np.array(conversion.delay_means_h)
    kept = weights * -np.expm1(-conversion.delay_max_h / means)
    shares: Floats = kept / kept.sum()
    return shares


def as_record(values: NamedTuple) -> NDArray[Any]:
    """The same fields as a one-element structured array.

    Compiled code reads a record's fields through one pointer; arrays in a tuple would be reference
    counted, atomically, at each use.
    """
    fields = [(name, np.asarray(value).dtype, np.shape(value)) for name, value in values._asdict().items()]
    record = np.zeros(1, np.dtype(fields, align=True))
    for name, value in values._asdict().items():
        record[name][0] = value
    return record


def price_levels(name: str) -> Floats:
    """Price level by hour of day `[24]`, geometric mean one.

    Derived: the flat bidder's win rate of an hour is taken as proportional to its won impressions
    over the hour's traffic (Avito profile); the level is that ratio to a negative power, chosen so
    that the win rates of a log-normal market span the published 8.6 % to 43.1 %.
    """
    if name == "flat":
        return np.ones(24)
    ratio = np.array(published.IPINYOU_WON_SHARE_BY_HOUR) / np.array(published.HOUR_SHARES["avito"])
    low, high = published.IPINYOU_WIN_RATE_RANGE
    from statistics import NormalDist

    span = published.IPINYOU_LOG_PRICE[1] * (NormalDist().inv_cdf(high) - NormalDist().inv_cdf(low))
    log_ratio = np.log(ratio)
    power = span / (log_ratio.max() - log_ratio.min())
    level: Floats = np.exp(-power * (log_ratio - log_ratio.mean()))
    return level


def click_weights(name: str) -> Floats:
    """Click weight by hour of day `[24]`, mean one over won impressions."""
    if name == "flat":
        return np.ones(24)
    rate, share = np.array(published.IPINYOU_CTR_BY_HOUR), np.array(published.IPINYOU_WON_SHARE_BY_HOUR)
    weight: Floats = rate * share.sum() / float((rate * share).sum())
    return weight


class Season(NamedTuple):
    """What hangs on the hour of the day or of the week."""

    start_h: float  # hour of the week (Monday 0 h = 0) at tick 0
    traffic: Floats  # [168] weight of candidates, mean one over the week
    price: Floats  # [24]
    log_price: Floats  # [24]
    click: Floats  # [24]

    def hour_of_week(self, hours: float) -> int:
        """The hour of the week, 0 … 167, at `hours` on the simulated clock."""
        return int(math.floor(self.start_h + hours + 1e-9)) % 168


@lru_cache(maxsize=64)
def season_of(config: MarketConfig) -> Season:
    """The seasons of a configuration."""
    hours = np.array(published.HOUR_SHARES[config.people.traffic])
    days = np.array(published.DAY_WEIGHTS[config.people.weekdays])
    traffic = np.outer(days / days.mean(), hours * 24.0 / hours.sum()).ravel()
    epoch = datetime.fromisoformat(config.clock.epoch)
    start = 24.0 * epoch.weekday() + epoch.hour + epoch.minute / 60.0 + epoch.second / 3600.0
    price = price_levels(config.prices.by_hour)
    return Season(start, traffic, price, np.log(price), click_weights(config.response.click_by_hour))


def epoch_of(config: MarketConfig) -> np.datetime64:
    """The moment of hour 0, UTC, in microseconds."""
    return np.datetime64(config.clock.epoch, "us")


class Levels(NamedTuple):
    """The scales of the channels, `[K]`."""

    reference: Floats  # CPM
    log_multiple: Floats  # ln(max / reference)
    floor: Floats  # median reserve, CPM
    moves: Floats  # 1 where the price follows hour and pressure, 0 on an owned channel


@lru_cache(maxsize=64)
def levels_of(config: MarketConfig) -> Levels:
    """The scales of a configuration; equal configurations share one object (never change it)."""
    channels = config.channels.in_order()
    reference = np.array([c.reference_cpm for c in channels], np.float64)
    return Levels(
        reference,
        np.log(np.array([c.max_multiple for c in channels], np.float64)),
        config.prices.floor_median * reference,
        np.array([float(c.rule != "owned") for c in channels]),
    )


def price_log_levels(record: Any, config: MarketConfig) -> Floats:
    """Log of the coming tick's median price over the reference, `[K]`: ln level(hour) + pressure,
    and 0 on an owned channel. What an exchange gives as guidance."""
    season = season_of(config)
    hour = season.hour_of_week(config.clock.tick_h * int(record["tick"])) % 24
    log_level: Floats = levels_of(config).moves * (season.log_price[hour] + record["pressure"])
    return log_level


def median_prices(record: Any, config: MarketConfig) -> Floats:
    """The median of rivals' highest price in the coming tick, `[K]` CPM."""
    median: Floats = levels_of(config).reference * np.exp(price_log_levels(record, config))
    return median
