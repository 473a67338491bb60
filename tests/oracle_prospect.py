"""The prospect of a person left alone, once more: one matrix product a step instead of nested loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gaelp_env.config import MarketConfig

AWARENESS_KNOTS, INTENT_KNOTS, STEP_H = 17, 13, 3.0
CONVERTED = 4


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def lifted(score: float, gain: float) -> float:
    return score + (1.0 - score) * gain


def saturated(stock: float, half: float, slope: float) -> float:
    """Hill's curve."""
    return stock**slope / (half**slope + stock**slope)


def saturated_at(stocks: np.ndarray, half: float, slope: float) -> np.ndarray:
    """The same for many stocks."""
    risen = stocks**slope
    return risen / (half**slope + risen)


def area_of(height: Callable[[np.ndarray], np.ndarray], stock: float) -> float:
    """The integral of height(x) dx / x from 0 to a stock, by Simpson's rule over ln x down to e ** -60."""
    if stock <= 0.0:
        return 0.0
    ln_x = np.linspace(math.log(stock) - 60.0, math.log(stock), 6001)
    y = height(np.exp(ln_x))
    return float((y[0] + y[-1] + 4.0 * y[1:-1:2].sum() + 2.0 * y[2:-1:2].sum()) * 0.01 / 3.0)


