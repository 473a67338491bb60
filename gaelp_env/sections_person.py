"""Sections of the configuration: what ads do to a person, their journey, and when they buy."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from gaelp_env import published
from gaelp_env.sections import Forward, Part, PerStage, field_of, inside


class Response(Part):
    """What an ad seen does to a person, and what absence undoes."""

    awareness_half_life_d: float = field_of(
        21.0,
        "days",
        "assumed; Leone 1995: 55 to 82 d, digital practice: at most 4 d",
        "awareness halves in",
        gt=0.0,
        le=36_500.0,
    )
    fatigue_half_life_d: float = field_of(
        7.0, "days", "assumed", "the remembered count of our ads halves in", gt=0.0, le=36_500.0
    )
    fatigue_by: Literal["campaign", "creative"] = field_of(
        "creative", "profile", "assumed", "what is counted apart: all our ads together, or each creative"
    )
    creatives: tuple[float, ...] = field_of(
        (1.0, 0.9), "share", "assumed", "quality of each creative", min_length=1, max_length=4
    )
    rotation: Literal["even", "sequential", "freshest"] = field_of(
        "even", "profile", "assumed", "which creative a user sees: at random, in turn, the least seen"
    )
    spacing_loss: float = field_of(
        0.0, "share", "assumed; Sahni 2015 finds the effect", "rho: effect lost right after another ad",
        ge=0.0, le=1.0,
    )  # fmt: skip
    spacing_h: float = field_of(24.0, "hours", "assumed", "tau of the spacing effect", gt=0.0, le=10_000.0)
    adstock_click: float = field_of(
        0.0, "share", "assumed", "what a saturated adstock adds to a channel's click rate", ge=0.0, le=100.0
    )
    adstock_visit: float = field_of(
        0.5,
        "share",
        "assumed",
        "what a saturated adstock, all channels, adds to unasked visits",
        ge=0.0,
        le=100.0,
    )
    adstock_half: float = field_of(
        1.56,
        "ads",
        "published: AMSS, EC50 of its TV example",
        "K: adstock at half saturation",
        gt=0.0,
        le=1e4,
    )
    adstock_slope: float = field_of(
        1.0, "1", "published: AMSS", "s of the adstock's saturation", ge=0.5, le=10.0
    )
    frequency_gain: float = field_of(
        0.5, "share", "assumed", "what a saturated frequency adds to the buy rate", ge=0.0, le=100.0
    )
    frequency_half: float = field_of(
        8.0, "ads", "derived: Rocket Fuel, K = 50 exposures in a campaign, as a decayed stock",
        "K: adstock of all channels at half of the frequency effect", gt=0.0, le=1e4,
    )  # fmt: skip
    frequency_slope: float = field_of(
        3.0, "1", "published: Rocket Fuel, S-shaped, 2 to 6", "s of the frequency effect", ge=0.5, le=10.0
    )
    intent_half_life_d: float = field_of(
        1.88, "days", "derived: Sahni-Narayanan-Kalyanam 2019", "intent halves in", gt=0.0, le=36_500.0
    )
    intent_base: float = field_of(
        0.0, "1", "assumed", "the level that intent goes back to; newborns begin there", ge=0.0, le=1.0
    )
    intent_per_visit: float = field_of(
        0.3, "share of the part missing to 1", "assumed", "intent gained by a visit", ge=0.0, le=1.0
    )
    intent_per_view: float = field_of(
        0.1, "share of the part missing to 1", "assumed", "intent gained by a product view", ge=0.0, le=1.0
    )
    intent_per_cart: float = field_of(
        0.2, "share of the part missing to 1", "assumed", "intent gained by a cart", ge=0.0, le=1.0
    )
    click_by_hour: Literal["ipinyou", "flat"] = field_of(
        "ipinyou", "profile", "published: iPinYou clicks by hour", "click rate by hour of day"
    )
    creative_quality: tuple[float, ...] = field_of(
        (1.0,), "share", "assumed", "quality at a user's 1st, 2nd … touch; the last value stays",
        min_length=1, max_length=64,
    )  # fmt: skip

    @model_validator(mode="after")
    def _qualities(self) -> Response:
        for name in ("creative_quality", "creatives"):
            inside(name, getattr(self, name), 0.0, 1.0)
        if self.rotation == "freshest" and self.fatigue_by == "campaign":
            raise ValueError(
                "rotation is freshest and fatigue_by is campaign, which counts no creative apart; give "
                "fatigue_by creative, or rotation even or sequential"
            )
        return self


class Journey(Part):
    """How a person moves between stages: forward by events, backward by clocks."""

    forward_base: tuple[float, float, float] = field_of(
        (-1.5, -2.8, -2.8), "logit", "assumed",
        "alpha: UNAWARE->AWARE, AWARE->CONSIDERING, CONSIDERING->INTENT at an event",
    )  # fmt: skip
    awareness_push: Forward = field_of(
        (2.0, 2.0, 2.0), "logit per unit", "assumed", "gamma: weight of awareness, by step"
    )
    awareness_half: float | None = field_of(
        None, "awareness", "assumed", "if given, the weight is on A ** s / (K ** s + A ** s), and this is K",
        gt=0.0, le=1.0,
    )  # fmt: skip
    awareness_slope: float = field_of(1.0, "1", "assumed", "s of that saturation", ge=0.5, le=10.0)
    visit_push: Forward = field_of(
        (2.0, 2.0, 2.0), "logit", "assumed", "eta: weight of a visit to the site, by step"
    )
    intent_push: Forward = field_of(
        (1.0, 1.0, 1.0), "logit per unit", "assumed", "zeta: weight of intent, by step"
    )
    awareness_intent_push: float = field_of(
        0.5, "logit per unit squared", "assumed; Sahni-Narayanan-Kalyanam 2019 find complements",
        "weight of awareness x intent", ge=-20.0, le=20.0,
    )  # fmt: skip
    forward_probability: float | None = field_of(
        None, "probability", "assumed", "if given, replaces the logit at every event", ge=0.0, le=1.0
    )
    backward_half_life_d: tuple[float, float, float, float] = field_of(
        (21.0, 7.0, 1.88, 30.0), "days", "assumed; INTENT derived: Sahni-Narayanan-Kalyanam 2019",
        "half-life of AWARE, CONSIDERING, INTENT (one stage back) and CONVERTED (back to AWARE)",
    )  # fmt: skip

    @model_validator(mode="after")
    def _positive(self) -> Journey:
        for name in ("awareness_push", "visit_push", "intent_push"):
            inside(name, getattr(self, name), -20.0, 20.0)
        if min(self.backward_half_life_d) <= 0.0:
            raise ValueError(f"backward_half_life_d must be > 0 and is {self.backward_half_life_d}")
        return self


class Visits(Part):
    """When people come to our site by themselves, when they come back, and how deep a visit goes."""

    return_probability: PerStage = field_of(
        (0.05, 0.07, 0.10, 0.15, 0.30), "probability", "assumed (GA4: 9.3 % of non-buyers within 14 days)",
        "a session is followed by another one, by stage", min_length=5, max_length=5,
    )  # fmt: skip
    return_buyer: float = field_of(
        0.30, "probability", "assumed (GA4: 36.2 % of first-day buyers within 14 days)",
        "the same for a person who has decided an order", ge=0.0, le=0.95,
    )  # fmt: skip
    return_propensity: float = field_of(
        0.0, "1", "assumed", "the odds of a return are those times a user's propensity to this power",
        ge=0.0, le=5.0,
    )  # fmt: skip
    same_day_share: float = field_of(
        0.3, "share", "assumed", "returns that come on the same day", ge=0.0, le=1.0
    )
    same_day_h: float = field_of(6.0, "hours", "assumed", "mean gap of those", gt=0.0, le=1000.0)
    gap_days: float = field_of(6.0, "days", "assumed", "mean gap of the others", gt=0.0, le=1000.0)
    source_shares: tuple[float, float, float, float] = field_of(
        published.GA4_UNPAID_SOURCE_SHARES, "share", "published: GA4 public sample, less paid search",
        "source of an unasked visit: organic, direct, unknown, referral",
    )  # fmt: skip
    source_again: float = field_of(
        0.5, "probability", "assumed", "an unasked return comes by the source of the person's first visit",
        ge=0.0, le=1.0,
    )  # fmt: skip
    cart_rate: float = field_of(
        published.GA4_FUNNEL[0], "probability", "published: GA4 public sample",
        "a product view leads to a cart", gt=0.0, le=1.0,
    )  # fmt: skip
    checkout_rate: float = field_of(
        published.GA4_FUNNEL[1], "probability", "published: GA4 public sample", "a cart leads to a checkout",
        gt=0.0, le=1.0,
    )  # fmt: skip
    order_rate: float = field_of(
        published.GA4_FUNNEL[2], "probability", "published: GA4 public sample",
        "a checkout leads to an order", gt=0.0, le=1.0,
    )  # fmt: skip

    @property
    def most_returns_per_day(self) -> float:
        """The rate at which those likeliest to come back do, right after a visit, when it is highest, 1/day.

            24 r (w / a + (1 - w) / b)   (sessions.return_rate at gap 0)

        Returns: >= 0; 0 if nobody ever comes back.
        """
        likeliest = max(*self.return_probability, self.return_buyer)
        soon = 24.0 * self.same_day_share / self.same_day_h
        return likeliest * (soon + (1.0 - self.same_day_share) / self.gap_days)

    @model_validator(mode="after")
    def _laws(self) -> Visits:
        inside("return_probability", self.return_probability, 0.0, 0.95)
        if min(self.source_shares) < 0.0 or abs(sum(self.source_shares) - 1.0) > 1e-6:
            raise ValueError(f"source_shares must be >= 0 and sum to 1, and are {self.source_shares}")
        return self


class Conversion(Part):
    """When people buy, what it is worth, and how late it shows."""

    visit_rate: PerStage = field_of(
        (0.01, 0.04, 0.12, 0.25, 0.06), "probability", "assumed",
        "a visit candidate becomes a visit, by stage, returns apart", min_length=5, max_length=5,
    )  # fmt: skip
    buy_rate: PerStage = field_of(
        (0.006, 0.020, 0.050, 0.120, 0.020), "probability", "assumed (GA4: 1.29 % a session, 1.19 to 6.18 %)",
        "a visit ends in an order, by stage, at zero intent", min_length=5, max_length=5,
    )  # fmt: skip
    device_buy: tuple[float, float, float] = field_of(
        published.GA4_DEVICE_BUY, "multiple of the rate", "derived: GA4, orders a session by device",
        "buy rate by device: desktop, mobile, tablet",
    )  # fmt: skip
    device_click: tuple[float, float, float] = field_of(
        (1.0, 1.0, 1.0), "multiple of the rate", "assumed", "click rate by device: desktop, mobile, tablet"
    )
    intent_boost: float = field_of(
        1.5, "1", "assumed", "buy rate is multiplied by 1 + intent_boost * intent", ge=0.0, le=100.0
    )
    order_value: float = field_of(
        published.GA4_ORDER_VALUE, "currency", "published: GA4 public sample", "mean order", gt=0.0, le=1e6
    )
    order_log_sd: float = field_of(0.6, "1", "assumed", "sd of the log of an order's value", ge=0.0, le=3.0)
    margin: float = field_of(0.5, "share", "assumed", "part of an order that is ours to keep", ge=0.0, le=1.0)
    attribution_window_d: float = field_of(
        30.0, "days", "published: GA4 acquisition default", "last click within this time gets the order",
        gt=0.0, le=365.0,
    )  # fmt: skip
    delay_weights: tuple[float, float, float] = field_of(
        published.DELAY_WEIGHTS, "share", "derived: Chapelle, KDD 2014", "mixture of conversion delays"
    )
    delay_means_h: tuple[float, float, float] = field_of(
        published.DELAY_MEANS_H, "hours", "derived: Chapelle, KDD 2014", "means of the mixture"
    )
    delay_max_h: float = field_of(
        720.0, "hours", "published: Chapelle, KDD 2014", "delays are truncated here", gt=0.0, le=10_000.0
    )

    @model_validator(mode="after")
    def _laws(self) -> Conversion:
        for name in ("visit_rate", "buy_rate"):
            inside(name, getattr(self, name), 0.0, 1.0)
        for name in ("device_buy", "device_click"):
            inside(name, getattr(self, name), 0.0, 10.0)
        if min(self.delay_weights) < 0.0 or abs(sum(self.delay_weights) - 1.0) > 1e-6:
            raise ValueError(f"delay_weights must be >= 0 and sum to 1, and are {self.delay_weights}")
        if min(self.delay_means_h) <= 0.0:
            raise ValueError(f"delay_means_h must be > 0 and are {self.delay_means_h}")
        return self
