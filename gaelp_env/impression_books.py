"""One world behind a desk: it lends its market, and takes it back with what has happened."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.constants import epoch_of
from gaelp_env.impression_desk import ADDRESSES, BEGUN, CANDIDATE, CLOSED, OPEN
from gaelp_env.ledger import CONVERSION, LEDGER, MOMENT, TOUCH, VISIT
from gaelp_env.market import Market
from gaelp_env.plan import plan_of
from gaelp_env.population import moments
from gaelp_env.world import World

LEAST_ROOM = 64


class Happening:
    """Touchpoints of an episode, by moment, as EpisodeLog asks for them."""

    def __init__(self, touchpoints: NDArray[Any]) -> None:
        self.touchpoints = touchpoints

    @property
    def clicks(self) -> NDArray[Any]:
        """Those that were clicked."""
        clicked: NDArray[Any] = self.touchpoints[self.touchpoints["clicked"] == 1]
        return clicked


class Books:
    """Lends the market of one world to a desk, and keeps the arrays that the desk's addresses point to.

    Attributes:
      world: whose market it is.
      desk: `[1]` of DESK, a view into the array of all desks.
      keep: whether events are kept: not in a world that no store will ever see.
    """

    def __init__(self, world: World, desk: NDArray[Any], keep: bool) -> None:
        self.world, self.desk, self.keep = world, desk, keep
        self._moment, self._ledger = np.zeros(1, MOMENT), np.zeros(1, LEDGER)
        self._began = 0
        self._rooms: dict[str, NDArray[Any]] = {}

    @property
    def lent(self) -> bool:
        """Whether the market is at the desk."""
        return self.world.lent

    def lend(self) -> None:
        """Puts the market of the world, at the beginning of an episode, to the desk."""
        market = self.world.lend()
        desk = self.desk[0]
        desk["keep"], desk["status"], desk["phase"], desk["pause"] = self.keep, BEGUN, CLOSED, 0
        for name in ("asks", "came", "cost_micro", "wins", "n_touches", "n_visits", "n_orders", "count", "cursor"):
            desk[name] = 0
        desk["spent_micro"], desk["gained"], desk["score"] = 0, 0, 0.0
        self._began = int(market.record["tick"])
        self._record, pending, prices = market.parts()
        desk["n_pending"] = len(pending)
        self._make_room(max(LEAST_ROOM, len(pending) + 1, int(desk["room"])))
        self._rooms["pending"][: len(pending)] = pending
        self._tables = prices.copy() if plan_of(market.config)["bidders"][0] else prices
        self._point(market)

    def grow(self) -> None:
        """Makes the arrays longer, as the desk needs it."""
        market, desk = self.world.playing(), self.desk[0]
        people = market.population
        people.size = int(desk["size"])
        if int(desk["phase"]) == CLOSED:
            people.make_room(int(desk["need"]))
        elif int(desk["need"]) > int(desk["room"]):
            self._make_room(int(desk["need"]) * 3 // 2)
        self._point(market)

    def _make_room(self, room: int) -> None:
        """Arrays of at least that length, with what they hold."""
        if self._rooms and room <= int(self.desk["room"][0]):
            return
        shapes: dict[str, Any] = {
            "candidates": (CANDIDATE, ()), "pending": (np.int64, ()), "touches": (TOUCH, ()),
            "touch_h": (np.float64, ()), "touch_click": (np.float64, ()), "visits": (VISIT, ()),
            "orders": (CONVERSION, ()), "order_h": (np.float64, (2,)),
        }  # fmt: skip
        for name, (dtype, more) in shapes.items():
            old, self._rooms[name] = self._rooms.get(name), np.zeros((room, *more), dtype)
            if old is not None:
                self._rooms[name][: len(old)] = old
        self.desk["room"] = room

    def _point(self, market: Market) -> None:
        people = market.population
        arrays = self._rooms | {
            "hot": people.hot, "cold": people.cold, "number": people.number, "rate": people.rate,
            "changed": people.changed, "record": self._record, "moment": self._moment,
            "ledger": self._ledger, "tables": self._tables,
        }  # fmt: skip
        for name in ADDRESSES:
            self.desk[name] = arrays[name].ctypes.data
        self.desk["size"], self.desk["capacity"] = people.size, len(people.hot)

    def take_back(self) -> None:
        """Gives the market back to the world, all ticks being closed, with what has happened."""
        market, desk = self.world.playing(), self.desk[0]
        if int(desk["phase"]) == OPEN:
            raise RuntimeError("A tick is open at the desk; it must be closed before the market is given back.")
        market.population.size = int(desk["size"])
        market.take_back(self._rooms["pending"][: int(desk["n_pending"])].copy())
        touches, orders = self.touchpoints(), self.orders()
        self.world.take_back(
            int(market.record["tick"]) - self._began, Happening(touches), orders, int(desk["wins"])
        )

    def touchpoints(self) -> NDArray[Any]:
        """`[T]` of TOUCH of the episode so far, by moment."""
        count, epoch = int(self.desk["n_touches"][0]), epoch_of(self.world.playing().config)
        touches = self._rooms["touches"][:count].copy()
        touches["at"] = moments(self._rooms["touch_h"][:count], epoch)
        return touches

    def click_probability(self) -> NDArray[np.float64]:
        """How likely each of the touchpoints was to be clicked."""
        return self._rooms["touch_click"][: int(self.desk["n_touches"][0])].copy()

    def visits(self) -> NDArray[Any]:
        """`[V]` of VISIT of the episode so far, by moment."""
        return self._rooms["visits"][: int(self.desk["n_visits"][0])].copy()

    def orders(self) -> NDArray[Any]:
        """`[C]` of CONVERSION of the episode so far, by tick, moment and user."""
        count, epoch = int(self.desk["n_orders"][0]) * self.keep, epoch_of(self.world.playing().config)
        orders, order_h = self._rooms["orders"][:count].copy(), self._rooms["order_h"][:count]
        at = moments(order_h, epoch)
        orders["at"], orders["decided"] = at[:, 0], at[:, 1]
        return orders[np.lexsort((orders["number"], order_h[:, 0]))]
