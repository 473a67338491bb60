"""The records that a tick leaves behind, and the market record that the next tick starts from.

Money is int64 micro-units of the world's currency, so that no sum depends on its order; scores are
summed in steps of 2**-20 for the same reason.
"""

from __future__ import annotations

import numpy as np

from gaelp_env.config import CHANNELS

K = len(CHANNELS)
MICRO = 1_000_000
SCORE_UNIT = float(2**20)
"""Scores are summed as integers of 1 / SCORE_UNIT."""

LEDGER = np.dtype(
    [
        ("tick", "<i8"),
        ("opportunities", "<i8", (K,)),
        ("bids", "<i8", (K,)),  # opportunities that we bid for
        ("wins", "<i8", (K,)),
        ("views", "<i8", (K,)),  # our ads seen = own touchpoints
        ("clicks", "<i8", (K,)),
        ("spend_micro", "<i8", (K,)),
        ("candidates", "<i8"),
        ("visits", "<i8"),  # to our site, unasked or by a click
        ("decisions", "<i8"),  # orders decided
        ("decided_micro", "<i8"),  # margin of the orders decided
        ("accrued_micro", "<i8"),  # expected incremental margin of the ads seen, see prospect.py
        ("conversions", "<i8"),  # orders falling due
        ("revenue_micro", "<i8"),  # their value
        ("margin_micro", "<i8"),  # their margin
        ("attributed", "<i8"),  # of them: last click ours within the window
        ("attributed_micro", "<i8"),  # margin of those
        ("births", "<i8"),
        ("stopped", "<i8"),  # 1 if the budget would have been crossed in this tick
    ]
)
"""What one tick came to; per-channel fields are in the order of CHANNELS."""

TOUCH = np.dtype(
    [
        ("number", "<u4"),
        ("tick", "<i8"),
        ("at", "<M8[us]"),
        ("channel", "u1"),
        ("own", "u1"),  # 1: ours, 0: a rival's
        ("clicked", "u1"),
        ("price_micro", "<i8"),
        ("episode", "<i8"),
    ]
)
"""A touchpoint: an ad that a user saw."""

CONVERSION = np.dtype(
    [
        ("number", "<u4"),
        ("tick", "<i8"),
        ("at", "<M8[us]"),
        ("decided", "<M8[us]"),
        ("value_micro", "<i8"),
        ("margin_micro", "<i8"),
        ("attributed_channel", "i1"),  # -1: none
        ("episode", "<i8"),
    ]
)
"""An order that fell due."""

TRAIL = ("opportunities", "wins", "views", "clicks", "spend_micro")

MOMENT = np.dtype(
    [
        ("key", "<u8"),
        ("tick", "<i8"),
        ("start_h", "<f8"),
        ("episode", "<i8"),  # number of the open episode, 1 …
        ("bid_cpm", "<f8", (K,)),  # 0: no bid
        ("beats_rivals", "<f8", (K,)),  # quantile of our bid among rivals' prices
        ("beats_floor", "<f8", (K,)),  # and among reserves
        ("price_median", "<f8", (K,)),  # CPM
        ("floor_median", "<f8", (K,)),  # CPM
        ("click_weight", "<f8"),
        ("stop_h", "<f8"),  # bidding stops at this moment …
        ("stop_number", "<i8"),  # … from this user on, among equal moments
    ]
)
"""What is the same for everybody in a tick."""

RECORD = np.dtype(
    [
        ("tick", "<i8"),  # the clock: ticks played since the epoch
        ("episode", "<i8"),  # episodes finished
        ("episode_tick", "<i8"),  # ticks played in the open episode
        ("key", "<u8"),  # chance key
        ("next_number", "<i8"),  # of the next newborn
        ("initial_users", "<i8"),
        ("spent_micro", "<i8"),  # in the open episode
        ("exhausted", "<i8"),  # 1: the budget would have been crossed; no more bids in this episode
        ("touches", "<i8"),  # totals since birth
        ("clicks", "<i8"),
        ("visits", "<i8"),
        ("conversions", "<i8"),
        ("attributed", "<i8"),
        ("spend_micro", "<i8"),
        ("margin_micro", "<i8"),
        ("met", "<i8"),  # sum of users' episode counts
        ("active", "<i8"),  # users in the market
        ("stage_count", "<i8", (5,)),  # by last-seen stage
        ("awareness_sum", "<i8"),  # in 1 / SCORE_UNIT, as of last visits
        ("fatigue_sum", "<i8"),  # of the public score
        ("intent_sum", "<i8"),
        ("reached", "<i8"),  # users who have seen an ad of ours
        ("clicked", "<i8"),
        ("bought", "<i8"),  # users with an attributed order
        ("trail", "<f8", (len(TRAIL), K)),  # decayed sums of the ledger, half-life one day
        ("trail_attributed", "<f8"),
        ("trail_orders", "<f8"),
        ("bid_cpm", "<f8", (K,)),  # of the last tick
        ("pressure", "<f8", (K,)),  # log of the rivals' price level in the coming tick, hour of day apart
        ("last", LEDGER),
    ]
)
"""All that the next tick or observation depends on, beside the users and the config."""
