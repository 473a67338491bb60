"""The people: one record a user, which is the single source of the columns of every store.

In memory the record is split in a hot half (two cache lines, the first touched whenever a user is met, the
second once ads have been seen) and a cold one (touched when one of our ads is seen and at orders); see
rows.py. With the columns of the sweep (number, rate) 200 bytes a user.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.histories import order_histories, touch_histories
from gaelp_env.rows import COLD as COLD
from gaelp_env.rows import CREATIVES as CREATIVES
from gaelp_env.rows import HOT as HOT
from gaelp_env.rows import RING as RING
from gaelp_env.rows import RING_ORDERS as RING_ORDERS
from gaelp_env.rows import USER as USER
from gaelp_env.rows import lay_down, octets, records_of

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

WORDS_HOT, WORDS_COLD = HOT.itemsize // 8, COLD.itemsize // 8
CHANGED = 1
"""Mark: the row changed since the last commit."""
KEPT = 2 | 4 | 8
"""Marks, one for each cache line of a row: the line is kept as it was, or need not be; see undo.py."""
EMPTY_MINUTE = 0xFFFFFFFF
LINE = 64
"""Bytes of a cache line."""


class Population:
    """The users of a market, in the order of their numbers, in arrays that grow.

    Attributes:
      size: how many rows are in use.
      hot, cold: structured arrays `[capacity]` (HOT, COLD).
      number, rate: `[capacity]` uint32 and float32 copies for the sweep; rate 0 means never met.
      version: another number whenever the columns have become other arrays.
    """

    version = 0

    def __init__(self, users: NDArray[Any]) -> None:
        self.size = len(users)
        self._allocate(max(64, self.size + self.size // 8))
        lay_down(users, 0, self.hot, self.cold)
        self.number[: self.size] = users["number"]
        self.rate[: self.size] = np.where(users["flags"] & GONE, np.float32(0.0), users["rate"])

    def _allocate(self, capacity: int) -> None:
        self.hot, self.cold = _in_lines(capacity, HOT), _in_lines(capacity, COLD)
        self.number = np.zeros(capacity, np.uint32)
        self.rate = np.zeros(capacity, np.float32)
        self.version += 1

    @property
    def bytes_a_user(self) -> int:
        """Bytes a user takes in memory: both halves of the record and the columns of the sweep."""
        return HOT.itemsize + COLD.itemsize + 4 + 4

    def columns(self) -> tuple[NDArray[Any], ...]:
        """All columns, live: hot, cold, number, rate."""
        return self.hot, self.cold, self.number, self.rate

    def put(self, columns: tuple[NDArray[Any], ...]) -> None:
        """Replaces everybody by rows as `columns` gave them, each of the same length."""
        size = len(columns[0])
        if size > len(self.hot):
            self._allocate(size)
        _copy(size, *columns, *self.columns())
        self.size = size

    def copied(self, room: tuple[NDArray[Any], ...] | None) -> tuple[NDArray[Any], ...]:
        """Copies everybody into `room`, columns as `columns()` has them, or into new ones if it is too short.

        Returns: the room; the first `size` rows of each column are the copy.
        """
        if room is None or len(room[0]) < self.size:
            room = tuple(np.empty(self.size + self.size // 16, column.dtype) for column in self.columns())
        _copy(self.size, *self.columns(), *room)
        return room

    def move_to(self, columns: tuple[NDArray[Any], ...]) -> None:
        """Moves everybody into other columns, in the order of `columns()`, if these are long enough."""
        if len(columns[0]) >= self.size and columns[0] is not self.hot:
            _copy(self.size, *self.columns(), *columns)
            self.hot, self.cold, self.number, self.rate = columns
            self.version += 1

    def octets(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The hot and cold halves as rows of bytes, sharing memory."""
        return octets(self.hot), octets(self.cold)

    def rows(self, index: NDArray[Any] | slice) -> NDArray[Any]:
        """Copies rows out as whole records.

        Args:
          index: positions `[K]`, or a slice.
        Returns: `[K]` array of USER.
        """
        return records_of(self.hot, self.cold, np.arange(self.size)[index])

    def append(self, users: NDArray[Any]) -> None:
        """Adds newborn users `[K]` of USER at the end and marks them changed."""
        need = self.size + len(users)
        self.make_room(need)
        place = slice(self.size, need)
        lay_down(users, self.size, self.hot, self.cold)
        self.number[place] = users["number"]
        self.rate[place] = users["rate"]
        self.hot["marks"][place] = CHANGED
        self.size = need

    def changed(self) -> NDArray[np.int64]:
        """Positions of the people whose rows changed since the last commit."""
        return np.flatnonzero(self.hot["marks"][: self.size] & CHANGED)

    def note_changed(self, which: slice | NDArray[Any] = slice(None)) -> None:
        """Marks rows as changed since the last commit; everybody's unless told otherwise."""
        self.hot["marks"][: self.size][which] |= CHANGED

    def forget_changed(self) -> bool:
        """From here on nothing has changed. Returns: whether anybody here has left for good."""
        return bool(_unmark(self.hot, self.size))

    def leaving(self, hour: float) -> NDArray[np.int64]:
        """Positions of those who leave for good by an hour: their time here is over, and no order pends."""
        found: NDArray[np.int64] = _leaving(self.hot, self.size, np.float32(hour))
        return found

    def pending(self) -> NDArray[np.int64]:
        """Positions of those with an order that is to fall due."""
        found: NDArray[np.int64] = _pending(self.hot, self.size)
        return found

    def make_room(self, size: int) -> None:
        """Makes the columns long enough for `size` rows; they may be other arrays afterwards."""
        if size > len(self.hot):
            old = self.columns()
            self._allocate(size + size // 4)
            _copy(self.size, *old, *self.columns())

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
        self.size = _close_ranks(hot, cold, self.number, self.rate, mask, self.size)


@njit(cache=True, nogil=True)
def _copy(size, hot, cold, number, rate, to_hot, to_cold, to_number, to_rate):  # type: ignore[no-untyped-def]
    """Copies the first rows of all columns: whole records, not field by field."""
    for i in range(size):
        to_hot[i], to_cold[i] = hot[i], cold[i]
    to_number[:size], to_rate[:size] = number[:size], rate[:size]


@njit(cache=True, nogil=True)
def _unmark(hot, size):  # type: ignore[no-untyped-def]
    flags = np.uint8(0)
    for i in range(size):
        hot[i].marks = 0
        flags |= hot[i].flags
    return flags & GONE


@njit(cache=True, nogil=True)
def _leaving(hot, size, hour):  # type: ignore[no-untyped-def]
    found, count = np.empty(size, np.int64), 0
    for i in range(size):
        row = hot[i]
        found[count] = i
        count += not (row.leaves_h > hour or row.due_h >= 0.0 or row.flags & GONE)
    return found[:count]


@njit(cache=True, nogil=True)
def _pending(hot, size):  # type: ignore[no-untyped-def]
    found, count = np.empty(size, np.int64), 0
    for i in range(size):
        found[count] = i
        count += hot[i].due_h >= 0.0
    return found[:count]


@njit(cache=True, nogil=True)
def _close_ranks(hot, cold, number, rate, mask, size):  # type: ignore[no-untyped-def]
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
            number[to], rate[to] = number[i], rate[i]
            to += 1
    return to


def _in_lines(count: int, record: np.dtype[Any]) -> NDArray[Any]:
    """Zeroed records that begin at a cache line, so that a hot half lies on two lines and not on three."""
    space = np.zeros(count * record.itemsize + LINE, np.uint8)
    skipped = -space.ctypes.data % LINE
    return space[skipped : skipped + count * record.itemsize].view(record)


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
