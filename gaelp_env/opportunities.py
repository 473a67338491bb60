"""One candidate of one person: what it is, a visit unasked, or a slot that we bid for.

Shared by the loop over a tick's people (encounters.py) and the one that asks for a bid at every
opportunity (impression_kernel.py), so that both play the same people.
"""

from __future__ import annotations

from numba import njit

from gaelp_env.auction import GSP, OWNED, micro
from gaelp_env.bidding import LOST, buy_slot, rival_ads
from gaelp_env.caps import seen_within
from gaelp_env.exposure import choose_creative, click_chance, effect_left, note_touch, see_ad, see_rivals
from gaelp_env.ledger import K
from gaelp_env.population import KNOWN
from gaelp_env.sessions import PAID, source_of
from gaelp_env.slots import cost_per_click, seen_share
from gaelp_env.upkeep import bring_up_to_date, device_now, go_on
from gaelp_env.visiting import visit_site

VISIT_HERE = -1
"""In the place of a channel: the candidate is a visit to our site."""
WON, CHARGED, SEEN, CLICK, DECIDED = 1, 2, 4, 8, 16
"""What came of an opportunity that we bid for, a bit each."""


@njit(inline="always")
def channel_at(c, row, u_kind):  # type: ignore[no-untyped-def]
    """The channel of a candidate, by number, or VISIT_HERE."""
    kind = u_kind * row.rate
    if kind < c.visits_per_day:
        return VISIT_HERE
    share = (kind - c.visits_per_day) / (row.rate - c.visits_per_day)
    channel = 0
    for k in range(K - 1):  # counted, not searched: no branch to guess
        channel += share >= c.share_up_to[k]
    return channel


@njit(inline="always")
def reachable(c, row, channel, u_real):  # type: ignore[no-untyped-def]
    """Whether a candidate on a channel becomes an opportunity: the channel knows and reaches the user."""
    if c.known_only[channel] and not row.flags & KNOWN:
        return False
    return u_real < c.audience[channel, row.stage]


@njit(inline="always")
def below_cap(c, row, rest, channel, now_h, ledger):  # type: ignore[no-untyped-def]
    """Whether the frequency cap lets us bid; counts the opportunity as capped if not."""
    if c.frequency_cap > 0 and row.touches > 0:
        seen = seen_within(rest.ring_minute, now_h, c.frequency_window_h)
        if seen >= c.frequency_cap:
            ledger.capped[channel] += 1
            return False
    return True


@njit(inline="always")
def may_bid(c, m, row, rest, channel, audience, now_h, ledger):  # type: ignore[no-untyped-def]
    """Whether we bid for an opportunity: with a bid, before the budget's end, and below the frequency cap."""
    if m.bid_cpm[channel, audience] <= 0.0 or now_h > m.stop_h:
        return False
    if now_h == m.stop_h and row.number >= m.stop_number:
        return False
    return below_cap(c, row, rest, channel, now_h, ledger)


@njit(inline="always")
def show_rivals(c, m, row, channel, bids, order, ours, winnable, ledger):  # type: ignore[no-untyped-def]
    """Rivals hold the slots beside `ours` (LOST: all of them), and their ads may be seen.

    On a channel where rivals' ads gain nothing they are not looked at, nor counted.

    Args:
      bids, order: the four uniforms each of AUCTION and SLOTS.
    """
    if c.rivals_seen and c.rival_gain[channel] > 0.0 and c.rule[channel] != OWNED:
        ads = rival_ads(c, m, channel, bids, order, ours, winnable)
        see_rivals(c, row, channel, ads, ledger)


@njit(inline="always")
def visit_unasked(c, m, row, rest, now_h, j, response, ledger, total, visit):  # type: ignore[no-untyped-def]
    """A visit that no ad of ours has just brought.

    Args:
      response: the four uniforms of RESPOND.
      visit: one VISIT, written.
    Returns: 1 if an order was decided.
    """
    total.met += bring_up_to_date(c, m, row, now_h)
    u_source, u_again, u_move, u_device = response
    go_on(c, row, rest, now_h, ledger)
    device = device_now(c, row, u_device)
    source = source_of(u_source, c.sources_up_to)
    if row.source < PAID and u_again < c.source_again:
        source = row.source
    return visit_site(c, m, row, rest, now_h, j, u_move, device, source, -1, ledger, visit)


@njit(inline="always")
def bid_for(  # type: ignore[no-untyped-def]
    c, m, row, rest, now_h, j, channel, audience, winnable, bids, order, response, ledger, touch, visit
):
    """An opportunity that we bid for: auction, view, click and visit.

    Args:
      row, rest: of a user who is up to date at `now_h`.
      winnable: whether a bid could win here.
      bids, order, response: the four uniforms each of AUCTION, SLOTS and RESPOND.
      touch, visit: one TOUCH and one VISIT, written if the ad is seen and if it is clicked.
    Returns: (bits of what came of it, charge in micro-units, probability of the click if it was seen).
    """
    ledger.bids[channel] += 1
    slot, cpm, u_view, bound = LOST, 0.0, 0.0, 0
    if winnable:
        slot, cpm, u_view, bound = buy_slot(c, m, channel, audience, bids, order)
    if u_view < c.view_rate[channel] and (slot == LOST or c.rule[channel] == GSP):
        show_rivals(c, m, row, channel, bids, order, slot, winnable, ledger)
    if slot == LOST:
        return 0, 0, 0.0
    ledger.wins[channel] += 1
    ledger.floor_bound[channel] += bound
    came, cost = WON, 0
    if not c.by_click[channel]:
        cost = micro(cpm)
        ledger.spend_micro[channel] += cost
        came |= CHARGED
    if u_view >= c.view_rate[channel] * seen_share(slot, c.slot_view[channel]):
        return came, cost, 0.0
    u_click, u_ad_move, u_visit_move, u_device = response
    go_on(c, row, rest, now_h, ledger)
    device = device_now(c, row, u_device)
    creative = choose_creative(c, m, row, order[3])
    left = effect_left(c, row, rest, channel, creative, now_h)
    click = click_chance(c, m, row, channel, slot, device, left)
    see_ad(c, m, row, channel, creative, now_h, u_ad_move, left, click, ledger)
    clicked = u_click < click
    note_touch(row, rest, channel, now_h, clicked)
    ledger.views[channel] += 1
    came |= SEEN
    if clicked and c.by_click[channel]:
        cost = micro(1000.0 * cost_per_click(cpm, c.predicted_click_rate[channel]))
        ledger.spend_micro[channel] += cost
        came |= CHARGED
    touch.number, touch.tick, touch.channel = row.number, m.tick, channel
    touch.own, touch.clicked, touch.price_micro, touch.episode = 1, clicked, cost, m.episode
    if clicked:
        came |= CLICK
        ledger.clicks[channel] += 1
        if visit_site(c, m, row, rest, now_h, j, u_visit_move, device, PAID, channel, ledger, visit):
            came |= DECIDED
    return came, cost, click
