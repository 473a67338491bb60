"""What a tick opens with: the season, rivals' pressure, and our bids among their prices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.auction import OWNED, pressure_after, price_at, quantile_of
from gaelp_env.chance import NOBODY, PRESSURE, uniforms
from gaelp_env.config import MarketConfig
from gaelp_env.constants import constants_of, levels_of, median_prices, season_of, targeting_of
from gaelp_env.journey import NEVER_H
from gaelp_env.ledger import FLOOR_KNOTS, A, K
from gaelp_env.prices import rank_of

NO_STOP = 2**62
"""A user number beyond all others: nobody is stopped at an equal moment."""


@njit(cache=True)
def _rank_bids(moments, tables, rule, quality, family, shape, log_sd, floor_log_sd):  # type: ignore[no-untyped-def]
    m = moments[0]
    for k in range(K):
        for a in range(A):
            bid = m.bid_cpm[k, a]
            if rule[k] == OWNED:
                m.beats_rivals[k, a] = quantile_of(bid, m.price_median[k], log_sd)
            else:
                m.beats_rivals[k, a] = rank_of(family, bid * quality[k], m.price_median[k], shape, tables[k])
            m.beats_floor[k, a] = quantile_of(bid, m.floor_median[k], floor_log_sd)


@njit(cache=True)
def rank_floors(moments, tables, rule, family, shape, floor_log_sd):  # type: ignore[no-untyped-def]
    """Ranks the reserves at FLOOR_KNOTS even quantiles among rivals' prices, on each auctioned channel."""
    m = moments[0]
    for k in range(K):
        m.floor_rank[k, 0], m.floor_rank[k, FLOOR_KNOTS - 1] = 0.0, 1.0
        for i in range(1, FLOOR_KNOTS - 1):
            if rule[k] != OWNED:
                floor = price_at(i / (FLOOR_KNOTS - 1.0), m.floor_median[k], floor_log_sd)
                m.floor_rank[k, i] = rank_of(family, floor, m.price_median[k], shape, tables[k])


def open_tick(
    moments: Any, record: Any, config: MarketConfig, bids: NDArray[np.float64], tables: NDArray[np.float64]
) -> float:
    """Fills in what is the same for everybody in the coming tick.

    Args:
      moments: `[1]` of MOMENT, written.
      record: the market record, read.
      config: of the market.
      bids: `[5, A]` CPM by channel and audience, 0 for no bid.
      tables: `[5, KNOTS]` of rivals' prices.
    Returns: the days' worth of candidates in the tick, for a user of rate one.
    """
    moment, prices, season = moments[0], config.prices, season_of(config)
    start_h = config.clock.tick_h * int(record["tick"])
    hour = season.hour_of_week(start_h)
    medians, floors = median_prices(record, config), levels_of(config).floor
    moment["key"], moment["tick"], moment["start_h"] = record["key"], record["tick"], start_h
    moment["episode"] = record["episode"] + 1
    moment["bid_cpm"] = bids * targeting_of(config) * float(record["pace"])
    moment["price_table"] = tables
    moment["price_median"], moment["floor_median"] = medians, floors
    moment["click_weight"] = season.click[hour % 24]
    moment["stop_h"], moment["stop_number"] = NEVER_H, NO_STOP
    c = constants_of(config)
    _rank_bids(
        moments, tables, c.rule, c.quality_score, c.family, c.price_shape, prices.log_sd, prices.floor_log_sd
    )
    if c.rivals_seen and c.floor_share > 0.0:
        rank_floors(moments, tables, c.rule, c.family, c.price_shape, prices.floor_log_sd)
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
