"""What a tick opens with: the season, rivals' pressure, and our bids among their prices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.auction import pressure_after, quantile_of
from gaelp_env.chance import NOBODY, PRESSURE, uniforms
from gaelp_env.config import MarketConfig
from gaelp_env.constants import levels_of, median_prices, season_of
from gaelp_env.journey import NEVER_H
from gaelp_env.ledger import K

NO_STOP = 2**62
"""A user number beyond all others: nobody is stopped at an equal moment."""


def open_tick(moment: Any, record: Any, config: MarketConfig, bids: NDArray[np.float64]) -> float:
    """Fills in what is the same for everybody in the coming tick.

    Args:
      moment: one MOMENT record, written.
      record: the market record, read.
      config: of the market.
      bids: `[5]` CPM, 0 for no bid.
    Returns: the days' worth of candidates in the tick, for a user of rate one.
    """
    prices, season = config.prices, season_of(config)
    start_h = config.clock.tick_h * int(record["tick"])
    hour = season.hour_of_week(start_h)
    medians, floors = median_prices(record, config), levels_of(config).floor
    moment["key"], moment["tick"], moment["start_h"] = record["key"], record["tick"], start_h
    moment["episode"] = record["episode"] + 1
    moment["bid_cpm"], moment["price_median"], moment["floor_median"] = bids, medians, floors
    moment["beats_rivals"] = [quantile_of(b, p, prices.log_sd) for b, p in zip(bids, medians, strict=True)]
    moment["beats_floor"] = [
        quantile_of(b, f, prices.floor_log_sd) for b, f in zip(bids, floors, strict=True)
    ]
    moment["click_weight"] = season.click[hour % 24]
    moment["stop_h"], moment["stop_number"] = NEVER_H, NO_STOP
    return float(season.traffic[hour]) * config.clock.tick_h / 24.0


def pressures(
    config: MarketConfig, key: Any, tick: int, pressure: NDArray[np.float64], elapsed_h: float
) -> list[float]:
    """Rivals' pressure by channel at the beginning of `tick`, `elapsed_h` after it was `pressure`."""
    prices = config.prices
    return [
        pressure_after(
            float(pressure[k]),
            float(uniforms(key, NOBODY, tick, PRESSURE, k)[0]),
            prices.pressure_log_sd,
            elapsed_h,
            prices.pressure_half_life_h,
        )
        for k in range(K)
    ]
