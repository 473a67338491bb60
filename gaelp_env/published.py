"""Published figures that the default market runs on, each with its source.

Shapes come from here, levels from the config. Nothing in this file is assumed but where it says so.
"""

from __future__ import annotations

HOUR_SHARES: dict[str, tuple[float, ...]] = {
    # Avito BAT auto-bidding benchmark, traffic_share.csv, mean over 114 regions and 7 days.
    "avito": (
        0.0143, 0.0096, 0.0079, 0.0083, 0.0103, 0.0140, 0.0201, 0.0292, 0.0437, 0.0601, 0.0706, 0.0733,
        0.0727, 0.0715, 0.0693, 0.0666, 0.0629, 0.0583, 0.0540, 0.0493, 0.0436, 0.0376, 0.0307, 0.0222,
    ),
    # AuctionNet NeurIPSPvGen.py, 48 half-hours folded to hours.
    "auctionnet": (
        0.0338, 0.0136, 0.0081, 0.0064, 0.0092, 0.0235, 0.0358, 0.0502, 0.0695, 0.0705, 0.0701, 0.0590,
        0.0459, 0.0463, 0.0427, 0.0435, 0.0447, 0.0365, 0.0343, 0.0402, 0.0501, 0.0597, 0.0557, 0.0507,
    ),
    "flat": (1.0 / 24.0,) * 24,
}  # fmt: skip
"""Share of a day's media opportunities by hour of day, 0..23 h."""

DAY_WEIGHTS: dict[str, tuple[float, ...]] = {
    # GA4 public sample (Google Merchandise Store), sessions by weekday.
    "ga4": (1.02, 1.19, 1.17, 1.09, 1.00, 0.79, 0.74),
    # Avito BAT, dow 1..7 taken as ISO weekdays.
    "avito": (1.08, 1.23, 1.03, 1.01, 0.96, 0.86, 0.84),
    "flat": (1.0,) * 7,
}
"""Weight of a weekday, Monday..Sunday; normalised to a mean of one when used."""

IPINYOU_CTR_BY_HOUR: tuple[float, ...] = (
    0.000757, 0.000625, 0.000558, 0.000575, 0.000563, 0.000736, 0.000581, 0.000713, 0.000575, 0.000491,
    0.000558, 0.000581, 0.000618, 0.000683, 0.000659, 0.000746, 0.000703, 0.000902, 0.000988, 0.000952,
    0.000825, 0.000934, 0.000868, 0.000894,
)  # fmt: skip
"""Clicks per won impression by hour of day; iPinYou training log (notebook of tae73/rtb_ipinyou)."""

IPINYOU_WON_SHARE_BY_HOUR: tuple[float, ...] = (
    0.07462, 0.02465, 0.01415, 0.01363, 0.00766, 0.00807, 0.00943, 0.01903, 0.02826, 0.03379, 0.05213,
    0.05291, 0.05291, 0.05778, 0.05417, 0.06084, 0.06165, 0.05928, 0.06360, 0.04923, 0.04986, 0.04177,
    0.06366, 0.04692,
)  # fmt: skip
"""Share of a flat bidder's won impressions by hour of day; same source."""

IPINYOU_WIN_RATE_RANGE: tuple[float, float] = (0.086, 0.431)
"""Lowest and highest hourly win rate of the flat bidder; same source."""

IPINYOU_LOG_PRICE: tuple[float, float] = (4.045, 0.914)
"""Mean and sd of the log winning price, fen per CPM, over 15,395,258 impressions of 9 advertisers
(han-cai/rlb-dp price histograms)."""

IPINYOU_WINNABLE_SHARE: float = 0.22
"""Share of opportunities that any bid can win in the censored view of the same log (Kaplan-Meier
on 110 M bids): preset `ipinyou`; the rest is out of reach."""

IPINYOU_FLOOR_QUARTILES_FEN: tuple[float, float, float] = (5.0, 40.0, 80.0)
"""Quartiles of the exchange floor, fen per CPM; same source."""

ROCKET_FUEL_LOG_SD: float = 1.34
"""Sd of the log of impressions a user, log-normal fit to mean 24.8, sd 43.7 (588,101 users)."""

AMSS_SEARCH_AUDIENCE: tuple[float, float, float] = (0.01, 0.30, 0.40)
"""Share of users who search, by state inactive / exploratory / purchase (google/amss vignette)."""

AMSS_SEARCH_CTR: tuple[float, float, float] = (0.005, 0.08, 0.10)
"""Click rate of a search ad by the same states (google/amss vignette)."""

DELAY_WEIGHTS: tuple[float, float, float] = (0.329, 0.119, 0.552)
DELAY_MEANS_H: tuple[float, float, float] = (0.25, 11.5, 281.0)
"""Hyper-exponential conversion delay, fitted to 35 % within 1 h, 50 % within 24 h, 87 % within 14 d
(Chapelle, KDD 2014), truncated at 30 days."""

GA4_ORDER_VALUE: float = 69.2
"""Mean order value, US dollars, GA4 public sample, 4,462 orders."""

GA4_DEVICE_SHARES: tuple[float, float, float] = (0.580, 0.398, 0.022)
"""Sessions by device: desktop, mobile, tablet; GA4 public sample."""

GA4_UNPAID_SOURCE_SHARES: tuple[float, float, float, float] = (0.3976, 0.2506, 0.1954, 0.1564)
"""Visitors by first source, paid search left out: organic search, direct, unknown, referral; GA4 public
sample, 255,872 of 270,154 visitors."""

GA4_FUNNEL: tuple[float, float, float] = (0.2048, 0.7744, 0.4549)
"""Users of a step over users of the step before: view to cart, cart to checkout, checkout to order; GA4
public sample, 61,252 / 12,545 / 9,715 / 4,419 users."""

GA4_DEVICE_BUY: tuple[float, float, float] = (0.9807, 1.0303, 0.9612)
"""Orders a session by device over the mean of all: desktop, mobile, tablet; GA4 public sample, 2,613 of
205,899, 1,881 of 141,079 and 98 of 7,879 sessions."""

AUCTIONNET_SLOT_VIEW: tuple[float, float, float, float] = (1.0, 0.8, 0.6, 0.5)
"""Exposure of a slot, given that the one above was exposed; AuctionNet `BiddingEnv.py` has three slots, the
fourth value is assumed."""

IPINYOU_PRICE_QUANTILES: tuple[float, ...] = (
    4.94, 9.6, 14.49, 19.1, 20.14, 21.66, 26.18, 30.87, 34.91, 41.14, 47.07, 49.91, 50.98, 54.64, 57.34, 63.1,
    69.52, 70.05, 71.73, 76.09, 77.34, 80.22, 84.8, 89.04, 99.71, 110.01, 124.36, 141.12, 156.93, 173.28,
    198.97, 224.25, 259.83,
)  # fmt: skip
"""Winning prices, fen per CPM, at the probabilities (i + 1/2) / 33, over all 15,395,258 impressions of the
histogram (cells spread evenly); same source as IPINYOU_LOG_PRICE."""
