"""The desk at which bids are asked for, one at a time: where a world stands between two opportunities.

A desk is one record, whatever the world's size, and reaches the world's own arrays by their addresses: so one
compiled call serves any number of worlds, each with people of its own.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]

from gaelp_env.ledger import K
from gaelp_env.pointers import pointer

CLOSED, BORN, OPEN = 0, 1, 2
"""Phases of a tick: between two ticks; newcomers are in, nobody is listed; candidates are played."""
ASKS, OVER, GROW, PAUSED, BEGUN, EMPTY, ANY = 0, 1, 2, 3, 4, 5, -1
"""What a call ends with: a bid is asked for; the episode is over; an array is too short; a tick has closed.
BEGUN: an episode has begun, and its first opportunity is not looked for yet; EMPTY: there was none in it."""
HEAD = 8
"""Entries of an observation that hold for a whole tick."""

CANDIDATE = np.dtype(
    [
        ("at_h", "<f8"),
        ("place", "<i8"),  # row of the user
        ("j", "<i8"),  # number of the candidate among the user's own in the tick
        ("kind", "<f8"),  # uniforms: channel or visit,
        ("real", "<f8"),  # becomes an opportunity,
        ("winnable", "<f8"),
    ]
)
"""A moment at which a user may be met."""

ADDRESSES = (
    "hot", "cold", "number", "rate", "record", "moment", "ledger", "tables", "candidates",
    "pending", "touches", "touch_h", "touch_click", "visits", "orders", "order_h",
)  # fmt: skip
DESK = np.dtype(
    [
        *((name, "<u8") for name in ADDRESSES),  # where the world's arrays lie
        ("size", "<i8"),  # users
        ("capacity", "<i8"),  # rows that the people's columns have
        ("room", "<i8"),  # candidates, pending orders and events that the arrays have room for
        ("keep", "<i8"),  # 1: events are kept until the episode ends; 0: nobody asks for them
        ("pause", "<i8"),  # 1: stop when a tick has closed
        ("need", "<i8"),  # room that was missing
        ("status", "<i8"),
        ("phase", "<i8"),
        ("tick", "<i8"),  # the clock, as of the tick that was opened last
        ("weight", "<f8"),  # days' worth of candidates in the tick
        ("count", "<i8"),  # candidates of the tick
        ("cursor", "<i8"),  # the next one
        ("n_pending", "<i8"),
        ("n_touches", "<i8"),
        ("n_visits", "<i8"),
        ("n_orders", "<i8"),
        ("wins", "<i8"),  # in the open episode
        ("over", "<i8"),  # 1: no more bids in this tick
        ("left_micro", "<i8"),  # of the tightest budget, at the tick's beginning
        ("spent_micro", "<i8"),  # in the tick
        ("mark", "<i8"),  # which budget that is: 0 episode, 1 day, 2 life of the world
        ("given_cpm", "<f8", (K,)),  # the highest bids that were given in the tick
        ("stood_cpm", "<f8", (K,)),  # and what targeting and pacing made of them
        ("asks", "<i8"),  # 1: a bid is asked for, for:
        ("place", "<i8"),
        ("j", "<i8"),
        ("channel", "<i8"),
        ("audience", "<i8"),
        ("device", "<i8"),
        ("user", "<i8"),  # number
        ("at_h", "<f8"),
        ("winnable", "<f8"),
        ("came", "<i8"),  # of the last bid, see opportunities.WON …
        ("cost_micro", "<i8"),
        ("gained", "<i8", (5,)),  # since the last reward: spend, accrued, margin, attributed (micro), orders
        ("score", "<f8"),  # of the episode, as of the last reward
        ("head", "<f8", (HEAD,)),  # of the observation
        ("guidance", "<f8", (K,)),
    ]
)
SPEND, ACCRUED, MARGIN, ATTRIBUTED, ORDERS = 0, 1, 2, 3, 4
"""Places in `gained`."""


@njit(inline="always")
def bare(array, dtype):  # type: ignore[no-untyped-def]
    """The same array without a count of its owners, which would be kept at every call it is passed to."""
    return carray(pointer(np.uint64(array.ctypes.data)), array.shape, dtype)


@njit(inline="always")
def gain(desk, place, amount):  # type: ignore[no-untyped-def]
    """Books something that the next reward may count."""
    desk.gained[place] += amount
