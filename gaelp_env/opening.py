"""What a tick opens with: the season, rivals' pressure, and our bids among their prices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.auction import OWNED, pressure_after, price_at, quantile_of
from gaelp_env.chance import NOBODY, PRESSURE, uniforms
from gaelp_env.config import MarketConfig
from gaelp_env.constants import constant_record_of
from gaelp_env.journey import NEVER_H
from gaelp_env.ledger import FLOOR_KNOTS, RECORD, A, K
from gaelp_env.plan import plan_of
from gaelp_env.prices import rank_of

FEW = 512
"""With fewer candidates in a tick, reserves are compared by price: ranking them would cost more."""
NO_STOP = 2**62
"""A user number beyond all others: nobody is stopped at an equal moment."""


@njit(inline="always")
def rank_bid(c, p, m, tables, channel, audience):  # type: ignore[no-untyped-def]
    """Ranks the bid that stands for a channel and an audience among rivals' prices and among reserves."""
    bid = m.bid_cpm[channel, audience]
    if c.rule[channel] == OWNED:
        m.beats_rivals[channel, audience] = quantile_of(bid, m.price_median[channel], p.price_log_sd)
    else:
        m.beats_rivals[channel, audience] = rank_of(
            c.family, bid * c.quality_score[channel], m.price_median[channel], c.price_shape, tables[channel]
        )
    m.beats_floor[channel, audience] = quantile_of(bid, m.floor_median[channel], p.floor_log_sd)


@njit(inline="always")
def rank_bids(c, p, m, tables):  # type: ignore[no-untyped-def]
    """Ranks all bids that stand for the tick; an audience with the bid of the one before has its ranks."""
    for k in range(K):
        for a in range(A):
            if a > 0 and m.bid_cpm[k, a] == m.bid_cpm[k, a - 1]:
                m.beats_rivals[k, a], m.beats_floor[k, a] = m.beats_rivals[k, a - 1], m.beats_floor[k, a - 1]
            elif m.bid_cpm[k, a] > 0.0:
                rank_bid(c, p, m, tables, k, a)
            else:
                m.beats_rivals[k, a] = m.beats_floor[k, a] = 0.0


@njit(inline="always")
def hour_of_week(p, hours):  # type: ignore[no-untyped-def]
    """The hour of the week, 0 … 167, at `hours` on the simulated clock."""
    return int(math.floor(p.start_h + hours + 1e-9)) % 168


@njit(inline="always")
def open_moment(p, r, m):  # type: ignore[no-untyped-def]
    """Fills in what is the same for everybody in the coming tick, the bids apart.

    Args:
      p, r: the plan and the market record, read.
      m: MOMENT, written.
    Returns: the days' worth of candidates in the tick, for a user of rate one.
    """
    start_h = p.tick_h * r.tick
    hour = hour_of_week(p, start_h)
    m.key, m.tick, m.start_h, m.episode = r.key, r.tick, start_h, r.episode + 1
    for k in range(K):
        log_level = p.moves[k] * (p.log_price[hour % 24] + r.pressure[k] + r.rival_level[k])
        m.price_median[k], m.floor_median[k] = p.reference[k] * math.exp(log_level), p.floor[k]
    m.click_weight = p.click[hour % 24]
    m.stop_h, m.stop_number, m.creative = NEVER_H, NO_STOP, -1
    return p.traffic[hour] * p.tick_h / 24.0


@njit(inline="always")
def rank_floors(c, p, m, tables):  # type: ignore[no-untyped-def]
    """Ranks the reserves at FLOOR_KNOTS even quantiles among rivals' prices, on each auctioned channel.

    Where no rival's ad is looked at, or no auction has a reserve, nobody asks for the ranks.
    """
    if not c.rivals_seen or c.floor_share <= 0.0:
        return
    for k in range(K):
        m.floor_rank[k, 0], m.floor_rank[k, FLOOR_KNOTS - 1] = 0.0, 1.0
        for i in range(1, FLOOR_KNOTS - 1):
            if c.rule[k] != OWNED:
                floor = price_at(i / (FLOOR_KNOTS - 1.0), m.floor_median[k], p.floor_log_sd)
                m.floor_rank[k, i] = rank_of(c.family, floor, m.price_median[k], c.price_shape, tables[k])
    m.ranked = 1


@njit(cache=True)
def _open(constants, plan, records, moments, tables, bids):  # type: ignore[no-untyped-def]
    c, p, r, m = constants[0], plan[0], records[0], moments[0]
    weight = open_moment(p, r, m)
    for k in range(K):
        for a in range(A):
            m.bid_cpm[k, a] = bids[k, a] * p.targeting[k, a] * r.pace
    rank_bids(c, p, m, tables)
    rank_floors(c, p, m, tables)
    return weight


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
    records = np.array([record], RECORD)
    moments["prices_at"] = tables.ctypes.data
    weight: float = _open(constant_record_of(config), plan_of(config), records, moments, tables, bids)
    return weight


@njit(cache=True)
def moved(key, tick, pressure, log_sd, elapsed_h, half_life_h):  # type: ignore[no-untyped-def]
    """As `pressures`, from the numbers themselves."""
    now = np.empty(K)
    for k in range(K):
        u, _b, _c, _d = uniforms(key, NOBODY, tick, PRESSURE, k)
        now[k] = pressure_after(pressure[k], u, log_sd, elapsed_h, half_life_h)
    return now


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
    now: NDArray[np.float64] = moved(
        np.uint64(key), tick, pressure, prices.pressure_log_sd, elapsed_h, prices.pressure_half_life_h
    )
    return now
