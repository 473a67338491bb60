"""Rewards: named, pure functions of a tick's ledger, in currency units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gaelp_env.ledger import MICRO


def profit(ledger: Any) -> float:
    """Margin of the orders falling due, less spend."""
    return float(ledger["margin_micro"] - ledger["spend_micro"].sum()) / MICRO


def accrued_profit(ledger: Any) -> float:
    """Expected incremental margin of the ads seen, at the moment they were seen, less spend.

    Summed over time it is close to the expectation of the paired difference from the never-bidding
    twin (see prospect.py), with no delay and without the noise of orders that come anyway: for training.
    """
    return float(ledger["accrued_micro"] - ledger["spend_micro"].sum()) / MICRO


def attributed_profit(ledger: Any) -> float:
    """Margin of the orders that last click credits to us, less spend: what reports say."""
    return float(ledger["attributed_micro"] - ledger["spend_micro"].sum()) / MICRO


def conversions(ledger: Any) -> float:
    """How many orders fell due, ours or not."""
    return float(ledger["conversions"])


REWARDS: dict[str, Callable[[Any], float]] = {
    "profit": profit,
    "accrued_profit": accrued_profit,
    "attributed_profit": attributed_profit,
    "conversions": conversions,
}
"""The rewards by name."""
