"""Sections of the configuration: the clock, the people, and what may be spent on them."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from gaelp_env import published
from gaelp_env.sections import Part, field_of


class Clock(Part):
    """How simulated time runs."""

    tick_minutes: float = field_of(30.0, "minutes", "assumed", "length of a tick", ge=1e-3, le=120.0)
    episode_ticks: int = field_of(48, "ticks", "assumed", "length of an episode", ge=1, le=100_000)
    epoch: str = field_of(
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


class People(Part):
    """Who lives in the market, and how often they can be met."""

    users: int = field_of(9_000, "users", "assumed", "people at the birth of the world", ge=1, le=100_000_000)
    stay_days: float = field_of(
        45.0, "days", "assumed", "mean time a person stays in the market; leavers are replaced by births",
        gt=0.0, le=36_500.0,
    )  # fmt: skip
    media_per_day: float = field_of(
        3.0, "1/day", "assumed", "mean media candidates of a user", ge=0.0, le=200.0
    )
    media_log_sd: float = field_of(
        published.ROCKET_FUEL_LOG_SD, "1", "derived: Rocket Fuel PSA experiment, 588,101 users",
        "spread of the log of a user's media rate", ge=0.0, le=3.0,
    )  # fmt: skip
    visits_per_day: float = field_of(
        0.5, "1/day", "assumed", "moments a day at which a user might visit our site unasked", ge=0.0, le=50.0
    )
    propensity_log_sd: float = field_of(
        0.5, "1", "assumed", "spread of the log of a user's propensity to buy (mean one)", ge=0.0, le=3.0
    )
    traffic: Literal["avito", "auctionnet", "flat"] = field_of(
        "avito", "profile", "published: Avito BAT; AuctionNet", "hour-of-day profile of candidates"
    )
    weekdays: Literal["ga4", "avito", "flat"] = field_of(
        "ga4", "profile", "published: GA4 public sample; Avito BAT", "day-of-week profile of candidates"
    )
    device_shares: tuple[float, float, float] = field_of(
        published.GA4_DEVICE_SHARES, "share", "published: GA4 public sample", "desktop, mobile, tablet"
    )
    device_redraw: float = field_of(
        0.20, "probability", "derived: Criteo, 31 % of orders on several devices at 3.5 sessions",
        "a session's device is drawn from the shares and not the person's own", ge=0.0, le=1.0,
    )  # fmt: skip
    inactivity_days: float = field_of(
        14.0, "days", "published: the 14-day rule",
        "a journey closes after so long without a touch or a visit", gt=0.0, le=36_500.0,
    )  # fmt: skip

    @model_validator(mode="after")
    def _shares(self) -> People:
        if min(self.device_shares) < 0.0 or abs(sum(self.device_shares) - 1.0) > 1e-6:
            raise ValueError(f"device_shares must be >= 0 and sum to 1, and are {self.device_shares}")
        return self


class Budget(Part):
    """What may be spent, and how the platform delivers it."""

    per_episode: float = field_of(350.0, "currency", "assumed", "spend allowed in an episode", ge=0.0, le=9e9)
    per_day: float | None = field_of(
        None, "currency", "assumed", "spend allowed in a calendar day (UTC)", ge=0.0, le=9e9
    )
    lifetime: float | None = field_of(
        None, "currency", "assumed", "spend allowed since the birth of the world; it has no period, so it "
        "ends all bidding when it is gone, and is not paced", ge=0.0, le=9e9,
    )  # fmt: skip
    pacing: Literal["none", "even"] = field_of(
        "none", "profile", "assumed", "even: a multiplier on all bids makes spend follow the traffic of the "
        "episode and of the day (UTC), by the budget that is most ahead of its plan",
    )  # fmt: skip
    pacing_gain: float = field_of(0.5, "1", "assumed", "how fast the multiplier moves", gt=0.0, le=100.0)
    frequency_cap: int = field_of(
        0,
        "ads",
        "assumed",
        "ads of ours that a user sees within the window, at most; 0 is no cap",
        ge=0,
        le=8,
    )
    frequency_window_h: float = field_of(24.0, "hours", "assumed", "window of the cap", gt=0.0, le=100_000.0)


class Goals(Part):
    """What the constrained rewards aim at."""

    target_cpa: float = field_of(
        12.0, "currency", "assumed", "cost per attributed order to stay below", gt=0.0, le=1e9
    )
    target_roas: float = field_of(
        3.0, "1", "assumed", "attributed order value per unit of spend to reach", gt=0.0, le=1e6
    )
