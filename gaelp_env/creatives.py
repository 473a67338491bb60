"""Which creative is shown, and which count of earlier exposures wears it."""

from __future__ import annotations

import math

from numba import njit

from gaelp_env.exponentials import exponential

EVEN, SEQUENTIAL, FRESHEST = 0, 1, 2
ROTATIONS = {"even": EVEN, "sequential": SEQUENTIAL, "freshest": FRESHEST}
MOST = 4
"""The most creatives that a user's record counts apart."""


@njit(inline="always")
def creative_of(rotation, count, touches, fatigue, u):  # type: ignore[no-untyped-def]
    """The creative that a user sees: at random, in turn, or the one that they are least tired of.

    Source of the last: Braun and Moe, Marketing Science 32(5), 2013 (rotating by history: +12.7 % visits).

    Args:
      rotation: EVEN, SEQUENTIAL or FRESHEST.
      count: how many creatives there are, 1 … MOST.
      touches: ads that the user has seen.
      fatigue: `[MOST]` remembered count of each.
      u: uniform in (0, 1), of EVEN.
    Returns: 0 … count - 1; ties go to the first.
    """
    if count == 1:
        return 0
    if rotation == SEQUENTIAL:
        return touches % count
    if rotation == EVEN:
        return min(count - 1, int(math.floor(u * count)))
    best = 0
    for k in range(1, count):
        if fatigue[k] < fatigue[best]:
            best = k
    return best


@njit(inline="always")
def spaced(gap_h, loss, span_h):  # type: ignore[no-untyped-def]
    """The share of an ad's effect that spacing leaves: 1 - rho exp(-gap / tau).

    Massed ads teach less than spaced ones. Source: Sahni, Quantitative Marketing and Economics 13(3),
    2015, finds the effect; rho and tau are assumed.

    Args:
      gap_h: hours since the user's last ad of ours, >= 0.
      loss: rho in [0, 1].
      span_h: tau > 0.
    """
    return 1.0 - loss * exponential(-gap_h / span_h)
