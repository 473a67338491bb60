"""The configuration of a market: typed, frozen, validated at the door.

The defaults in code *are* `AdMarket-v0`; a YAML file holds only what differs. Every field says its
unit, its range and its source, or the word *assumed*; `docs/market.md` is made from here.
"""

from __future__ import annotations

import hashlib
import json
import math
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gaelp_env import published

CHANNELS: tuple[str, ...] = ("search", "social", "display", "video", "email")
"""The five channels, in the order of every action, observation and ledger."""

PerStage = tuple[float, float, float, float, float]


def _field(default: Any, unit: str, source: str, text: str, **limits: Any) -> Any:
    return Field(
        default=default, description=text, json_schema_extra={"unit": unit, "source": source}, **limits
    )


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Clock(_Part):
    """How simulated time runs."""

    tick_minutes: float = _field(30.0, "minutes", "assumed", "length of a tick", ge=1e-3, le=120.0)
    episode_ticks: int = _field(48, "ticks", "assumed", "length of an episode", ge=1, le=100_000)
    epoch: str = _field(
        "2026-01-05T00:00:00",
        "UTC timestamp",
        "assumed",
        "moment of tick 0 (a Monday by default)",
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$",
    )

    @model_validator(mode="after")
    def _real_date(self) -> Clock:
        import datetime

        datetime.datetime.fromisoformat(self.epoch)
        return self

    @property
    def tick_h(self) -> float:
        """Hours in a tick."""
        return self.tick_minutes / 60.0


class People(_Part):
    """Who lives in the market, and how often they can be met."""

    users: int = _field(9_000, "users", "assumed", "people at the birth of the world", ge=1, le=100_000_000)
    stay_days: float = _field(
        45.0, "days", "assumed", "mean time a person stays in the market; leavers are replaced by births",
        gt=0.0, le=36_500.0,
    )  # fmt: skip
    media_per_day: float = _field(
        3.0, "1/day", "assumed", "mean media candidates of a user", ge=0.0, le=200.0
    )
    media_log_sd: float = _field(
        published.ROCKET_FUEL_LOG_SD, "1", "derived: Rocket Fuel PSA experiment, 588,101 users",
        "spread of the log of a user's media rate", ge=0.0, le=3.0,
    )  # fmt: skip
    visits_per_day: float = _field(
        0.5, "1/day", "assumed", "moments a day at which a user might visit our site unasked", ge=0.0, le=50.0
    )
    propensity_log_sd: float = _field(
        0.5, "1", "assumed", "spread of the log of a user's propensity to buy (mean one)", ge=0.0, le=3.0
    )
    traffic: Literal["avito", "auctionnet", "flat"] = _field(
        "avito", "profile", "published: Avito BAT; AuctionNet", "hour-of-day profile of candidates"
    )
    weekdays: Literal["ga4", "avito", "flat"] = _field(
        "ga4", "profile", "published: GA4 public sample; Avito BAT", "day-of-week profile of candidates"
    )
    device_shares: tuple[float, float, float] = _field(
        published.GA4_DEVICE_SHARES, "share", "published: GA4 public sample", "desktop, mobile, tablet"
    )

    @model_validator(mode="after")
    def _shares(self) -> People:
        if min(self.device_shares) < 0.0 or abs(sum(self.device_shares) - 1.0) > 1e-6:
            raise ValueError(f"device_shares must be >= 0 and sum to 1, and are {self.device_shares}")
        return self


