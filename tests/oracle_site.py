"""The oracle's site: when people visit, how deep a visit goes, and when an order falls due."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gaelp_env.config import MarketConfig
from tests.oracle_chance import VISIT, draw, log_normal, single
from tests.oracle_person import CONVERTED, User
from tests.oracle_prospect import Prospect, lifted, saturated

LANDING, VIEW, CART, CHECKOUT, ORDER = range(5)
PAID = 4
COUNTS = (
    "candidates", "visits", "returns", "journeys", "decisions", "decided_micro", "accrued_micro",
    "conversions", "revenue_micro", "margin_micro", "attributed", "attributed_micro",
    "attributed_revenue_micro", "births", "stopped", "episode_spend_micro", "episode_attributed",
    "episode_revenue_micro",
)  # fmt: skip
BY_CHANNEL = (
    "opportunities", "bids", "wins", "views", "clicks", "spend_micro", "capped", "floor_bound", "rival_views",
)  # fmt: skip


@dataclass
class Touch:
    at_h: float
    number: int
    channel: int
    clicked: bool
    price_micro: int
    episode: int
    click: float


@dataclass
class Visit:
    at_h: float
    number: int
    buy: float
    source: int
    channel: int
    device: int
    depth: int
    devices: int
    journey: int


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
    """What a tick came to."""

    counts: dict[str, int]
    by_channel: dict[str, list[int]]
    touches: list[Touch] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)


def money(value: float) -> int:
    """Micro-units."""
    return math.floor(value * 1e6 + 0.5)


def return_chance(gap_h: float, likely: float, config: MarketConfig) -> float:
    """Density of coming back `gap_h` after a visit over the chance of not being back yet, per hour."""
    visits = config.visits
    parts = ((visits.same_day_share, visits.same_day_h), (1 - visits.same_day_share, 24 * visits.gap_days))
    density = sum(share * math.exp(-gap_h / mean) / mean for share, mean in parts)
    still_to_come = sum(share * math.exp(-gap_h / mean) for share, mean in parts)
    return likely * density / (1.0 - likely + likely * still_to_come)


class Site:
    """Visits and orders in a market whose key, tick and episode its owner keeps."""

    config: MarketConfig
    prospect: Prospect
    out: Tick
    key: int
    tick: int
    episode: int

    def visit_chance(self, user: User, at_h: float) -> float:
        """Probability that a moment at which a person might visit becomes a visit."""
        response, people, visits = self.config.response, self.config.people, self.config.visits
        stock = user.stock(at_h, self.config)
        gain = response.adstock_visit * saturated(stock, response.adstock_half, response.adstock_slope)
        unasked = min(1.0, self.config.conversion.visit_rate[user.stage] * (1.0 + gain))
        if not user.visits:
            return unasked
        buyer = user.due_h is not None or bool(user.orders)
        likely = visits.return_buyer if buyer else visits.return_probability[user.stage]
        weight = user.propensity**visits.return_propensity
        likely = likely * weight / (1.0 - likely + likely * weight)
        hourly = return_chance(at_h - user.visited_h, likely, self.config)
        return unasked + hourly / (people.visits_per_day / 24)

    def visit(
        self, user: User, at_h: float, j: int, u_move: float, device: int, source: int, channel: int
    ) -> None:
        """A visit to our site: intent rises, an order may be decided, else the stage may move."""
        config, counts = self.config, self.out.counts
        counts["visits"] += 1
        counts["returns"] += channel < 0 and bool(user.visits)
        user.visits.append(at_h)
        user.source = source if user.source is None else user.source
        user.intent = lifted(user.intent, config.response.intent_per_visit)
        luck = draw(self.key, user.number, self.tick, VISIT, j)
        buys = self._buys(user, at_h, device)
        depth = self._depth(luck[0], buys)
        if user.due_h is not None:
            depth, buys = min(depth, CHECKOUT), 0.0
        journey = user.journeys[-1]
        journey.add(device)
        visit = Visit(
            at_h, user.number, buys, source, channel, device, depth, len(journey), len(user.journeys)
        )
        self.out.visits.append(visit)
        if depth == ORDER:
            self._decide(user, at_h, luck)
            return
        if depth >= VIEW:
            user.intent = lifted(user.intent, config.response.intent_per_view)
        if depth >= CART:
            user.intent = lifted(user.intent, config.response.intent_per_cart)
        if u_move < self.prospect.on_visit(user.stage, user.awareness, user.intent):
            user.enter(user.stage + 1, at_h, config, self.key)

    def _buys(self, user: User, at_h: float, device: int) -> float:
        weight = self.prospect.frequency(user.stock(at_h, self.config))
        weight *= self.prospect.voice(user.awareness, user.rival_awareness)
        weight *= self.config.conversion.device_buy[device]
        return self.prospect.buys(user.stage, user.propensity, user.intent, weight)

    def _depth(self, u: float, buys: float) -> int:
        """The step that a visit ends at: one uniform, and the published ratios of the steps."""
        visits = self.config.visits
        orders = buys
        checkouts = orders / visits.order_rate
        carts = checkouts / visits.checkout_rate
        views = carts / visits.cart_rate
        return sum(u < step for step in (views, carts, checkouts, orders))

    def _decide(self, user: User, at_h: float, luck: list[float]) -> None:
        conversion, counts = self.config.conversion, self.out.counts
        sd = conversion.order_log_sd
        user.order_value = single(log_normal(luck[1], conversion.order_value * math.exp(-sd * sd / 2), sd))
        user.decided_h, user.due_h = at_h, at_h + self._delay_h(luck[2], luck[3])
        user.journey_open = False
        counts["decisions"] += 1
        counts["decided_micro"] += money(user.order_value * conversion.margin)

    def _delay_h(self, u_part: float, u_within: float) -> float:
        conversion = self.config.conversion
        ends = [1.0 - math.exp(-conversion.delay_max_h / mean) for mean in conversion.delay_means_h]
        kept = [weight * end for weight, end in zip(conversion.delay_weights, ends, strict=True)]
        u_part *= sum(kept)  # the mixture is cut as a whole: a part that lasts loses more
        part = 0 if u_part < kept[0] else 1 if u_part < kept[0] + kept[1] else 2
        mean = conversion.delay_means_h[part]
        return -mean * math.log(1.0 - u_within * ends[part])

    def fall_due(self, user: User) -> None:
        """An order falls due; the last click within the window is credited with it."""
        conversion, counts, due_h = self.config.conversion, self.out.counts, user.due_h
        assert due_h is not None
        clicks = [ad for ad in user.touches if ad.clicked]
        credited = -1
        if clicks and 0.0 <= due_h - clicks[-1].at_h <= 24 * conversion.attribution_window_d:
            credited = clicks[-1].channel
        revenue, margin = money(user.order_value), money(user.order_value * conversion.margin)
        counts["conversions"] += 1
        counts["revenue_micro"] += revenue
        counts["margin_micro"] += margin
        if credited >= 0:
            counts["attributed"] += 1
            counts["attributed_micro"] += margin
            counts["attributed_revenue_micro"] += revenue
            user.bought = True
        user.orders.append((due_h, user.order_value))
        order = Order(due_h, user.number, user.decided_h, revenue, margin, credited, self.episode + 1)
        self.out.orders.append(order)
        user.due_h = None
        user.enter(CONVERTED, due_h, self.config, self.key)
