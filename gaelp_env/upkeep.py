"""Keeping a person up to date: clocks run, scores fade, sessions begin, running sums follow."""

from __future__ import annotations

from numba import njit

from gaelp_env.adstock import hill
from gaelp_env.chance import CLOCK, uniforms
from gaelp_env.devices import session_device
from gaelp_env.journey import NEVER_H, stage_below, waiting_time
from gaelp_env.lanes import kept_of_each
from gaelp_env.ledger import SCORE_UNIT, K
from gaelp_env.population import (
    BOUGHT,
    CLICKED,
    COUNT_MOST,
    CREATIVES,
    EMPTY_MINUTE,
    GONE,
    JOURNEY_OPEN,
    KNOWN,
    NEVER_S,
    REACHED,
    RING,
)
from gaelp_env.sessions import journey_is_over
from gaelp_env.voice import share_of_voice

NEW_USER, REACHED_USER, KNOWN_USER, BUYER = 0, 1, 2, 3
"""Audiences by number, in the order of ledger.AUDIENCES."""
AWARENESS, INTENT, FATIGUE, ADSTOCK = 0, 1, 2, 3
"""Places in `fading` of the constants; the channels' adstock is the rest."""


@njit(inline="always")
def stage_clock(key, number, tick_h, entered_h, stage, half_life_h):  # type: ignore[no-untyped-def]
    """When a stage entered at `entered_h` falls back: its draw is addressed by that moment."""
    if half_life_h >= NEVER_H:
        return NEVER_H
    tick = int(entered_h / tick_h)
    second = int((entered_h - tick * tick_h) * 3600.0)
    a, _b, _c, _d = uniforms(key, number, tick, CLOCK, 8 * second + stage)
    return entered_h + waiting_time(a, half_life_h)


@njit(nogil=True)
def enter(c, key, row, stage, moment_h):  # type: ignore[no-untyped-def]
    """Puts a user into a stage and starts its clock."""
    row.stage = stage
    row.stage_until_h = stage_clock(key, row.number, c.tick_h, moment_h, stage, c.back_half_life_h[stage])


@njit(inline="always")
def let_clock_run(c, m, row, moment_h):  # type: ignore[no-untyped-def]
    """Lets the stage fall back as often as its clocks have rung by `moment_h`."""
    while row.stage_until_h <= moment_h:
        enter(c, m.key, row, stage_below(row.stage), row.stage_until_h)


@njit(inline="always")
def bring_up_to_date(c, m, row, moment_h):  # type: ignore[no-untyped-def]
    """Lets the scores fade to `moment_h` and counts the user as met in the open episode.

    Returns: 1 if it is the first meeting in this episode.
    """
    return faded(c, m, row, moment_h, kept_of_each(moment_h - row.seen_h, c.fading))


@njit(inline="always")
def faded(c, m, row, moment_h, left):  # type: ignore[no-untyped-def]
    """`bring_up_to_date`, with what is left of each score known: the earlier, the less it is waited for."""
    row.awareness *= left[AWARENESS]
    row.rival_awareness *= left[AWARENESS]
    if row.intent > c.intent_base:
        row.intent = c.intent_base + (row.intent - c.intent_base) * left[INTENT]
    if row.touches > 0:
        for k in range(CREATIVES):
            row.fatigue[k] *= left[FATIGUE]
        for k in range(K):
            row.adstock[k] *= left[ADSTOCK + k]
    row.seen_h = moment_h
    if row.last_episode != m.episode:
        row.last_episode = m.episode
        row.episodes += 1
        return 1
    return 0


@njit(inline="always")
def stock_of(row):  # type: ignore[no-untyped-def]
    """The adstock of all channels together, as of `seen_h`."""
    total = 0.0
    for k in range(K):
        total += row.adstock[k]
    return total


@njit(inline="always")
def stock_at(c, row, moment_h):  # type: ignore[no-untyped-def]
    """The same at a later moment, the user left as they are."""
    total = 0.0
    if row.touches > 0:
        left = kept_of_each(moment_h - row.seen_h, c.fading)
        for k in range(K):
            total += row.adstock[k] * left[ADSTOCK + k]
    return total


@njit(inline="always")
def fatigue_of(row):  # type: ignore[no-untyped-def]
    """The remembered count of our ads over all creatives, as of `seen_h`."""
    total = 0.0
    for k in range(CREATIVES):
        total += row.fatigue[k]
    return total


@njit(inline="always")
def voice_of(c, awareness, rival_awareness):  # type: ignore[no-untyped-def]
    """Our share of voice with a user, or 1 where a market does not share orders."""
    if not c.share_of_voice:
        return 1.0
    return share_of_voice(awareness, rival_awareness, c.standing, c.outside, c.power)


