"""Where a small market plays its ticks: the arrays of one tick, and the record of their addresses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.ledger import CONVERSION, TOUCH, VISIT
from gaelp_env.population import Population, moments
from gaelp_env.turn import ADDRESSES, CAME, MORE_PEOPLE, TURN

Came = list[int]
"""What a call tells of a market, in the order of turn.CAME."""
TOUCHES, VISITS, ORDERS = CAME.index("touches"), CAME.index("visits"), CAME.index("orders")
WINS, CLICKS = CAME.index("wins"), CAME.index("clicks")
SIZE = CAME.index("size")
_FIELDS = TURN.names or ()
_SIZE, _CAPACITY, _ROOM, _WAITING, _N_PENDING, _NEED = (
    _FIELDS.index(name) for name in ("size", "capacity", "room", "waiting", "n_pending", "need")
)
_EVENTS: dict[str, Any] = {
    "touches": TOUCH, "touch_h": np.float64, "touch_click": np.float64, "visits": VISIT,
    "won_h": np.float64, "won_number": np.uint32, "won_cost": np.int64,
}  # fmt: skip
LEAST_ROOM = 64


class Desk:
    """Arrays of one tick, for a market whose people fit into one block.

    Attributes:
      at: address of the desk's record.
    """

    def __init__(self, moments: NDArray[Any], ledgers: NDArray[Any]) -> None:
        """For a market with these; they stay where they are."""
        self._moments, self._ledgers = moments, ledgers
        self._desk = np.zeros(1, TURN)
        self._words = self._desk.view(np.int64)
        self.at = self._desk.ctypes.data
        self._for_users(0)
        self._for_candidates(0)
        self._pending, self._version = np.zeros(0, np.int64), -1
        self._record: Any = None
        self._tables: Any = None
        self._no_orders = np.zeros(0, CONVERSION)
        self._no_touches = np.zeros(0, TOUCH), np.zeros(0)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self._arrays.values())

    @property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        own = {"index": self._index, "counts": self._counts, "pending": self._pending}
        return own | self._events | {"orders": self._orders, "order_h": self._order_h}

    @property
    def pending(self) -> NDArray[np.int64]:
        """Positions of users with a pending order, live."""
        return self._pending[: int(self._words[_N_PENDING])]

    @pending.setter
    def pending(self, positions: NDArray[np.int64]) -> None:
        count = len(positions)
        if count > len(self._pending):
            self._wait(count)
        self._pending[:count] = positions
        self._words[_N_PENDING] = count

    def _wait(self, count: int) -> None:
        old, size = self._pending, max(LEAST_ROOM, count + count // 2)
        self._pending, self._orders = np.zeros(size, np.int64), np.zeros(size, CONVERSION)
        self._order_h, self._version = np.zeros((size, 2)), -1
        self._pending[: len(old)] = old

    def _for_users(self, capacity: int) -> None:
        self._index, self._counts = np.empty(capacity + 1, np.int64), np.empty(capacity + 1, np.int64)
        self._version = -1

    def _for_candidates(self, total: int) -> None:
        self._room, self._version = max(LEAST_ROOM, total + total // 2), -1
        self._events = {name: np.zeros(self._room, dtype) for name, dtype in _EVENTS.items()}

    def sit(self, people: Population, record: NDArray[Any], tables: NDArray[Any]) -> int:
        """Makes the desk ready for the market as it is now.

        Args:
          record, tables: the market's record and price tables, `[1]` and `[K, KNOTS]`.
        Returns: the desk's address.
        """
        if people.version != self._version or record is not self._record or tables is not self._tables:
            self._record, self._tables = record, tables
            self._point(people)
        self._words[_SIZE] = people.size
        return self.at

    def _point(self, people: Population) -> None:
        capacity = len(people.hot)
        if len(self._index) <= capacity:
            self._for_users(capacity)
        if not len(self._pending):
            self._wait(1)
        arrays = self._arrays | {
            "hot": people.hot, "cold": people.cold, "number": people.number, "rate": people.rate,
            "changed": people.changed, "record": self._record, "moment": self._moments,
            "ledger": self._ledgers, "tables": self._tables,
        }  # fmt: skip
        for name in ADDRESSES:
            self._desk[name] = arrays[name].ctypes.data
        self._words[_CAPACITY], self._words[_ROOM] = capacity, self._room
        self._words[_WAITING] = len(self._pending)
        self._version = people.version

    def grow(self, people: Population, status: int) -> None:
        """Makes longer what was too short."""
        need, people.size = int(self._words[_NEED]), int(self._words[_SIZE])
        if status == MORE_PEOPLE:
            people.make_room(need)
            return
        if need > self._room:
            self._for_candidates(need)
        if int(self._words[_N_PENDING]) + 2 * need > len(self._pending):
            self._wait(int(self._words[_N_PENDING]) + 2 * need)

    def touches(self, came: Came, wanted: bool) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The ads seen in the last tick, TOUCH and moments, if they are wanted; live, until the next tick."""
        count = came[TOUCHES]
        if not wanted or not count:
            return self._no_touches
        return self._events["touches"][:count], self._events["touch_h"][:count]

    def seen(self, came: Came) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
        """The ads seen in the last tick: TOUCH, moments and click probabilities; fresh arrays."""
        count, events = came[TOUCHES], self._events
        return (
            events["touches"][:count].copy(), events["touch_h"][:count].copy(),
            events["touch_click"][:count].copy(),
        )  # fmt: skip

    def visits(self, came: Came) -> NDArray[Any]:
        """Visits of the last tick, VISIT; a fresh array."""
        return self._events["visits"][: came[VISITS]].copy()

    def orders(self, came: Came, epoch: np.datetime64) -> NDArray[Any]:
        """Orders that fell due in the last tick, by moment; a fresh array."""
        if not came[ORDERS]:
            return self._no_orders
        return in_order(self._orders[: came[ORDERS]], self._order_h[: came[ORDERS]], epoch)


def in_order(orders: NDArray[Any], order_h: NDArray[np.float64], epoch: np.datetime64) -> NDArray[Any]:
    """Orders with their times, by moment and then by user number; a fresh array.

    Args:
      orders: `[C]` of CONVERSION.
      order_h: `[C, 2]` hours at which they fell due and were decided.
    """
    if not len(orders):
        return orders.copy()
    orders, at = orders.copy(), moments(order_h, epoch)
    orders["at"], orders["decided"] = at[:, 0], at[:, 1]
    return orders[np.lexsort((orders["number"], order_h[:, 0]))]
