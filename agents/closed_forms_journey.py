"""Closed forms of the journey, met by playing: a cap when tomorrow counts less, and the time to an order."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.closed_forms_exact import days_to_convert, two_state_discounted
from agents.closed_forms_play import OPEN, Figure, Floats, case_config, only
from gaelp_env.config import MarketConfig
from gaelp_env.ledger import K
from gaelp_env.market import Market
from gaelp_env.special_cases import (
    CONVERTS_PER_DAY,
    DISCOUNT,
    FRESH_CPM,
    OMEGA,
    RHO,
    STAGE_FORWARD,
    STAGE_HALF_LIVES_D,
    STAGE_SHOWS_PER_DAY,
    THRESHOLD_CPM,
    click_rate_of,
)

SEARCH, SOCIAL, DISPLAY = 0, 1, 2
FAR_D = 20
"""Days of discounted play: some 190 opportunities, after which 6e-5 of the value is left out."""
LAST_D = 400.0
"""By this day everybody who stays so long must have converted; some one in 1e17 needs longer."""


class Shown(NamedTuple):
    """Ads seen on a channel, by user and moment.

    Attributes:
      key: `[S]` int64, rising: the user's number and the moment in one.
      number: `[S]` of the user.
      worth: `[S]` of the ad, in units of an ad to the fresh.
      stays: `[users]` who of the first day are there to the end, whatever happens to them.
    """

    key: NDArray[np.int64]
    number: NDArray[np.int64]
    worth: Floats
    stays: NDArray[np.bool_]


def _shown(config: MarketConfig, seed: int, channel: int) -> Shown:
    market, users = Market.born(config, seed), config.people.users
    stays = market.population.hot["leaves_h"][:users] > 24.0 * FAR_D
    epoch = np.datetime64(config.clock.epoch, "us")
    keys: list[Any] = []
    worth: list[Floats] = []
    for _ in range(round(24.0 * FAR_D / config.clock.tick_h)):
        played = market.advance(only(channel))
        touches = played.touchpoints
        moment = (touches["at"].astype("datetime64[us]") - epoch).astype(np.int64)
        keys.append((touches["number"].astype(np.int64) << 42) + moment)
        worth.append(played.click_probability / click_rate_of(FRESH_CPM))
    key = np.concatenate(keys)
    order = np.argsort(key)
    key = key[order]
    order, key = order[key >> 42 < users], key[key >> 42 < users]
    return Shown(key, key >> 42, np.concatenate(worth)[order], stays)


def _discounted(shown: Shown, opportunities: Shown) -> Floats:
    """What the ads are worth to each user of the first day who stays, at the first opportunity.

    Args:
      opportunities: all of the channel's, those of `shown` among them.
    Raises: RuntimeError if an ad was shown where there was no opportunity.
    """
    at = np.searchsorted(opportunities.key, shown.key)
    if not (opportunities.key[np.minimum(at, len(opportunities.key) - 1)] == shown.key).all():
        raise RuntimeError(
            "An ad was shown where no opportunity is: two policies did not meet the same people."
        )
    first = np.searchsorted(opportunities.number, shown.number)
    weights = DISCOUNT ** (at - first) * shown.worth
    value = np.bincount(shown.number, weights, minlength=len(shown.stays))
    kept: Floats = value[shown.stays].astype(np.float64)
    return kept


def two_state_discounted_figures(seed: int, ticks: int) -> list[Figure]:
    """Three policies on the same people, each user's ads discounted from opportunity to opportunity.

    A skipped opportunity leaves no trace, so display is played a second time to everybody: candidates and
    their moments are the same whatever is bid. The better policy changes between the two worths of an ad to
    the fatigued, and the threshold is where the straight line between the differences is zero.
    """
    users = min(20_000, 84 * ticks)
    config = case_config("two-state-cap", people__users=users)
    everybody = case_config("two-state-cap", people__users=users, channels__display__audience=[1.0] * 5)
    always = [_shown(config, seed, channel) for channel in (SEARCH, SOCIAL)]
    low, high = (_discounted(shown, shown) for shown in always)
    cap = _discounted(_shown(config, seed, DISPLAY), _shown(everybody, seed, DISPLAY))
    tired = [share * THRESHOLD_CPM / FRESH_CPM for share in (0.9, 1.1)]
    exact = [two_state_discounted(OMEGA, RHO, DISCOUNT, worth) for worth in tired]
    capped, threshold = exact[0].capped, exact[0].threshold

    def figure(what: str, values: Floats, known: float) -> Figure:
        error = float(values.std(ddof=1)) / math.sqrt(len(values))
        return Figure(what, float(values.mean()), known, error, scale=capped)

    less = [cap - low, cap - high]
    below, above = (float(part.mean()) for part in less)
    apart, step = below - above, tired[1] - tired[0]
    slopes = (below * less[1] - above * less[0]) * step / apart**2
    return [
        figure("value of a fresh user, discounted, capped", cap, capped),
        figure(f"the same less always, r_T = {tired[0]:.4f}", less[0], capped - exact[0].always),
        figure(f"the same less always, r_T = {tired[1]:.4f}", less[1], capped - exact[1].always),
        Figure(
            "threshold of r_T, discounted: between the two", tired[0] + step * below / apart, threshold,
            float(slopes.std(ddof=1)) / math.sqrt(len(slopes)),
        ),
    ]  # fmt: skip


def time_to_convert(seed: int, ticks: int) -> list[Figure]:
    """The days from a stage to the first order, of everybody who was ever met in it at the end of a tick.

    Play goes on until all have converted, so nothing is cut off. Left out are those whose stay, drawn at
    birth, ends before `LAST_D`: that draw has no part in their journey.

    Raises: RuntimeError if somebody has not converted by then.
    """
    users = min(40_000, 170 * ticks)
    config = case_config("time-to-convert", people__users=users)
    market, epoch = Market.born(config, seed), np.datetime64(config.clock.epoch, "us")
    people = market.population.hot
    stays = people["leaves_h"][:users] > 24.0 * LAST_D
    entered, converted = np.full((4, users), np.nan), np.full(users, np.nan)
    entered[0] = 0.0
    while np.isnan(converted[stays]).any():
        if market.hour >= 24.0 * LAST_D:
            raise RuntimeError(f"Somebody has not converted by day {LAST_D:g}; that should never be.")
        orders = market.advance(np.full(K, OPEN)).conversions
        orders = orders[orders["number"] < users]
        moment = (orders["decided"].astype("datetime64[us]") - epoch) / np.timedelta64(1, "h")
        new = np.isnan(converted[orders["number"]])
        converted[orders["number"][new]] = moment[new]
        row = market.population.hot[:users]
        here = np.isnan(converted) & (row["due_h"] < 0.0) & (row["stage_until_h"] > market.hour)
        for stage in (1, 2, 3):
            entered[stage, here & (row["stage"] == stage) & np.isnan(entered[stage])] = market.hour
    exact = days_to_convert(STAGE_SHOWS_PER_DAY * STAGE_FORWARD, STAGE_HALF_LIVES_D, CONVERTS_PER_DAY)
    figures = []
    for stage, name in enumerate(("unaware", "aware", "considering", "intent")):
        met = stays & ~np.isnan(entered[stage])
        days = (converted[met] - entered[stage, met]) / 24.0
        figures.append(
            Figure(
                f"days to an order, {name}", float(days.mean()), float(exact[stage]),
                float(days.std(ddof=1)) / math.sqrt(len(days)),
            )
        )  # fmt: skip
    return figures
