"""Who is born: from a seed at the beginning of a world, and by the clock ever after."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.chance import BIRTHS, NOBODY, PERSON, normal_quantile, poisson_count, uniforms
from gaelp_env.config import MarketConfig
from gaelp_env.devices import device_of
from gaelp_env.journey import NEVER_H
from gaelp_env.population import EMPTY_MINUTE, NEVER_S, USER
from gaelp_env.sessions import NO_SOURCE


@njit(cache=True)
def _draw(key, tick, first, rate, propensity, device, stay, media, media_sd, sd, up_to):  # type: ignore[no-untyped-def]
    for i in range(len(rate)):
        a, b, c, d = uniforms(key, first + i, tick, PERSON, 0)
        rate[i] = media * math.exp(media_sd * normal_quantile(a) - 0.5 * media_sd * media_sd)
        propensity[i] = math.exp(sd * normal_quantile(b) - 0.5 * sd * sd)
        device[i] = device_of(c, up_to[0], up_to[1])
        stay[i] = -math.log(d)


@njit(cache=True)
def _counted(key, tick, mean):  # type: ignore[no-untyped-def]
    u, _b, _c, _d = uniforms(key, NOBODY, tick, BIRTHS, 0)
    return u, poisson_count(u, mean)


def born(config: MarketConfig, key: int, first: int, count: int, tick: int, hour: float) -> NDArray[Any]:
    """Newborn users: unaware, rested, never met.

    The media rate is log-normal (Rocket Fuel's spread, cut at 200 a day), the propensity to buy
    log-normal with mean one, the stay exponential: the memoryless law makes the people of a world's
    first day a sample of its steady state.

    Args:
      key, tick: address of the draws, with the users' numbers.
      first, count: numbers `first … first + count - 1`.
      hour: of birth.
    Returns: `[count]` of USER.
    """
    people = config.people
    rate, propensity, stay = np.empty(count), np.empty(count), np.empty(count)
    device = np.zeros(count, np.uint8)
    _draw(
        np.uint64(key), tick, first, rate, propensity, device, stay, people.media_per_day,
        people.media_log_sd, people.propensity_log_sd, np.cumsum(people.device_shares),
    )  # fmt: skip
    users = np.zeros(count, USER)
    users["number"] = np.arange(first, first + count)
    users["rate"] = np.minimum(rate, 200.0) + people.visits_per_day
    users["propensity"] = propensity
    users["intent"] = config.response.intent_base
    users["device"] = device
    users["seen_h"] = hour
    users["first_seen_s"] = math.floor(3600.0 * hour + 1e-6)
    users["visit_s"], users["source"] = NEVER_S, NO_SOURCE
    users["stage_until_h"] = NEVER_H
    users["leaves_h"] = hour + 24.0 * people.stay_days * stay
    users["due_h"] = users["last_click_h"] = -1.0
    users["ring_minute"] = EMPTY_MINUTE
    return users


def births_in(config: MarketConfig, key: int, tick: int, initial: int) -> int:
    """How many are born in a tick: Poisson, with the mean that replaces the leavers of the first day.

    Above a mean of 30 the normal quantile is used.
    """
    mean = initial / config.people.stay_days * config.clock.tick_h / 24.0
    u, count = _counted(np.uint64(key), tick, mean)
    if mean <= 30.0:
        return int(count)
    return max(0, round(mean + math.sqrt(mean) * NormalDist().inv_cdf(u)))
