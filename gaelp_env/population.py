"""The people: one record a user, which is the single source of the columns of every store.

In memory the record is split in a hot half (two cache lines, the first touched whenever a user is met, the
second once ads have been seen) and a cold half (touched when one of our ads is seen and at orders).
Together 200 bytes a user, and 9 more for the sweep (number, rate, changed).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.histories import order_histories, touch_histories

SCHEMA = 2
"""Format number of the user record and the market record; grows when either changes."""


class Stage(IntEnum):
    """The journey state of a user."""

    UNAWARE = 0
    AWARE = 1
    CONSIDERING = 2
    INTENT = 3
    CONVERTED = 4


STAGES: tuple[str, ...] = tuple(stage.name for stage in Stage)
RING = 8
"""How many last touches a user carries; the exact history is in the store's log."""
RING_ORDERS = 1
"""How many last orders a user carries; all are in the store's log."""
CREATIVES = 4
"""How many creatives' exposures a user's record counts apart."""
NEVER_S = 0xFFFFFFFF
"""The second of a visit that never was."""
JOURNEY_OPEN = 8
"""Bit of `devices`: a journey is open, whether it has visits yet or not."""
COUNT_MOST = 0xFFFF
"""Counters of two bytes stay at their largest value."""

KNOWN = 1
"""Flag: the user has visited our site, so email can reach them."""
REACHED = 2
"""Flag: the user has seen an ad of ours."""
CLICKED = 4
"""Flag: the user has clicked an ad of ours."""
BOUGHT = 8
"""Flag: an order of the user was attributed to an ad of ours."""
GONE = 16
"""Flag: the user has left the market for good."""

HOT = np.dtype(
    [
        ("number", "<u4"),  # never reused for another person
        ("rate", "<f4"),  # candidates a day at a weight of one, media and visits together
        ("awareness", "<f4"),  # in [0, 1), as of seen_h
        ("rival_awareness", "<f4"),  # of the rivals together, in [0, 1), as of seen_h
        ("intent", "<f4"),  # in [0, 1], as of seen_h
        ("propensity", "<f4"),  # multiplies the buy rate, mean one
        ("seen_h", "<f8"),  # hours since the epoch at which the scores are true
        ("stage_until_h", "<f8"),  # when the stage falls back by itself
        ("due_h", "<f8"),  # when the pending order falls due; -1: none
        ("leaves_h", "<f4"),  # when the user leaves the market
        ("last_episode", "<u4"),  # number of the last episode in which the user was met, 1 …
        ("episodes", "<u4"),  # number of episodes in which the user was met
        ("stage", "u1"),
        ("device", "u1"),  # the person's own: 0 desktop, 1 mobile, 2 tablet
        ("flags", "u1"),
        ("ring_head", "u1"),  # where the next touch goes
        ("last_click_h", "<f8"),  # -1: never
        ("fatigue", "<f4", (CREATIVES,)),  # remembered count of our ads by creative, >= 0, as of seen_h
        ("adstock", "<f4", (5,)),  # short-run stock of our ads by channel, >= 0, as of seen_h
        ("visit_s", "<u4"),  # second of the last visit, since the epoch; NEVER_S: never
        ("touches", "<u4"),  # our ads seen
        ("visits", "<u2"),
        ("clicks", "<u2"),
        ("conversions", "<u2"),
        ("journeys", "<u2"),  # opened so far
        ("devices", "u1"),  # visited from in the open journey, a bit each, and JOURNEY_OPEN; 0: none is open
        ("source", "u1"),  # of the first visit, see sessions.SOURCES; 255: never visited
        ("last_click_channel", "u1"),
        ("ring_orders", "u1"),  # how many of the last orders are filled
    ]
)
COLD = np.dtype(
    [
        ("decided_h", "<f8"),  # when the pending order was decided
        ("order_value", "<f4"),  # of the pending order
        ("first_seen_s", "<u4"),  # second of the birth, since the epoch
        ("order_minute", "<u4", (RING_ORDERS,)),  # last orders, oldest first, minutes since the epoch
        ("order_paid", "<f4", (RING_ORDERS,)),
        ("ring_minute", "<u4", (RING,)),  # minutes since the epoch; 0xFFFFFFFF: empty
        ("ring_channel", "u1", (RING,)),
        ("ring_clicked", "u1", (RING,)),
    ]
)
USER = np.dtype(HOT.descr + COLD.descr)
WORDS_HOT, WORDS_COLD = HOT.itemsize // 8, COLD.itemsize // 8
EMPTY_MINUTE = 0xFFFFFFFF
LINE = 64
"""Bytes of a cache line."""


