"""All figures of a calibration run, by the names of their targets, and the curves of its picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.calibrate_logs import Played
from agents.calibrate_measure_ads import (
    ad_moments,
    carry_over,
    click_by_exposure,
    display_prices,
    twin_moments,
)
from agents.calibrate_measure_paths import (
    calendar_moments,
    delays_h,
    hour_shares,
    order_moments,
    path_moments,
    paths,
)
from agents.calibrate_measure_site import site_moments, weekly_active

PRICE_EDGES = np.linspace(0.0, 4.5, 46)
"""Edges of the price histogram, in medians."""
DELAY_H = np.geomspace(0.1, 720.0, 60)
LONGEST_PATH = 25


def moments(
    played: Played, pair: tuple[Played, Played] | None = None, traffic: str = "avito", weekdays: str = "ga4"
) -> dict[str, float]:
    """Every figure that the logs give; one that they do not give is absent or nan.

    Args:
      played: the long run.
      pair: a campaign and its twin without bids, for what ads do; they may be played on for four weeks.
      traffic, weekdays: the profiles that the market was told to follow.
    """
    found = site_moments(played) | ad_moments(played) | path_moments(played) | order_moments(played)
    found |= calendar_moments(played, traffic, weekdays)
    return found if pair is None else found | twin_moments(*pair) | carry_over(*pair)


def curves(played: Played, traffic: str = "avito") -> dict[str, Any]:
    """What the picture draws, JSON-able: lists of numbers, None where a run is too short for one.

    Returns: hours (share of opportunities), traffic (name of the profile asked for), prices (density by
      PRICE_EDGES), clicks (over the first ad), delays (distribution at DELAY_H), weeks (active share after
      1, 2 … weeks), path (converting paths of at most 1, 2 … sessions).
    """
    sessions, _, _, weight = paths(played)
    prices = display_prices(played)
    delay = np.sort(delays_h(played))
    at_most = np.bincount(np.minimum(sessions, LONGEST_PATH + 1), weight, LONGEST_PATH + 2)
    density = np.histogram(prices, PRICE_EDGES)[0] / max(1, len(prices)) / np.diff(PRICE_EDGES)
    return {
        "hours": _plain(hour_shares(played)),
        "traffic": traffic,
        "prices": _plain(density) if len(prices) else [],
        "clicks": _plain(click_by_exposure(played)),
        "delays": _plain(np.searchsorted(delay, DELAY_H, "right") / len(delay)) if len(delay) else [],
        "weeks": _plain(weekly_active(played.visits, played.end_h)),
        "path": _plain(np.cumsum(at_most)[1:-1] / weight.sum()) if weight.sum() else [],
    }


def _plain(values: Any) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
