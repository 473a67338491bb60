"""The rivals of a market between ticks: the law of their prices in the coming tick, and how they adapt.

Prices are drawn from a family that never changes, or made by rival bidders (rivals.py) whose shades and
spending live in the market record: then the law (highest_bid.py) is another one at every tick.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.auction import FIRST, OWNED
from gaelp_env.config import MarketConfig
from gaelp_env.highest_bid import highest_table
from gaelp_env.ledger import RECORD, K, R
from gaelp_env.plan import plan_of
from gaelp_env.prices import KNOTS, flat_table, gamma_table, quantile_table
from gaelp_env.rivals import adapt, bidders_on

Floats = NDArray[np.float64]


@lru_cache(maxsize=64)
def drawn_tables(config: MarketConfig) -> Floats:
    """The tables of drawn prices, `[K, KNOTS]`, the same on every channel (never change them)."""
    family = config.prices.family
    table = flat_table()
    if family == "gamma":
        table = gamma_table(config.prices.shape)
    elif family == "quantiles":
        table = quantile_table(config.prices.quantiles)
    tables: Floats = np.ascontiguousarray(np.tile(table, (K, 1)))
    return tables


def initial_shades(config: MarketConfig) -> Floats:
    """What share of their values the rivals bid at the birth of a world, `[R, K]`."""
    shades: Floats = np.tile(np.array([[rival.shade] for rival in config.rivals.in_order()]), (1, K))
    return shades


def price_tables(record: Any, config: MarketConfig) -> Floats:
    """The law of rivals' highest price in the coming tick, `[K, KNOTS]`, relative to its median.

    Writes the medians of rival bidders, ln over the channel's level, into `rival_level` of the record.
    """
    if config.rivals.kind == "drawn":
        return drawn_tables(config)
    tables, records = np.empty((K, KNOTS)), np.array([record], RECORD)
    make_tables(plan_of(config), records, tables)
    record["rival_level"] = records[0]["rival_level"]
    return tables


@njit(cache=True, nogil=True)
def make_tables(plan, records, tables):  # type: ignore[no-untyped-def]
    """The law of bidding rivals' highest price, into `tables`, and its medians into the record."""
    p, r = plan[0], records[0]
    log_median, active, value = np.empty(R), np.empty(R, np.bool_), np.empty((R, K))
    for rival in range(R):
        for k in range(K):
            value[rival, k] = p.value[rival]
    for k in range(K):
        bidders_on(k, p.strategy, r.rival_shade, r.rival_spent, value, p.rival_budget, log_median, active)
        level = highest_table(log_median, p.value_log_sd, active, tables[k])
        for i in range(KNOTS):
            tables[k, i] -= level
        r.rival_level[k] = level


@njit(inline="always")
def _share_of_day(p, hour_of_week):  # type: ignore[no-untyped-def]
    """The share of a day's traffic that has gone by at an hour of the week (of any week), in [0, 1)."""
    day = int(math.floor((hour_of_week + 1e-9) / 24.0))
    hour = hour_of_week + 1e-9 - 24.0 * day
    whole, gone = 0.0, 0.0
    for k in range(24):
        weight = p.traffic[24 * (day % 7) + k]
        whole += weight
        gone += weight * min(1.0, max(0.0, hour - k))
    return gone / whole


@njit(cache=True, nogil=True)
def let_adapt(constants, plan, records, ledgers, our_bids):  # type: ignore[no-untyped-def]
    """Lets the rival bidders pace and learn from the tick that closes; drawn prices do not.

    They meet our bid at the share of a channel's opportunities that we bid for: frequency caps, spent budgets
    and audiences left out keep us from the others. Where we bid, the highest bid over audiences stands for
    all of ours (a simplification: the ledger does not tell audiences apart).

    Args:
      constants, plan: of the configuration.
      records: the market record, its clock not yet moved on; shades and spending are changed.
      ledgers: of the tick.
      our_bids: `[K]` CPM, the highest that we bid on a channel in the tick's auctions; 0 for none.
    """
    c, p, r = constants[0], plan[0], records[0]
    if not p.bidders:
        return
    hour = int(math.floor(p.start_h + p.tick_h * r.tick + 1e-9)) % 24
    value, score, share = np.empty((R, K)), np.empty(K), np.empty(K)
    first_price, pressed = np.empty(K, np.bool_), np.empty(K, np.bool_)
    for k in range(K):
        # the level of the tick, without what the rivals themselves make of it
        level = p.reference[k] * math.exp(p.moves[k] * (p.log_price[hour] + r.pressure[k]))
        first_price[k], pressed[k] = c.rule[k] == FIRST, c.rule[k] != OWNED
        score[k] = our_bids[k] * c.quality_score[k]
        share[k] = ledgers[0].bids[k] / max(ledgers[0].opportunities[k], 1)
        for rival in range(R):
            value[rival, k] = p.value[rival] * level
    start_h = p.start_h + p.tick_h * r.tick
    adapt(
        p.strategy, r.rival_shade, r.rival_spent, value, p.value_log_sd, p.rival_budget, first_price, pressed,
        score, share, ledgers[0].opportunities, _share_of_day(p, start_h),
        _share_of_day(p, start_h + p.tick_h), p.learning_rate,
    )  # fmt: skip
