"""How a person lies in memory, and the record that every store and every caller has of them.

In memory: two cache lines that are touched at meetings (HOT) and one at ads and orders (COLD).
The record USER has the same fields; the last touches take four bits each in memory, and two bytes there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

RING = 8
"""How many last touches a user carries; the exact history is in the store's log."""
RING_ORDERS = 1
"""How many last orders a user carries; all are in the store's log."""
CREATIVES = 4
"""How many creatives' exposures a user's record counts apart."""

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
        ("marks", "u1"),  # what changed: of this memory alone, no part of the person
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
_SHARED = [
    ("decided_h", "<f8"),  # when the pending order was decided
    ("order_value", "<f4"),  # of the pending order
    ("first_seen_s", "<u4"),  # second of the birth, since the epoch
    ("order_minute", "<u4", (RING_ORDERS,)),  # last orders, oldest first, minutes since the epoch
    ("order_paid", "<f4", (RING_ORDERS,)),
    ("ring_minute", "<u4", (RING,)),  # minutes since the epoch; 0xFFFFFFFF: empty
]
COLD = np.dtype(
    [
        *_SHARED,
        ("ring_ads", "<u4"),  # channels of the last touches, and whether clicked, four bits each
        ("ring_head", "u1"),  # where the next touch goes
        ("free", "u1", (3,)),
    ]
)
USER = np.dtype(
    [
        *((name if name != "marks" else "ring_head", *kind) for name, *kind in HOT.descr),
        *_SHARED,
        ("ring_channel", "u1", (RING,)),
        ("ring_clicked", "u1", (RING,)),
    ]
)
_MARKS = HOT.fields["marks"][1] if HOT.fields else 0
_ADS, _HEAD = (COLD.fields["ring_ads"][1], COLD.fields["ring_head"][1]) if COLD.fields else (0, 0)
_HALF = HOT.itemsize
_CHANNEL, _CLICKED = _HALF + _ADS, _HALF + _ADS + RING


@njit(inline="always")
def with_ad(ads, place, channel, clicked):  # type: ignore[no-untyped-def]
    """The last touches with another one at a place: its channel in three bits, and a click in the fourth."""
    at = 4 * int(place)
    return (int(ads) & ~(15 << at)) | (int(channel) | int(clicked) << 3) << at


@njit(cache=True, nogil=True)
def _read(hot, cold, index, out):  # type: ignore[no-untyped-def]
    for k in range(len(index)):
        i = index[k]
        for b in range(_HALF):
            out[k, b] = hot[i, b]
        out[k, _MARKS] = cold[i, _HEAD]
        for b in range(_ADS):
            out[k, _HALF + b] = cold[i, b]
        for s in range(RING):
            ad = cold[i, _ADS + s // 2] >> 4 * (s % 2) & 15
            out[k, _CHANNEL + s], out[k, _CLICKED + s] = ad & 7, ad >> 3


@njit(cache=True, nogil=True)
def _write(users, first, hot, cold):  # type: ignore[no-untyped-def]
    for k in range(len(users)):
        i = first + k
        for b in range(_HALF):
            hot[i, b] = users[k, b]
        hot[i, _MARKS], cold[i, _HEAD] = 0, users[k, _MARKS]
        for b in range(_ADS):
            cold[i, b] = users[k, _HALF + b]
        for s in range(0, RING, 2):
            one = users[k, _CHANNEL + s] | users[k, _CLICKED + s] << 3
            other = users[k, _CHANNEL + s + 1] | users[k, _CLICKED + s + 1] << 3
            cold[i, _ADS + s // 2] = one | other << 4


def records_of(hot: NDArray[Any], cold: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
    """The records `[K]` of USER of the people at these positions; a fresh array."""
    out = np.empty(len(index), USER)
    _read(octets(hot), octets(cold), index, octets(out))
    return out


def lay_down(users: NDArray[Any], first: int, hot: NDArray[Any], cold: NDArray[Any]) -> None:
    """Writes records `[K]` of USER into the rows from position `first` on, unmarked.

    Channels are below 8, and a click is 0 or 1.
    """
    _write(octets(np.ascontiguousarray(users, USER)), first, hot=octets(hot), cold=octets(cold))


def octets(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Records as rows of bytes, sharing memory: copies then move whole records, not field by field."""
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)
