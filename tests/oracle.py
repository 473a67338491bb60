"""The market once more, in plain Python: obvious, slow, and sharing no code with the kernel.

It reads the configuration and the published figures, and has its own random numbers (Philox on Python
ints), its own algebra (`math`), its own people (one object each) and its own idea of a tick: all
candidates of all people in one list, by moment, played one after the other until the next payment would
cross the budget. `test_market_oracle.py` holds the two markets together, event by event.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gaelp_env import published
from gaelp_env.config import Channel, MarketConfig
from tests.oracle_chance import (
    ARRIVE,
    AUCTION,
    BIRTHS,
    CANDIDATE,
    CLOCK,
    NOBODY,
    NORMAL,
    PERSON,
    PRESSURE,
    RESPOND,
    VISIT,
    draw,
    key_of,
    log_normal,
    poisson,
    single,
)  # fmt: skip
from tests.oracle_prospect import Prospect, lifted

UNAWARE, AWARE, CONSIDERING, INTENT, CONVERTED = range(5)
FALLS_TO = {AWARE: UNAWARE, CONSIDERING: AWARE, INTENT: CONSIDERING, CONVERTED: AWARE}
COUNTS = (
    "candidates", "visits", "decisions", "decided_micro", "accrued_micro", "conversions", "revenue_micro",
    "margin_micro", "attributed", "attributed_micro", "births", "stopped",
)  # fmt: skip
BY_CHANNEL = ("opportunities", "bids", "wins", "views", "clicks", "spend_micro")


@dataclass
class User:
    """A person; histories are kept whole."""

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
    fatigue: float = 0.0
    intent: float = 0.0
    due_h: float | None = None
    decided_h: float = 0.0
    order_value: float = 0.0
    visits: int = 0
    touches: list[tuple[float, int, bool]] = field(default_factory=list)
    orders: list[tuple[float, float]] = field(default_factory=list)
    episodes: list[int] = field(default_factory=list)
    bought: bool = False
    archived: bool = False


@dataclass
class Touch:
    at_h: float
    number: int
    channel: int
    clicked: bool
    price_micro: int
    episode: int


@dataclass
class Order:
    at_h: float
    number: int
    decided_h: float
    value_micro: int
    margin_micro: int
    channel: int
    episode: int


@dataclass
class Tick:
    counts: dict[str, int]
    by_channel: dict[str, list[int]]
    touches: list[Touch] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)


def price_level(by_hour: str, hour: int) -> float:
    """Level of rivals' prices: win rates by hour, turned into prices that span the published range."""
    if by_hour == "flat":
        return 1.0
    shares = zip(published.IPINYOU_WON_SHARE_BY_HOUR, published.HOUR_SHARES["avito"], strict=True)
    logs = [math.log(won / traffic) for won, traffic in shares]
    low, high = published.IPINYOU_WIN_RATE_RANGE
    span = published.IPINYOU_LOG_PRICE[1] * (NORMAL.inv_cdf(high) - NORMAL.inv_cdf(low))
    return math.exp(-span * (logs[hour] - sum(logs) / 24) / (max(logs) - min(logs)))


def click_level(by_hour: str, hour: int) -> float:
    """Readiness to click, mean one over the impressions that the rates were counted on."""
    if by_hour == "flat":
        return 1.0
    rates, shares = published.IPINYOU_CTR_BY_HOUR, published.IPINYOU_WON_SHARE_BY_HOUR
    mean = sum(r * s for r, s in zip(rates, shares, strict=True)) / sum(shares)
    return rates[hour] / mean


def traffic_level(traffic: str, weekdays: str, weekday: int, hour: int) -> float:
    days, hours = published.DAY_WEIGHTS[weekdays], published.HOUR_SHARES[traffic]
    return days[weekday] / (sum(days) / 7) * hours[hour] * 24 / sum(hours)


