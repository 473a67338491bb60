"""A market's ways back: copies of its whole state, and the mark to which an open episode can be dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.config import MarketConfig
from gaelp_env.ledger import RECORD
from gaelp_env.market_desk import Seated
from gaelp_env.population import CHANGED
from gaelp_env.rivalry import price_tables
from gaelp_env.tick import Checkpoint
from gaelp_env.undo import Undo


class Marked(Seated):
    """A market that can go back.

    A small one keeps a whole copy of itself at its mark; a large one what has changed since (undo.py).
    """

    def __init__(self, config: MarketConfig, users: NDArray[Any], record: NDArray[Any]) -> None:
        super().__init__(config, users, record)
        self._whole: Checkpoint | None = None
        self._undo = Undo()
        self._marked_record = self._records.copy()
        self._marked_pending = np.zeros(0, np.int64)

    @property
    def marked(self) -> bool:
        """Whether there is a mark to go back to."""
        return self._whole is not None or self._undo.begun

    @property
    def undo_bytes(self) -> int:
        """Bytes that the way back to the mark takes now."""
        if self._whole is not None:
            return sum(column.nbytes for column in self._whole.columns)
        return self._undo.nbytes

    def checkpoint(self, into: Checkpoint | None = None) -> Checkpoint:
        """A full copy of the state, to roll back to.

        Args:
          into: a checkpoint that nobody needs any more; its memory is used again, if it is large enough.
        """
        room = self.population.copied(None if into is None else into.room)
        columns = tuple(column[: self.population.size] for column in room)
        if self._undo.begun:
            columns[0]["marks"] &= CHANGED
        record = self._records.view(np.uint8).copy().view(RECORD)  # whole, not field by field
        return Checkpoint(columns, record, self._pending.copy(), room)

    def rollback(self, checkpoint: Checkpoint) -> None:
        """Goes back to a checkpoint, which stays good for another time; so does the mark."""
        self.copy_mark()
        self._put(checkpoint)

    def mark(self) -> None:
        """Sets the mark: `back` leads to here from now on."""
        if self.small:
            self._undo.end(self.population)
            self._whole = self.checkpoint(self._whole)
            return
        self._whole = None
        self._undo.begin(self.population)
        self._marked_record[:] = self._records
        self._marked_pending = self._pending.copy()

    def mark_taken(self) -> None:
        """As `mark`, where the mark was here already and changes were taken since: a small market that nobody
        has left need not copy everybody again."""
        if self._whole is None or len(self._whole.columns[0]) != self.population.size:
            self.mark()
        else:
            self._whole.columns[0]["marks"] = 0

    def copy_mark(self) -> None:
        """Makes a whole copy of the mark, so that the people may be moved by loops that keep no lines."""
        if self._undo.begun:
            now = self.checkpoint()
            self.back()
            self._undo.end(self.population)
            self._whole = self.checkpoint()
            self._put(now)

    def back(self) -> None:
        """Goes back to the mark, which stays good for another time. Raises RuntimeError if there is none."""
        if self._whole is not None:
            self._put(self._whole)
        elif self._undo.begun:
            self._undo.put_back(self.population)
            self._go_on_from(self._marked_record, self._marked_pending)
        else:
            raise RuntimeError("This market has no mark to go back to; mark() sets one.")

    def _put(self, checkpoint: Checkpoint) -> None:
        self.population.put(checkpoint.columns)
        self._go_on_from(checkpoint.record, checkpoint.pending)

    def _go_on_from(self, record: NDArray[Any], pending: NDArray[np.int64]) -> None:
        self._records[:] = record
        self._pending = pending.copy()
        self._prices = price_tables(self.record, self.config)