class Prospect:
    """Expected margin of a never-advertised future, by stage, awareness and intent.

    `table[stage]` is a flat vector over the knots; `weights(a, i)` are the four bilinear weights of a
    point as a row over the same knots.
    """

    def __init__(self, config: MarketConfig) -> None:
        self.config = config
        self.conversion, self.journey = config.conversion, config.journey
        self.margin = config.conversion.order_value * config.conversion.margin
        self.rival_mean = self._rival_mean()
        self.looking_up, self.looked_at = False, 1.0
        self.knots = [
            (a / (AWARENESS_KNOTS - 1), i / (INTENT_KNOTS - 1))
            for a in range(AWARENESS_KNOTS)
            for i in range(INTENT_KNOTS)
        ]
        self.table = self._solved()

    def _rival_mean(self) -> float:
        """Where gains of 7 ads in 10 and fading balance."""
        gains = sum(
            channel.share * sum(channel.audience) / 5 * channel.view_rate * channel.rival_gain
            for channel in self.config.channels.in_order()
        )
        gains *= 0.7 * self.config.people.media_per_day
        return gains / (gains + math.log(2) / self.config.response.awareness_half_life_d)

    def weights(self, awareness: float, intent: float) -> np.ndarray:
        row = np.zeros((AWARENESS_KNOTS, INTENT_KNOTS))
        a, i = awareness * (AWARENESS_KNOTS - 1), intent * (INTENT_KNOTS - 1)
        a0, i0 = min(int(a), AWARENESS_KNOTS - 2), min(int(i), INTENT_KNOTS - 2)
        for da in (0, 1):
            for di in (0, 1):
                row[a0 + da, i0 + di] = (1 - abs(a - a0 - da)) * (1 - abs(i - i0 - di))
        return row.ravel()

    def at(self, stage: int, awareness: float, intent: float) -> float:
        return float(self.weights(awareness, intent) @ self.table[stage])

    def forward(self, stage: int, awareness: float, intent: float, push: float) -> float:
        """Probability that an event moves a person one stage on."""
        journey = self.journey
        if stage >= 3:
            return 0.0
        if journey.forward_probability is not None:
            return journey.forward_probability
        if journey.awareness_half is not None:
            awareness = saturated(awareness, journey.awareness_half, journey.awareness_slope)
        return sigmoid(
            journey.forward_base[stage] + push
            + journey.awareness_push[stage] * awareness + journey.intent_push[stage] * intent
            + journey.awareness_intent_push * awareness * intent
        )  # fmt: skip

    def on_visit(self, stage: int, awareness: float, intent: float) -> float:
        """The same at a visit to the site."""
        return self.forward(stage, awareness, intent, self.journey.visit_push[min(stage, 2)])

    def voice(self, awareness: float, rival_awareness: float) -> float:
        """Our part of the attraction of us, our rivals, and buying nothing."""
        rivals = self.config.rivals
        if not rivals.share_of_voice:
            return 1.0
        shares = [rivals.standing + awareness, rival_awareness, rivals.outside]
        return shares[0] ** rivals.power / sum(share**rivals.power for share in shares)

    def frequency(self, stock: float) -> float:
        """What a stock of ads, over all channels, makes of the buy rate."""
        response = self.config.response
        return 1.0 + response.frequency_gain * saturated(
            stock, response.frequency_half, response.frequency_slope
        )

    def buys(self, stage: int, propensity: float, intent: float, weight: float) -> float:
        """Probability that a visit ends in an order, at the intent after the visit's lift."""
        rate = self.conversion.buy_rate[stage] * propensity * (1.0 + self.conversion.intent_boost * intent)
        if self.looking_up:
            usual = rate / propensity * self.looked_at
            return min(1.0, usual) * propensity * weight / self.looked_at
        return min(1.0, rate * weight)

    def after_return(self, awareness: float, intent: float) -> tuple[float, float]:
        """Awareness and intent when a person of these, who visits now, comes back after the mean gap."""
        visits, response = self.config.visits, self.config.response
        days = visits.same_day_share * visits.same_day_h / 24 + (1 - visits.same_day_share) * visits.gap_days
        awareness *= 0.5 ** (days / response.awareness_half_life_d)
        intent = lifted(intent, response.intent_per_visit)
        base = response.intent_base
        return awareness, base + (intent - base) * 0.5 ** (days / response.intent_half_life_d)

    def one_visit(
        self, stage: int, awareness: float, intent: float, propensity: float, often: float = 1.0
    ) -> tuple[float, dict[int, np.ndarray]]:
        """A visit, returns apart, as (margin now, rows over the tables of the stages reached)."""
        intent = lifted(intent, self.config.response.intent_per_visit)
        here = self.weights(awareness, intent)
        self.looked_at = self.voice(awareness, self.rival_mean)
        buys = self.buys(stage, propensity, intent, often * self.looked_at)
        moves = self.on_visit(stage, awareness, intent)
        rows = {
            CONVERTED: buys * propensity * here,
            min(stage + 1, 3): (1 - buys) * moves * propensity * here,
        }
        rows[stage] = rows.get(stage, 0.0) + (1 - buys) * (1 - moves) * propensity * here
        return buys * self.margin, rows

    def visit(
        self, stage: int, awareness: float, intent: float, propensity: float, often: float = 1.0
    ) -> tuple[float, dict[int, np.ndarray]]:
        """The same with the visits of those who come back: r + r^2 + ... others, each at the mean gap."""
        now, rows = self.one_visit(stage, awareness, intent, propensity, often)
        r = self.config.visits.return_probability[stage]
        more = 1 / (1 - r) - 1
        a, i = self.after_return(awareness, intent)
        later, later_rows = self.one_visit(stage, a, i, propensity)
        for reached, row in later_rows.items():
            rows[reached] = rows.get(reached, 0.0) + more * row
        rows[stage] = rows[stage] - more * propensity * self.weights(a, i)
        return now + more * later, rows

    def _solved(self) -> np.ndarray:
        people, response = self.config.people, self.config.response
        stay_h = 24.0 * people.stay_days
        steps = max(1, int(min(6.0 * stay_h, 2 * 365 * 24.0) / STEP_H))
        still_here = math.exp(-STEP_H / stay_h)
        keep_a = 0.5 ** (STEP_H / (24.0 * response.awareness_half_life_d))
        keep_i = 0.5 ** (STEP_H / (24.0 * response.intent_half_life_d))
        base = response.intent_base
        later = [(a * keep_a, base + (i - base) * keep_i) for a, i in self.knots]
        idle_at = np.array([self.weights(a, i) for a, i in later])
        half_lives = (math.inf, *(24.0 * d for d in self.journey.backward_half_life_d))
        falls = [1.0 - 0.5 ** (STEP_H / h) for h in half_lives]
        below = (0, 0, 1, 2, 1)
        knots = len(self.knots)
        earned, goes = np.zeros((5, knots)), np.zeros((5, knots, 5, knots))
        for s in range(5):
            mean = STEP_H / 24.0 * people.visits_per_day * self.conversion.visit_rate[s]
            come = 1.0 - math.exp(-mean)
            goes[s, :, s] += (1 - come) * (1 - falls[s]) * idle_at
            goes[s, :, below[s]] += (1 - come) * falls[s] * idle_at
            for k, (a, i) in enumerate(later):
                now, rows = self.visit(s, a, i, 1.0)
                earned[s, k] = come * now
                for reached, row in rows.items():
                    goes[s, k, reached] += come * row
        matrix, gain, table = goes.reshape(5 * knots, 5 * knots), earned.ravel(), np.zeros(5 * knots)
        for _ in range(steps):
            table = still_here * (gain + matrix @ table)
        return table.reshape(5, knots)

    def of_visit(
        self, stage: int, awareness: float, intent: float, propensity: float, often: float = 1.0
    ) -> float:
        """What a visit that begins now is worth, for a person of this propensity.

        Args:
          often: what recent ads make of the buy rate, now and not at later visits.
        """
        now, rows = self.visit(stage, awareness, intent, propensity, often)
        return now + sum(float(row @ self.table[reached]) for reached, row in rows.items())

    def of_visit_between_knots(
        self, stage: int, awareness: float, intent: float, propensity: float, often: float = 1.0
    ) -> float:
        """The same as the market looks it up: worked out at the knots around, and linear in between.

        There the chance of an order is held to one for a usual person without recent ads only.
        """
        weights, self.looking_up = self.weights(awareness, intent), True
        worth = sum(
            float(weights[k]) * self.of_visit(stage, *self.knots[k], propensity, often)
            for k in np.flatnonzero(weights)
        )
        self.looking_up = False
        return worth

    def of_ad(
        self,
        stage: int,
        before: float,
        after: float,
        intent: float,
        push: float,
        click: float,
        propensity: float,
        often: float = 1.0,
    ) -> float:
        """What an ad that is seen adds to the prospect: over its click, its push and its visit."""
        moves = self.forward(stage, after, intent, push)
        worth = 0.0
        for weight, reached in ((1.0 - moves, stage), (moves, stage + 1)):
            if weight > 0.0:
                unclicked = propensity * self.at(reached, after, intent)
                clicked = self.of_visit_between_knots(reached, after, intent, propensity, often)
                worth += weight * ((1.0 - click) * unclicked + click * clicked)
        return worth - propensity * self.at(stage, before, intent)

    def of_stock(
        self, stage: int, awareness: float, intent: float, propensity: float, stock: float, channel: int
    ) -> float:
        """What the unasked visits are worth that one more ad of a channel will bring.

        The extra visits are the area between the visit rates at two stocks of all channels that fade as the
        channel does, with dt = -T dx / x.
        """
        response = self.config.response
        days = self.config.channels.in_order()[channel].adstock_half_life_d / math.log(2)
        rate = self.conversion.visit_rate[stage]

        def visits(x: np.ndarray) -> np.ndarray:
            gain = response.adstock_visit * saturated_at(x, response.adstock_half, response.adstock_slope)
            return np.minimum(1.0, rate * (1.0 + gain)) - rate

        area = days * (area_of(visits, stock + 1.0) - area_of(visits, stock))
        base, adds, weights = response.intent_base, 0.0, self.weights(awareness, intent)
        for k in np.flatnonzero(weights):  # worked out at the knots around, and linear in between
            a, i = self.knots[k]
            later = base + (i - base) * 0.5 ** (days / response.intent_half_life_d)
            added = self.of_visit_between_knots(stage, a, later, propensity)
            adds += float(weights[k]) * (added - propensity * self.at(stage, a, later))
        return self.config.people.visits_per_day * area * adds
