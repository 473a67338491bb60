"""An ad is seen, ours or a rival's: what it does to the person, and what it leaves on record."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from gaelp_env.adstock import gained
from gaelp_env.constants import MAX_TOUCHES
from gaelp_env.creatives import creative_of, spaced
from gaelp_env.ledger import MICRO
from gaelp_env.pointers import worth_of
from gaelp_env.population import CLICKED, REACHED, RING
from gaelp_env.prospect import advance_probability
from gaelp_env.response import click_probability, lift, wear
from gaelp_env.rows import with_ad
from gaelp_env.upkeep import counted, enter, frequency_weight, stock_of, voice_of
from gaelp_env.worth import worth_of_ad


@njit(nogil=True)
def choose_creative(c, m, row, u):  # type: ignore[no-untyped-def]
    """The creative that the user is about to see: the one that was asked for, or as the rotation says.

    Args:
      u: the fourth uniform of SLOTS.
    """
    if c.creatives == 1:
        return 0
    if m.creative >= 0:
        return m.creative
    return creative_of(c.rotation, c.creatives, row.touches, row.fatigue, u)


@njit(inline="always")
def effect_left(c, row, rest, channel, creative, now_h):  # type: ignore[no-untyped-def]
    """The share of an ad's effect that wear, quality and spacing leave, in [0, 1]."""
    worn = row.fatigue[creative if c.fatigue_by_creative else 0]
    left = wear(worn, c.fatigue_exponent[channel]) * c.quality[min(row.touches, MAX_TOUCHES - 1)]
    left *= c.creative[creative]
    if c.spacing_loss > 0.0 and row.touches > 0:
        last = rest.ring_minute[(rest.ring_head + RING - 1) % RING]
        left *= spaced(max(0.0, now_h - last / 60.0), c.spacing_loss, c.spacing_h)
    return left


@njit(inline="always")
def click_chance(c, m, row, channel, slot, device, left):  # type: ignore[no-untyped-def]
    """The probability that the ad which the user sees, on a device, is clicked."""
    weight = m.click_weight * c.slot_click[channel, slot] * c.device_click[device]
    base = click_probability(c.click_rate[channel, row.stage], left, weight)
    return gained(base, c.adstock_click, row.adstock[channel], c.adstock_half, c.adstock_slope)


@njit(nogil=True)
def see_ad(c, m, row, channel, creative, moment_h, u_move, left, click, counts):  # type: ignore[no-untyped-def]
    """An ad of ours is seen: its worth accrues, awareness rises, fatigue counts, the stage may move.

    Args:
      creative: which one.
      left: share of its effect that is left, in [0, 1].
      click: probability that it is clicked.
    """
    before = row.awareness
    after = lift(before, c.awareness_gain[channel] * left)
    moves = advance_probability(c, row.stage, after, row.intent, c.forward_push[channel, min(row.stage, 2)])
    if row.due_h < 0.0:  # a person who waits for an order decides no other
        usual, stock = voice_of(c, before, c.rival_mean), stock_of(row)
        propensity = row.propensity * voice_of(c, before, row.rival_awareness) / usual
        often = frequency_weight(c, stock + 1.0)
        worth = worth_of_ad(
            c, worth_of(m), row.stage, before, after, row.intent, moves, click, propensity, often, stock,
            channel,
        )  # fmt: skip
        counts.accrued_micro += int(math.floor(worth * MICRO + 0.5))
    row.awareness = after
    row.fatigue[creative if c.fatigue_by_creative else 0] += np.float32(1.0)
    row.adstock[channel] += np.float32(1.0)
    row.touches += 1
    row.flags |= REACHED
    if u_move < moves:
        enter(c, m.key, row, row.stage + 1, moment_h)


@njit(inline="always")
def note_touch(row, rest, channel, moment_h, clicked):  # type: ignore[no-untyped-def]
    """Writes a touch into the user's ring of last touches, and a click into the user's record."""
    head = rest.ring_head
    rest.ring_minute[head] = int(moment_h * 60.0)
    rest.ring_ads = with_ad(rest.ring_ads, head, channel, clicked)
    rest.ring_head = (head + 1) % RING
    if clicked:
        row.clicks = counted(row.clicks)
        row.last_click_h = moment_h
        row.last_click_channel = channel
        row.flags |= CLICKED


@njit(inline="always")
def see_rivals(c, row, channel, ads, counts):  # type: ignore[no-untyped-def]
    """Rivals' ads are seen: the user's awareness of rivals rises with each, as ours would.

    Args:
      ads: how many, >= 0.
    """
    for _ in range(ads):
        row.rival_awareness = lift(row.rival_awareness, c.rival_gain[channel])
    counts.rival_views[channel] += ads
