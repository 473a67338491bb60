"""Figures of ads: click rates, ads a user, prices, wins, and what ads do against a world without them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.calibrate_logs import (
    CAMPAIGN,
    DAY_H,
    DISPLAY,
    Played,
    Rows,
    expected_orderers,
    rank,
    share,
    starts,
)
from agents.calibrate_published import CAMPAIGN_DAYS

CAMPAIGN_H = CAMPAIGN_DAYS * DAY_H
AFTER_H = 4.0 * 7.0 * DAY_H
"""Carry-over is looked for in so many hours after a campaign."""
MANY = 5
"""Click rates by exposure are taken within users who saw at least so many display ads."""


def ad_moments(played: Played) -> dict[str, float]:
    """All figures of ads and auctions, by the names of their targets."""
    return _clicks(played) | impressions(played) | _prices(played) | _wins(played)


def _clicks(played: Played) -> dict[str, float]:
    """Mean click probability of a display ad, and at the 2nd, 3rd and 5th over the first."""
    by_exposure = click_by_exposure(played, MANY)
    display = _on(played.seen, (DISPLAY,))
    found = {f"ctr_exposure_{n}": by_exposure[n - 1] for n in (2, 3, 5)}
    if len(display):
        found["display_ctr"] = float(display["click"].mean(dtype=np.float64))
    return found


def click_by_exposure(played: Played, exposures: int = 10) -> list[float]:
    """Mean click probability at a user's 1st, 2nd … display ad, over that at the first.

    Always within the same users, those with at least MANY ads: who is met often has another click rate
    than who is met once, and that must not look like fatigue. Beyond MANY users become fewer.
    """
    display = _on(played.seen, (DISPLAY,))
    if not len(display):
        return [float("nan")] * exposures
    first = starts(display["number"])
    counts = np.diff(np.append(np.flatnonzero(first), len(display)))
    place, often = rank(first), np.repeat(counts >= MANY, counts)
    clicks = display["click"].astype(np.float64)
    means = [
        share(clicks[often & (place == n)].sum(), int((often & (place == n)).sum())) for n in range(exposures)
    ]
    return [share(mean, means[0]) for mean in means]


def impressions(played: Played, until_h: float = CAMPAIGN_H) -> dict[str, float]:
    """Ads a user, among users who saw one on the campaign's channels before `until_h`."""
    seen = _on(played.seen, CAMPAIGN)
    number = seen["number"][seen["at_h"] < until_h]
    if not len(number):
        return {}
    counts = np.diff(np.append(np.flatnonzero(starts(number)), len(number)))
    low, middle, high = quartiles(counts)
    return {
        "impressions_mean": float(counts.mean()),
        "impressions_sd": float(counts.std()),
        "impressions_q25": float(low),
        "impressions_median": float(middle),
        "impressions_q75": float(high),
    }


def quartiles(counts: NDArray[np.int64]) -> tuple[float, float, float]:
    """Quartiles of whole numbers, each spread evenly over [n - 1/2, n + 1/2): a count of 4 is no step."""
    cells = np.bincount(counts)
    up_to = np.concatenate(([0.0], np.cumsum(cells))) / len(counts)
    edges = np.arange(len(up_to)) - 0.5
    low, middle, high = np.interp((0.25, 0.5, 0.75), up_to, edges)
    return float(low), float(middle), float(high)


def display_prices(played: Played) -> NDArray[np.float64]:
    """Prices of the display ads seen that cost something, in medians of themselves."""
    price = _on(played.seen, (DISPLAY,))["price_micro"]
    paid = price[price > 0].astype(np.float64)
    return paid / np.median(paid) if len(paid) else paid


def _prices(played: Played) -> dict[str, float]:
    price = display_prices(played)
    if not len(price):
        return {}
    logs = np.log(price)
    return {
        "won_price_mean": float(price.mean()),
        "won_price_p90": float(np.percentile(price, 90.0)),
        "won_price_log_mean": float(logs.mean()),
        "won_price_log_sd": float(logs.std()),
    }


def _wins(played: Played) -> dict[str, float]:
    """Wins a bid on display, over all and in the worst and the best hour; wins that the floor priced."""
    bids = played.ledgers["bids"][:, DISPLAY]
    wins = played.ledgers["wins"][:, DISPLAY]
    hour = hour_of(played)
    by_hour = [share(wins[hour == h].sum(), bids[hour == h].sum()) for h in range(24)]
    rates = [rate for rate in by_hour if np.isfinite(rate)]
    return {
        "floor_binds": share(played.ledgers["floor_bound"][:, DISPLAY].sum(), wins.sum()),
        "win_rate": share(wins.sum(), bids.sum()),
        "win_rate_low": min(rates, default=float("nan")),
        "win_rate_high": max(rates, default=float("nan")),
    }


def hour_of(played: Played) -> NDArray[np.int64]:
    """The hour of day at which each ledger's tick begins."""
    return np.asarray(played.ledgers["tick"] * played.tick_h % DAY_H, np.int64)


def twin_moments(ads: Played, psa: Played, until_h: float = CAMPAIGN_H) -> dict[str, float]:
    """What our ads did to the users they reached: the same people with the same luck, without them.

    Reached are the users who saw an ad on the campaign's channels before `until_h`; the twin world, in
    which nothing is bid, says what they would have done (public service ads in the source). Visits and
    orders count from the first hour to `until_h`.

        lift = (with ads - without) / without

    Args:
      ads: the world with the campaign.
      psa: its twin; same start, same chance, no bids.
    """
    reached = _reached(ads, until_h)
    with_ads, without = (_before(world.visits, reached, 0.0, until_h) for world in (ads, psa))
    orderers = [expected_orderers(visits, starts(visits["number"])) for visits in (with_ads, without)]
    visitors = [int(starts(visits["number"]).sum()) for visits in (with_ads, without)]
    return {
        "ad_conversion": share(orderers[0], len(reached)),
        "psa_conversion": share(orderers[1], len(reached)),
        "conversion_lift": share(orderers[0] - orderers[1], orderers[1]),
        "visit_lift_rct": share(visitors[0] - visitors[1], visitors[1]),
    }


def carry_over(ads: Played, psa: Played, until_h: float = CAMPAIGN_H) -> dict[str, float]:
    """Extra visitors in the four weeks after a campaign over the extra visitors within it.

    Args:
      ads: a world whose campaign ends at `until_h` and which was played on for AFTER_H without bids.
      psa: its twin.
    """
    reached = _reached(ads, until_h)
    within, after = (
        sum(
            sign * int(starts(_before(world.visits, reached, *hours)["number"]).sum())
            for sign, world in ((1, ads), (-1, psa))
        )
        for hours in ((0.0, until_h), (until_h, until_h + AFTER_H))
    )
    whole = min(ads.end_h, psa.end_h) >= until_h + AFTER_H
    return {"carry_over": share(after, within) if whole else float("nan")}


def _on(seen: Rows, channels: tuple[int, ...]) -> Rows:
    return seen[np.isin(seen["channel"], channels)]


def _reached(ads: Played, until_h: float) -> NDArray[np.uint32]:
    seen = _on(ads.seen, CAMPAIGN)
    return np.unique(seen["number"][seen["at_h"] < until_h])


def _before(visits: Rows, people: NDArray[np.uint32], from_h: float, until_h: float) -> Rows:
    within = (visits["at_h"] >= from_h) & (visits["at_h"] < until_h)
    return visits[within & np.isin(visits["number"], people)]