@njit(inline="always")
def frequency_weight(c, stock):  # type: ignore[no-untyped-def]
    """What many recent ads add to the buy rate: 1 + g h(E), S-shaped in the adstock of all channels."""
    if c.frequency_gain == 0.0:
        return 1.0
    return 1.0 + c.frequency_gain * hill(stock, c.frequency_half, c.frequency_slope)


@njit(inline="always")
def audience_of(row):  # type: ignore[no-untyped-def]
    """The audience that an advertiser can tell a user to be in; the furthest applies."""
    if row.conversions > 0:
        return BUYER
    if row.flags & KNOWN:
        return KNOWN_USER
    return REACHED_USER if row.flags & REACHED else NEW_USER


@njit(inline="always")
def counted(count):  # type: ignore[no-untyped-def]
    """One more, in two bytes: the largest value stays."""
    return min(count + 1, COUNT_MOST)


@njit(inline="always")
def last_active_h(row, rest):  # type: ignore[no-untyped-def]
    """The last touch or visit, hours; -1 if there was none. Touches are kept to the minute."""
    last = -1.0
    if row.visit_s != NEVER_S:
        last = row.visit_s / 3600.0
    if row.touches > 0:
        minute = rest.ring_minute[(rest.ring_head + RING - 1) % RING]
        if minute != EMPTY_MINUTE:
            last = max(last, minute / 60.0)
    return last


@njit(nogil=True)
def go_on(c, row, rest, moment_h, counts):  # type: ignore[no-untyped-def]
    """A touch or a visit goes on with the open journey; one that has closed gives way to a new one.

    The journey id closes after `inactivity_h` without a touch or a visit, or with an order; the person stays.
    """
    if row.devices != 0 and journey_is_over(moment_h - last_active_h(row, rest), c.inactivity_h):
        row.devices = 0
    if row.devices == 0:
        row.devices = JOURNEY_OPEN
        row.journeys = counted(row.journeys)
        counts.journeys += 1


@njit(inline="always")
def device_now(c, row, u):  # type: ignore[no-untyped-def]
    """The device of the session at hand."""
    return session_device(row.device, u, c.device_redraw, c.devices_up_to[0], c.devices_up_to[1])


@njit(cache=True, nogil=True)
def sum_up(hot, size, records):  # type: ignore[no-untyped-def]
    """Counts the running sums afresh over all who have not left for good.

    Args:
      hot: HOT, of which `size` rows are in use.
      records: `[1]` of RECORD, written.
    """
    sums = records[0]
    sums.active = sums.awareness_sum = sums.fatigue_sum = sums.intent_sum = 0
    sums.reached = sums.clicked = sums.bought = 0
    for stage in range(len(sums.stage_count)):
        sums.stage_count[stage] = 0
    for i in range(size):
        if not hot[i].flags & GONE:
            sums.active += 1
            tally(hot[i], 1, sums)


@njit(inline="always")
def standing(row):  # type: ignore[no-untyped-def]
    """A user's part in the running sums over the population: (stage, awareness, fatigue, intent, flags)."""
    remembered = fatigue_of(row)
    return (
        int(row.stage),
        int(row.awareness * SCORE_UNIT + 0.5),
        int(remembered / (1.0 + remembered) * SCORE_UNIT + 0.5),
        int(row.intent * SCORE_UNIT + 0.5),
        int(row.flags),
    )


@njit(inline="always")
def moved_on(before, after, sums):  # type: ignore[no-untyped-def]
    """Puts one `standing` of a user in the place of another in the running sums."""
    sums.awareness_sum += after[1] - before[1]
    sums.fatigue_sum += after[2] - before[2]
    if after[3] != before[3]:
        sums.intent_sum += after[3] - before[3]
    if after[0] != before[0]:
        sums.stage_count[before[0]] -= 1
        sums.stage_count[after[0]] += 1
    if after[4] != before[4]:
        sums.reached += ((after[4] & REACHED) != 0) - ((before[4] & REACHED) != 0)
        sums.clicked += ((after[4] & CLICKED) != 0) - ((before[4] & CLICKED) != 0)
        sums.bought += ((after[4] & BOUGHT) != 0) - ((before[4] & BOUGHT) != 0)


@njit(inline="always")
def tally(row, sign, sums):  # type: ignore[no-untyped-def]
    """Adds (sign 1) or takes away (-1) a user's part in the running sums over the population."""
    stage, awareness, fatigue, intent, flags = standing(row)
    sums.stage_count[stage] += sign
    sums.awareness_sum += sign * awareness
    sums.fatigue_sum += sign * fatigue
    sums.intent_sum += sign * intent
    sums.reached += sign * ((flags & REACHED) != 0)
    sums.clicked += sign * ((flags & CLICKED) != 0)
    sums.bought += sign * ((flags & BOUGHT) != 0)
