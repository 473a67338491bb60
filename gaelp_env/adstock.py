"""Adstock: the short-run stock of a channel's ads, and how a stock saturates."""

from __future__ import annotations

from numba import njit

from gaelp_env.exponentials import exponential
from gaelp_env.logarithms import logarithm


@njit(inline="always")
def hill(stock, half, slope):  # type: ignore[no-untyped-def]
    """Saturation of a stock: h(E) = E**s / (K**s + E**s).

    Concave for s <= 1, S-shaped for s > 1. Sources: AMSS default EC50 = 1.56, slope 1 (google/amss
    vignette); an S of slope 2 to 6 in a placebo experiment (Rocket Fuel, 588,101 users).

    Args:
      stock: E >= 0.
      half: K > 0, the stock at which h = 1/2.
      slope: s > 0.
    Returns: in [0, 1), 0 at E = 0, rising in E.
    """
    if stock <= 0.0:
        return 0.0
    if slope == 1.0:
        return stock / (half + stock)
    return 1.0 / (1.0 + exponential(slope * logarithm(half / stock)))


@njit(inline="always")
def gained(probability, gain, stock, half, slope):  # type: ignore[no-untyped-def]
    """A probability that a stock raises: p (1 + g h(E)), at most 1.

    Args:
      probability: p in [0, 1].
      gain: g >= 0, what a stock without end adds, as a share of p.
      stock, half, slope: as in `hill`.
    """
    if gain == 0.0:
        return probability
    return min(1.0, probability * (1.0 + gain * hill(stock, half, slope)))
