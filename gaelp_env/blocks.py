"""Who comes and what happens to them, block of users by block: the two passes of a tick.

First pass: a sweep over a block lists who may be met, in memory order, and tells how often. Second pass:
those listed are met. A block has its own counters and its own part of the event columns; all are put together
in the order of the blocks, which is that of the users. Sums are of integers, so nothing depends on which
thread plays which block, or on how many blocks there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.arrivals import list_comers
from gaelp_env.encounters import meet
from gaelp_env.ledger import LEDGER, MOMENT, RECORD, TOUCH, VISIT
from gaelp_env.pages import paged
from gaelp_env.population import Population
from gaelp_env.threads import for_all
from gaelp_env.undo import BLOCK_USERS as BLOCK_USERS
from gaelp_env.undo import Kept

_SUMMED = (
    "met", "stage_count", "awareness_sum", "fatigue_sum", "intent_sum", "reached", "clicked", "bought",
)  # fmt: skip
"""What a meeting changes in the market record."""


class Blocks:
    """What the compiled loops of a tick write to.

    Attributes:
      moments, ledgers: one MOMENT and one LEDGER.
      total: candidates listed in the tick.
      count: users listed, all blocks together.
    """

    def __init__(self) -> None:
        self.moments, self.ledgers = np.zeros(1, MOMENT), np.zeros(1, LEDGER)
        self.total = self.count = 0
        self._bounds: list[tuple[int, int]] = []
        self._for_users(0)
        self._for_candidates(0)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in vars(self).values() if isinstance(array, np.ndarray))

    def _for_users(self, capacity: int) -> None:
        self._index, self._candidates = paged(capacity + 1, np.int64), paged(capacity + 1, np.int64)

    def _for_candidates(self, total: int) -> None:
        """Makes room for `total` candidates, each of which may decide two orders at most."""
        size = max(256, total + total // 4)
        self._touches, self._touch_h = paged(size, TOUCH), paged(size, np.float64)
        self._touch_click, self._visits = paged(size, np.float64), paged(size, VISIT)
        self._won_h, self._won_number = paged(size, np.float64), paged(size, np.uint32)
        self._won_cost, self._decided = paged(size, np.int64), paged(2 * size, np.int64)

    def list_people(self, people: Population, key: Any, tick: int, weight: float) -> None:
        """First pass: lists who has candidates in the tick.

        Args:
          key, tick: address of the draws.
          weight: days' worth of candidates in the tick, for a rate of one.
        """
        if len(self._index) <= len(people.number):
            self._for_users(len(people.number))
        ends = [*range(BLOCK_USERS, people.size, BLOCK_USERS), people.size]
        self._bounds = list(zip([0, *ends[:-1]], ends, strict=True))
        self._listed = np.zeros((len(ends), 2), np.int64)

        def one(block: int) -> None:
            first, end = self._bounds[block]
            self._listed[block] = list_comers(
                key, tick, people.number, people.rate, first, end, weight, self._index[first:],
                self._candidates[first:],
            )  # fmt: skip

        for_all(one, range(len(ends)))
        self.count, self.total = self._listed.sum(axis=0).tolist()
        if len(self._touches) < self.total:
            self._for_candidates(self.total)

    def listed(self) -> NDArray[np.int64]:
        """The positions of the people listed, in memory order; a fresh array."""
        return self._pieces(self._index, [first for first, _ in self._bounds], self._listed[:, 0])

    def meet(
        self,
        constants: NDArray[Any],
        people: Population,
        records: NDArray[Any],
        kept: Kept,
        charges: bool = True,
    ) -> int:
        """Second pass: meets those listed. Returns: what was spent, micro-units.

        Args:
          kept: where the rows are kept as they were before, see undo.py.
          charges: whether `charges` is asked for afterwards.
        """
        count = len(self._bounds)
        self._begins = np.concatenate([[0], np.cumsum(self._listed[:, 1])[:-1]])
        self._came = np.zeros((count, 4), np.int64)
        ledgers, sums = (
            (self.ledgers, records) if count == 1 else (np.zeros(count, LEDGER), np.zeros(count, RECORD))
        )
        self.ledgers[:] = 0

        def one(block: int) -> None:
            first, at = self._bounds[block][0], int(self._begins[block])
            won = slice(at, None if charges else at)
            self._came[block] = meet(
                constants, self.moments, people.number, people.hot, people.cold, kept,
                self._index[first:], self._candidates[first:], self._listed[block, 0],
                ledgers[block : block + 1],
                sums[block : block + 1], self._touches[at:],
                (
                    self._won_h[won], self._won_number[won], self._won_cost[won], self._touch_h[at:],
                    self._touch_click[at:],
                ),
                self._decided[2 * at :], self._visits[at:],
            )  # fmt: skip

        for_all(one, range(count))
        if count > 1:
            self.ledgers.view(np.int64)[:] = ledgers.view(np.int64).reshape(count, -1).sum(axis=0)
            for name in _SUMMED:
                records[0][name] += sums[name].sum(axis=0)
        return int(self.ledgers[0]["spend_micro"].sum())

    def charges(self) -> tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.int64]]:
        """The charges of the tick: moments, user numbers and costs, in the order of the users."""
        won = (self._won_h, self._won_number, self._won_cost)
        return tuple(self._pieces(column, self._begins, self._came[:, 0]) for column in won)  # type: ignore[return-value]

    def seen(self) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
        """The ads seen in the tick: TOUCH, moments and click probabilities; fresh arrays."""
        columns = (self._touches, self._touch_h, self._touch_click)
        return tuple(self._pieces(column, self._begins, self._came[:, 1]) for column in columns)  # type: ignore[return-value]

    def decided(self) -> NDArray[np.int64]:
        """Positions of users who decided an order in the tick."""
        return self._pieces(self._decided, 2 * self._begins, self._came[:, 2])

    def visits(self) -> NDArray[Any]:
        """Visits of the tick, VISIT; a fresh array."""
        return self._pieces(self._visits, self._begins, self._came[:, 3])

    def _pieces(self, column: NDArray[Any], begins: Any, counts: NDArray[np.int64]) -> NDArray[Any]:
        """The blocks' parts of a column, one after the other."""
        if len(counts) == 1:
            return _octets(column[: counts[0]]).copy().view(column.dtype)
        pieces = [_octets(column[a : a + n]) for a, n in zip(begins, counts, strict=True)]
        return np.concatenate(pieces).view(column.dtype)


def _octets(column: NDArray[Any]) -> NDArray[np.uint8]:
    """A column as bytes, sharing memory: records are then copied whole, not field by field."""
    return column.view(np.uint8)
