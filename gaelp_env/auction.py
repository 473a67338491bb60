"""One opportunity, one auction: do we win it, and what does it cost?

Rivals' highest price is log-normal around the channel's reference (shape: iPinYou, 15.4 M prices);
a reserve is log-normal too and is there for a share of the opportunities. Both are compared as
quantiles: a lost auction then costs two comparisons and no exponential.
"""

from __future__ import annotations

import math

from numba import njit

from gaelp_env.chance import normal_quantile
from gaelp_env.exponentials import exponential

SECOND, FIRST, OWNED, GSP = 0, 1, 2, 3
RULES = {"second": SECOND, "first": FIRST, "gsp": GSP, "owned": OWNED}


@njit(cache=True)
def quantile_of(bid, median, log_sd):  # type: ignore[no-untyped-def]
    """The probability that a log-normal price is at most `bid`: Phi(ln(bid / median) / log_sd).

    Args:
      bid, median: CPM, > 0 (a bid or a median of 0 is allowed: nothing beats a price of 0 but a bid).
      log_sd: >= 0; 0 is a posted price.
    Returns: in [0, 1]; raising the bid never lowers it.
    """
    if bid <= 0.0:
        return 0.0
    if median <= 0.0:
        return 1.0
    if log_sd == 0.0:
        return 1.0 if bid >= median else 0.0
    return 0.5 * math.erfc(-math.log(bid / median) / (log_sd * math.sqrt(2.0)))


@njit(cache=True)
def pressure_after(pressure, u, log_sd, elapsed_h, half_life_h):  # type: ignore[no-untyped-def]
    """Rivals' pressure a while later: an Ornstein-Uhlenbeck step that keeps its spread.

        x' = r x + sqrt(1 - r**2) sd z(u),   r = 2 ** (-d / h)

    Args:
      pressure: log of the price level, mean zero.
      u: uniform in (0, 1).
      log_sd: its long-run sd, >= 0.
      elapsed_h, half_life_h: d >= 0 and h > 0.
    """
    keep = 2.0 ** (-elapsed_h / half_life_h)
    return keep * pressure + math.sqrt(1.0 - keep * keep) * log_sd * normal_quantile(u)


@njit(inline="always")
def price_at(u, median, log_sd):  # type: ignore[no-untyped-def]
    """The log-normal price at quantile u: median * exp(log_sd * z(u)), CPM."""
    return median * exponential(log_sd * normal_quantile(u))


@njit(inline="always")
def wins(u_price, u_has_floor, u_floor, beats_rivals, beats_floor, floor_share):  # type: ignore[no-untyped-def]
    """Whether a bid beats the rivals' highest price and the reserve, if there is one.

    Args:
      u_price, u_has_floor, u_floor: the opportunity's uniforms.
      beats_rivals, beats_floor: `quantile_of` our bid among rivals' prices and among reserves.
      floor_share: share of opportunities that carry a reserve.
    """
    return u_price <= beats_rivals and (u_has_floor >= floor_share or u_floor <= beats_floor)


@njit(inline="always")
def payment(rule, bid, rival, floor):  # type: ignore[no-untyped-def]
    """What the winner pays, CPM: the higher of rival price and reserve, or the own bid.

        second price: max(rival, floor)     first price: bid

    Invariants: floor <= payment <= bid for a winning bid.
    """
    if rule == FIRST:
        return bid
    return min(bid, max(rival, floor))


@njit(inline="always")
def micro(cpm):  # type: ignore[no-untyped-def]
    """The price of one impression in int64 micro-units: cpm / 1,000 x 1,000,000, rounded."""
    return int(math.floor(cpm * 1000.0 + 0.5))
