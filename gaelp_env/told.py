"""What a step tells beside observation and reward: the tick's figures, of one market or of many."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
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


def _word(name: str, dtype: np.dtype[Any] = RECORD) -> int:
    """Which word of a record a field begins with."""
    assert dtype.fields is not None
    return int(dtype.fields[name][1]) // 8


_FIELDS = LEDGER.names or ()
_STARTS = np.array([_word(name, LEDGER) for name in _FIELDS])
_ENDS = np.append(_STARTS, LEDGER.itemsize // 8) + _word("last")
_COUNT_ROWS = np.array([_FIELDS.index(name) for name in _COUNTS])
_MONEY_ROWS = np.array([_FIELDS.index(name) for name in _MONEY.values()])
_SPEND, _MARGIN = list(_MONEY).index("spend"), list(_MONEY).index("margin")
_AMOUNTS = (*_MONEY, "budget_left", "profit", *(f"bid_{channel}" for channel in CHANNELS))
_SPENT = np.array([_word(name) for name in ("episode", "spent_micro", "day_spent_micro", "spend_micro")])
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
    counts, amounts = np.zeros((len(_COUNTS) + 1, count), np.int64), np.zeros((len(_AMOUNTS), count))
    words = records.view(np.int64).reshape(count, -1)
    _tell(words, _ENDS, _COUNT_ROWS, _MONEY_ROWS, _SPENT, bids.reshape(count, K, -1), limits, counts, amounts)
    told = dict(zip((*_COUNTS, "episode_number"), counts, strict=True))
    return told | dict(zip(_AMOUNTS, amounts, strict=True))


@njit(cache=True, nogil=True)
def _tell(words, ends, count_rows, money_rows, spent, bids, limits, counts, amounts):  # type: ignore[no-untyped-def]
    """Fills in the columns of `tell_all`, `[., N]`.

    Args:
      words: `[N, .]`, the market records.
      ends: where the figures of the last ticks begin among these, and where the last one ends.
      count_rows, money_rows: which figures are told as they are, and as currency.
      spent: which words are the number of the episode and the spend of the periods of `limits`.
    """
    figures, money = np.empty(len(ends) - 1, np.int64), len(money_rows)
    for market in range(len(words)):
        record = words[market]
        for figure in range(len(figures)):
            figures[figure] = record[ends[figure] : ends[figure + 1]].sum()
        for row in range(len(count_rows)):
            counts[row, market] = figures[count_rows[row]]
        counts[-1, market] = record[spent[0]] + 1
        for row in range(money):
            amounts[row, market] = figures[money_rows[row]] / MICRO
        left = limits[market, 0] - record[spent[1]]
        for period in range(1, limits.shape[1]):
            left = min(left, limits[market, period] - record[spent[1 + period]])
        amounts[money, market] = left / MICRO
        amounts[money + 1, market] = amounts[_MARGIN, market] - amounts[_SPEND, market]
        for channel in range(K):
            amounts[money + 2 + channel, market] = bids[market, channel].max()


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
