"""One world behind a desk: it lends its market, and takes it back with what has happened."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.config import MarketConfig
from gaelp_env.constants import epoch_of, season_of
from gaelp_env.impression_desk import ADDRESSES, BEGUN, CANDIDATE, CLOSED, OPEN
from gaelp_env.ledger import CONVERSION, LEDGER, MOMENT, RECORD, TOUCH, VISIT
from gaelp_env.market import Market
from gaelp_env.plan import plan_of
from gaelp_env.population import COLD, HOT, moments
from gaelp_env.world import World
from gaelp_env.worth import worth_table

LEAST_ROOM, LINE = 64, 64
ONES = {"record": RECORD, "moment": MOMENT, "ledger": LEDGER}
COLUMNS = {"hot": HOT, "cold": COLD, "number": np.uint32, "rate": np.float32}
ROOMS: dict[str, Any] = {
    "candidates": CANDIDATE, "pending": np.int64, "touches": TOUCH, "touch_h": np.float64,
    "touch_click": np.float64, "visits": VISIT, "orders": CONVERSION, "order_h": (np.float64, 2),
}  # fmt: skip


class Halls:
    """Columns and rooms of many worlds, one array of each kind for all of them.

    A step visits every world, and the fewer pages of memory they lie on, the sooner they are found.

    Attributes:
      room: what each world has room for; users, candidates of a tick and so on beyond that get arrays of
        their own.
    """

    def __init__(self, config: MarketConfig, worlds: int) -> None:
        people, season = config.people, season_of(config)
        a_day = people.users * (people.media_per_day + people.visits_per_day)
        a_tick = a_day * config.clock.tick_h / 24.0 * float(season.traffic.max())
        self.room = LEAST_ROOM + int(1.2 * a_tick + 6.0 * a_tick**0.5)
        capacity = 64 + people.users * 5 // 4
        wanted: dict[str, Any] = {name: ((worlds, 1), dtype) for name, dtype in ONES.items()}
        wanted |= {name: ((worlds, self.room), dtype) for name, dtype in ROOMS.items()}
        wanted |= {name: ((worlds, capacity), dtype) for name, dtype in COLUMNS.items()}
        self._arrays = _carved(wanted)

    def of(self, e: int) -> dict[str, NDArray[Any]]:
        """The arrays of world e by name."""
        return {name: array[e] for name, array in self._arrays.items()}


def _carved(wanted: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Arrays of zeros by shape and dtype, side by side in one block of memory."""
    sizes = {}
    for name, (shape, given) in wanted.items():
        dtype = np.dtype(given)
        sizes[name] = -(-shape[0] * shape[1] * dtype.itemsize // LINE) * LINE
    block, at = np.zeros(sum(sizes.values()) + LINE, np.uint8), 0
    at = -block.ctypes.data % LINE
    arrays = {}
    for name, (shape, given) in wanted.items():
        arrays[name] = np.ndarray(shape, given, block.data, at)
        at += sizes[name]
    return arrays


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

    def __init__(self, world: World, desk: NDArray[Any], halls: Halls, number: int, keep: bool) -> None:
        self.world, self.desk, self.keep = world, desk, keep
        own = halls.of(number)
        self._rooms = {name: own[name] for name in ROOMS}
        self._columns = tuple(own[name] for name in COLUMNS)
        self._record, self._moment, self._ledger = (own[name] for name in ONES)
        self.desk["room"] = halls.room
        self._began = 0

    @property
    def lent(self) -> bool:
        """Whether the market is at the desk."""
        return self.world.lent

    def lend(self) -> None:
        """Puts the market of the world, at the beginning of an episode, to the desk."""
        market = self.world.lend()
        desk = self.desk[0]
        desk["keep"], desk["status"], desk["phase"], desk["pause"] = self.keep, BEGUN, CLOSED, 0
        for name in (
            "asks",
            "came",
            "cost_micro",
            "wins",
            "n_touches",
            "n_visits",
            "n_orders",
            "count",
            "cursor",
        ):
            desk[name] = 0
        desk["spent_micro"], desk["gained"], desk["score"] = 0, 0, 0.0
        self._began = int(market.record["tick"])
        pending, prices = market.parts(self._record)
        desk["n_pending"] = len(pending)
        market.population.move_to(self._columns)
        self._make_room(len(pending) + 1)
        self._rooms["pending"][: len(pending)] = pending
        self._tables = prices.copy() if plan_of(market.config)["bidders"][0] else prices
        self._worth = worth_table(market.config)
        self._moment["worth_at"] = self._worth.ctypes.data
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
        if room > int(self.desk["room"][0]):
            for name, dtype in ROOMS.items():
                old, self._rooms[name] = self._rooms[name], np.zeros(room, dtype)
                self._rooms[name][: len(old)] = old
            self.desk["room"] = room

    def _point(self, market: Market) -> None:
        people = market.population
        arrays = self._rooms | {
            "hot": people.hot, "cold": people.cold, "number": people.number, "rate": people.rate,
            "record": self._record, "moment": self._moment,
            "ledger": self._ledger, "tables": self._tables,
        }  # fmt: skip
        for name in ADDRESSES:
            self.desk[name] = arrays[name].ctypes.data
        self.desk["size"], self.desk["capacity"] = people.size, len(people.hot)

    def take_back(self) -> None:
        """Gives the market back to the world, all ticks being closed, with what has happened."""
        market, desk = self.world.playing(), self.desk[0]
        if int(desk["phase"]) == OPEN:
            raise RuntimeError(
                "A tick is open at the desk; it must be closed before the market is given back."
            )
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
