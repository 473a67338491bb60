"""The generalised second price: several slots, quality scores, pay per click, position effects.

Rank is by score = bid x quality. The rivals' scores are the order statistics of n draws whose highest has
the distribution H, drawn one after the other as quantiles of H:

    W_1 = u_1,    W_j = W_(j-1) * u_j ** (n / (n - j + 1))

so a slot is found without a price, and only the price that is paid is computed. Sources: Edelman,
Ostrovsky, Schwarz, American Economic Review 97(1), 2007; slots and cascade: AuctionNet `BiddingEnv.py`.
"""

from __future__ import annotations

from numba import njit

from gaelp_env.exponentials import exponential
from gaelp_env.logarithms import logarithm

MOST = 4
"""The most slots that an auction has."""


@njit(inline="always")
def next_quantile(above, u, rivals, place):  # type: ignore[no-untyped-def]
    """Quantile, in H, of the rivals' `place`-th highest score, given that of the one above.

    Args:
      above: W of the one above, in (0, 1).
      u: uniform in (0, 1).
      rivals: n >= 1.
      place: 2 … n; beyond n there is nobody: 0.
    Returns: in [0, above].
    """
    if place > rivals:
        return 0.0
    return above * exponential(logarithm(u) * rivals / (rivals - place + 1))


@njit(inline="always")
def price_of_slot(bid, next_price, quality, floor):  # type: ignore[no-untyped-def]
    """What a slot costs, in the units of the bid: max(next score / our quality, reserve), at most the bid.

    CPC_i = max(b_(i+1) q_(i+1) / q_i, r).

    Args:
      bid, floor: of ours; the reserve.
      next_price: score of the rival below us.
      quality: our quality, > 0.
    """
    return min(bid, max(next_price / quality, floor))


@njit(inline="always")
def seen_share(slot, shown):  # type: ignore[no-untyped-def]
    """Probability that slot 0, 1, … is exposed: the product of `shown` down to it (cascade).

    A slot is hidden when the one above it is.

    Args:
      shown: `[MOST]` exposure of each slot, given that the one above was exposed.
    """
    share = 1.0
    for k in range(slot + 1):
        share *= shown[k]
    return share


@njit(inline="always")
def with_soft_floor(price, bid, soft_floor):  # type: ignore[no-untyped-def]
    """Below a soft floor the auction is first price: the winner pays the own bid.

    Args:
      price: by the auction's rule.
      soft_floor: 0 for none.
    """
    return bid if bid < soft_floor else price


@njit(inline="always")
def cost_per_click(price_cpm, predicted_click_rate):  # type: ignore[no-untyped-def]
    """The charge at a click, currency: CPM price / (1,000 x predicted click rate)."""
    return price_cpm / (1000.0 * predicted_click_rate)
