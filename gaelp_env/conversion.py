"""When people buy, for how much, and how late it shows."""

from __future__ import annotations

import math

from numba import njit

from gaelp_env.chance import normal_quantile


@njit(inline="always")
def buy_probability(rate, propensity, intent, intent_boost, weight=1.0):  # type: ignore[no-untyped-def]
    """The probability that a visit ends in an order: rate[stage] * propensity * (1 + c * I) * w, at most 1.

    Source: levels from the GA4 public sample, 1.19 % (new) to 6.18 % (returning) a user-week.

    Args:
      rate: at zero intent, by stage.
      propensity: of the user, mean one over people.
      intent: in [0, 1].
      intent_boost: c >= 0.
      weight: w >= 0, of the device, the frequency and the share of voice.
    """
    return min(1.0, rate * propensity * (1.0 + intent_boost * intent) * weight)


@njit(inline="always")
def order_value(u, mean, log_sd):  # type: ignore[no-untyped-def]
    """A log-normal order of the given mean: mean * exp(sd * z(u) - sd**2 / 2), currency units."""
    return mean * math.exp(log_sd * normal_quantile(u) - 0.5 * log_sd * log_sd)


@njit(inline="always")
def delay_h(u_part, u_within, weight_0, weight_1, mean_0, mean_1, mean_2, longest_h):  # type: ignore[no-untyped-def]
    """Hours from the decision to the order: a mixture of three exponentials, truncated.

        F(d) = sum_i w_i (1 - exp(-d / m_i)) / (1 - exp(-D / m_i)),   0 <= d <= D

    Source: hyper-exponential fit to Chapelle, KDD 2014 (35 % in 1 h, 50 % in 24 h, 87 % in 14 d of
    the 30-day total).

    Args:
      u_part, u_within: uniforms in (0, 1).
      weight_0, weight_1: shares of the first two parts among delays up to D (constants.delay_shares);
        the third has the rest.
      mean_0, mean_1, mean_2: hours.
      longest_h: D.
    Returns: in [0, longest_h].
    """
    mean = mean_2
    if u_part < weight_0:
        mean = mean_0
    elif u_part < weight_0 + weight_1:
        mean = mean_1
    return -mean * math.log1p(-u_within * (1.0 - math.exp(-longest_h / mean)))
