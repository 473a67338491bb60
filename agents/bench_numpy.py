"""A plain vectorised NumPy version of the tick, to compare the fused loop with.

It plays the first model (preset `v0`: same people, same laws of chance) in the way one would write it
first: columns, masks, one vectorised pass for everybody's first candidate, one for the second, and so
on. It does less than `market.py` does on the same preset: chance is a stream of NumPy's own Philox (not
addressed), the moments of a user's candidates are spread evenly, and there are no births, no archive, no
log of touches, no expected value of an ad, no running sums and no budget.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.auction import FIRST, OWNED
from gaelp_env.config import MarketConfig
from gaelp_env.constants import MAX_TOUCHES, constants_of, levels_of, season_of
from gaelp_env.journey import AWARE, CONVERTED, INTENT

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
COUNTS = ("opportunities", "bids", "wins", "views", "clicks", "visits", "decisions", "conversions")


class NumpyMarket:
    """A market of columns.

    Attributes:
      counts: totals since birth by name (COUNTS), over all channels.
      spend: currency units since birth.
    """

    def __init__(self, config: MarketConfig, users: NDArray[Any], seed: int, pressure: Floats) -> None:
        """Takes `[U]` of USER as they are, and rivals' pressure by channel, `[K]`."""
        self._c = constants_of(config)
        self._season = season_of(config)
        self._levels, self._prices = levels_of(config), config.prices
        self._pressure = pressure.copy()
        self._generator = np.random.Generator(np.random.Philox(seed))
        self.counts = dict.fromkeys(COUNTS, 0)
        self.spend = 0.0
        for name in ("rate", "awareness", "intent", "propensity", "seen_h", "stage_until_h", "due_h",
                     "leaves_h", "last_episode", "episodes", "touches"):  # fmt: skip
            setattr(self, name, users[name].copy())
        self.fatigue = users["fatigue"][:, 0].copy()  # the first model counts all ads together
        self.clicks = users["clicks"].astype(np.uint32)
        self.stage = users["stage"].astype(np.int64)
        self.known = np.zeros(len(users), bool)
        self.order_value = np.zeros(len(users))

    rate: NDArray[np.float32]
    awareness: NDArray[np.float32]
    fatigue: NDArray[np.float32]
    intent: NDArray[np.float32]
    propensity: NDArray[np.float32]
    seen_h: Floats
    stage_until_h: Floats
    due_h: Floats
    leaves_h: NDArray[np.float32]
    last_episode: NDArray[np.uint32]
    episodes: NDArray[np.uint32]
    touches: NDArray[np.uint32]
    clicks: NDArray[np.uint32]

    def play(self, tick: int, bids_cpm: Floats) -> None:
        """Plays one tick; `bids_cpm` is `[5]`, 0 is no bid."""
        c = self._c
        start_h = tick * c.tick_h
        hour = self._season.hour_of_week(start_h)
        weight = np.float32(self._season.traffic[hour] * c.tick_h / 24.0)
        luck = self._generator.random(len(self.rate), np.float32)
        listed = np.flatnonzero(luck < self.rate * weight)
        count = _poisson(luck[listed].astype(np.float64), (self.rate[listed] * weight).astype(np.float64))
        for place in range(int(count.max(initial=0))):
            more = count > place
            who = listed[more]
            at_h = start_h + c.tick_h * (place + self._generator.random(len(who))) / count[more]
            here = self.leaves_h[who] > at_h
            self._meet(who[here], at_h[here], bids_cpm, hour % 24)
        self._settle(start_h + c.tick_h)
        keep = 2.0 ** (-c.tick_h / self._prices.pressure_half_life_h)
        shock = self._generator.standard_normal(len(self._pressure))
        sd = self._prices.pressure_log_sd
        self._pressure = keep * self._pressure + math.sqrt(1.0 - keep * keep) * sd * shock

    def _meet(self, who: Places, at_h: Floats, bids: Floats, hour: int) -> None:
        c = self._c
        self._clocks(who, at_h)
        u = self._generator.random((3, len(who)))
        stage = self.stage[who]
        kind = u[0] * self.rate[who]
        unasked = kind < c.visits_per_day
        comes = unasked & (u[1] < c.visit_rate[stage])
        self._fade(who[comes], at_h[comes])
        self._visit(who[comes], at_h[comes])
        share = (kind - c.visits_per_day) / np.maximum(self.rate[who] - c.visits_per_day, 1e-9)
        channel = np.minimum(np.searchsorted(c.share_up_to, share, "right"), len(bids) - 1)
        real = (
            ~unasked
            & (u[1] < c.audience[channel, stage])
            & (~c.known_only.astype(bool)[channel] | self.known[who])
        )
        who, at_h, channel, winnable = who[real], at_h[real], channel[real], u[2][real]
        self._fade(who, at_h)
        self.counts["opportunities"] += len(who)
        asked = bids[channel] > 0.0
        self.counts["bids"] += int(asked.sum())
        asked &= winnable < c.winnable[channel]
        won, cost = self._auction(channel, bids, hour)
        won &= asked
        self.counts["wins"] += int(won.sum())
        self.spend += float(cost[won].sum()) / 1000.0
        self._see(who[won], at_h[won], channel[won], hour)

    def _clocks(self, who: Places, at_h: Floats) -> None:
        late = who[self.stage_until_h[who] <= at_h]
        stage = self.stage[late]
        self._enter(late, np.where(stage == CONVERTED, AWARE, stage - 1), self.stage_until_h[late])

    def _enter(self, who: Places, stage: NDArray[Any], at_h: Floats) -> None:
        self.stage[who] = stage
        wait = -np.log(self._generator.random(len(who))) / math.log(2.0)
        self.stage_until_h[who] = at_h + self._c.back_half_life_h[stage] * wait

    def _fade(self, who: Places, at_h: Floats) -> None:
        c = self._c
        elapsed = at_h - self.seen_h[who]
        self.awareness[who] *= np.exp2(-elapsed / c.awareness_half_life_h)
        self.fatigue[who] *= np.exp2(-elapsed / c.fatigue_half_life_h)
        self.intent[who] *= np.exp2(-elapsed / c.intent_half_life_h)
        self.seen_h[who] = at_h
        fresh = who[self.last_episode[who] != 1]
        self.last_episode[fresh] = 1
        self.episodes[fresh] += np.uint32(1)

    def _auction(self, channel: Places, bids: Floats, hour: int) -> tuple[NDArray[np.bool_], Floats]:
        c, size = self._c, len(channel)
        rule, bid = c.rule[channel], bids[channel]
        owned = rule == OWNED
        level = np.exp(self._levels.moves * (self._season.log_price[hour] + self._pressure))
        spread = np.exp(c.price_shape * self._generator.standard_normal(size))
        rival = (self._levels.reference * level)[channel] * spread
        floor = self._levels.floor[channel] * np.exp(c.floor_log_sd * self._generator.standard_normal(size))
        floor[(self._generator.random(size) >= c.floor_share) | owned] = 0.0
        to_beat = np.maximum(rival, floor)
        cost = np.where(rule == FIRST, bid, np.where(owned, c.send_cost_cpm[channel], to_beat))
        return bid >= to_beat, cost

    def _see(self, who: Places, at_h: Floats, channel: Places, hour: int) -> None:
        c = self._c
        u = self._generator.random((3, len(who)))
        seen = u[0] < c.view_rate[channel]
        who, at_h, channel, u = who[seen], at_h[seen], channel[seen], u[:, seen]
        self.counts["views"] += len(who)
        left = np.exp(-c.fatigue_exponent[channel] * np.log1p(self.fatigue[who]))
        left *= c.quality[np.minimum(self.touches[who], MAX_TOUCHES - 1)]
        click = np.minimum(1.0, c.click_rate[channel, self.stage[who]] * left * self._season.click[hour])
        self.awareness[who] = 1.0 - (1.0 - self.awareness[who]) * (1.0 - c.awareness_gain[channel] * left)
        self.fatigue[who] += np.float32(1.0)
        self.touches[who] += np.uint32(1)
        self._advance(who, at_h, u[1], c.forward_push[channel, np.minimum(self.stage[who], INTENT - 1)])
        clicked = u[2] < click
        self.clicks[who[clicked]] += np.uint32(1)
        self.counts["clicks"] += int(clicked.sum())
        self._visit(who[clicked], at_h[clicked])

    def _advance(self, who: Places, at_h: Floats, u: Floats, push: Any) -> None:
        c = self._c
        stage = self.stage[who]
        step = np.minimum(stage, INTENT - 1)
        logit = c.forward_base[step] + push
        logit += c.awareness_push[step] * self.awareness[who] + c.intent_push[step] * self.intent[who]
        chance = 1.0 / (1.0 + np.exp(-logit)) if c.forward_fixed < 0.0 else c.forward_fixed
        moves = (stage < INTENT) & (u < chance)
        self._enter(who[moves], stage[moves] + 1, at_h[moves])

    def _visit(self, who: Places, at_h: Floats) -> None:
        c = self._c
        self.counts["visits"] += len(who)
        self.known[who] = True
        self.intent[who] = 1.0 - (1.0 - self.intent[who]) * (1.0 - c.intent_per_visit)
        u = self._generator.random((4, len(who)))
        rate = c.buy_rate[self.stage[who]] * self.propensity[who] * (1.0 + c.intent_boost * self.intent[who])
        buys = (self.due_h[who] < 0.0) & (u[0] < rate)
        buyer = who[buys]
        self.counts["decisions"] += len(buyer)
        z = self._generator.standard_normal(len(buyer))
        self.order_value[buyer] = c.order_value * np.exp(c.order_log_sd * z - 0.5 * c.order_log_sd**2)
        part = np.minimum(np.searchsorted(np.cumsum(c.delay_weights), u[1][buys], "right"), 2)
        mean = c.delay_means_h[part]
        self.due_h[buyer] = at_h[buys] - mean * np.log1p(-u[2][buys] * (1.0 - np.exp(-c.delay_max_h / mean)))
        self._advance(
            who[~buys], at_h[~buys], u[3][~buys], c.visit_push[np.minimum(self.stage[who[~buys]], INTENT - 1)]
        )

    def _settle(self, until_h: float) -> None:
        due = np.flatnonzero((self.due_h >= 0.0) & (self.due_h < until_h))
        self.counts["conversions"] += len(due)
        self._enter(due, np.full(len(due), CONVERTED), self.due_h[due])
        self.due_h[due] = -1.0


def _poisson(luck: Floats, mean: Floats) -> Places:
    """Poisson counts by inversion from the top: the largest k with luck < P(N >= k)."""
    mass = np.exp(-mean)
    at_least = 1.0 - mass
    count = np.zeros(len(luck), np.int64)
    for k in range(1, 65):
        more = luck < at_least
        if not more.any():
            break
        count += more
        mass = mass * mean / k
        at_least = at_least - mass
    return count
