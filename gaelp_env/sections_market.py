"""Sections of the configuration: channels, auctions, and the rivals in them."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from gaelp_env import published
from gaelp_env.sections import Forward, Part, PerStage, field_of, inside

CHANNELS: tuple[str, ...] = ("search", "social", "display", "video", "email")
"""The five channels, in the order of every action, observation and ledger."""


class Channel(Part):
    """One channel: how its slots are sold, and what an ad there does."""

    rule: Literal["second", "first", "gsp", "owned"] = field_of(
        "second", "auction rule", "assumed",
        "second price, first price, generalised second price for several slots, or a channel of our own "
        "that costs no auction",
    )  # fmt: skip
    charge: Literal["impression", "click"] = field_of(
        "impression", "auction rule", "assumed",
        "what is paid for: a won slot, or a click at price / (1,000 x predicted_click_rate)",
    )  # fmt: skip
    slots: int = field_of(1, "slots", "assumed", "gsp: slots that an auction sells", ge=1, le=4)
    slot_view: tuple[float, float, float, float] = field_of(
        published.AUCTIONNET_SLOT_VIEW, "probability", "published: AuctionNet 1/.8/.6; the 4th assumed",
        "gsp: a slot is exposed, given that the one above it was",
    )  # fmt: skip
    slot_click: tuple[float, float, float, float] = field_of(
        (1.0, 1.0, 1.0, 1.0), "share", "derived: Open Bandit, .39/.41/.34 % by position: flat",
        "gsp: click rate of a slot that is seen, as a share of the first one's",
    )  # fmt: skip
    rivals: int = field_of(
        8, "bidders", "assumed", "gsp: rivals who bid for the slots; their highest bid is the price's law",
        ge=1, le=64,
    )  # fmt: skip
    quality_score: float = field_of(
        1.0,
        "multiple of the rivals' mean",
        "assumed",
        "our quality; rank is by bid x quality",
        gt=0.0,
        le=100.0,
    )
    predicted_click_rate: float = field_of(
        0.02, "probability", "assumed", "the exchange's forecast, which turns CPM into cost per click",
        gt=0.0, le=1.0,
    )  # fmt: skip
    soft_floor_cpm: float = field_of(
        0.0, "currency per 1,000", "assumed", "a winning bid below it pays itself; 0 is none", ge=0.0, le=1e5
    )
    targeting: tuple[float, float, float, float] = field_of(
        (1.0, 1.0, 1.0, 1.0), "multiple of the bid", "assumed",
        "bid adjustment by audience: new, reached, known (visited), buyer; 0 leaves one out",
    )  # fmt: skip
    share: float = field_of(0.2, "share", "assumed", "weight among a user's media candidates", ge=0.0, le=1.0)
    reference_cpm: float = field_of(
        5.0, "currency per 1,000", "assumed", "median rival price; the level that shapes are scaled to",
        gt=0.0, le=1e5,
    )  # fmt: skip
    max_multiple: float = field_of(
        10.0, "multiple of reference", "assumed", "the highest bid the action can mean", gt=1.0, le=1000.0
    )
    send_cost_cpm: float = field_of(
        0.0, "currency per 1,000", "assumed", "owned channel: cost of sending", ge=0.0, le=1e5
    )
    winnable: float = field_of(
        1.0, "share", "assumed; preset ipinyou: 0.22",
        "share of opportunities that any bid can win", ge=0.0, le=1.0,
    )  # fmt: skip
    view_rate: float = field_of(0.7, "probability", "assumed", "a won slot is seen", ge=0.0, le=1.0)
    click_rate: PerStage = field_of(
        (0.004, 0.004, 0.004, 0.004, 0.004), "probability", "assumed",
        "click on a first seen ad, by stage", min_length=5, max_length=5,
    )  # fmt: skip
    audience: PerStage = field_of(
        (1.0, 1.0, 1.0, 1.0, 1.0), "probability", "assumed",
        "a candidate becomes an opportunity, by stage", min_length=5, max_length=5,
    )  # fmt: skip
    known_only: bool = field_of(
        False, "flag", "assumed", "only people who have visited our site can be met here"
    )
    awareness_gain: float = field_of(
        0.04, "share of the unaware part", "assumed",
        "kappa: awareness gained by an ad seen", ge=0.0, lt=1.0,
    )  # fmt: skip
    rival_gain: float = field_of(
        0.02, "share of the unaware part", "assumed",
        "awareness of rivals gained by an ad of theirs in a slot that we did not get", ge=0.0, lt=1.0,
    )  # fmt: skip
    adstock_half_life_d: float = field_of(
        3.0, "days", "assumed, inside Robyn's ranges", "the short-run stock of ads seen halves in",
        gt=0.0, le=36_500.0,
    )  # fmt: skip
    fatigue_exponent: float = field_of(
        0.20, "1", "derived: Criteo attribution, within-user click rate by exposure; social: Meta 2022",
        "b in the multiplier (1 + count) ** -b", ge=0.0, le=5.0,
    )  # fmt: skip
    forward_push: Forward = field_of(
        (0.0, 0.0, 0.0), "logit", "assumed",
        "beta: push by an ad seen, to AWARE, to CONSIDERING, to INTENT",
    )  # fmt: skip

    @model_validator(mode="after")
    def _probabilities(self) -> Channel:
        for name in ("click_rate", "audience", "slot_view", "slot_click"):
            inside(name, getattr(self, name), 0.0, 1.0)
        inside("targeting", self.targeting, 0.0, 100.0)
        inside("forward_push", self.forward_push, -20.0, 20.0)
        return self


def channel_of(**values: Any) -> Any:
    return Field(default_factory=lambda: Channel(**values))


class Channels(Part):
    """The five channels. Email is the owned one: it is what advertisers really own, it reaches only
    people who came to the site, and its price is attention (fatigue), not money."""

    search: Channel = channel_of(
        rule="gsp", charge="click", slots=3, share=0.15, reference_cpm=60.0, view_rate=0.9,
        predicted_click_rate=0.04,
        audience=(0.05, 0.15, *published.AMSS_SEARCH_AUDIENCE[1:], 0.10),
        click_rate=(published.AMSS_SEARCH_CTR[0], 0.02, 0.05, 0.06, 0.01),
        awareness_gain=0.02, forward_push=(0.5, 0.5, 0.5), adstock_half_life_d=1.0,
    )  # fmt: skip
    social: Channel = channel_of(
        rule="first", share=0.30, reference_cpm=16.0, view_rate=0.7,
        click_rate=(0.006, 0.010, 0.018, 0.022, 0.006), awareness_gain=0.06,
        fatigue_exponent=0.43, rival_gain=0.03,
    )  # fmt: skip
    display: Channel = channel_of(
        rule="first", share=0.35, reference_cpm=6.0, view_rate=0.6,
        click_rate=(0.0005, 0.0010, 0.0020, 0.0030, 0.0005), awareness_gain=0.04,
        forward_push=(-0.5, -0.5, -0.5),
    )  # fmt: skip
    video: Channel = channel_of(
        rule="first", share=0.12, reference_cpm=25.0, view_rate=0.8,
        click_rate=(0.001, 0.0015, 0.002, 0.002, 0.001), awareness_gain=0.10,
        forward_push=(0.5, 0.5, 0.5), adstock_half_life_d=7.0, rival_gain=0.05,
    )  # fmt: skip
    email: Channel = channel_of(
        rule="owned", share=0.08, reference_cpm=1.0, max_multiple=10.0, send_cost_cpm=0.5, known_only=True,
        view_rate=0.25, click_rate=(0.01, 0.015, 0.025, 0.03, 0.01), awareness_gain=0.05,
        adstock_half_life_d=2.0, rival_gain=0.0,
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


class Prices(Part):
    """What rivals pay: the law of their highest price, whose median is each channel's reference."""

    family: Literal["lognormal", "gamma", "loglogistic", "exponential", "uniform", "quantiles"] = field_of(
        "lognormal",
        "profile",
        "published: iPinYou, log-normal fits best",
        "the law of the highest rival price",
    )
    shape: float = field_of(
        1.0, "1", "assumed", "gamma: k; loglogistic: slope; uniform: highest of so many uniform bids",
        gt=0.0, le=100.0,
    )  # fmt: skip
    quantiles: tuple[float, ...] = field_of(
        published.IPINYOU_PRICE_QUANTILES, "fen per 1,000", "published: iPinYou, 15.4 M winning prices",
        "quantiles: rising prices at the probabilities (i + 1/2) / m; only their ratios count",
        min_length=2, max_length=129,
    )  # fmt: skip
    log_sd: float = field_of(
        0.44, "1", "derived: iPinYou's 0.914 over all hours and days, less hours (0.25) and pressure (0.76)",
        "sd of the log of the highest rival price, auction by auction", ge=0.0, le=3.0,
    )  # fmt: skip
    pressure_log_sd: float = field_of(
        0.76, "1", "assumed: the part of iPinYou's spread that moves slowly",
        "sd of the log of rivals' pressure, which moves each channel's price level", ge=0.0, le=3.0,
    )  # fmt: skip
    pressure_half_life_h: float = field_of(
        24.0, "hours", "assumed", "half-life of a change of pressure", gt=0.0, le=100_000.0
    )
    by_hour: Literal["ipinyou", "flat"] = field_of(
        "ipinyou", "profile", "derived: iPinYou win rate by hour (8.6-43.1 %)", "price level by hour of day"
    )
    floor_median: float = field_of(
        round(published.IPINYOU_FLOOR_QUARTILES_FEN[1] / math.exp(published.IPINYOU_LOG_PRICE[0]), 4),
        "multiple of reference", "published: iPinYou floor quartiles 5/40/80 fen, median price 57.1 fen",
        "median reserve price", ge=0.0, le=100.0,
    )  # fmt: skip
    floor_log_sd: float = field_of(
        1.0, "1", "derived: iPinYou upper floor quartile (ln(80/40)/0.674)", "sd of the log reserve",
        ge=0.0, le=3.0,
    )  # fmt: skip
    floor_share: float = field_of(
        0.639, "share", "published: iPinYou log 2259", "opportunities that carry a reserve", ge=0.0, le=1.0
    )

    @model_validator(mode="after")
    def _rising(self) -> Prices:
        inside("quantiles", self.quantiles, 1e-9, 1e9)
        if any(a > b for a, b in zip(self.quantiles, self.quantiles[1:], strict=False)):
            raise ValueError("quantiles must not fall")
        if self.family == "gamma" and self.shape < 0.05:
            raise ValueError(f"shape must be at least 0.05 for family gamma, and is {self.shape}")
        if self.quantiles[-1] > 1e6 * self.quantiles[0]:
            raise ValueError("quantiles must not span more than a factor of a million")
        return self


