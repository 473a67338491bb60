"""A market's place at the desk: what it lends to a compiled tick, and takes back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.blocks import BLOCK_USERS, Blocks
from gaelp_env.config import MarketConfig
from gaelp_env.constants import as_record, constants_of, epoch_of
from gaelp_env.ledger import RECORD
from gaelp_env.plan import plan_of
from gaelp_env.population import Population
from gaelp_env.rivalry import price_tables
from gaelp_env.tick import Tick
from gaelp_env.turn_desk import WINS, Desk
from gaelp_env.worth import worth_table


class Seated:
    """People, record and arrays of a market, which ticks of many markets reach by address.

    Attributes:
      config: the constants.
      fingerprint: of the constants.
      population: the people.
    """

    def __init__(self, config: MarketConfig, users: NDArray[Any], record: NDArray[Any]) -> None:
        self.config, self.fingerprint = config, config.fingerprint()
        self.population = Population(users)
        self._records = np.array([record], RECORD)
        self._constants = constants_of(config)
        self._constant_record = as_record(self._constants)
        self._epoch = epoch_of(config)
        self._blocks = Blocks()
        self._worth = worth_table(config)
        self._blocks.moments["worth_at"] = self._worth.ctypes.data
        self._prices = price_tables(self.record, config)
        self._own_prices: NDArray[np.float64] | None = None
        self._bidders = bool(plan_of(config)["bidders"][0])
        self._desk = Desk(self._blocks.moments, self._blocks.ledgers)

    @property
    def record(self) -> Any:
        """The market record, live: read it, do not keep it."""
        return self._records[0]

    def live_in(self, records: NDArray[Any]) -> None:
        """Moves the market record into `[1]` of RECORD of the caller's, e.g. a row of a block of many."""
        records[:] = self._records
        self._records = records

    @property
    def small(self) -> bool:
        """Whether the people fit into one block, so that a tick is one compiled call."""
        return self.population.size <= BLOCK_USERS

    @property
    def _pending(self) -> NDArray[np.int64]:
        return self._desk.pending

    @_pending.setter
    def _pending(self, positions: NDArray[np.int64]) -> None:
        self._desk.pending = positions

    def sit(self) -> int:
        """For ticks of many markets: makes the desk ready, and gives its address."""
        if self._bidders and self._prices is not self._own_prices:  # they are written there
            self._prices = self._own_prices = self._prices.copy()
        return self._desk.sit(self.population, self._records, self._prices)

    def make_room(self, status: int) -> None:
        """Makes longer what a tick at the desk found too short."""
        self._desk.grow(self.population, status)

    def left_behind(self, came: list[int]) -> Tick:
        """What the last tick at the desk left behind, see turns.play_together."""
        desk, orders = self._desk, self._desk.orders(came, self._epoch)
        return Tick(self._blocks.ledgers[0].copy(), *desk.seen(came), desk.visits(came), orders, self._epoch)

    def kept_behind(self, came: list[int], touches: bool) -> tuple[Any, ...]:
        """Of that, what an EpisodeLog keeps: (touchpoints, their hours, orders, wins, epoch); the first two
        are live, until the next tick."""
        desk = self._desk
        return (*desk.touches(came, touches), desk.orders(came, self._epoch), came[WINS], self._epoch)

    def parts(self, home: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """For ticks played elsewhere: positions of pending orders and price tables, live; the record moves to
        `home`, `[1]` of RECORD, for good."""
        home[:], self._records = self._records, home
        return self._pending, self._prices

    def take_back(self, pending: NDArray[np.int64]) -> None:
        """After ticks that were played elsewhere: these orders are pending now."""
        self._pending, self._prices = pending, price_tables(self.record, self.config)