class Channel(_Part):
    """One channel: how its slots are sold, and what an ad there does."""

    rule: Literal["second", "first", "owned"] = _field(
        "second", "auction rule", "assumed",
        "second price, first price, or a channel of our own that costs no auction",
    )  # fmt: skip
    share: float = _field(0.2, "share", "assumed", "weight among a user's media candidates", ge=0.0, le=1.0)
    reference_cpm: float = _field(
        5.0, "currency per 1,000", "assumed", "median rival price; the level that shapes are scaled to",
        gt=0.0, le=1e5,
    )  # fmt: skip
    max_multiple: float = _field(
        10.0, "multiple of reference", "assumed", "the highest bid the action can mean", gt=1.0, le=1000.0
    )
    send_cost_cpm: float = _field(
        0.0, "currency per 1,000", "assumed", "owned channel: cost of sending", ge=0.0, le=1e5
    )
    winnable: float = _field(
        1.0, "share", "assumed; preset ipinyou: 0.22",
        "share of opportunities that any bid can win", ge=0.0, le=1.0,
    )  # fmt: skip
    view_rate: float = _field(0.7, "probability", "assumed", "a won slot is seen", ge=0.0, le=1.0)
    click_rate: PerStage = _field(
        (0.004, 0.004, 0.004, 0.004, 0.004), "probability", "assumed",
        "click on a first seen ad, by stage", min_length=5, max_length=5,
    )  # fmt: skip
    audience: PerStage = _field(
        (1.0, 1.0, 1.0, 1.0, 1.0), "probability", "assumed",
        "a candidate becomes an opportunity, by stage", min_length=5, max_length=5,
    )  # fmt: skip
    known_only: bool = _field(
        False, "flag", "assumed", "only people who have visited our site can be met here"
    )
    awareness_gain: float = _field(
        0.04, "share of the unaware part", "assumed",
        "kappa: awareness gained by an ad seen", ge=0.0, lt=1.0,
    )  # fmt: skip
    forward_push: float = _field(
        0.0, "logit", "assumed", "beta: push to the next stage by an ad seen", ge=-20.0, le=20.0
    )

    @model_validator(mode="after")
    def _probabilities(self) -> Channel:
        for name in ("click_rate", "audience"):
            values = getattr(self, name)
            if min(values) < 0.0 or max(values) > 1.0:
                raise ValueError(f"{name} must lie in [0, 1] and is {values}")
        return self


def _channel(**values: Any) -> Any:
    return Field(default_factory=lambda: Channel(**values))


class Channels(_Part):
    """The five channels. Email is the owned one: it is what advertisers really own, it reaches only
    people who came to the site, and its price is attention (fatigue), not money."""

    search: Channel = _channel(
        rule="second", share=0.15, reference_cpm=60.0, view_rate=0.9,
        audience=(0.05, 0.15, *published.AMSS_SEARCH_AUDIENCE[1:], 0.10),
        click_rate=(published.AMSS_SEARCH_CTR[0], 0.02, 0.05, 0.06, 0.01),
        awareness_gain=0.02, forward_push=0.5,
    )  # fmt: skip
    social: Channel = _channel(
        rule="first", share=0.30, reference_cpm=16.0, view_rate=0.7,
        click_rate=(0.006, 0.010, 0.018, 0.022, 0.006), awareness_gain=0.06, forward_push=0.0,
    )  # fmt: skip
    display: Channel = _channel(
        rule="first", share=0.35, reference_cpm=6.0, view_rate=0.6,
        click_rate=(0.0005, 0.0010, 0.0020, 0.0030, 0.0005), awareness_gain=0.04, forward_push=-0.5,
    )  # fmt: skip
    video: Channel = _channel(
        rule="first", share=0.12, reference_cpm=25.0, view_rate=0.8,
        click_rate=(0.001, 0.0015, 0.002, 0.002, 0.001), awareness_gain=0.10, forward_push=0.5,
    )  # fmt: skip
    email: Channel = _channel(
        rule="owned", share=0.08, reference_cpm=1.0, max_multiple=10.0, send_cost_cpm=0.5, known_only=True,
        view_rate=0.25, click_rate=(0.01, 0.015, 0.025, 0.03, 0.01), awareness_gain=0.05, forward_push=0.0,
    )  # fmt: skip

    def in_order(self) -> tuple[Channel, ...]:
        """The channels in the order of CHANNELS."""
        return tuple(getattr(self, name) for name in CHANNELS)

    @model_validator(mode="after")
    def _shares(self) -> Channels:
        total = sum(c.share for c in self.in_order())
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"the five shares must sum to 1, and sum to {total:.6g}")
        return self


