"""The rivals of a market between ticks: the law of their prices in the coming tick, and how they adapt.

Prices are drawn from a family that never changes, or made by rival bidders (rivals.py) whose shades and
spending live in the market record: then the law (highest_bid.py) is another one at every tick.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaelp_env.auction import FIRST, OWNED
from gaelp_env.config import MarketConfig
from gaelp_env.constants import constants_of, levels_of, price_log_levels, season_of
from gaelp_env.highest_bid import highest_table
from gaelp_env.ledger import K, R
from gaelp_env.prices import KNOTS, flat_table, gamma_table, quantile_table
from gaelp_env.rivals import STRATEGIES, adapt, bidders_on

Floats = NDArray[np.float64]


class Bidders(NamedTuple):
    """The rival bidders of a configuration, `[R]` each."""

    strategy: NDArray[np.int64]
    value: Floats  # median, multiple of the channel's level
    log_sd: Floats
    budget: Floats  # currency a day; 0: none


@lru_cache(maxsize=64)
def bidders_of(config: MarketConfig) -> Bidders:
    """The rival bidders of a configuration (never change them)."""
    rivals = config.rivals.in_order()
    return Bidders(
        np.array([STRATEGIES[rival.strategy] for rival in rivals], np.int64),
        np.array([rival.value for rival in rivals], np.float64),
        np.array([rival.value_log_sd for rival in rivals], np.float64),
        np.array([rival.budget_per_day for rival in rivals], np.float64),
    )


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
    bidders, tables = bidders_of(config), np.empty((K, KNOTS))
    log_median, active = np.empty(R), np.empty(R, np.bool_)
    shade, spent = np.ascontiguousarray(record["rival_shade"]), np.ascontiguousarray(record["rival_spent"])
    value = np.ascontiguousarray(np.tile(bidders.value[:, None], (1, K)))
    for k in range(K):
        bidders_on(k, bidders.strategy, shade, spent, value, bidders.budget, log_median, active)
        level = highest_table(log_median, bidders.log_sd, active, tables[k])
        tables[k] -= level
        record["rival_level"][k] = level
    return tables


def let_adapt(record: Any, config: MarketConfig, ledger: Any, our_bids: Floats) -> None:
    """Lets the rival bidders pace and learn from the tick that closes; drawn prices do not.

    They meet our bid at the share of a channel's opportunities that we bid for: frequency caps, spent budgets
    and audiences left out keep us from the others. Where we bid, the highest bid over audiences stands for
    all of ours (a simplification: the ledger does not tell audiences apart).

    Args:
      record: the market record, its clock not yet moved on; shades and spending are changed.
      ledger: of the tick.
      our_bids: `[K]` CPM, the highest that we bid on a channel in the tick's auctions; 0 for none.
    """
    if config.rivals.kind == "drawn":
        return
    c, bidders, season = constants_of(config), bidders_of(config), season_of(config)
    levels = levels_of(config)  # that of the tick, without what the rivals themselves make of it
    log_level = price_log_levels(record, config) - levels.moves * record["rival_level"]
    level = levels.reference * np.exp(log_level)
    shade, spent = np.ascontiguousarray(record["rival_shade"]), np.ascontiguousarray(record["rival_spent"])
    opportunities = np.ascontiguousarray(ledger["opportunities"])
    start_h = season.start_h + c.tick_h * int(record["tick"])
    adapt(
        bidders.strategy, shade, spent, bidders.value[:, None] * level, bidders.log_sd, bidders.budget,
        c.rule == FIRST, c.rule != OWNED, our_bids * c.quality_score,
        ledger["bids"] / np.maximum(opportunities, 1), opportunities, season.share_of_day(start_h),
        season.share_of_day(start_h + c.tick_h), config.rivals.learning_rate,
    )  # fmt: skip
    record["rival_shade"], record["rival_spent"] = shade, spent
