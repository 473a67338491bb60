"""One opportunity, one auction: whether we win it, which slot, what it costs, and whose ads are seen."""

from __future__ import annotations

from numba import njit

from gaelp_env.auction import FIRST, GSP, OWNED, price_at, wins
from gaelp_env.ledger import FLOOR_KNOTS
from gaelp_env.pointers import prices_of
from gaelp_env.prices import relative_price
from gaelp_env.slots import next_quantile, price_of_slot, seen_share, with_soft_floor

LOST = -1


@njit(nogil=True)
def slot_won(c, m, channel, audience, u_price, order):  # type: ignore[no-untyped-def]
    """Which slot of a GSP auction our score takes.

    Args:
      order: the four uniforms of SLOTS.
    Returns: (slot 0, 1, … or LOST, quantile of the rival right below us).
    """
    ours = m.beats_rivals[channel, audience]
    below = u_price
    if below <= ours:
        return 0, below
    u_second, u_third, u_fourth, _creative = order
    rivals = c.rivals[channel]
    for slot in range(1, c.slots[channel]):
        u = u_second if slot == 1 else (u_third if slot == 2 else u_fourth)
        below = next_quantile(below, u, rivals, slot + 1)
        if below <= ours:
            return slot, below
    return LOST, below


@njit(nogil=True)
def buy_slot(c, m, channel, audience, bids, order):  # type: ignore[no-untyped-def]
    """Auctions a slot.

    Args:
      bids, order: the four uniforms each of AUCTION and SLOTS.
    Returns: (slot 0, 1, … or LOST, price in CPM, uniform that tells whether it is seen, 1 if the price is
      the reserve).
    """
    u_price, u_has_floor, u_floor, u_view = bids
    rule = c.rule[channel]
    if rule == OWNED:
        won = 0 if u_price <= m.beats_rivals[channel, audience] else LOST
        return won, c.send_cost_cpm[channel], u_view, 0
    slot, below = 0, u_price
    if rule == GSP:
        slot, below = slot_won(c, m, channel, audience, u_price, order)
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
            c.family, below, c.price_shape, prices_of(m)[channel]
        )
    floor = 0.0
    if u_has_floor < c.floor_share:
        floor = price_at(u_floor, m.floor_median[channel], c.floor_log_sd)
    quality = c.quality_score[channel]
    price = price_of_slot(bid, next_price, quality, floor)
    soft_floor = c.soft_floor_cpm[channel]
    bound = 1 if floor > 0.0 and floor * quality >= next_price and bid >= soft_floor else 0
    return slot, with_soft_floor(price, bid, soft_floor), u_view, bound


@njit(nogil=True)
def price_clears(c, m, channel, u_rival, u_floor):  # type: ignore[no-untyped-def]
    """`clears_floor` by the two prices themselves."""
    relative = relative_price(c.family, u_rival, c.price_shape, prices_of(m)[channel])
    return m.price_median[channel] * relative >= price_at(u_floor, m.floor_median[channel], c.floor_log_sd)


@njit(inline="always")
def clears_floor(c, m, channel, u_rival, u_floor):  # type: ignore[no-untyped-def]
    """Whether a rival's score is at or above the reserve of the auction.

    A reserve lies between two whose ranks among rivals' prices the tick knows (`floor_rank`): only for the
    one score in sixteen that lies between these ranks are the two prices computed; in a tick with few
    candidates, for which reserves were not ranked, they always are.

    Args:
      u_rival: quantile of the rival's score in the law of the highest one.
      u_floor: quantile of the reserve.
    """
    if not m.ranked:
        return price_clears(c, m, channel, u_rival, u_floor)
    knot = int(u_floor * (FLOOR_KNOTS - 1))
    if u_rival > m.floor_rank[channel, knot + 1]:
        return True
    if u_rival < m.floor_rank[channel, knot]:
        return False
    return price_clears(c, m, channel, u_rival, u_floor)


@njit(inline="always")
def rival_ads(c, m, channel, bids, order, ours, winnable):  # type: ignore[no-untyped-def]
    """How many rivals' ads are seen at one opportunity of a channel that is auctioned.

    The rivals fill the slots that we do not hold, in the order of their scores; from the first one below the
    auction's reserve on, slots stay empty. The page is looked at once, down to some slot:

        slot s is seen if u_view < view_rate * seen_share(s)

    with the draw that decides about our own ad. So each slot has its own exposure, and whoever sees a slot
    has seen those above it.

    Args:
      bids, order: the four uniforms each of AUCTION and SLOTS.
      ours: the slot that we hold, LOST for none.
      winnable: whether any bid could win here; if not, all rivals are beyond reach, and above any reserve.
    Returns: 0 … slots; 0 where no rival bids (a median of 0).
    """
    if m.price_median[channel] <= 0.0:
        return 0
    u_rival, u_has_floor, u_floor, u_view = bids
    slots, rivals = 1, 1
    if c.rule[channel] == GSP:
        slots, rivals = c.slots[channel], c.rivals[channel]
    has_floor = winnable and u_has_floor < c.floor_share
    u_second, u_third, u_fourth, _creative = order
    seen = place = 0
    for slot in range(slots):
        if u_view >= c.view_rate[channel] * seen_share(slot, c.slot_view[channel]):
            break
        if slot == ours:
            continue
        place += 1
        if place > rivals:
            break
        if has_floor:
            if place > 1:
                u = u_second if place == 2 else (u_third if place == 3 else u_fourth)
                u_rival = next_quantile(u_rival, u, rivals, place)
            if not clears_floor(c, m, channel, u_rival, u_floor):
                break
        seen += 1
    return seen
