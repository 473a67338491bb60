"""Who is born: from a seed at the beginning of a world, and by the clock ever after."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]
from numpy.typing import NDArray

from gaelp_env.chance import BIRTHS, NOBODY, PERSON, normal_quantile, poisson_count, uniforms
from gaelp_env.config import MarketConfig
from gaelp_env.constants import constant_record_of
from gaelp_env.devices import device_of
from gaelp_env.journey import NEVER_H
from gaelp_env.ledger import SCORE_UNIT
from gaelp_env.plan import plan_of
from gaelp_env.pointers import pointer
from gaelp_env.population import COLD, EMPTY_MINUTE, HOT, NEVER_S, RING, USER, WORDS_COLD, WORDS_HOT
from gaelp_env.sessions import NO_SOURCE


@njit(inline="always")
def be_born(c, p, key, tick, number, hour, row, rest):  # type: ignore[no-untyped-def]
    """Writes a newborn into the two halves of a record, which are zeros before.

    Args:
      key, tick, number: address of the draws.
      hour: of birth.
    """
    a, b, device, d = uniforms(key, number, tick, PERSON, 0)
    sd, media_sd = p.propensity_log_sd, p.media_log_sd
    rate = p.media_per_day * math.exp(media_sd * normal_quantile(a) - 0.5 * media_sd * media_sd)
    row.number = number
    row.rate = min(rate, 200.0) + c.visits_per_day
    row.propensity = math.exp(sd * normal_quantile(b) - 0.5 * sd * sd)
    row.device = device_of(device, c.devices_up_to[0], c.devices_up_to[1])
    row.seen_h = hour
    row.intent = c.intent_base
    row.visit_s, row.source = NEVER_S, NO_SOURCE
    row.stage_until_h = NEVER_H
    row.leaves_h = hour + p.stay_h * -math.log(d)
    row.due_h = row.last_click_h = -1.0
    rest.first_seen_s = int(math.floor(3600.0 * hour + 1e-6))
    for k in range(RING):
        rest.ring_minute[k] = EMPTY_MINUTE


@njit(cache=True)
def _all_born(constants, plan, key, tick, first, hour, users):  # type: ignore[no-untyped-def]
    for i in range(len(users)):
        be_born(constants[0], plan[0], key, tick, first + i, hour, users[i], users[i])


@njit(cache=True)
def births_by(plan, key, tick, initial):  # type: ignore[no-untyped-def]
    """As `births_in`, from the plan of a configuration and a chance key."""
    mean = initial / plan[0].stay_days * plan[0].tick_h / 24.0
    u, _b, _c, _d = uniforms(key, NOBODY, tick, BIRTHS, 0)
    if mean <= 30.0:
        return poisson_count(u, mean)
    return max(0, int(math.floor(mean + math.sqrt(mean) * normal_quantile(u) + 0.5)))


@njit(cache=True, nogil=True)
def take_in(constants, plan, desk, r, count):  # type: ignore[no-untyped-def]
    """Lets `count` newcomers be born, at the end of the columns.

    Args:
      desk: a record with the addresses of the columns, their size and their capacity.
      r: the market record, written.
    """
    hot, cold = carray(pointer(desk.hot), desk.capacity, HOT), carray(pointer(desk.cold), desk.capacity, COLD)
    number = carray(pointer(desk.number), desk.capacity, np.uint32)
    rate = carray(pointer(desk.rate), desk.capacity, np.float32)
    changed = carray(pointer(desk.changed), desk.capacity, np.uint8)
    words_hot = carray(pointer(desk.hot), (desk.capacity, WORDS_HOT), np.uint64)
    words_cold = carray(pointer(desk.cold), (desk.capacity, WORDS_COLD), np.uint64)
    for k in range(count):
        i = desk.size + k
        words_hot[i, :] = np.uint64(0)
        words_cold[i, :] = np.uint64(0)
        be_born(
            constants[0], plan[0], r.key, r.tick, r.next_number + k, plan[0].tick_h * r.tick, hot[i], cold[i]
        )
        number[i], rate[i], changed[i] = hot[i].number, hot[i].rate, 1
    desk.size += count
    r.next_number += count
    r.active += count
    r.stage_count[0] += count
    r.intent_sum += count * int(math.floor(np.float32(constants[0].intent_base) * SCORE_UNIT + 0.5))


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
    users = np.zeros(count, USER)
    _all_born(constant_record_of(config), plan_of(config), np.uint64(key), tick, first, hour, users)
    return users


def births_in(config: MarketConfig, key: int, tick: int, initial: int) -> int:
    """How many are born in a tick: Poisson, with the mean that replaces the leavers of the first day.

    Above a mean of 30 the normal quantile is used.
    """
    return int(births_by(plan_of(config), np.uint64(key), tick, initial))
