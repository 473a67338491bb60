"""Figures of the site: orders, sessions, returns, weeks, funnel, devices and sources, as GA4 counts them.

A *user* is a person with a visit in the time that was played, and counts as new at the first of them: GA4
does not know either who came before its first day. A *session* is a visit. Days and weeks are calendar
ones; weeks begin on Mondays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.calibrate_logs import (
    CHECKOUT,
    DAY_H,
    DEVICES,
    ORDER,
    WEEK_H,
    Played,
    Rows,
    expected_orderers,
    share,
    starts,
)

SOURCES = ("organic", "direct", "unknown", "referral", "paid")
COHORTS = 3
"""New visitors of so many first weeks are followed, as those of 2, 9 and 16 November are in the source."""
RETURN_DAYS = 14


def site_moments(played: Played) -> dict[str, float]:
    """All figures of visits, by the names of their targets; nan where there is nothing to take one of."""
    visits = played.visits
    if not len(visits):
        return {}
    found = _orders(visits) | _returns(visits, played.end_h) | _funnel(visits)
    weekly = weekly_active(visits, played.end_h)
    found |= {f"weekly_active_{week}": weekly[week - 1] for week in range(1, 5)}
    found |= {f"device_{name}": float(np.mean(visits["device"] == d)) for d, name in enumerate(DEVICES)}
    sources = visits["source"][starts(visits["number"])]
    return found | {f"source_{name}": float(np.mean(sources == s)) for s, name in enumerate(SOURCES)}


def _orders(visits: Rows) -> dict[str, float]:
    """Orders a session, orderers a user and a week, sessions a user.

    The order probability of every visit stands for its outcome: same mean, less noise.
    """
    buy = visits["buy"].astype(np.float64)
    user = starts(visits["number"])
    users = int(user.sum())
    week = _calendar(visits, WEEK_H)
    user_week = starts(visits["number"], week)
    new = week == _of_first(week, user)
    found = {
        "orders_per_session": float(buy.mean()),
        "buyers_per_user": share(expected_orderers(visits, user), users),
        "sessions_per_user": share(len(visits), users),
    }
    for name, which in (("new_week_buyers", new), ("returning_week_buyers", ~new)):
        first = user_week[which]
        found[name] = share(expected_orderers(visits[which], first), int(first.sum()))
    return found


def _returns(visits: Rows, end_h: float) -> dict[str, float]:
    """Who comes back on a later calendar day, at most 14 days after the day of the first visit.

    Only users whose 14 days are over by the end are looked at. A first-day buyer decided an order on the
    day of the first visit; what follows hangs on it, so here the outcome counts and not its probability.
    """
    user = starts(visits["number"])
    day = _calendar(visits, DAY_H)
    since = day - _of_first(day, user)
    group = np.cumsum(user) - 1
    users = int(user.sum())
    back = _any_of(group, users, (since >= 1) & (since <= RETURN_DAYS))
    bought = _any_of(group, users, (since == 0) & (visits["depth"] >= ORDER))
    ripe = (day[user] + RETURN_DAYS + 1) * DAY_H <= end_h
    return {
        "return14_nonbuyer": share(int((back & ripe & ~bought).sum()), int((ripe & ~bought).sum())),
        "return14_buyer": share(int((back & ripe & bought).sum()), int((ripe & bought).sum())),
    }


def weekly_active(visits: Rows, end_h: float, weeks: int = 8) -> list[float]:
    """The share of new visitors with a visit in the 1st, 2nd … calendar week after their first one.

    Pooled over the new visitors of the first COHORTS weeks; nan where a week is not over for all of them.
    """
    user = starts(visits["number"])
    week = _calendar(visits, WEEK_H)
    joined = _of_first(week, user)
    followed = joined < COHORTS
    size = int((user & followed).sum())
    active = starts(visits["number"], week) & followed
    whole = int(end_h // WEEK_H)
    return [
        share(int((active & (week - joined == w)).sum()), size) if COHORTS + w <= whole else float("nan")
        for w in range(1, weeks + 1)
    ]


def _funnel(visits: Rows) -> dict[str, float]:
    """Users whose deepest visit reaches a step over those who reach the step before."""
    deepest = np.maximum.reduceat(visits["depth"], np.flatnonzero(starts(visits["number"])))
    view, cart, checkout, order = (int((deepest >= d).sum()) for d in (1, 2, CHECKOUT, ORDER))
    return {
        "funnel_cart": share(cart, view),
        "funnel_checkout": share(checkout, cart),
        "funnel_order": share(order, checkout),
    }


def _calendar(visits: Rows, hours: float) -> NDArray[np.int64]:
    return np.asarray(visits["at_h"] // hours, np.int64)


def _of_first(values: NDArray[np.int64], first: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For every row the value of its group's first row."""
    return np.asarray(values[first][np.cumsum(first) - 1])


def _any_of(group: NDArray[np.int64], groups: int, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.bincount(group[flags], minlength=groups) > 0