class Rival(Part):
    """A rival who bids: private values that are log-normal, opportunity by opportunity, and a strategy."""

    strategy: Literal["none", "truthful", "shading", "paced", "learning"] = field_of(
        "none", "profile", "assumed",
        "none; bids its value; a fixed share of it; a share that spends the budget evenly; a share that it "
        "learns from the prices it sees",
    )  # fmt: skip
    value: float = field_of(
        1.0, "multiple of reference", "assumed", "median of the private value", gt=0.0, le=1000.0
    )
    value_log_sd: float = field_of(0.6, "1", "assumed", "sd of the log of the private value", ge=0.01, le=3.0)
    shade: float = field_of(
        1.0, "share", "assumed", "bid over value, at the birth of the world", ge=0.05, le=1.0
    )
    budget_per_day: float = field_of(
        0.0, "currency", "assumed", "spend allowed in a day; 0 is no limit", ge=0.0, le=9e9
    )


class Rivals(Part):
    """Who bids against us: drawn prices, or up to four rivals who bid; and what their ads do to our users."""

    kind: Literal["drawn", "bidders"] = field_of(
        "drawn", "profile", "assumed", "prices drawn from `prices`, or made by the bidders below"
    )
    learning_rate: float = field_of(
        0.05, "log of shade a tick", "assumed", "step of the learning and pacing rivals", ge=0.0, le=1.0
    )
    share_of_voice: bool = field_of(True, "flag", "assumed", "orders are shared with rivals by attraction")
    standing: float = field_of(0.3, "awareness", "assumed", "a: our attraction without ads", gt=0.0, le=100.0)
    outside: float = field_of(
        0.3, "awareness", "assumed", "o: attraction of buying nothing", ge=0.0, le=100.0
    )
    power: float = field_of(1.0, "1", "assumed", "eta: exponent of attraction", gt=0.0, le=10.0)
    one: Rival = Field(default_factory=Rival)
    two: Rival = Field(default_factory=Rival)
    three: Rival = Field(default_factory=Rival)
    four: Rival = Field(default_factory=Rival)

    def in_order(self) -> tuple[Rival, ...]:
        """The four rivals."""
        return self.one, self.two, self.three, self.four

    @model_validator(mode="after")
    def _somebody(self) -> Rivals:
        if self.kind == "bidders" and all(rival.strategy == "none" for rival in self.in_order()):
            raise ValueError("kind is bidders and no rival has a strategy; give rivals.one.strategy at least")
        named = list(zip(("one", "two", "three", "four"), self.in_order(), strict=True))
        bidding = [name for name, rival in named if rival.strategy != "none"]
        if self.kind == "drawn" and bidding:
            raise ValueError(
                f"kind is drawn, so nobody plays the strategy of {', '.join(bidding)}; give rivals.kind "
                "bidders, or strategy none"
            )
        for name, rival in named:
            if rival.strategy == "paced" and rival.budget_per_day == 0.0:
                raise ValueError(f"{name} is paced and has no budget; give {name}.budget_per_day above 0")
        return self
