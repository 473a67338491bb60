"""The prospect of a person left alone, once more: one matrix product a step instead of nested loops."""

from __future__ import annotations

import math

import numpy as np

from gaelp_env.config import MarketConfig

AWARENESS_KNOTS, INTENT_KNOTS, STEP_H = 17, 13, 3.0


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def lifted(score: float, gain: float) -> float:
    return score + (1.0 - score) * gain


class Prospect:
    """Expected margin of a never-advertised future, by stage, awareness and intent.

    `table[stage]` is a flat vector over the knots; `weights(a, i)` are the four bilinear weights of a
    point as a row over the same knots.
    """

    def __init__(self, config: MarketConfig) -> None:
        self.config = config
        self.conversion, self.journey = config.conversion, config.journey
        self.knots = [
            (a / (AWARENESS_KNOTS - 1), i / (INTENT_KNOTS - 1))
            for a in range(AWARENESS_KNOTS)
            for i in range(INTENT_KNOTS)
        ]
        self.table = self._solved()

    def weights(self, awareness: float, intent: float) -> np.ndarray:
        row = np.zeros((AWARENESS_KNOTS, INTENT_KNOTS))
        a, i = awareness * (AWARENESS_KNOTS - 1), intent * (INTENT_KNOTS - 1)
        a0, i0 = min(int(a), AWARENESS_KNOTS - 2), min(int(i), INTENT_KNOTS - 2)
        for da in (0, 1):
            for di in (0, 1):
                row[a0 + da, i0 + di] = (1 - abs(a - a0 - da)) * (1 - abs(i - i0 - di))
        return row.ravel()

    def forward(self, stage: int, awareness: float, intent: float, push: float) -> float:
        """Probability that an event moves a person one stage on."""
        if stage >= 3:
            return 0.0
        if self.journey.forward_probability is not None:
            return self.journey.forward_probability
        journey = self.journey
        return sigmoid(
            journey.forward_base[stage] + push
            + journey.awareness_push * awareness + journey.intent_push * intent
        )  # fmt: skip

    def buys(self, stage: int, propensity: float, intent: float) -> float:
        """Probability that a visit ends in an order, at the intent after the visit's lift."""
        rate = self.conversion.buy_rate[stage] * propensity * (1.0 + self.conversion.intent_boost * intent)
        return min(1.0, rate)

    def _solved(self) -> np.ndarray:
        people, response = self.config.people, self.config.response
        stay_h = 24.0 * people.stay_days
        steps = max(1, int(min(6.0 * stay_h, 2 * 365 * 24.0) / STEP_H))
        still_here = math.exp(-STEP_H / stay_h)
        keep_a = 0.5 ** (STEP_H / (24.0 * response.awareness_half_life_d))
        keep_i = 0.5 ** (STEP_H / (24.0 * response.intent_half_life_d))
        later = [(a * keep_a, i * keep_i) for a, i in self.knots]
        after = [(a, lifted(i, response.intent_per_visit)) for a, i in later]
        idle_at = np.array([self.weights(a, i) for a, i in later])
        visit_at = np.array([self.weights(a, i) for a, i in after])
        half_lives = (math.inf, *(24.0 * d for d in self.journey.backward_half_life_d))
        margin = self.conversion.order_value * self.conversion.margin
        table = np.zeros((5, len(self.knots)))
        falls = [1.0 - 0.5 ** (STEP_H / h) for h in half_lives]
        below = (0, 0, 1, 2, 1)
        expected = [STEP_H / 24.0 * people.visits_per_day * rate for rate in self.conversion.visit_rate]
        visits = [1.0 - math.exp(-mean) for mean in expected]
        buys = np.array([[self.buys(s, 1.0, i) for _, i in after] for s in range(5)])
        push = self.journey.visit_push
        moves = np.array([[self.forward(s, a, i, push) for a, i in after] for s in range(5)])
        for _ in range(steps):
            fresh = np.empty_like(table)
            for s in range(5):
                idle = idle_at @ ((1.0 - falls[s]) * table[s] + falls[s] * table[below[s]])
                stays, moved = visit_at @ table[s], visit_at @ table[min(s + 1, 4)]
                goes_on = (1.0 - moves[s]) * stays + moves[s] * moved
                visit = buys[s] * (margin + visit_at @ table[4]) + (1.0 - buys[s]) * goes_on
                fresh[s] = still_here * (visits[s] * visit + (1.0 - visits[s]) * idle)
            table = fresh
        return table

    def at(self, stage: int, awareness: float, intent: float) -> float:
        return float(self.weights(awareness, intent) @ self.table[stage])

    def of_visit(self, stage: int, awareness: float, intent: float, propensity: float) -> float:
        """What a visit that begins now is worth, for a person of this propensity."""
        intent = lifted(intent, self.config.response.intent_per_visit)
        buys = self.buys(stage, propensity, intent)
        moves = self.forward(stage, awareness, intent, self.journey.visit_push)
        bought = self.conversion.order_value * self.conversion.margin
        bought += propensity * self.at(4, awareness, intent)
        not_bought = (1.0 - moves) * self.at(stage, awareness, intent)
        if moves > 0.0:
            not_bought += moves * self.at(stage + 1, awareness, intent)
        return buys * bought + (1.0 - buys) * propensity * not_bought

    def of_ad(
        self,
        stage: int,
        before: float,
        after: float,
        intent: float,
        push: float,
        click: float,
        propensity: float,
    ) -> float:
        """What an ad that is seen adds to the prospect: over its click, its push and its visit."""
        moves = self.forward(stage, after, intent, push)
        worth = 0.0
        for weight, reached in ((1.0 - moves, stage), (moves, stage + 1)):
            if weight > 0.0:
                unclicked = propensity * self.at(reached, after, intent)
                clicked = self.of_visit(reached, after, intent, propensity)
                worth += weight * ((1.0 - click) * unclicked + click * clicked)
        return worth - propensity * self.at(stage, before, intent)