class Prices(_Part):
    """What rivals pay: a log-normal highest price around each channel's reference."""

    log_sd: float = _field(
        0.44, "1", "derived: iPinYou's 0.914 over all hours and days, less hours (0.25) and pressure (0.76)",
        "sd of the log of the highest rival price, auction by auction", ge=0.0, le=3.0,
    )  # fmt: skip
    pressure_log_sd: float = _field(
        0.76, "1", "assumed: the part of iPinYou's spread that moves slowly",
        "sd of the log of rivals' pressure, which moves each channel's price level", ge=0.0, le=3.0,
    )  # fmt: skip
    pressure_half_life_h: float = _field(
        24.0, "hours", "assumed", "half-life of a change of pressure", gt=0.0, le=100_000.0
    )
    by_hour: Literal["ipinyou", "flat"] = _field(
        "ipinyou", "profile", "derived: iPinYou win rate by hour (8.6-43.1 %)", "price level by hour of day"
    )
    floor_median: float = _field(
        round(published.IPINYOU_FLOOR_QUARTILES_FEN[1] / math.exp(published.IPINYOU_LOG_PRICE[0]), 4),
        "multiple of reference", "published: iPinYou floor quartiles 5/40/80 fen, median price 57.1 fen",
        "median reserve price", ge=0.0, le=100.0,
    )  # fmt: skip
    floor_log_sd: float = _field(
        1.0, "1", "derived: iPinYou upper floor quartile (ln(80/40)/0.674)", "sd of the log reserve",
        ge=0.0, le=3.0,
    )  # fmt: skip
    floor_share: float = _field(
        0.639, "share", "published: iPinYou log 2259", "opportunities that carry a reserve", ge=0.0, le=1.0
    )


class Response(_Part):
    """What an ad seen does to a person, and what absence undoes."""

    awareness_half_life_d: float = _field(
        21.0,
        "days",
        "assumed; Leone 1995: 55 to 82 d, digital practice: at most 4 d",
        "awareness halves in",
        gt=0.0,
        le=36_500.0,
    )
    fatigue_half_life_d: float = _field(
        7.0, "days", "assumed", "the remembered count of our ads halves in", gt=0.0, le=36_500.0
    )
    fatigue_exponent: float = _field(
        0.20, "1", "derived: Criteo attribution, within-user click rate by exposure",
        "b in the multiplier (1 + count) ** -b", ge=0.0, le=5.0,
    )  # fmt: skip
    intent_half_life_d: float = _field(
        1.88, "days", "derived: Sahni-Narayanan-Kalyanam 2019", "intent halves in", gt=0.0, le=36_500.0
    )
    intent_per_visit: float = _field(
        0.3, "share of the part missing to 1", "assumed", "intent gained by a visit", ge=0.0, le=1.0
    )
    click_by_hour: Literal["ipinyou", "flat"] = _field(
        "ipinyou", "profile", "published: iPinYou clicks by hour", "click rate by hour of day"
    )
    creative_quality: tuple[float, ...] = _field(
        (1.0,), "share", "assumed", "quality at a user's 1st, 2nd … touch; the last value stays",
        min_length=1, max_length=64,
    )  # fmt: skip

    @model_validator(mode="after")
    def _qualities(self) -> Response:
        if min(self.creative_quality) < 0.0 or max(self.creative_quality) > 1.0:
            raise ValueError(f"creative_quality must lie in [0, 1] and is {self.creative_quality}")
        return self


class Journey(_Part):
    """How a person moves between stages: forward by events, backward by clocks."""

    forward_base: tuple[float, float, float] = _field(
        (-1.5, -2.8, -2.8), "logit", "assumed",
        "alpha: UNAWARE->AWARE, AWARE->CONSIDERING, CONSIDERING->INTENT at an event",
    )  # fmt: skip
    awareness_push: float = _field(
        2.0, "logit per unit", "assumed", "gamma: weight of awareness", ge=-20.0, le=20.0
    )
    visit_push: float = _field(
        2.0, "logit", "assumed", "eta: weight of a visit to the site", ge=-20.0, le=20.0
    )
    intent_push: float = _field(1.0, "logit per unit", "assumed", "zeta: weight of intent", ge=-20.0, le=20.0)
    forward_probability: float | None = _field(
        None, "probability", "assumed", "if given, replaces the logit at every event", ge=0.0, le=1.0
    )
    backward_half_life_d: tuple[float, float, float, float] = _field(
        (21.0, 7.0, 1.88, 30.0), "days", "assumed; INTENT derived: Sahni-Narayanan-Kalyanam 2019",
        "half-life of AWARE, CONSIDERING, INTENT (one stage back) and CONVERTED (back to AWARE)",
    )  # fmt: skip

    @model_validator(mode="after")
    def _positive(self) -> Journey:
        if min(self.backward_half_life_d) <= 0.0:
            raise ValueError(f"backward_half_life_d must be > 0 and is {self.backward_half_life_d}")
        return self


