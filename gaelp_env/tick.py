"""What a tick leaves behind, and what a market can go back to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.population import moments


class Tick:
    """What one tick left behind. All arrays are the caller's own.

    Attributes:
      ledger: one LEDGER record.
      conversions: `[C]` of CONVERSION, orders that fell due, by moment.
    """

    __slots__ = ("_at_h", "_epoch", "_touches", "conversions", "ledger")

    def __init__(
        self,
        ledger: Any,
        touches: NDArray[Any],
        at_h: NDArray[Any],
        conversions: NDArray[Any],
        epoch: np.datetime64,
    ) -> None:
        self.ledger, self.conversions = ledger, conversions
        self._touches, self._at_h, self._epoch = touches, at_h, epoch

    @property
    def touchpoints(self) -> NDArray[Any]:
        """`[T]` of TOUCH: our ads that were seen, by moment and then by user number."""
        return self._in_order(slice(None))

    @property
    def clicks(self) -> NDArray[Any]:
        """The touchpoints that were clicked, in the same order."""
        return self._in_order(np.flatnonzero(self._touches["clicked"]))

    def _in_order(self, which: Any) -> NDArray[Any]:
        at_h = self._at_h[which]
        order = np.argsort(at_h, kind="stable")  # equal moments stay in the order of user numbers
        touches: NDArray[Any] = self._touches[which][order]
        touches["at"] = moments(at_h[order], self._epoch)
        return touches


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A market as it was: opaque, for `Market.rollback`."""

    columns: tuple[NDArray[Any], ...]
    record: NDArray[Any]
    pending: NDArray[np.int64]
