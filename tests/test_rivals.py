"""Rival bidders: who bids, what is won and paid, pacing and learning, each beside a slow twin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.rivals import (
    LEARNING,
    NONE,
    PACED,
    RIVALS,
    SHADE_MAX,
    SHADE_MIN,
    SHADING,
    STRATEGIES,
    TRUTHFUL,
    adapt,
    bidders_on,
    resting,
    shade_after_pacing,
    shade_after_trial,
)


def phi(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


class Market:
    """Rivals on K equal channels; `run` closes a tick."""

    def __init__(self, strategy: list[int], median: list[float], sd: list[float], **over: Any) -> None:
        channels = over.pop("channels", 1)
        rivals = len(strategy)
        self.strategy = np.array(strategy)
        self.shade = np.ones((rivals, channels)) * np.reshape(over.pop("shade", 1.0), (-1, 1))
        self.median = np.repeat(np.array(median, float)[:, None], channels, axis=1)
        self.sd = np.array(sd, float)
        self.budget = np.array(over.pop("budget", [0.0] * rivals), float)
        self.first = np.full(channels, over.pop("first", True))
        self.auctioned = np.array(over.pop("auctioned", [True] * channels))
        self.spent = np.zeros(rivals)
        assert not over

    def run(self, ours: float = 0.0, opportunities: float = 1000.0, before: float = 0.0, after: float = 0.0,
            rate: float = 0.01, share: float = 1.0) -> None:  # fmt: skip
        one = np.ones(len(self.auctioned))
        adapt(
            self.strategy, self.shade, self.spent, self.median, self.sd, self.budget, self.first,
            self.auctioned, ours * one, share * one, opportunities * one, before, after, rate,
        )  # fmt: skip


def test_shares_of_value_that_are_bid_and_who_stays_away() -> None:
    ln_bid, active = np.empty(4), np.empty(4, np.bool_)
    strategy = np.array([TRUTHFUL, SHADING, PACED, NONE])
    shade, median = np.array([[1.0], [0.5], [1.0], [1.0]]), np.array([[8.0], [8.0], [8.0], [8.0]])
    bidders_on(0, strategy, shade, np.array([0.0, 0.0, 5.0, 0.0]), median, np.full(4, 5.0), ln_bid, active)
    np.testing.assert_allclose(np.exp(ln_bid[:2]), [8.0, 4.0])
    assert active.tolist() == [True, True, False, False]
    median[0] = 0.0
    bidders_on(0, strategy, shade, np.zeros(4), median, np.zeros(4), ln_bid, active)
    assert active.tolist() == [False, True, True, False]
    assert resting(PACED, 5.0, 5.0)
    assert not resting(PACED, 4.9, 5.0)
    assert not resting(PACED, 5.0, 0.0)
    assert STRATEGIES == {"none": 0, "truthful": 1, "shading": 2, "paced": 3, "learning": 4}
    assert RIVALS == 4


# --- what rivals pay ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("ours", [0.0, 20.0, 70.0])
@pytest.mark.parametrize("sd", [[0.8, 0.5, 1.2, 0.9], [0.0, 0.5, 1.2, 0.9], [0.8, 0.1, 0.05, 0.9]])
def test_spend_is_the_mean_of_drawn_auctions(first: bool, ours: float, sd: list[float]) -> None:
    median, shade = [60.0, 50.0, 30.0, 0.0], [0.8, 1.0, 0.7, 1.0]
    market = Market([TRUTHFUL, SHADING, PACED, NONE], median, sd, first=first, shade=shade, budget=[1e12] * 4)
    market.run(ours, opportunities=1000.0, after=1.0, rate=0.0)
    values = np.array(median) * np.exp(np.random.default_rng(4).standard_normal((400_000, 4)) * np.array(sd))
    bids = np.append(values * np.array(shade), np.full((len(values), 1), ours), axis=1)
    top, second = np.sort(bids, axis=1)[:, -1], np.sort(bids, axis=1)[:, -2]
    for r in range(4):
        paid = np.where(bids.argmax(axis=1) == r, top if first else second, 0.0)
        tolerance = 4.0 * paid.std() / math.sqrt(len(paid)) + 2e-3 * paid.mean()
        assert market.spent[r] == pytest.approx(paid.mean(), abs=tolerance + 1e-9)


@given(st.booleans(), st.floats(0.0, 1.0), st.floats(0.0, 200.0))
@settings(max_examples=25)
def test_where_we_bid_at_a_share_spend_is_the_mixture(first: bool, share: float, ours: float) -> None:
    spent = []
    for bids_at in (0.0, 1.0, share):
        market = Market([TRUTHFUL, LEARNING], [60.0, 50.0], [0.8, 0.5], first=first, budget=[1e9] * 2)
        market.run(ours, after=1.0, share=bids_at)
        spent.append(market.spent)
    np.testing.assert_allclose(spent[2], (1.0 - share) * spent[0] + share * spent[1], rtol=1e-9, atol=1e-12)


def test_a_rival_alone_against_us_at_a_quarter_of_the_opportunities_by_hand() -> None:
    """Second price, median bid and score of ours 60: it pays 60 at a half of a quarter, else nothing."""
    market = Market([TRUTHFUL], [60.0], [0.8], first=False, budget=[1e9])
    market.run(60.0, after=1.0, share=0.25)
    assert market.spent[0] == pytest.approx(7.5, rel=1e-3)


def test_a_rival_alone_pays_its_bid_or_nothing_but_our_score() -> None:
    """First price: E[b] = 60 exp(.8**2 / 2). Second price: nothing, or ours whenever it is beaten."""
    whole = 60.0 * math.exp(0.32)
    for first, ours, expected in ((True, 0.0, whole), (False, 0.0, 0.0), (False, 60.0, 0.5 * 60.0)):
        market = Market([TRUTHFUL], [60.0], [0.8], first=first, budget=[1e9])
        market.run(ours, after=1.0)
        assert market.spent[0] == pytest.approx(expected, rel=1e-3, abs=1e-5)


@given(st.booleans(), st.floats(0.0, 100.0), st.floats(0.1, 10.0))
@settings(max_examples=25)
def test_spend_scales_with_the_currency_and_rivals_have_no_order(
    first: bool, ours: float, scale: float
) -> None:
    median, sd = [60.0, 50.0, 30.0, 40.0], [0.8, 0.5, 1.2, 0.9]
    shades = [0.8, 0.9, 0.7, 0.6]
    one = Market([LEARNING] * 4, median, sd, first=first, shade=shades, budget=[1e9] * 4)
    one.run(ours, after=1.0)
    other = Market(
        [LEARNING] * 4, [scale * m for m in median[::-1]], sd[::-1], first=first, shade=shades[::-1],
        budget=[1e9] * 4,
    )  # fmt: skip
    other.run(scale * ours, after=1.0)
    np.testing.assert_allclose(other.spent[::-1], scale * one.spent, rtol=1e-6)
    np.testing.assert_allclose(other.shade[::-1], one.shade, rtol=1e-12)


def test_nothing_is_bought_on_owned_channels_or_without_opportunities_or_a_chance() -> None:
    market = Market([LEARNING], [60.0], [0.8], auctioned=[False], shade=0.6, budget=[1e9])
    market.run()
    assert (market.spent[0], market.shade[0, 0]) == (0.0, 0.6)
    market.auctioned[:] = True
    market.run(opportunities=0.0)
    assert (market.spent[0], market.shade[0, 0]) == (0.0, 0.6)
    market.run(ours=1e9)
    assert (market.spent[0], market.shade[0, 0]) == (0.0, 0.6)


def test_a_day_that_wraps_starts_at_zero_with_its_share_of_the_tick() -> None:
    market = Market([TRUTHFUL, SHADING], [60.0, 60.0], [0.8, 0.8], budget=[1e9, 1e9])
    market.run(after=0.5)
    tick = market.spent[0]
    market.run(before=0.5, after=0.9)
    assert market.spent[0] == pytest.approx(2.0 * tick)
    market.run(before=0.9, after=0.3)
    assert market.spent[0] == pytest.approx(0.75 * tick)
    market.run(before=0.3, after=0.0)
    assert market.spent[0] == 0.0


# --- pacing ------------------------------------------------------------------------------------------


@given(st.floats(SHADE_MIN, SHADE_MAX), st.floats(-5, 5), st.floats(-5, 5), st.floats(0.0, 3.0))
def test_pacing_lowers_the_shade_of_who_is_ahead(shade: float, day: float, tick: float, rate: float) -> None:
    after = shade_after_pacing(shade, day, tick, rate)
    assert SHADE_MIN <= after <= SHADE_MAX
    assert (after - shade) * (day + tick) >= 0.0
    assert abs(math.log(after / shade)) <= rate + 1e-12


def paced_day(first: bool, share: float, rate: float, ticks: int, days: int) -> tuple[float, Market]:
    """Spend over budget on the last day, for a budget that is a share of what bidding values costs."""
    weight = 1.0 + 0.6 * np.sin(2.0 * np.pi * np.arange(ticks) / ticks)
    gone = np.append(0.0, np.cumsum(weight) / weight.sum())

    def live(strategy: int, budget: float, days: int) -> Market:
        market = Market([strategy, TRUTHFUL], [60.0, 50.0], [0.8, 0.8], first=first, budget=[budget, 0.0])
        for day in range(days):
            for t in range(ticks):
                ends = 0.0 if t == ticks - 1 and day < days - 1 else gone[t + 1]
                market.run(opportunities=1000.0 * weight[t], before=gone[t], after=ends, rate=rate)
        return market

    budget = share * live(TRUTHFUL, 1e9, 1).spent[0]
    market = live(PACED, budget, days)
    return market.spent[0] / budget, market


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(
    ("rate", "ticks", "days"), [(1.0, 24, 1), (0.3, 48, 2), (0.1, 24, 8), (0.02, 24, 15)]
)
def test_a_paced_rival_spends_its_budget_by_the_end_of_the_day(
    first: bool, share: float, rate: float, ticks: int, days: int
) -> None:
    spent, market = paced_day(first, share, rate, ticks, days)
    assert spent == pytest.approx(1.0, abs=0.05)
    assert market.shade[0, 0] < 1.0
    assert market.shade[1, 0] == 1.0


def test_a_budget_that_is_spent_rests_till_the_next_day() -> None:
    market = Market([PACED, TRUTHFUL], [60.0, 50.0], [0.8, 0.8], budget=[0.01, 0.0])
    market.run(after=0.2)
    spent = market.spent[0]
    assert spent >= 0.01
    market.run(before=0.2, after=0.4)
    assert market.spent[0] == spent
    market.run(before=0.4, after=0.0)
    market.run(before=0.0, after=0.2)
    assert market.spent[0] > 0.0


# --- learning ----------------------------------------------------------------------------------------


@given(st.floats(SHADE_MIN, SHADE_MAX), st.floats(-9, 9), st.floats(-9, 9), st.floats(-9, 9))
def test_a_trial_goes_to_the_best_of_three(shade: float, lower: float, same: float, higher: float) -> None:
    after = shade_after_trial(shade, lower, same, higher, 0.1)
    best = max(lower, same, higher)
    if same == best:
        assert after == shade
    elif higher == best:
        assert after == pytest.approx(min(SHADE_MAX, shade * math.exp(0.1)))
    else:
        assert after == pytest.approx(max(SHADE_MIN, shade * math.exp(-0.1)))


def learned(
    market: Market, ours: float = 0.0, ticks: int = 400, rate: float = 0.005, share: float = 1.0
) -> float:
    for _ in range(ticks):
        market.run(ours, rate=rate, share=share)
    return float(market.shade[0, 0])


@pytest.mark.parametrize("start", [0.2, 1.0])
@pytest.mark.parametrize(
    ("value", "mean", "sd", "best"), [(80.0, 4.045, 0.914, 42.1928 / 80.0), (1.0, 0.0, 1.0, 0.548597)]
)
def test_a_first_price_learner_finds_the_shade_of_science_2_4(
    start: float, value: float, mean: float, sd: float, best: float
) -> None:
    market = Market([LEARNING, TRUTHFUL], [value, math.exp(mean)], [0.0, sd], shade=[start, 1.0])
    assert learned(market) == pytest.approx(best, rel=0.03)
    assert market.shade[1, 0] == 1.0


@pytest.mark.parametrize("own_sd", [0.3, 0.9])
@pytest.mark.parametrize(("ours", "share"), [(0.0, 1.0), (25.0, 1.0), (60.0, 0.5), (60.0, 0.1)])
def test_a_first_price_learner_with_many_values_finds_the_shade_of_a_dense_sum(
    own_sd: float, ours: float, share: float
) -> None:
    market = Market([LEARNING, TRUTHFUL], [80.0, 57.0], [own_sd, 0.9], shade=[0.9, 1.0])
    z = np.linspace(-6.0, 6.0, 4001)
    values, weight = 80.0 * np.exp(own_sd * z), np.exp(-0.5 * z * z)
    shades = np.linspace(0.2, 1.0, 321)
    rank = np.vectorize(lambda bid: phi(math.log(bid / 57.0) / 0.9) * (1.0 - share * (bid <= ours)))
    earned = [(weight * values * (1.0 - s) * rank(s * values)).sum() for s in shades]
    assert learned(market, ours, share=share) == pytest.approx(shades[int(np.argmax(earned))], rel=0.03)


@pytest.mark.parametrize("start", [0.3, 0.7])
@pytest.mark.parametrize("ours", [0.0, 20.0])
@pytest.mark.parametrize("own_sd", [0.0, 0.8])
def test_a_second_price_learner_becomes_truthful(start: float, ours: float, own_sd: float) -> None:
    market = Market([LEARNING, TRUTHFUL], [80.0, 57.0], [own_sd, 0.9], first=False, shade=[start, 1.0])
    assert 0.97 <= learned(market, ours) <= 1.0


def test_a_learner_that_wins_nothing_in_reach_learns_nothing() -> None:
    market = Market([LEARNING, TRUTHFUL], [80.0, 57.0], [0.0, 0.9], first=False, shade=[0.2, 1.0])
    assert learned(market, ours=40.0) == 0.2
    assert learned(market, ours=40.0, share=0.9) > 0.9, "where we do not bid there is something to win"


def test_learners_answer_our_bid() -> None:
    """The market is not stationary: a first-price rival shades less when we bid more."""
    shades = []
    for ours in (0.0, 30.0, 60.0):
        market = Market([LEARNING, SHADING], [80.0, 20.0], [0.5, 0.9], shade=[0.5, 1.0])
        shades.append(learned(market, ours))
    assert shades[0] < 0.9 * shades[1] < 0.81 * shades[2]
