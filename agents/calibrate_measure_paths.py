"""Figures of journeys and orders: sessions before an order, delays, order values, and the calendar."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.calibrate_logs import DAY_H, DEVICES, JOURNEY_GAP_H, Played, rank, running, share, starts
from gaelp_env.config import CHANNELS
from gaelp_env.published import DAY_WEIGHTS, HOUR_SHARES

Ints = NDArray[np.int64]
LONGEST_DELAY_H = 720.0
_UNASKED = 4
"""Kinds of unasked visits; they follow the channels among the labels of a path."""


def path_moments(played: Played) -> dict[str, float]:
    """Sessions, different channels and devices of converting paths, by the names of their targets."""
    sessions, channels, devices, weight = paths(played)
    total = float(weight.sum())
    found = {f"path_at_most_{n}": share(weight[sessions <= n].sum(), total) for n in (1, 3, 5, 10)}
    return found | {
        "path_mean": share((weight * sessions).sum(), total),
        "path_channels": share((weight * channels).sum(), total),
        "cross_device_orders": share(weight[devices >= 2].sum(), total),
    }


def paths(played: Played) -> tuple[Ints, Ints, Ints, NDArray[np.float64]]:
    """The path up to every visit, and the probability that an order is decided there.

    A path holds the sessions of a journey, from its first one to the visit itself: unasked visits, whose
    channel is their source, and clicks on our ads, whose channel is the ad's. Ads that were merely seen do
    not count. A journey begins after JOURNEY_GAP_H without a session, and where the log's own journey
    number changes, as it does after an order.

    Weighing every visit by its probability to decide an order gives the same means as counting deciding
    visits, with less noise.

    Returns: sessions, different channels, different devices, order probability; each `[V]`.
    """
    visits = played.visits
    first = starts(visits["number"], visits["journey"])
    first[1:] |= np.diff(visits["at_h"]) > JOURNEY_GAP_H
    paid = visits["channel"] >= 0
    label = np.where(paid, visits["channel"], len(CHANNELS) + visits["source"].astype(np.int64))
    return (
        rank(first) + 1,
        _different(label, first, len(CHANNELS) + _UNASKED),
        _different(visits["device"], first, len(DEVICES)),
        visits["buy"].astype(np.float64),
    )


def _different(label: NDArray[Any], first: NDArray[np.bool_], labels: int) -> Ints:
    """How many different labels a group has had, up to and with each row."""
    found = np.zeros(len(label), np.int64)
    for one in range(labels):
        found += running((label == one).astype(np.int64), first) > 0
    return found


def order_moments(played: Played) -> dict[str, float]:
    """Delays from decision to order, and the mean order.

    Delays are taken of orders decided early enough that the longest delay is over by the end.
    """
    orders = played.orders
    delay = delays_h(played)
    found = {f"delay_{name}": share((delay <= h).sum(), len(delay)) for name, h in _DELAYS}
    return found | {"order_value": share(orders["value_micro"].sum() / 1e6, len(orders))}


_DELAYS = (("1h", 1.0), ("24h", 24.0), ("14d", 336.0))


def delays_h(played: Played) -> NDArray[np.float64]:
    """Hours from decision to order, of the orders whose 30 days are over."""
    orders = played.orders
    hour = np.timedelta64(3_600_000_000, "us")
    delay = (orders["at"] - orders["decided"]) / hour
    decided_h = orders["tick"] * played.tick_h - delay
    return np.asarray(delay[decided_h <= played.end_h - LONGEST_DELAY_H], np.float64)


def calendar_moments(played: Played, traffic: str = "avito", weekdays: str = "ga4") -> dict[str, float]:
    """How far opportunities are from the published shares of hours and weekdays: sums of differences.

    Args:
      traffic, weekdays: the profiles that the market was told to follow.
    """
    found = {"hour_profile": HOUR_SHARES[traffic], "weekday_profile": DAY_WEIGHTS[weekdays]}
    shares = {"hour_profile": hour_shares(played), "weekday_profile": weekday_shares(played)}
    return {
        name: float(np.abs(shares[name] - np.asarray(wanted) / sum(wanted)).sum())
        for name, wanted in found.items()
    }


def hour_shares(played: Played) -> NDArray[np.float64]:
    """The share of each hour of the day in all media opportunities; `[24]`."""
    return _shares(played, played.ledgers["tick"] * played.tick_h % DAY_H, 24)


def weekday_shares(played: Played) -> NDArray[np.float64]:
    """The share of each weekday, Monday first, in the opportunities of whole weeks; `[7]`."""
    day = played.ledgers["tick"] * played.tick_h // DAY_H
    whole = np.where(day < played.end_h // (7.0 * DAY_H) * 7.0, day % 7.0, -1.0)
    return _shares(played, whole, 7)


def _shares(played: Played, slot: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    opportunities = played.ledgers["opportunities"].sum(axis=1)
    kept = slot >= 0.0
    sums = np.bincount(slot[kept].astype(np.int64), opportunities[kept], size)
    return np.asarray(sums / sums.sum()) if sums.sum() else np.full(size, np.nan)
