"""One opportunity, one auction: whether we win it, which slot, and what it costs."""

from __future__ import annotations

from numba import njit

from gaelp_env.auction import FIRST, GSP, OWNED, price_at, wins
from gaelp_env.chance import AUCTION, SLOTS, uniforms
from gaelp_env.prices import relative_price
from gaelp_env.slots import next_quantile, price_of_slot, with_soft_floor

LOST = -1


@njit(nogil=True)
def slot_won(c, m, channel, audience, number, j, u_price):  # type: ignore[no-untyped-def]
    """Which slot of a GSP auction our score takes.

    Returns: (slot 0, 1, … or LOST, quantile of the rival right below us).
    """
    ours = m.beats_rivals[channel, audience]
    below = u_price
    if below <= ours:
        return 0, below
    u_second, u_third, u_fourth, _creative = uniforms(m.key, number, m.tick, SLOTS, j)
    rivals = c.rivals[channel]
    for slot in range(1, c.slots[channel]):
        u = u_second if slot == 1 else (u_third if slot == 2 else u_fourth)
        below = next_quantile(below, u, rivals, slot + 1)
        if below <= ours:
            return slot, below
    return LOST, below


@njit(nogil=True)
def buy_slot(c, m, channel, audience, number, j):  # type: ignore[no-untyped-def]
    """Auctions a slot.

    Returns: (slot 0, 1, … or LOST, price in CPM, uniform that tells whether it is seen, 1 if the price is
      the reserve).
    """
    u_price, u_has_floor, u_floor, u_view = uniforms(m.key, number, m.tick, AUCTION, j)
    rule = c.rule[channel]
    if rule == OWNED:
        won = 0 if u_price <= m.beats_rivals[channel, audience] else LOST
        return won, c.send_cost_cpm[channel], u_view, 0
    slot, below = 0, u_price
    if rule == GSP:
        slot, below = slot_won(c, m, channel, audience, number, j, u_price)
        if slot == LOST:
            return LOST, 0.0, u_view, 0
        u_price = 0.0
    if not wins(
        u_price, u_has_floor, u_floor, m.beats_rivals[channel, audience], m.beats_floor[channel, audience],
        c.floor_share,
    ):  # fmt: skip
        return LOST, 0.0, u_view, 0
    bid = m.bid_cpm[channel, audience]
    if rule == FIRST:
        return slot, bid, u_view, 0
    next_price = 0.0
    if below > 0.0:
        next_price = m.price_median[channel] * relative_price(
            c.family, below, c.price_shape, m.price_table[channel]
        )
    floor = 0.0
    if u_has_floor < c.floor_share:
        floor = price_at(u_floor, m.floor_median[channel], c.floor_log_sd)
    quality = c.quality_score[channel]
    price = price_of_slot(bid, next_price, quality, floor)
    soft_floor = c.soft_floor_cpm[channel]
    bound = 1 if floor > 0.0 and floor * quality >= next_price and bid >= soft_floor else 0
    return slot, with_soft_floor(price, bid, soft_floor), u_view, bound
