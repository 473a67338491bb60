"""Visits to our site: unasked ones, returns after a session, their source, and when a journey closes.

A visit candidate is a Poisson moment at the user's highest rate. Whether it becomes a visit compares a
uniform with the present intensity over that rate, so that no policy changes who could have come.
"""

from __future__ import annotations

import math

from numba import njit

ORGANIC, DIRECT, UNKNOWN, REFERRAL, PAID = 0, 1, 2, 3, 4
SOURCES = ("organic", "direct", "unknown", "referral", "paid")
"""Where a visit comes from; `paid` is a click on an ad of ours."""
NO_SOURCE = 255
"""Of a person who has never visited."""


@njit(inline="always")
def return_rate(gap_h, probability, same_day_share, same_day_h, gap_mean_h):  # type: ignore[no-untyped-def]
    """Hazard of a return, per hour, g hours after the last session.

        f(g) = r (w / a exp(-g/a) + (1 - w) / b exp(-g/b)),   S(g) = 1 - integral of f,   h = f / S

    A session is followed by another one with probability r; the gap is a mixture of returns on the same
    day and exponential ones. Calibrated to the GA4 public sample (9.3 % of non-buyers and 36.2 % of
    first-day buyers return within 14 days).

    Args:
      gap_h: g >= 0.
      probability: r in [0, 1).
      same_day_share: w in [0, 1].
      same_day_h, gap_mean_h: a and b, mean gaps, > 0.
    Returns: >= 0; integrates to -ln(1 - r).
    """
    if probability <= 0.0:
        return 0.0
    soon, late = math.exp(-gap_h / same_day_h), math.exp(-gap_h / gap_mean_h)
    density = same_day_share / same_day_h * soon + (1.0 - same_day_share) / gap_mean_h * late
    gone = 1.0 - (same_day_share * soon + (1.0 - same_day_share) * late)
    return probability * density / (1.0 - probability * gone)


@njit(inline="always")
def return_chance(probability, propensity, power):  # type: ignore[no-untyped-def]
    """The probability of a return of one user: odds times propensity ** power.

        r' = r p^g / (1 - r + r p^g)

    People who buy more readily come back more readily too, so a few make long paths; assumed.

    Args:
      probability: r in [0, 1), of a user of propensity one.
      propensity: p > 0.
      power: g >= 0; 0 leaves r as it is.
    Returns: in [0, 1).
    """
    if power == 0.0:
        return probability
    weight = math.exp(power * math.log(propensity))
    return probability * weight / (1.0 - probability + probability * weight)


@njit(inline="always")
def source_of(u, up_to):  # type: ignore[no-untyped-def]
    """The source of an unasked visit, by the cumulated shares of organic, direct, unknown, referral."""
    source = 0
    while source < REFERRAL and u >= up_to[source]:
        source += 1
    return source


@njit(inline="always")
def journey_is_over(idle_h, inactivity_h):  # type: ignore[no-untyped-def]
    """Whether a journey has closed: no touch and no visit for longer than the inactivity rule allows.

    The journey closes, the person stays: awareness, fatigue and rates go on. Source: the 14-day rule.
    """
    return idle_h > inactivity_h
