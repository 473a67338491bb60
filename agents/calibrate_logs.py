"""What a calibration run leaves to be measured: visits, ads seen, orders and ledgers of a stretch of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.config import CHANNELS

Rows = NDArray[Any]
Flags = NDArray[np.bool_]

SEEN = np.dtype(
    [
        ("number", "<u4"),
        ("at_h", "<f8"),
        ("channel", "u1"),
        ("clicked", "u1"),
        ("price_micro", "<i8"),
        ("click", "<f4"),  # probability of a click
    ]
)
"""An ad of ours that a user saw."""

DISPLAY = CHANNELS.index("display")
CAMPAIGN = tuple(k for k, name in enumerate(CHANNELS) if name != "email")
"""Channels of an advertiser's campaign; e-mail is the shop's own."""
PAID = 4
DEVICES = ("desktop", "mobile", "tablet")
CHECKOUT, ORDER = 3, 4
DAY_H, WEEK_H = 24.0, 168.0
JOURNEY_GAP_H = 14.0 * DAY_H
"""A path of sessions closes after so many hours without one."""


@dataclass(frozen=True, slots=True)
class Played:
    """The logs of a stretch of time, from the first day of a world to `end_h`.

    Attributes:
      visits: `[V]` of VISIT; kept by user number and then by moment.
      seen: `[S]` with the fields of SEEN, kept likewise.
      orders: `[C]` of CONVERSION, as they fell due.
      ledgers: `[T]` of LEDGER, one a tick.
      end_h: hours played; tick 0 is a Monday, 0 h.
      tick_h: hours of a tick.
    """

    visits: Rows
    seen: Rows
    orders: Rows
    ledgers: Rows
    end_h: float
    tick_h: float = 0.5

    def __post_init__(self) -> None:
        for name in ("visits", "seen"):
            rows = getattr(self, name)
            if not _in_order(rows):
                object.__setattr__(self, name, rows[np.lexsort((rows["at_h"], rows["number"]))])


def _in_order(rows: Rows) -> bool:
    number, at_h = rows["number"], rows["at_h"]
    later = (number[1:] > number[:-1]) | ((number[1:] == number[:-1]) & (at_h[1:] >= at_h[:-1]))
    return bool(later.all())


def starts(*keys: NDArray[Any]) -> Flags:
    """Where a new group begins, in rows that are sorted by the keys."""
    size = len(keys[0])
    flags = np.ones(size, np.bool_)
    if size:
        flags[1:] = False
        for key in keys:
            flags[1:] |= key[1:] != key[:-1]
    return flags


def running(values: NDArray[Any], first: Flags) -> NDArray[Any]:
    """The running sum of values within groups, each row's own value included."""
    total = np.cumsum(values)
    at = np.flatnonzero(first)
    before = np.where(at > 0, total[at - 1], 0)
    return np.asarray(total - np.repeat(before, np.diff(np.append(at, len(values)))))


def rank(first: Flags) -> NDArray[np.int64]:
    """The place of a row in its group: 0, 1 …"""
    return running(np.ones(len(first), np.int64), first) - 1


def expected_orderers(visits: Rows, first: Flags) -> float:
    """The expected number of groups of visits in which an order is decided.

        E = sum of the order probabilities of all visits up to, and with, the first that decides one

    Each such term is the chance that the group's first order comes just then, given what went before. So
    the mean is that of the count itself, and its spread is smaller.

    Args:
      visits: sorted by user number and then by moment.
      first: where a group begins.
    """
    decided = (visits["depth"] >= ORDER).astype(np.int64)
    open_still = running(decided, first) - decided == 0
    return float(visits["buy"][open_still].sum(dtype=np.float64))


def share(part: float, whole: float) -> float:
    """A ratio; nan of nothing."""
    return float(part) / float(whole) if whole else float("nan")
