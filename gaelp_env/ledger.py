"""The records that a tick leaves behind, and the market record that the next tick starts from.

Money is int64 micro-units of the world's currency, so that no sum depends on its order; scores are
summed in steps of 2**-20 for the same reason.
"""

from __future__ import annotations

import numpy as np

from gaelp_env.config import CHANNELS

K = len(CHANNELS)
AUDIENCES = ("new", "reached", "known", "buyer")
"""What an advertiser can tell of a user: nothing yet, saw an ad of ours, visited the site, bought."""
A = len(AUDIENCES)
R = 4
"""Rivals that a world has room for."""
MICRO = 1_000_000
AWARENESS_KNOTS = 17
INTENT_KNOTS = 13
WORTH = (5, AWARENESS_KNOTS, INTENT_KNOTS, 16)
"""Shape of the table of worth.py: stage x awareness x intent x (prospect, T1, T2, T3, T4)."""
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
        ("capped", "<i8", (K,)),  # opportunities that the frequency cap kept us out of
        ("floor_bound", "<i8", (K,)),  # wins whose price the reserve has set
        (
            "rival_views",
            "<i8",
            (K,),
        ),  # rivals' ads seen in slots that we did not get, where they gain awareness
        ("candidates", "<i8"),
        ("visits", "<i8"),  # to our site, unasked or by a click
        ("returns", "<i8"),  # of the unasked ones, those of people who had visited before
        ("journeys", "<i8"),  # opened
        ("decisions", "<i8"),  # orders decided
        ("decided_micro", "<i8"),  # margin of the orders decided
        ("accrued_micro", "<i8"),  # expected incremental margin of the ads seen, see prospect.py
        ("conversions", "<i8"),  # orders falling due
        ("revenue_micro", "<i8"),  # their value
        ("margin_micro", "<i8"),  # their margin
        ("attributed", "<i8"),  # of them: last click ours within the window
        ("attributed_micro", "<i8"),  # margin of those
        ("attributed_revenue_micro", "<i8"),  # value of those
        ("births", "<i8"),
        ("stopped", "<i8"),  # 1 if a budget would have been crossed in this tick
        ("episode_spend_micro", "<i8"),  # the open episode so far, this tick included
        ("episode_attributed", "<i8"),
        ("episode_revenue_micro", "<i8"),  # attributed
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

VISIT = np.dtype(
    [
        ("number", "<u4"),
        ("at_h", "<f8"),
        ("buy", "<f4"),  # probability that this visit decides an order
        ("source", "u1"),  # see sessions.SOURCES
        ("channel", "i1"),  # of the ad that was clicked; -1: unasked
        ("device", "u1"),
        ("depth", "u1"),  # see funnel.DEPTHS
        ("devices", "u1"),  # different devices used in the journey so far
        ("journey", "<u2"),  # number of the user's journey, 1 …
    ]
)
"""A visit to our site."""

TRAIL = ("opportunities", "wins", "views", "clicks", "spend_micro")

FLOOR_KNOTS = 17
"""Reserves whose rank among rivals' prices a tick knows: those at the quantiles 0, 1/16, … 1."""

MOMENT = np.dtype(
    [
        ("key", "<u8"),
        ("tick", "<i8"),
        ("start_h", "<f8"),
        ("episode", "<i8"),  # number of the open episode, 1 …
        ("bid_cpm", "<f8", (K, A)),  # by channel and audience; 0: no bid
        ("beats_rivals", "<f8", (K, A)),  # quantile of our score among rivals' highest
        ("beats_floor", "<f8", (K, A)),  # and of our bid among reserves
        ("price_median", "<f8", (K,)),  # CPM
        ("floor_median", "<f8", (K,)),  # CPM
        ("floor_rank", "<f8", (K, FLOOR_KNOTS)),  # of reserves among rivals' prices, see bidding.py
        ("ranked", "<i8"),  # 1: floor_rank is that of this tick
        ("click_weight", "<f8"),
        ("stop_h", "<f8"),  # bidding stops at this moment …
        ("stop_number", "<i8"),  # … from this user on, among equal moments
        ("prices_at", "<u8"),  # where the rivals' prices lie, `[K, KNOTS]`, see prices.py
        ("worth_at", "<u8"),  # where the table of worth.py lies
        ("creative", "<i8"),  # that was asked for; -1: as the rotation says
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
        ("rival_level", "<f8", (K,)),  # log of the bidding rivals' median highest bid over the reference
        ("rival_shade", "<f8", (R, K)),  # bid over value
        ("rival_spent", "<f8", (R,)),  # today, currency
        ("pace", "<f8"),  # the platform's multiplier on our bids
        ("day_spent_micro", "<i8"),  # by us since midnight
        ("day_over", "<i8"),  # 1: the budget of the day would have been crossed
        ("all_over", "<i8"),  # 1: the budget of the world's life would have been crossed
        ("episode_attributed", "<i8"),  # in the open episode
        ("episode_revenue_micro", "<i8"),
        ("last", LEDGER),
    ]
)
"""All that the next tick or observation depends on, beside the users and the config."""