class Population:
    """The users of a market, in the order of their numbers, in arrays that grow.

    Attributes:
      size: how many rows are in use.
      hot, cold: structured arrays `[capacity]` (HOT, COLD).
      number, rate: `[capacity]` uint32 and float32 copies for the sweep; rate 0 means never met.
      changed: `[capacity]` uint8, one where a row changed since the last commit.
      version: another number whenever the columns have become other arrays.
    """

    version = 0

    def __init__(self, users: NDArray[Any]) -> None:
        self.size = len(users)
        self._allocate(max(64, self.size + self.size // 8))
        self._write(slice(0, self.size), users)
        self.number[: self.size] = users["number"]
        self.rate[: self.size] = np.where(users["flags"] & GONE, np.float32(0.0), users["rate"])

    def _allocate(self, capacity: int) -> None:
        self.hot, self.cold = _in_lines(capacity, HOT), _in_lines(capacity, COLD)
        self.number = np.zeros(capacity, np.uint32)
        self.rate = np.zeros(capacity, np.float32)
        self.changed = np.zeros(capacity, np.uint8)
        self.version += 1

    def _write(self, place: slice, users: NDArray[Any]) -> None:
        halves = np.ascontiguousarray(users, USER).view(np.uint8).reshape(len(users), USER.itemsize)
        _octets(self.hot)[place] = halves[:, : HOT.itemsize]
        _octets(self.cold)[place] = halves[:, HOT.itemsize :]

    @property
    def bytes_a_user(self) -> int:
        """Bytes a user takes in memory: record, sweep columns and the mark of change."""
        return HOT.itemsize + COLD.itemsize + 4 + 4 + 1

    def columns(self) -> tuple[NDArray[Any], ...]:
        """All columns, live: hot, cold, number, rate, changed."""
        return self.hot, self.cold, self.number, self.rate, self.changed

    def put(self, columns: tuple[NDArray[Any], ...]) -> None:
        """Replaces everybody by rows as `columns` gave them, each of the same length."""
        size = len(columns[0])
        if size > len(self.hot):
            self._allocate(size)
        for column, rows in zip(self.columns(), columns, strict=True):
            _octets(column)[:size] = _octets(rows)
        self.size = size

    def copied(self, room: tuple[NDArray[Any], ...] | None) -> tuple[NDArray[Any], ...]:
        """Copies everybody into `room`, columns as `columns()` has them, or into new ones if it is too short.

        Returns: the room; the first `size` rows of each column are the copy.
        """
        if room is None or len(room[0]) < self.size:
            room = tuple(np.empty(self.size + self.size // 16, column.dtype) for column in self.columns())
        for copy, column in zip(room, self.columns(), strict=True):
            _octets(copy)[: self.size] = _octets(column)[: self.size]
        return room

    def move_to(self, columns: tuple[NDArray[Any], ...]) -> None:
        """Moves everybody into other columns, in the order of `columns()`, if these are long enough."""
        if len(columns[0]) >= self.size and columns[0] is not self.hot:
            for rows, column in zip(columns, self.columns(), strict=True):
                rows[: self.size] = column[: self.size]
            self.hot, self.cold, self.number, self.rate, self.changed = columns
            self.version += 1

    def octets(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """The hot and cold halves and the marks of change as rows of bytes, sharing memory."""
        return _octets(self.hot), _octets(self.cold), _octets(self.changed)

    def rows(self, index: NDArray[Any] | slice) -> NDArray[Any]:
        """Copies rows out as whole records.

        Args:
          index: positions `[K]`, or a slice.
        Returns: `[K]` array of USER.
        """
        hot, cold = _octets(self.hot)[: self.size][index], _octets(self.cold)[: self.size][index]
        return np.hstack([hot, cold]).view(USER).reshape(len(hot))

    def append(self, users: NDArray[Any]) -> None:
        """Adds newborn users `[K]` of USER at the end and marks them changed."""
        need = self.size + len(users)
        self.make_room(need)
        place = slice(self.size, need)
        self._write(place, users)
        self.number[place] = users["number"]
        self.rate[place] = users["rate"]
        self.changed[place] = 1
        self.size = need

    def make_room(self, size: int) -> None:
        """Makes the columns long enough for `size` rows; they may be other arrays afterwards."""
        if size > len(self.hot):
            old = self.columns()
            self._allocate(size + size // 4)
            for before, after in zip(old, self.columns(), strict=True):
                after[: self.size] = before[: self.size]

    def index_of(self, number: int) -> int:
        """Position of a user's row. Raises KeyError if nobody of that number is here, or they have left."""
        at = int(np.searchsorted(self.number[: self.size], number))
        if at == self.size or int(self.number[at]) != number or int(self.hot["flags"][at]) & GONE:
            raise KeyError(f"no user number {number} lives in this market")
        return at

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Drops the rows where `mask` `[size]` is false."""
        hot = self.hot.view(np.uint64).reshape(-1, WORDS_HOT)
        cold = self.cold.view(np.uint64).reshape(-1, WORDS_COLD)
        self.size = _close_ranks(hot, cold, self.number, self.rate, self.changed, mask, self.size)


@njit(cache=True, nogil=True)
def _close_ranks(hot, cold, number, rate, changed, mask, size):  # type: ignore[no-untyped-def]
    """Moves the rows where `mask` is true together; those before the first gap stay. Returns: how many."""
    to = 0
    while to < size and mask[to]:
        to += 1
    for i in range(to, size):
        if mask[i]:
            for word in range(hot.shape[1]):
                hot[to, word] = hot[i, word]
            for word in range(cold.shape[1]):
                cold[to, word] = cold[i, word]
            number[to], rate[to], changed[to] = number[i], rate[i], changed[i]
            to += 1
    return to


def _in_lines(count: int, record: np.dtype[Any]) -> NDArray[Any]:
    """Zeroed records that begin at a cache line, so that a hot half lies on two lines and not on three."""
    space = np.zeros(count * record.itemsize + LINE, np.uint8)
    skipped = -space.ctypes.data % LINE
    return space[skipped : skipped + count * record.itemsize].view(record)


def _octets(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Records as rows of bytes, sharing memory: copies then move whole records, not field by field."""
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def fatigue_score(remembered: Any) -> Any:
    """The public fatigue in [0, 1) of a remembered count of ads F >= 0: F / (1 + F)."""
    return remembered / (1.0 + remembered)


def moments(hours: Any, epoch: np.datetime64) -> Any:
    """UTC timestamps (datetime64[us]) of hours on the simulated clock."""
    micros = np.rint(np.asarray(hours, np.float64) * 3.6e9).astype(np.int64)
    return epoch.astype("datetime64[us]") + micros.astype("timedelta64[us]")


def public_columns(
    rows: NDArray[Any], names: Mapping[int, str], epoch: np.datetime64, channels: tuple[str, ...]
) -> dict[str, Any]:
    """The public columns of users, all but the two that a store stamps.

    Scores are as of `last_seen`: they fade from then on.

    Args:
      rows: `[K]` of USER.
      names: user_id of the users whom somebody named.
      epoch: moment of hour 0, UTC.
      channels: names by channel number.
    Returns: column -> list or array of length K; times are datetime64[us], histories JSON text.
    """
    numbers = rows["number"].tolist()
    ids = [names.get(number) or f"u{number:09d}" for number in numbers]
    stages = [STAGES[stage] for stage in rows["stage"].tolist()]
    return {
        "user_id": ids,
        "canonical_user_id": ids,
        "current_journey_state": stages,
        "awareness_level": rows["awareness"].astype(np.float64),
        "fatigue_score": fatigue_score(rows["fatigue"].astype(np.float64).sum(axis=1)),
        "intent_score": rows["intent"].astype(np.float64),
        "episode_count": rows["episodes"].astype(np.int64),
        "last_episode": rows["last_episode"].astype(np.int64),
        "first_seen": moments(rows["first_seen_s"] / 3600.0, epoch),
        "last_seen": moments(rows["seen_h"], epoch),
        "touchpoint_history": touch_histories(rows, epoch, channels),
        "conversion_history": order_histories(rows, moments(rows["due_h"], epoch), epoch),
        "is_active": ((rows["flags"] & GONE) == 0).astype(np.int64),
    }
