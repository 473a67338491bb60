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
from gaelp_env.creatives import MOST as KEPT_CREATIVES
from gaelp_env.creatives import ROTATIONS
from gaelp_env.journey import NEVER_H
from gaelp_env.prices import FAMILIES, TABLE

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
    rival_gain: Floats  # [K]
    adstock_half_life_h: Floats  # [K]
    fatigue_exponent: Floats  # [K]
    forward_push: Floats  # [K, 3]
    send_cost_cpm: Floats  # [K]
    by_click: NDArray[np.int64]  # [K]
    predicted_click_rate: Floats  # [K]
    quality_score: Floats  # [K]
    soft_floor_cpm: Floats  # [K]
    slots: NDArray[np.int64]  # [K]
    slot_view: Floats  # [K, 4]
    slot_click: Floats  # [K, 4]
    rivals: NDArray[np.int64]  # [K]
    family: int
    price_shape: float  # of the family; the log sd of a log-normal one
    rivals_seen: int  # 1: rivals' ads in lost slots are seen
    share_of_voice: int
    standing: float
    outside: float
    power: float
    rival_mean: float  # rough mean of users' awareness of rivals, for the prospect
    floor_log_sd: float
    floor_share: float
    visits_per_day: float
    awareness_half_life_h: float
    fatigue_half_life_h: float
    fading: Floats  # [LANES] -ln 2 / half-life in hours: awareness, intent, fatigue, adstock by channel
    fatigue_by_creative: int
    creatives: int  # how many
    creative: Floats  # [MOST] quality of each
    rotation: int
    spacing_loss: float
    spacing_h: float
    adstock_click: float
    adstock_visit: float
    adstock_half: float
    adstock_slope: float
    frequency_gain: float
    frequency_half: float
    frequency_slope: float
    intent_half_life_h: float
    intent_base: float
    intent_per_visit: float
    intent_per_view: float
    intent_per_cart: float
    quality: Floats  # [MAX_TOUCHES] by touch, the last stays
    forward_base: Floats  # [3]
    awareness_push: Floats  # [3]
    awareness_half: float  # -1: awareness as it is
    awareness_slope: float
    visit_push: Floats  # [3]
    intent_push: Floats  # [3]
    both_push: float
    forward_fixed: float  # -1: use the logit
    back_half_life_h: Floats  # [S]
    visit_rate: Floats  # [S]
    buy_rate: Floats  # [S]
    device_buy: Floats  # [3]
    device_click: Floats  # [3]
    devices_up_to: Floats  # [2] cumulated shares
    device_redraw: float
    inactivity_h: float
    return_probability: Floats  # [S]
    return_buyer: float
    return_propensity: float
    same_day_share: float
    same_day_h: float
    gap_mean_h: float
    sources_up_to: Floats  # [4] cumulated shares
    source_again: float
    cart_rate: float
    checkout_rate: float
    order_rate: float
    frequency_cap: int
    frequency_window_h: float
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
    people, visits, rivals, budget = config.people, config.visits, config.rivals, config.budget
    creatives = np.zeros(KEPT_CREATIVES)
    creatives[: len(response.creatives)] = response.creatives
    scores_d = response.awareness_half_life_d, response.intent_half_life_d, response.fatigue_half_life_d

    def by_channel(name: str) -> Floats:
        return np.array([getattr(c, name) for c in channels], np.float64)

    def by_slot(name: str) -> Floats:  # only gsp has slots to tell apart
        return np.array([getattr(c, name) if c.rule == "gsp" else (1.0,) * 4 for c in channels], np.float64)

    return Constants(
        rule=np.array([RULES[c.rule] for c in channels], np.int64),
        share_up_to=np.cumsum(by_channel("share")),
        winnable=by_channel("winnable"),
        view_rate=by_channel("view_rate"),
        audience=by_channel("audience"),
        click_rate=by_channel("click_rate"),
        known_only=by_channel("known_only").astype(np.int64),
        awareness_gain=by_channel("awareness_gain"),
        rival_gain=by_channel("rival_gain"),
        adstock_half_life_h=24.0 * by_channel("adstock_half_life_d"),
        fatigue_exponent=by_channel("fatigue_exponent"),
        forward_push=by_channel("forward_push"),
        send_cost_cpm=by_channel("send_cost_cpm"),
        by_click=np.array([c.charge == "click" for c in channels], np.int64),
        predicted_click_rate=by_channel("predicted_click_rate"),
        quality_score=by_channel("quality_score"),
        soft_floor_cpm=by_channel("soft_floor_cpm"),
        slots=by_channel("slots").astype(np.int64),
        slot_view=by_slot("slot_view"),
        slot_click=by_slot("slot_click"),
        rivals=by_channel("rivals").astype(np.int64),
        family=TABLE if rivals.kind == "bidders" else FAMILIES[config.prices.family],
        price_shape=config.prices.log_sd if config.prices.family == "lognormal" else config.prices.shape,
        rivals_seen=int(by_channel("rival_gain").any()),
        share_of_voice=int(rivals.share_of_voice),
        standing=rivals.standing,
        outside=rivals.outside,
        power=rivals.power,
        rival_mean=rival_mean_of(config),
        floor_log_sd=config.prices.floor_log_sd,
        floor_share=config.prices.floor_share,
        visits_per_day=config.people.visits_per_day,
        awareness_half_life_h=24.0 * response.awareness_half_life_d,
        fatigue_half_life_h=24.0 * response.fatigue_half_life_d,
        fading=-math.log(2.0) / 24.0 / np.array([*scores_d, *by_channel("adstock_half_life_d")]),
        fatigue_by_creative=int(response.fatigue_by == "creative"),
        creatives=len(response.creatives),
        creative=creatives,
        rotation=ROTATIONS[response.rotation],
        spacing_loss=response.spacing_loss,
        spacing_h=response.spacing_h,
        adstock_click=response.adstock_click,
        adstock_visit=response.adstock_visit,
        adstock_half=response.adstock_half,
        adstock_slope=response.adstock_slope,
        frequency_gain=response.frequency_gain,
        frequency_half=response.frequency_half,
        frequency_slope=response.frequency_slope,
        intent_half_life_h=24.0 * response.intent_half_life_d,
        intent_base=response.intent_base,
        intent_per_visit=response.intent_per_visit,
        intent_per_view=response.intent_per_view,
        intent_per_cart=response.intent_per_cart,
        quality=np.array(
            (response.creative_quality + response.creative_quality[-1:] * MAX_TOUCHES)[:MAX_TOUCHES]
        ),
        forward_base=np.array(journey.forward_base, np.float64),
        awareness_push=np.array(journey.awareness_push, np.float64),
        awareness_half=-1.0 if journey.awareness_half is None else journey.awareness_half,
        awareness_slope=journey.awareness_slope,
        visit_push=np.array(journey.visit_push, np.float64),
        intent_push=np.array(journey.intent_push, np.float64),
        both_push=journey.awareness_intent_push,
        forward_fixed=-1.0 if journey.forward_probability is None else journey.forward_probability,
        back_half_life_h=np.array([NEVER_H, *(24.0 * d for d in journey.backward_half_life_d)]),
        visit_rate=np.array(conversion.visit_rate, np.float64),
        buy_rate=np.array(conversion.buy_rate, np.float64),
        device_buy=np.array(conversion.device_buy, np.float64),
        device_click=np.array(conversion.device_click, np.float64),
        devices_up_to=np.cumsum(people.device_shares)[:2],
        device_redraw=people.device_redraw,
        inactivity_h=24.0 * people.inactivity_days,
        return_probability=np.array(visits.return_probability, np.float64),
        return_buyer=visits.return_buyer,
        return_propensity=visits.return_propensity,
        same_day_share=visits.same_day_share,
        same_day_h=visits.same_day_h,
        gap_mean_h=24.0 * visits.gap_days,
        sources_up_to=np.cumsum(visits.source_shares),
        source_again=visits.source_again,
        cart_rate=visits.cart_rate,
        checkout_rate=visits.checkout_rate,
        order_rate=visits.order_rate,
        frequency_cap=budget.frequency_cap,
        frequency_window_h=budget.frequency_window_h,
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


def rival_mean_of(config: MarketConfig) -> float:
    """A rough mean of users' awareness of rivals, where gains and fading even out.

    A = g / (g + ln 2 / H),   g = gains a day, seven ads in ten being theirs
    """
    a_day = sum(
        0.7 * config.people.media_per_day * c.share * float(np.mean(c.audience)) * c.view_rate * c.rival_gain
        for c in config.channels.in_order()
    )
    return a_day / (a_day + math.log(2.0) / config.response.awareness_half_life_d)


def delay_shares(conversion: Conversion) -> Floats:
    """The shares of the three parts among delays up to the longest, `[3]`.

        w_i (1 - exp(-D / m_i)) / sum_j w_j (1 - exp(-D / m_j))

    The weights w are fitted to the whole mixture cut at D, so a part that lasts loses more of its own.
    """
    weights, means = np.array(conversion.delay_weights), np.array(conversion.delay_means_h)
    kept = weights * -np.expm1(-conversion.delay_max_h / means)
    shares: Floats = kept / kept.sum()
    return shares


_layout = lru_cache(maxsize=64)(lambda fields: np.dtype(list(fields), align=True))
"""One object for equal fields: calls of compiled code compare layouts at length unless they are the same."""


def as_record(values: NamedTuple) -> NDArray[Any]:
    """The same fields as a one-element structured array.

    Compiled code reads a record's fields through one pointer; arrays in a tuple would be reference
    counted, atomically, at each use.
    """
    fields = [(name, np.asarray(value).dtype, np.shape(value)) for name, value in values._asdict().items()]
    record = np.zeros(1, _layout(tuple(fields)))
    for name, value in values._asdict().items():
        record[name][0] = value
    return record


@lru_cache(maxsize=64)
def constant_record_of(config: MarketConfig) -> NDArray[Any]:
    """The constants as compiled code reads them (never change them)."""
    return as_record(constants_of(config))


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

    def share_of_day(self, hour_of_week: float) -> float:
        """The share of a day's traffic that has gone by at an hour of the week (of any week), in [0, 1)."""
        day, hour = divmod(hour_of_week + 1e-9, 24.0)
        first = 24 * (int(day) % 7)
        hours = self.traffic[first : first + 24]
        whole = int(hour)
        return float((hours[:whole].sum() + hours[whole] * (hour - whole)) / hours.sum())

    def day(self, hours: float) -> int:
        """Number of the calendar day (UTC) at `hours` on the simulated clock, 0 for that of the epoch."""
        return int(math.floor((self.start_h % 24.0 + hours + 1e-9) / 24.0))


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


@lru_cache(maxsize=64)
def targeting_of(config: MarketConfig) -> Floats:
    """The bid adjustments by channel and audience, `[K, A]` (never change them)."""
    return np.array([c.targeting for c in config.channels.in_order()], np.float64)


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
    """Log of the coming tick's median price over the reference, `[K]`: ln level(hour) + pressure, and the
    bidding rivals' own level; 0 on an owned channel. What an exchange gives as guidance."""
    season = season_of(config)
    hour = season.hour_of_week(config.clock.tick_h * int(record["tick"])) % 24
    moved = season.log_price[hour] + record["pressure"] + record["rival_level"]
    log_level: Floats = levels_of(config).moves * moved
    return log_level


def median_prices(record: Any, config: MarketConfig) -> Floats:
    """The median of rivals' highest price in the coming tick, `[K]` CPM."""
    median: Floats = levels_of(config).reference * np.exp(price_log_levels(record, config))
    return median
