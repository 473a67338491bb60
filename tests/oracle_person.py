"""The oracle's people: one object each, whose histories are kept whole and counted anew when asked.

Fatigue, adstock, the frequency cap, the audience and the last session are sums or searches over the touches
and visits of a life. Only awareness, intent and the stage are carried along, since they hang on their order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gaelp_env.config import MarketConfig
from tests.oracle_chance import CLOCK, draw

UNAWARE, AWARE, CONSIDERING, INTENT, CONVERTED = range(5)
FALLS_TO = {AWARE: UNAWARE, CONSIDERING: AWARE, INTENT: CONSIDERING, CONVERTED: AWARE}
NEW, REACHED, KNOWN, BUYER = range(4)


@dataclass
class Ad:
    """An ad of ours that a person saw."""

    at_h: float
    channel: int
    creative: int
    clicked: bool

    @property
    def minute_h(self) -> float:
        """The moment to the minute, in hours: what the market remembers of it."""
        return math.floor(self.at_h * 60) / 60


@dataclass
class User:
    """A person."""

    number: int
    rate: float
    propensity: float
    device: int
    leaves_h: float
    first_seen_h: float
    seen_h: float
    stage: int = UNAWARE
    stage_until_h: float = math.inf
    awareness: float = 0.0
    rival_awareness: float = 0.0
    intent: float = 0.0
    due_h: float | None = None
    decided_h: float = 0.0
    order_value: float = 0.0
    visits: list[float] = field(default_factory=list)
    source: int | None = None
    touches: list[Ad] = field(default_factory=list)
    orders: list[tuple[float, float]] = field(default_factory=list)
    episodes: list[int] = field(default_factory=list)
    journeys: list[set[int]] = field(default_factory=list)
    journey_open: bool = False
    bought: bool = False
    archived: bool = False

    @property
    def audience(self) -> int:
        """What an advertiser can tell of the person."""
        if self.orders:
            return BUYER
        if self.visits:
            return KNOWN
        return REACHED if self.touches else NEW

    @property
    def visited_h(self) -> float:
        """The last visit to the second, in hours; -inf if there was none."""
        return math.floor(self.visits[-1] * 3600) / 3600 if self.visits else -math.inf

    @property
    def active_h(self) -> float:
        """The last touch or visit, as exactly as each is remembered."""
        return max(self.visited_h, self.touches[-1].minute_h if self.touches else -math.inf)

    def fatigue(self, creative: int, at_h: float, config: MarketConfig) -> float:
        """Remembered count of the ads of a counter: one creative, or the whole campaign as counter 0."""
        apart = config.response.fatigue_by == "creative"
        half_h = 24 * config.response.fatigue_half_life_d
        ads = [ad for ad in self.touches if (ad.creative if apart else 0) == creative]
        return math.fsum(0.5 ** ((at_h - ad.at_h) / half_h) for ad in ads)

    def adstock(self, channel: int, at_h: float, config: MarketConfig) -> float:
        """Short-run stock of a channel's ads."""
        half_h = 24 * config.channels.in_order()[channel].adstock_half_life_d
        ads = [ad for ad in self.touches if ad.channel == channel]
        return math.fsum(0.5 ** ((at_h - ad.at_h) / half_h) for ad in ads)

    def stock(self, at_h: float, config: MarketConfig) -> float:
        """Adstock of all channels together."""
        return math.fsum(self.adstock(k, at_h, config) for k in range(5))

    def seen_within(self, window_h: float, at_h: float) -> int:
        """Ads of ours that the person saw in minutes that lie, or lie in part, within the window."""
        return sum(ad.minute_h + 1 / 60 > at_h - window_h for ad in self.touches)

    def fade(self, at_h: float, episode: int, config: MarketConfig) -> None:
        """The person is met in an episode: the scores that are carried along fade."""
        response, days = config.response, (at_h - self.seen_h) / 24
        self.awareness *= 0.5 ** (days / response.awareness_half_life_d)
        self.rival_awareness *= 0.5 ** (days / response.awareness_half_life_d)
        base = response.intent_base
        self.intent = base + (self.intent - base) * 0.5 ** (days / response.intent_half_life_d)
        self.seen_h = at_h
        if episode not in self.episodes:
            self.episodes.append(episode)

    def go_on(self, at_h: float, inactivity_h: float) -> bool:
        """A touch or a visit. Returns whether a journey opens with it."""
        opens = not self.journey_open or at_h - self.active_h > inactivity_h
        if opens:
            self.journeys.append(set())
        self.journey_open = True
        return opens

    def enter(self, stage: int, at_h: float, config: MarketConfig, key: int) -> None:
        """A stage begins, and its clock starts."""
        self.stage, self.stage_until_h = stage, math.inf
        if stage != UNAWARE:
            tick_h = config.clock.tick_minutes / 60
            tick = int(at_h / tick_h)
            second = int((at_h - tick * tick_h) * 3600)
            u = draw(key, self.number, tick, CLOCK, 8 * second + stage)[0]
            half_life_h = 24 * config.journey.backward_half_life_d[stage - 1]
            self.stage_until_h = at_h - half_life_h * math.log2(u)

    def let_clock_run(self, at_h: float, config: MarketConfig, key: int) -> None:
        """Stages fall back as often as their clocks have rung by `at_h`."""
        while self.stage_until_h <= at_h:
            self.enter(FALLS_TO[self.stage], self.stage_until_h, config, key)


def device_of(shares: tuple[float, float, float], u: float) -> int:
    """The device of a uniform."""
    return 0 if u < shares[0] else 1 if u < shares[0] + shares[1] else 2


def session_device(user: User, u: float, config: MarketConfig) -> int:
    """The device of a session: often the person's own."""
    redraw = config.people.device_redraw
    return device_of(config.people.device_shares, u / redraw) if u < redraw else user.device