class Conversion(_Part):
    """When people buy, what it is worth, and how late it shows."""

    visit_rate: PerStage = _field(
        (0.01, 0.04, 0.12, 0.25, 0.06), "probability", "assumed",
        "a visit candidate becomes a visit, by stage", min_length=5, max_length=5,
    )  # fmt: skip
    buy_rate: PerStage = _field(
        (0.006, 0.020, 0.050, 0.120, 0.020), "probability", "assumed (GA4: 1.29 % a session, 1.19 to 6.18 %)",
        "a visit ends in an order, by stage, at zero intent", min_length=5, max_length=5,
    )  # fmt: skip
    intent_boost: float = _field(
        1.5, "1", "assumed", "buy rate is multiplied by 1 + intent_boost * intent", ge=0.0, le=100.0
    )
    order_value: float = _field(
        published.GA4_ORDER_VALUE, "currency", "published: GA4 public sample", "mean order", gt=0.0, le=1e6
    )
    order_log_sd: float = _field(0.6, "1", "assumed", "sd of the log of an order's value", ge=0.0, le=3.0)
    margin: float = _field(0.5, "share", "assumed", "part of an order that is ours to keep", ge=0.0, le=1.0)
    attribution_window_d: float = _field(
        30.0, "days", "published: GA4 acquisition default", "last click within this time gets the order",
        gt=0.0, le=365.0,
    )  # fmt: skip
    delay_weights: tuple[float, float, float] = _field(
        published.DELAY_WEIGHTS, "share", "derived: Chapelle, KDD 2014", "mixture of conversion delays"
    )
    delay_means_h: tuple[float, float, float] = _field(
        published.DELAY_MEANS_H, "hours", "derived: Chapelle, KDD 2014", "means of the mixture"
    )
    delay_max_h: float = _field(
        720.0, "hours", "published: Chapelle, KDD 2014", "delays are truncated here", gt=0.0, le=10_000.0
    )

    @model_validator(mode="after")
    def _laws(self) -> Conversion:
        for name in ("visit_rate", "buy_rate"):
            values = getattr(self, name)
            if min(values) < 0.0 or max(values) > 1.0:
                raise ValueError(f"{name} must lie in [0, 1] and is {values}")
        if min(self.delay_weights) < 0.0 or abs(sum(self.delay_weights) - 1.0) > 1e-6:
            raise ValueError(f"delay_weights must be >= 0 and sum to 1, and are {self.delay_weights}")
        if min(self.delay_means_h) <= 0.0:
            raise ValueError(f"delay_means_h must be > 0 and are {self.delay_means_h}")
        return self


class Budget(_Part):
    """What may be spent."""

    per_episode: float = _field(350.0, "currency", "assumed", "spend allowed in an episode", ge=0.0, le=9e9)


class MarketConfig(_Part):
    """A whole market. `MarketConfig()` is AdMarket-v0."""

    clock: Clock = Field(default_factory=Clock)
    people: People = Field(default_factory=People)
    channels: Channels = Field(default_factory=Channels)
    prices: Prices = Field(default_factory=Prices)
    response: Response = Field(default_factory=Response)
    journey: Journey = Field(default_factory=Journey)
    conversion: Conversion = Field(default_factory=Conversion)
    budget: Budget = Field(default_factory=Budget)

    def to_json(self) -> str:
        """The configuration as canonical JSON (sorted keys, no spaces): equal text, equal market."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @cached_property
    def _fingerprint(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of `to_json()`."""
        return self._fingerprint

    # Tables are cached by configuration and looked up at every tick, so equality must be cheap.
    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MarketConfig):
            return NotImplemented
        return self is other or self._fingerprint == other._fingerprint
