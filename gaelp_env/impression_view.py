"""What a bidder sees at one opportunity: the time, the budget, the slot, and what is known of the user.

`advertiser` holds only what a bid request and an advertiser's own records show: the user's device, which
audience they are in, our ads that they saw, their clicks and their visits to our site. `full` adds the
hidden awareness, fatigue, intent and stage.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from gymnasium.spaces import Box
from numba import njit

from gaelp_env.caps import seen_within
from gaelp_env.config import CHANNELS
from gaelp_env.ledger import AUDIENCES, MICRO, A, K
from gaelp_env.observation import OBSERVE
from gaelp_env.opening import hour_of_week
from gaelp_env.population import EMPTY_MINUTE, NEVER_S, RING, STAGES, fatigue_score
from gaelp_env.upkeep import fatigue_of

DEVICES = ("desktop", "mobile", "tablet")
_TIME = (
    "hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "episode_progress", "traffic_level", "price_level",
    "click_level",
)  # fmt: skip
_USER = ("touches", "touches_day", "touch_age", "click_age", "visits", "visit_age")
_HIDDEN = ("awareness", "fatigue", "intent", *(f"stage_{stage.lower()}" for stage in STAGES))
_HEAD, _DEVICES = len(_TIME), len(DEVICES)
_AT_CHANNEL = _HEAD + 2
_AT_DEVICE = _AT_CHANNEL + K
_AT_AUDIENCE = _AT_DEVICE + _DEVICES
_AT_USER = _AT_AUDIENCE + A
_AT_HIDDEN = _AT_USER + len(_USER)
_TURN = 2.0 * math.pi
_score = njit(inline="always")(fatigue_score)


@lru_cache(maxsize=4)
def names(observe: str = "advertiser") -> tuple[str, ...]:
    """The names of the entries, in order. Raises ValueError for an unknown `observe`."""
    if observe not in OBSERVE:
        raise ValueError(f"There is no observation {observe!r}; the known ones are {', '.join(OBSERVE)}.")
    listed = [*_TIME, "budget_left", "price_guidance"]
    listed += [f"channel_{channel}" for channel in CHANNELS]
    listed += [f"device_{device}" for device in DEVICES]
    listed += [f"audience_{audience}" for audience in AUDIENCES]
    listed += [f"user_{entry}" for entry in _USER]
    return (*listed, *_HIDDEN) if observe == "full" else tuple(listed)


def space(observe: str = "advertiser") -> Box:
    """The space of the observation: every entry in [-1, 1]."""
    return Box(-1.0, 1.0, (len(names(observe)),), np.float32)


@njit(inline="always")
def write_head(p, r, desk):  # type: ignore[no-untyped-def]
    """Writes the entries that hold for the whole coming tick, those of observation.py, into the desk."""
    hour = p.start_h + p.tick_h * r.tick
    week = hour_of_week(p, p.tick_h * r.tick)
    day, turn = _TURN * (hour % 24.0) / 24.0, _TURN * (hour % 168.0) / 168.0
    desk.head[0], desk.head[1] = math.sin(day), math.cos(day)
    desk.head[2], desk.head[3] = math.sin(turn), math.cos(turn)
    desk.head[4] = min(1.0, r.episode_tick / p.episode_ticks)
    desk.head[5] = math.log(max(p.traffic[week], 0.05)) / 3.0
    desk.head[6] = p.log_price[week % 24]
    desk.head[7] = math.log(p.click[week % 24])
    for k in range(K):
        level = p.moves[k] * (p.log_price[week % 24] + r.pressure[k] + r.rival_level[k])
        desk.guidance[k] = level / p.log_multiple[k]


@njit(inline="always")
def _aged(elapsed_h):  # type: ignore[no-untyped-def]
    """Hours since something, in [0, 1): d / (d + 24); never is 1."""
    elapsed_h = max(0.0, elapsed_h)
    return elapsed_h / (elapsed_h + 24.0)


@njit(inline="always")
def _cut(x):  # type: ignore[no-untyped-def]
    return min(1.0, max(-1.0, x))


@njit(inline="always")
def write_view(out, e, p, r, desk):  # type: ignore[no-untyped-def]
    """Writes the entries of time and budget into `out[e]`, and zeros where an opportunity would stand."""
    for k in range(_HEAD):
        out[e, k] = _cut(desk.head[k])
    spent = (r.spent_micro + desk.spent_micro) / MICRO
    out[e, _HEAD] = _cut(1.0 - spent / max(p.per_episode, 1e-9))
    for k in range(_HEAD + 1, out.shape[1]):
        out[e, k] = 0.0


@njit(inline="always")
def write_opportunity(out, e, desk, row, rest):  # type: ignore[no-untyped-def]
    """Writes the slot and the user of an opportunity into `out[e]`, where zeros are.

    Counts n come as n / (1 + n) (touches n / (5 + n)), ages as d / (d + 24 h), and 1 for never;
    `user_touches_day` is the share of the last eight ads that the user saw within 24 hours.
    """
    now_h = desk.at_h
    out[e, _HEAD + 1] = _cut(desk.guidance[desk.channel])
    out[e, _AT_CHANNEL + desk.channel] = 1.0
    out[e, _AT_DEVICE + desk.device] = 1.0
    out[e, _AT_AUDIENCE + desk.audience] = 1.0
    out[e, _AT_USER + 2] = out[e, _AT_USER + 3] = out[e, _AT_USER + 5] = 1.0
    if row.touches > 0:
        out[e, _AT_USER] = row.touches / (5.0 + row.touches)
        out[e, _AT_USER + 1] = seen_within(rest.ring_minute, now_h, 24.0) / RING
        minute = rest.ring_minute[(rest.ring_head + RING - 1) % RING]
        if minute != EMPTY_MINUTE:
            out[e, _AT_USER + 2] = _aged(now_h - minute / 60.0)
        if row.last_click_h >= 0.0:
            out[e, _AT_USER + 3] = _aged(now_h - row.last_click_h)
    if row.visits > 0:
        out[e, _AT_USER + 4] = row.visits / (1.0 + row.visits)
        out[e, _AT_USER + 5] = _aged(now_h - row.visit_s / 3600.0) if row.visit_s != NEVER_S else 1.0
    if out.shape[1] > _AT_HIDDEN:
        out[e, _AT_HIDDEN] = row.awareness
        out[e, _AT_HIDDEN + 1] = _score(fatigue_of(row))
        out[e, _AT_HIDDEN + 2] = row.intent
        out[e, _AT_HIDDEN + 3 + row.stage] = 1.0
