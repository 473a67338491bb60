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

    __slots__ = ("_at_h", "_click", "_epoch", "_order", "_touches", "_visits", "conversions", "ledger")

    def __init__(
        self,
        ledger: Any,
        touches: NDArray[Any],
        at_h: NDArray[Any],
        click: NDArray[Any],
        visits: NDArray[Any],
        conversions: NDArray[Any],
        epoch: np.datetime64,
    ) -> None:
        self.ledger, self.conversions = ledger, conversions
        self._touches, self._at_h, self._click, self._epoch = touches, at_h, click, epoch
        self._visits = visits
        self._order: NDArray[Any] | None = None

    @property
    def touchpoints(self) -> NDArray[Any]:
        """`[T]` of TOUCH: our ads that were seen, by moment and then by user number."""
        return self._stamped(self._by_moment())

    def raw(self) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The touchpoints as they came, user by user and without their moments, and these in hours."""
        return self._touches, self._at_h

    @property
    def epoch(self) -> np.datetime64:
        """Moment of hour 0 of the simulated clock, UTC."""
        return self._epoch

    @property
    def clicks(self) -> NDArray[Any]:
        """The touchpoints that were clicked, in the same order."""
        order = self._by_moment()
        return self._stamped(order[self._touches["clicked"][order] != 0])

    @property
    def click_probability(self) -> NDArray[np.float64]:
        """`[T]` of float64: how likely each touchpoint was to be clicked, in the order of `touchpoints`."""
        chances: NDArray[np.float64] = self._click[self._by_moment()]
        return chances

    @property
    def visits(self) -> NDArray[Any]:
        """`[V]` of VISIT: visits to our site, by moment and then by user number."""
        visits: NDArray[Any] = self._visits[np.argsort(self._visits["at_h"], kind="stable")]
        return visits

    def _by_moment(self) -> NDArray[Any]:
        if self._order is None:  # equal moments stay in the order of user numbers
            self._order = np.argsort(self._at_h, kind="stable")
        return self._order

    def _stamped(self, order: NDArray[Any]) -> NDArray[Any]:
        touches: NDArray[Any] = self._touches[order]
        touches["at"] = moments(self._at_h[order], self._epoch)
        return touches


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A market as it was: opaque, for `Market.rollback`. `columns` are the beginnings of those of `room`."""

    columns: tuple[NDArray[Any], ...]
    record: NDArray[Any]
    pending: NDArray[np.int64]
    room: tuple[NDArray[Any], ...]
