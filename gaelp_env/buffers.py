"""The workspace of a tick: allocated once, grown when a tick needs more, never inside the loop."""

from __future__ import annotations

import numpy as np

from gaelp_env.ledger import LEDGER, MOMENT, TOUCH, VISIT


class Buffers:
    """What the compiled loops write to.

    Attributes:
      moments, ledgers: one MOMENT and one LEDGER.
      index, luck, candidates: by user listed; see arrivals.py.
      touches, touch_h, touch_click: ads seen, their moments and click probabilities; see encounters.py.
      won_h, won_number, won_cost: charges.
      visits: visits to our site.
      decided: positions of users who decided an order.
    """

    def __init__(self) -> None:
        self.moments, self.ledgers = np.zeros(1, MOMENT), np.zeros(1, LEDGER)
        self.for_users(0)
        self.for_candidates(0)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in vars(self).values())

    def for_users(self, capacity: int) -> None:
        """Makes room for a sweep over `capacity` rows."""
        self.index = np.empty(capacity + 1, np.int64)
        self.luck = np.empty(capacity + 1, np.float64)
        self.candidates = np.empty(capacity + 1, np.int64)

    def for_candidates(self, total: int) -> None:
        """Makes room for `total` candidates in a tick, each of which may decide two orders at most."""
        size = max(256, total + total // 4)
        self.touches, self.touch_h = np.zeros(size, TOUCH), np.zeros(size)
        self.touch_click, self.visits = np.zeros(size), np.zeros(size, VISIT)
        self.won_h, self.won_number = np.zeros(size), np.zeros(size, np.uint32)
        self.won_cost = np.zeros(size, np.int64)
        self.decided = np.zeros(2 * size, np.int64)
