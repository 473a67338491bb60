"""The oracle's auction: prices from closed forms, rivals ranked one by one, one result per opportunity."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gaelp_env.config import Channel, MarketConfig
from tests.oracle_chance import AUCTION, NORMAL, SLOTS, draw, log_normal


def relative_price(config: MarketConfig, u: float) -> float:
    """Rivals' highest price at quantile u over its median: the quantile of the family, scaled."""
    prices = config.prices
    if prices.family == "lognormal":
        return log_normal(u, 1.0, prices.log_sd)
    if prices.family == "loglogistic":  # odds of being below it: x ** slope
        return math.exp((math.log(u) - math.log(1.0 - u)) / prices.shape)
    if prices.family == "exponential":  # half of what is left is gone at each median
        return -math.log2(1.0 - u)
    if prices.family == "uniform":  # the highest of `shape` uniform bids, over its own median
        return math.exp(math.log(u) / prices.shape) / 0.5 ** (1.0 / prices.shape)
    raise NotImplementedError(f"the oracle has no closed form of {prices.family}")


@dataclass
class Won:
    """A slot that we win: which one, at what price, and the uniform that tells whether it is seen."""

    slot: int
    cpm: float
    bound: bool
    u_view: float

    def is_seen(self, channel: Channel) -> bool:
        """Whether the slot is exposed and looked at."""
        shown = math.prod(channel.slot_view[: self.slot + 1]) if channel.rule == "gsp" else 1.0
        return self.u_view < channel.view_rate * shown


def auction(
    config: MarketConfig, key: int, tick: int, number: int, j: int, k: int, bid: float, median: float
) -> Won | None:
    """Auctions a slot on channel k; nothing if our bid does not win.

    Args:
      median: of rivals' highest price, CPM.
    """
    channel, prices = config.channels.in_order()[k], config.prices
    u_price, _, _, u_view = draw(key, number, tick, AUCTION, j)
    if channel.rule == "owned":
        demand = log_normal(u_price, median, prices.log_sd)
        return Won(0, channel.send_cost_cpm, False, u_view) if bid >= demand else None
    rivals, floor = competition(config, key, tick, number, j, k, median)
    score = bid * channel.quality_score
    slot = sum(rival > score for rival in rivals)
    if slot >= len(rivals):
        return None
    if bid < floor:
        return None
    if channel.rule == "first" or bid < channel.soft_floor_cpm:
        return Won(slot, bid, False, u_view)
    next_price = rivals[slot] / channel.quality_score
    return Won(slot, max(next_price, floor), 0.0 < floor >= next_price, u_view)


def competition(
    config: MarketConfig, key: int, tick: int, number: int, j: int, k: int, median: float
) -> tuple[list[float], float]:
    """What an auction is held against: a rival's score for each slot, and the reserve (0: none)."""
    channel, prices = config.channels.in_order()[k], config.prices
    u_price, u_has_floor, u_floor, _ = draw(key, number, tick, AUCTION, j)
    rivals = [median * relative_price(config, u_price)]
    if channel.rule == "gsp":
        rivals = scores(config, channel, median, u_price, draw(key, number, tick, SLOTS, j))
    if u_has_floor >= prices.floor_share:
        return rivals, 0.0
    return rivals, log_normal(u_floor, channel.reference_cpm * prices.floor_median, prices.floor_log_sd)


def rivals_seen(channel: Channel, rivals: list[float], floor: float, u_view: float, ours: int | None) -> int:
    """Rivals' ads that a person sees: the page is filled by rank around our slot, and looked at from the top.

    Args:
      rivals: their scores in falling order, 0 for nobody.
      floor: a score below it gets no slot.
      ours: the slot that we hold.
    """
    page: list[float | None] = list(rivals)
    if ours is not None:
        page.insert(ours, None)
    seen = 0
    for slot, score in enumerate(page[: len(rivals)]):
        exposed = channel.view_rate
        if channel.rule == "gsp":
            exposed *= math.prod(channel.slot_view[: slot + 1])
        seen += u_view < exposed and score is not None and score > 0.0 and score >= floor
    return seen


def scores(
    config: MarketConfig, channel: Channel, median: float, u_first: float, luck: list[float]
) -> list[float]:
    """The rivals' highest scores, one for each slot, in falling order.

    n rivals whose highest is at quantile u of its law H have each the law H ** (1 / n): the place of the
    next one below a known one is the highest of those that remain, cut at the known one.
    """
    n, place = channel.rivals, u_first ** (1.0 / channel.rivals)  # as a quantile of one rival's law
    found = [median * relative_price(config, u_first)]
    for below in range(1, channel.slots):
        if below >= n:
            found.append(0.0)
            continue
        place *= luck[below - 1] ** (1.0 / (n - below))
        found.append(median * relative_price(config, place**n))
    return found


def pressure_after(pressure: float, hours: float, u: float, config: MarketConfig) -> float:
    """Rivals' pressure forgets a part of itself and gets as much anew."""
    prices = config.prices
    keep = 0.5 ** (hours / prices.pressure_half_life_h)
    return keep * pressure + math.sqrt(1.0 - keep**2) * prices.pressure_log_sd * NORMAL.inv_cdf(u)
