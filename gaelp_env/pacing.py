"""Budget pacing by the platform: one multiplier on all bids, moved at tick boundaries."""

from __future__ import annotations

import math

from numba import njit

LEAST = 0.05
"""The lowest multiplier; the highest is one: pacing never bids more than the advertiser asked."""


@njit(inline="always")
def paced(multiplier, behind, behind_tick, gain):  # type: ignore[no-untyped-def]
    """The multiplier of the next tick: m exp(g e), e = behind + behind_tick cut to [-1, 1], in [LEAST, 1].

    The first part of the error steers to the plan, the second one damps. Multiplicative pacing, bid = v /
    lambda, is the optimal form of a budgeted bidder in a second-price auction; source: Balseiro and Gur,
    Management Science 65(9), 2019.

    Args:
      multiplier: m.
      behind: (planned - spent) / budget, of the budget's period (episode or day) so far.
      behind_tick: 1 - spent / planned, of the tick that closes.
      gain: g > 0.
    """
    error = min(1.0, max(-1.0, behind + behind_tick))
    return min(1.0, max(LEAST, multiplier * math.exp(gain * error)))
