"""Rewards: named, pure functions of a tick's ledger and of the goals; in currency units or as they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.config import Goals
from gaelp_env.ledger import MICRO


def profit(ledger: Any, goals: Goals) -> float:
    """Margin of the orders falling due, less spend."""
    return float(ledger["margin_micro"] - ledger["spend_micro"].sum()) / MICRO


def accrued_profit(ledger: Any, goals: Goals) -> float:
    """Expected incremental margin of the ads seen, at the moment they were seen, less spend.

    Summed over time it is close to the expectation of the paired difference from the never-bidding
    twin (see prospect.py), with no delay and without the noise of orders that come anyway: for training.
    """
    return float(ledger["accrued_micro"] - ledger["spend_micro"].sum()) / MICRO


def attributed_profit(ledger: Any, goals: Goals) -> float:
    """Margin of the orders that last click credits to us, less spend: what reports say."""
    return float(ledger["attributed_micro"] - ledger["spend_micro"].sum()) / MICRO


def conversions(ledger: Any, goals: Goals) -> float:
    """How many orders fell due, ours or not."""
    return float(ledger["conversions"])


@njit(cache=True)
def penalty(reached, target):  # type: ignore[no-untyped-def]
    """AuctionNet's penalty for missing a constraint: min(1, (reached / target) ** 2), in [0, 1].

    Args:
      reached: how well the constraint is kept: target CPA over CPA, or ROAS; >= 0.
      target: what counts as kept, > 0.
    """
    return min(1.0, (reached / target) ** 2)


@njit(cache=True)
def cpa_score_of(orders, spend, target_cpa):  # type: ignore[no-untyped-def]
    """AuctionNet's score of an episode: min(1, (target CPA / CPA) ** 2) x orders; without spend, the orders.

    Source: AuctionNet (NeurIPS 2024), score of the auto-bidding competition.

    Args:
      orders: attributed.
      spend: currency.
      target_cpa: currency an order, > 0.
    """
    if spend <= 0.0:
        return float(orders)
    return penalty(target_cpa * orders / spend, 1.0) * orders


@njit(cache=True)
def roas_score_of(revenue, spend, target_roas):  # type: ignore[no-untyped-def]
    """The same for a return on ad spend: min(1, (ROAS / target) ** 2) x attributed revenue, currency."""
    if spend <= 0.0:
        return revenue
    return penalty(revenue / spend, target_roas) * revenue


def cpa_score(ledger: Any, goals: Goals) -> float:
    """What the tick adds to the episode's score at the target CPA, orders; an episode sums to it.

    An order counts in the episode in which it falls due, whichever episode's click brought it: orders fall
    due up to 30 days after they are decided, so an episode of a day that waited for its own would end long
    after the next ones have begun. Where policy and market stay as they are, as many orders of earlier
    clicks come in as go out to later episodes, and both ways of counting expect the same.
    """
    spend, before = _spends(ledger)
    orders = int(ledger["episode_attributed"])
    earlier = float(orders - int(ledger["attributed"]))
    return float(
        cpa_score_of(float(orders), spend, goals.target_cpa) - cpa_score_of(earlier, before, goals.target_cpa)
    )


def roas_score(ledger: Any, goals: Goals) -> float:
    """What the tick adds to the episode's score at the target ROAS, currency of attributed revenue.

    An order counts in the episode in which it falls due, as in `cpa_score`.
    """
    spend, before = _spends(ledger)
    revenue = int(ledger["episode_revenue_micro"])
    earlier = revenue - int(ledger["attributed_revenue_micro"])
    return float(
        roas_score_of(revenue / MICRO, spend, goals.target_roas)
        - roas_score_of(earlier / MICRO, before, goals.target_roas)
    )


def _spends(ledger: Any) -> tuple[float, float]:
    """Spend of the episode after and before the tick, currency."""
    after = int(ledger["episode_spend_micro"])
    return after / MICRO, (after - int(ledger["spend_micro"].sum())) / MICRO


REWARDS: dict[str, Callable[[Any, Goals], float]] = {
    "profit": profit,
    "accrued_profit": accrued_profit,
    "attributed_profit": attributed_profit,
    "conversions": conversions,
    "cpa_score": cpa_score,
    "roas_score": roas_score,
}
"""The rewards by name."""

_LESS_SPEND = {
    "profit": "margin_micro",
    "accrued_profit": "accrued_micro",
    "attributed_profit": "attributed_micro",
}
"""Rewards that are a figure of the ledger less spend."""


def rewards_of(name: str, ledgers: NDArray[Any], goals: Sequence[Goals]) -> NDArray[np.float64]:
    """The rewards of many markets: row by row what REWARDS[name] says, `[N]`.

    Args:
      ledgers: `[N]` of LEDGER.
      goals: of each market.
    """
    if name in _LESS_SPEND:
        micro = ledgers[_LESS_SPEND[name]] - ledgers["spend_micro"].sum(axis=1)
        return np.asarray(micro / MICRO, np.float64)
    reward = REWARDS[name]
    return np.array([reward(ledger, goal) for ledger, goal in zip(ledgers, goals, strict=True)], np.float64)