class OracleMarket:
    """The twin of `gaelp_env.market.Market`, as far as the tick goes."""

    def __init__(self, config: MarketConfig, seed: int) -> None:
        self.config = config
        self.channels: tuple[Channel, ...] = config.channels.in_order()
        self.key = key_of("chance", seed)
        self.tick_h = config.clock.tick_minutes / 60
        self.tick = self.episode = self.spent_micro = 0
        self.exhausted = False
        self.pressure = [config.prices.pressure_log_sd * self._shock(k) for k in range(5)]
        self.prospect = Prospect(config)
        people_key = key_of("people", seed)
        self.users = [self._person(people_key, n, 0, 0.0) for n in range(config.people.users)]

    def begin_episode(self) -> None:
        self.spent_micro, self.exhausted = 0, False

    def end_episode(self) -> None:
        self.episode += 1
        for user in self.users:
            if user.leaves_h <= self.tick * self.tick_h and user.due_h is None:
                user.archived = True

    def living(self) -> list[User]:
        return [user for user in self.users if not user.archived]

    def _person(self, key: int, number: int, tick: int, hour: float) -> User:
        people = self.config.people
        u_rate, u_buys, u_device, u_stay = draw(key, number, tick, PERSON)
        sd, spread = people.media_log_sd, people.propensity_log_sd
        media = log_normal(u_rate, people.media_per_day * math.exp(-sd * sd / 2), sd)
        desktop, mobile, _ = people.device_shares
        return User(
            number=number,
            rate=single(min(media, 200.0) + people.visits_per_day),
            propensity=single(log_normal(u_buys, math.exp(-spread * spread / 2), spread)),
            device=0 if u_device < desktop else 1 if u_device < desktop + mobile else 2,
            leaves_h=single(hour - 24.0 * people.stay_days * math.log(u_stay)),
            first_seen_h=hour,
            seen_h=hour,
        )

    def _births(self) -> int:
        people, hour = self.config.people, self.tick * self.tick_h
        mean = people.users / people.stay_days * self.tick_h / 24
        u = draw(self.key, NOBODY, self.tick, BIRTHS)[0]
        assert mean <= 30.0, "the oracle draws few births at a time"
        count, first = poisson(u, mean), len(self.users)
        self.users += [self._person(self.key, first + k, self.tick, hour) for k in range(count)]
        return count

    def advance(self, bids: list[float]) -> Tick:
        """Plays a tick: everybody's candidates by moment, then the orders that fall due."""
        now = datetime.fromisoformat(self.config.clock.epoch) + timedelta(hours=self.tick * self.tick_h)
        self.out = Tick(dict.fromkeys(COUNTS, 0), {name: [0] * 5 for name in BY_CHANNEL})
        self.bids = [0.0] * 5 if self.exhausted else [max(0.0, bid) for bid in bids]
        self.price_level = price_level(self.config.prices.by_hour, now.hour)
        self.click_level = click_level(self.config.response.click_by_hour, now.hour)
        self.out.counts["births"] = self._births()
        people = self.config.people
        days = traffic_level(people.traffic, people.weekdays, now.weekday(), now.hour) * self.tick_h / 24
        for at_h, _number, j, user, luck in self._candidates(days):
            if at_h < user.leaves_h:
                self.out.counts["candidates"] += 1
                self._meet(user, at_h, j, luck)
        for user in self.living():
            if user.due_h is not None and user.due_h < (self.tick + 1) * self.tick_h:
                self._fall_due(user)
        self.out.orders.sort(key=lambda order: (order.at_h, order.number))
        self.tick += 1
        self._move_prices()
        return self.out

    def _shock(self, k: int) -> float:
        return NORMAL.inv_cdf(draw(self.key, NOBODY, self.tick, PRESSURE, k)[0])

    def _move_prices(self) -> None:
        """Rivals' pressure on each channel forgets a part of itself and gets as much anew."""
        prices = self.config.prices
        keep = 0.5 ** (self.tick_h / prices.pressure_half_life_h)
        fresh = math.sqrt(1.0 - keep**2) * prices.pressure_log_sd
        self.pressure = [keep * x + fresh * self._shock(k) for k, x in enumerate(self.pressure)]

    def _candidates(self, days: float) -> list[tuple[float, int, int, User, list[float]]]:
        found = []
        for user in self.living():
            count = poisson(draw(self.key, user.number, self.tick, ARRIVE)[0], user.rate * days)
            for j in range(count):
                u, *luck = draw(self.key, user.number, self.tick, CANDIDATE, j)
                found.append(((self.tick + u) * self.tick_h, user.number, j, user, luck))
        return sorted(found, key=lambda c: c[:3])

    def _enter(self, user: User, stage: int, at_h: float) -> None:
        user.stage, user.stage_until_h = stage, math.inf
        if stage != UNAWARE:
            tick = int(at_h / self.tick_h)
            second = int((at_h - tick * self.tick_h) * 3600)
            u = draw(self.key, user.number, tick, CLOCK, 8 * second + stage)[0]
            half_life_h = 24 * self.config.journey.backward_half_life_d[stage - 1]
            user.stage_until_h = at_h - half_life_h * math.log2(u)

    def _meet(self, user: User, at_h: float, j: int, luck: list[float]) -> None:
        """A candidate: the clock of the stage has run on; a visit, or a slot on a channel, or nothing."""
        while user.stage_until_h <= at_h:
            self._enter(user, FALLS_TO[user.stage], user.stage_until_h)
        u_kind, u_real, u_winnable = luck
        visits = self.config.people.visits_per_day
        if u_kind < visits / user.rate:
            if u_real < self.config.conversion.visit_rate[user.stage]:
                self._bring_up_to_date(user, at_h)
                u_move = draw(self.key, user.number, self.tick, RESPOND, j)[2]
                self._visit(user, at_h, j, u_move)
            return
        share = (u_kind * user.rate - visits) / (user.rate - visits)
        ends = [sum(c.share for c in self.channels[: k + 1]) for k in range(4)]
        k = sum(share >= end for end in ends)
        channel = self.channels[k]
        if (channel.known_only and user.visits == 0) or u_real >= channel.audience[user.stage]:
            return
        self._bring_up_to_date(user, at_h)
        self.out.by_channel["opportunities"][k] += 1
        if self.bids[k] > 0.0 and not self.exhausted:
            self._auction(user, at_h, j, k, u_winnable)

    def _bring_up_to_date(self, user: User, at_h: float) -> None:
        response, days = self.config.response, (at_h - user.seen_h) / 24
        user.awareness *= 0.5 ** (days / response.awareness_half_life_d)
        user.fatigue *= 0.5 ** (days / response.fatigue_half_life_d)
        user.intent *= 0.5 ** (days / response.intent_half_life_d)
        user.seen_h = at_h
        if self.episode + 1 not in user.episodes:
            user.episodes.append(self.episode + 1)

    def _price(self, user: User, j: int, k: int) -> tuple[float, float] | None:
        """(CPM to pay, uniform of the view), or nothing if our bid does not win."""
        channel, prices, bid = self.channels[k], self.config.prices, self.bids[k]
        u_price, u_has_floor, u_floor, u_view = draw(self.key, user.number, self.tick, AUCTION, j)
        if channel.rule == "owned":
            demand = log_normal(u_price, channel.reference_cpm, prices.log_sd)
            return (channel.send_cost_cpm, u_view) if bid >= demand else None
        median = channel.reference_cpm * self.price_level * math.exp(self.pressure[k])
        price = log_normal(u_price, median, prices.log_sd)
        if u_has_floor < prices.floor_share:
            floor = log_normal(u_floor, channel.reference_cpm * prices.floor_median, prices.floor_log_sd)
            price = max(price, floor)
        if bid < price:
            return None
        return (bid if channel.rule == "first" else price), u_view

    def _auction(self, user: User, at_h: float, j: int, k: int, u_winnable: float) -> None:
        out, channel = self.out.by_channel, self.channels[k]
        price = self._price(user, j, k) if u_winnable < channel.winnable else None
        if price is None:
            out["bids"][k] += 1
            return
        cpm, u_view = price
        cost = math.floor(cpm * 1000 + 0.5)
        if self.spent_micro + cost > round(self.config.budget.per_episode * 1e6):
            self.exhausted, self.out.counts["stopped"] = True, 1
            return
        out["bids"][k] += 1
        out["wins"][k] += 1
        out["spend_micro"][k] += cost
        self.spent_micro += cost
        if u_view < channel.view_rate:
            out["views"][k] += 1
            self._see(user, at_h, j, k, cost)

    def _see(self, user: User, at_h: float, j: int, k: int, cost: int) -> None:
        """Our ad is seen: awareness rises, fatigue counts, the stage may move, it may be clicked."""
        channel, response = self.channels[k], self.config.response
        u_click, u_ad_move, u_visit_move, _ = draw(self.key, user.number, self.tick, RESPOND, j)
        quality = response.creative_quality[min(len(user.touches), len(response.creative_quality) - 1)]
        left = (1.0 + user.fatigue) ** -response.fatigue_exponent * quality
        click = min(1.0, channel.click_rate[user.stage] * left * self.click_level)
        before, user.awareness = user.awareness, lifted(user.awareness, channel.awareness_gain * left)
        if user.due_h is None:
            worth = self.prospect.of_ad(
                user.stage, before, user.awareness, user.intent, channel.forward_push, click, user.propensity
            )
            self.out.counts["accrued_micro"] += math.floor(worth * 1e6 + 0.5)
        user.fatigue += 1.0
        if u_ad_move < self.prospect.forward(user.stage, user.awareness, user.intent, channel.forward_push):
            self._enter(user, user.stage + 1, at_h)
        user.touches.append((at_h, k, u_click < click))
        self.out.touches.append(Touch(at_h, user.number, k, u_click < click, cost, self.episode + 1))
        if u_click < click:
            self.out.by_channel["clicks"][k] += 1
            self._visit(user, at_h, j, u_visit_move)

    def _visit(self, user: User, at_h: float, j: int, u_move: float) -> None:
        """A visit to our site: intent rises, an order may be decided, else the stage may move."""
        conversion, counts = self.config.conversion, self.out.counts
        counts["visits"] += 1
        user.visits += 1
        user.intent = lifted(user.intent, self.config.response.intent_per_visit)
        if user.due_h is None:
            u_buy, u_value, u_part, u_within = draw(self.key, user.number, self.tick, VISIT, j)
            if u_buy < self.prospect.buys(user.stage, user.propensity, user.intent):
                sd = conversion.order_log_sd
                median = conversion.order_value * math.exp(-sd * sd / 2)
                user.order_value = single(log_normal(u_value, median, sd))
                user.decided_h, user.due_h = at_h, at_h + self._delay_h(u_part, u_within)
                counts["decisions"] += 1
                counts["decided_micro"] += math.floor(user.order_value * conversion.margin * 1e6 + 0.5)
                return
        push = self.config.journey.visit_push
        if u_move < self.prospect.forward(user.stage, user.awareness, user.intent, push):
            self._enter(user, user.stage + 1, at_h)

    def _delay_h(self, u_part: float, u_within: float) -> float:
        conversion = self.config.conversion
        ends = [1.0 - math.exp(-conversion.delay_max_h / mean) for mean in conversion.delay_means_h]
        kept = [weight * end for weight, end in zip(conversion.delay_weights, ends, strict=True)]
        u_part *= sum(kept)  # the mixture is cut as a whole: a part that lasts loses more
        part = 0 if u_part < kept[0] else 1 if u_part < kept[0] + kept[1] else 2
        mean = conversion.delay_means_h[part]
        return -mean * math.log(1.0 - u_within * ends[part])

    def _fall_due(self, user: User) -> None:
        """An order falls due; the last click within the window is credited with it."""
        conversion, counts, due_h = self.config.conversion, self.out.counts, user.due_h
        assert due_h is not None
        clicks = [(at_h, k) for at_h, k, clicked in user.touches if clicked]
        credited = -1
        if clicks and 0.0 <= due_h - clicks[-1][0] <= 24 * conversion.attribution_window_d:
            credited = clicks[-1][1]
        revenue = math.floor(user.order_value * 1e6 + 0.5)
        margin = math.floor(user.order_value * conversion.margin * 1e6 + 0.5)
        counts["conversions"] += 1
        counts["revenue_micro"] += revenue
        counts["margin_micro"] += margin
        if credited >= 0:
            counts["attributed"] += 1
            counts["attributed_micro"] += margin
            user.bought = True
        user.orders.append((due_h, user.order_value))
        order = Order(due_h, user.number, user.decided_h, revenue, margin, credited, self.episode + 1)
        self.out.orders.append(order)
        user.due_h = None
        self._enter(user, CONVERTED, due_h)
