"""What a tick opens with: the season, rivals' pressure, and our bids among their prices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.auction import pressure_after, quantile_of
from gaelp_env.chance import NOBODY, PRESSURE, uniforms
from gaelp_env.config import MarketConfig
from gaelp_env.constants import levels_of, median_prices, season_of
from gaelp_env.journey import NEVER_H
from gaelp_env.ledger import K

NO_STOP = 2**62
"""A user number beyond all others: nobody is stopped at an equal moment."""


@njit(cache=True)
def _rank_bids(moments, log_sd, floor_log_sd):  # type: ignore[no-untyped-def]
    m = moments[0]
    for k in range(K):
        m.beats_rivals[k] = quantile_of(m.bid_cpm[k], m.price_median[k], log_sd)
        m.beats_floor[k] = quantile_of(m.bid_cpm[k], m.floor_median[k], floor_log_sd)


def open_tick(moments: Any, record: Any, config: MarketConfig, bids: NDArray[np.float64]) -> float:
    """Fills in what is the same for everybody in the coming tick.

    Args:
      moments: `[1]` of MOMENT, written.
      record: the market record, read.
      config: of the market.
      bids: `[5]` CPM, 0 for no bid.
    Returns: the days' worth of candidates in the tick, for a user of rate one.
    """
    moment, prices, season = moments[0], config.prices, season_of(config)
    start_h = config.clock.tick_h * int(record["tick"])
    hour = season.hour_of_week(start_h)
    medians, floors = median_prices(record, config), levels_of(config).floor
    moment["key"], moment["tick"], moment["start_h"] = record["key"], record["tick"], start_h
    moment["episode"] = record["episode"] + 1
    moment["bid_cpm"], moment["price_median"], moment["floor_median"] = bids, medians, floors
    moment["click_weight"] = season.click[hour % 24]
    moment["stop_h"], moment["stop_number"] = NEVER_H, NO_STOP
    _rank_bids(moments, prices.log_sd, prices.floor_log_sd)
    return float(season.traffic[hour]) * config.clock.tick_h / 24.0


@njit(cache=True)
def _moved(key, tick, pressure, log_sd, elapsed_h, half_life_h):  # type: ignore[no-untyped-def]
    moved = np.empty(K)
    for k in range(K):
        u, _b, _c, _d = uniforms(key, NOBODY, tick, PRESSURE, k)
        moved[k] = pressure_after(pressure[k], u, log_sd, elapsed_h, half_life_h)
    return moved


def pressures(
    config: MarketConfig, key: Any, tick: int, pressure: NDArray[np.float64], elapsed_h: float
) -> NDArray[np.float64]:
    """Rivals' pressure by channel at the beginning of `tick`, `elapsed_h` after it was `pressure`.

    Args:
      config: of the market.
      key: chance key.
      pressure: `[5]`, contiguous.
    """
    prices = config.prices
    moved: NDArray[np.float64] = _moved(
        np.uint64(key), tick, pressure, prices.pressure_log_sd, elapsed_h, prices.pressure_half_life_h
    )
    return moved
