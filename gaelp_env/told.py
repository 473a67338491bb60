"""What a step tells beside observation and reward: the tick's figures, of one market or of many."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.ledger import LEDGER, MICRO, RECORD, K

_COUNTS = (
    "tick", "stopped", "opportunities", "wins", "views", "clicks", "capped", "rival_views", "visits",
    "conversions", "attributed", "episode_attributed",
)  # fmt: skip
"""Figures of the ledger that are told under their own names, summed over the channels."""
_MONEY = {
    "spend": "spend_micro", "margin": "margin_micro", "attributed_margin": "attributed_micro",
    "episode_spend": "episode_spend_micro", "accrued": "accrued_micro",
}  # fmt: skip
"""Name of an amount in currency -> its figure in micro-units, summed over the channels."""
BEGUN = ("tick", "episode_number", "budget_left")
"""What a reset tells."""

_FIELDS = LEDGER.names or ()
_STARTS = np.array([LEDGER.fields[name][1] // 8 for name in _FIELDS]) if LEDGER.fields else np.zeros(0, int)
_WORDS = LEDGER.itemsize // 8
_LAST = RECORD.fields["last"][1] // 8 if RECORD.fields else 0
_COUNT_ROWS = [_FIELDS.index(name) for name in _COUNTS]
_MONEY_ROWS = [_FIELDS.index(name) for name in _MONEY.values()]
_SLICES = {
    name: slice(start, start + LEDGER[name].itemsize // 8)
    for name, start in zip(_FIELDS, _STARTS.tolist(), strict=True)
}
_NO_LIMIT = 2**62


def tell(
    ledger: Any, bids: NDArray[np.float64], episode_number: int, budget_left: float
) -> dict[str, int | float]:
    """The figures of one tick, as Python scalars.

    Args:
      ledger: one LEDGER record.
      bids: that were meant, `[5]` or `[5, A]` CPM.
      episode_number: of the open episode, 1 …
      budget_left: currency.
    """
    figures: list[int] = np.frombuffer(ledger.tobytes(), np.int64).tolist()
    told: dict[str, int | float] = {name: sum(figures[_SLICES[name]]) for name in _COUNTS}
    told |= {name: sum(figures[_SLICES[micro]]) / MICRO for name, micro in _MONEY.items()}
    told["episode_number"], told["budget_left"] = episode_number, budget_left
    told["profit"] = told["margin"] - told["spend"]
    for channel, bid in zip(CHANNELS, bids.reshape(K, -1).max(axis=1).tolist(), strict=True):
        told[f"bid_{channel}"] = bid
    return told


def tell_all(
    records: NDArray[Any], bids: NDArray[np.float64], limits: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """The figures of the last tick of many markets: row by row what `tell` says, in fresh memory.

    Args:
      records: `[N]` of RECORD, contiguous, after the tick and before the episode ends.
      bids: `[N, 5]` or `[N, 5, A]` CPM.
      limits: `[N, 3]` of `limits_of`.
    Returns: name -> `[N]` of int64 or float64.
    """
    count = len(records)
    ledgers = records.view(np.int64).reshape(count, -1)[:, _LAST : _LAST + _WORDS]
    totals = np.add.reduceat(ledgers, _STARTS, axis=1).T
    told: dict[str, NDArray[Any]] = dict(zip(_COUNTS, totals[_COUNT_ROWS], strict=True))
    told |= zip(_MONEY, totals[_MONEY_ROWS] / MICRO, strict=True)
    told |= tell_begun(records, limits) | {"tick": told["tick"]}
    told["profit"] = told["margin"] - told["spend"]
    dearest = np.ascontiguousarray(bids.reshape(count, K, -1).max(axis=2).T)
    told |= zip([f"bid_{channel}" for channel in CHANNELS], dearest, strict=True)
    return told


def tell_begun(records: NDArray[Any], limits: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """What a reset tells of many markets: BEGUN -> `[N]`; arguments as `tell_all`."""
    spent = np.stack([records["spent_micro"], records["day_spent_micro"], records["spend_micro"]], axis=1)
    return {
        "tick": records["tick"].copy(),
        "episode_number": records["episode"] + 1,
        "budget_left": (limits - spent).min(axis=1) / MICRO,
    }


@lru_cache(maxsize=64)
def limits_of(config: MarketConfig) -> NDArray[np.int64]:
    """The budgets of the episode, the day and the world's life, `[3]` micro-units (never change them)."""
    budget = config.budget
    limits = (budget.per_episode, budget.per_day, budget.lifetime)
    return np.array([_NO_LIMIT if limit is None else round(limit * MICRO) for limit in limits], np.int64)
