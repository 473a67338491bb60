"""Rewards are pure functions of a tick's ledger and of the goals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.config import Goals, MarketConfig
from gaelp_env.env import AdMarketEnv
from gaelp_env.ledger import LEDGER, K
from gaelp_env.reward import REWARDS, cpa_score_of, penalty, roas_score_of

MICRO = st.integers(-(10**12), 10**12)
MONEY = st.integers(0, 10**12).map(lambda micro: micro / 1e6)
TARGET = st.floats(0.01, 1e4)
COUNT = st.integers(0, 10_000)
GOALS = Goals(target_cpa=10.0, target_roas=4.0)


def ledger(**fields: object) -> Any:
    row = np.zeros(1, LEDGER)
    for name, value in fields.items():
        row[name] = value
    return row[0]


TICK = ledger(
    spend_micro=[1_000_000, 500_000, 0, 0, 250_000], margin_micro=9_000_000, accrued_micro=2_000_001,
    attributed_micro=34_600_000, conversions=3, decided_micro=7, attributed=2,
    attributed_revenue_micro=70_000_000, episode_spend_micro=31_750_000, episode_attributed=3,
    episode_revenue_micro=100_000_000,
)  # fmt: skip
"""1.75 spent in the tick for 2 attributed orders worth 70; 31.75 in the episode for 3 orders worth 100."""


def test_rewards_worked_by_hand() -> None:
    """Before the tick: CPA 30 / 1, score (10 / 30) ** 2 = 1/9; after it: 31.75 / 3, (30 / 31.75) ** 2 * 3.

    ROAS: before 30 / 30 = 1, score (1/4) ** 2 * 30; after 100 / 31.75, (3.14961 / 4) ** 2 * 100.
    """
    found = {name: reward(TICK, GOALS) for name, reward in REWARDS.items()}
    assert found == {
        "profit": 7.25,
        "accrued_profit": 0.250001,
        "attributed_profit": 32.85,
        "conversions": 3.0,
        "cpa_score": pytest.approx((30.0 / 31.75) ** 2 * 3.0 - 1.0 / 9.0, rel=1e-14),
        "roas_score": pytest.approx((100.0 / 31.75 / 4.0) ** 2 * 100.0 - 1.875, rel=1e-14),
    }


@pytest.mark.parametrize("name", sorted(REWARDS))
def test_a_reward_is_a_python_float_and_leaves_the_ledger_alone(name: str) -> None:
    before = TICK.tobytes()
    assert type(REWARDS[name](TICK, GOALS)) is float
    assert TICK.tobytes() == before
    assert REWARDS[name](ledger(), GOALS) == 0.0


@given(MICRO, MICRO, MICRO, st.integers(0, 10**9))
def test_a_unit_spent_costs_a_unit_of_every_profit(value: int, accrued: int, own: int, spend: int) -> None:
    fields = {"margin_micro": value, "accrued_micro": accrued, "attributed_micro": own}
    free, paid = ledger(**fields), ledger(**fields, spend_micro=[0, spend, 0, 0, 0])
    for name in ("profit", "accrued_profit", "attributed_profit"):
        cost = REWARDS[name](free, GOALS) - REWARDS[name](paid, GOALS)
        assert cost == pytest.approx(spend / 1e6, abs=1e-6)


@given(st.floats(0.0, 1e6), st.floats(0.0, 1e6), TARGET)
def test_a_penalty_is_a_share_that_rises_to_one_at_the_target(one: float, two: float, target: float) -> None:
    low, high = sorted((one, two))
    assert 0.0 <= penalty(low, target) <= penalty(high, target) <= 1.0
    assert penalty(target, target) == 1.0
    assert penalty(0.5 * target, target) == pytest.approx(0.25, rel=1e-14)


@given(COUNT, MONEY, MONEY, TARGET)
def test_a_score_never_rises_with_spend_nor_exceeds_what_was_reached(
    orders: int, spend: float, more: float, target: float
) -> None:
    for score_of in (cpa_score_of, roas_score_of):
        score = score_of(float(orders), spend, target)
        assert 0.0 <= score_of(float(orders), spend + more, target) <= score <= orders


@given(COUNT, COUNT, MONEY, TARGET)
def test_a_score_rises_with_what_is_reached(orders: int, more: int, spend: float, target: float) -> None:
    for score_of in (cpa_score_of, roas_score_of):
        score = score_of(float(orders), spend, target)
        assert score <= score_of(float(orders + more), spend, target) * (1 + 1e-12)


@given(st.integers(1, 1000), TARGET)
def test_a_target_that_is_kept_costs_nothing(orders: int, target: float) -> None:
    assert cpa_score_of(float(orders), 0.999 * target * orders, target) == orders
    assert roas_score_of(1.001 * target * orders, float(orders), target) == 1.001 * target * orders


def test_scores_worked_by_hand() -> None:
    assert cpa_score_of(10.0, 200.0, 10.0) == pytest.approx(2.5, rel=1e-14)  # CPA 20 for a target of 10
    assert cpa_score_of(10.0, 0.0, 10.0) == 10.0
    assert cpa_score_of(0.0, 5.0, 10.0) == 0.0
    assert roas_score_of(100.0, 50.0, 4.0) == pytest.approx(25.0, rel=1e-14)  # ROAS 2 for a target of 4
    assert roas_score_of(100.0, 0.0, 4.0) == 100.0


@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.integers(0, 5), st.integers(0, 10**8)), min_size=1, max_size=30
    ),
    TARGET,
)
def test_over_an_episode_the_ticks_sum_to_the_score(ticks: list[tuple[int, int, int]], target: float) -> None:
    goals = Goals(target_cpa=target, target_roas=target)
    spend = orders = revenue = 0
    sums = {"cpa_score": 0.0, "roas_score": 0.0}
    for cost, count, value in ticks:
        spend, orders, revenue = spend + cost, orders + count, revenue + value
        row = ledger(
            spend_micro=[0, 0, cost, 0, 0], attributed=count, attributed_revenue_micro=value,
            episode_spend_micro=spend, episode_attributed=orders, episode_revenue_micro=revenue,
        )  # fmt: skip
        for name in sums:
            sums[name] += REWARDS[name](row, goals)
    scale = max(1.0, revenue / 1e6)
    assert sums["cpa_score"] == pytest.approx(cpa_score_of(orders, spend / 1e6, target), abs=1e-9 * scale)
    assert sums["roas_score"] == pytest.approx(
        roas_score_of(revenue / 1e6, spend / 1e6, target), abs=1e-9 * scale
    )


BUSY: dict[str, Any] = {
    "people.users": 300, "people.media_per_day": 40.0, "people.visits_per_day": 6.0,
    "clock.episode_ticks": 48, "conversion.visit_rate": [0.2] * 5,
    "conversion.buy_rate": [0.2] * 5, "conversion.delay_max_h": 5.0,
    "budget.per_episode": 30.0, "goals.target_cpa": 0.5, "goals.target_roas": 60.0,
    "channels.social.click_rate": [0.1] * 5,
}  # fmt: skip


@pytest.mark.parametrize("name", ["cpa_score", "roas_score"])
def test_rewards_of_a_played_episode_sum_to_its_score(name: str) -> None:
    """Over two episodes: the second begins at nothing, in its budget as in its score."""
    env = AdMarketEnv(config=BUSY, reward=name)
    env.reset(seed=2)
    for _ in range(2):
        total, spend, orders, revenue, over = 0.0, 0.0, 0, 0.0, False
        while not over:
            _, reward, _, over, told = env.step(np.full(K, 0.1, np.float32))
            last = env.world.playing().record["last"]
            total, spend, orders = total + reward, spend + told["spend"], orders + told["attributed"]
            revenue += int(last["attributed_revenue_micro"]) / 1e6
            assert told["episode_spend"] == pytest.approx(spend, abs=1e-6)
            assert told["episode_attributed"] == orders
        goals = env.world.playing().config.goals
        expected = {
            "cpa_score": cpa_score_of(orders, spend, goals.target_cpa),
            "roas_score": roas_score_of(revenue, spend, goals.target_roas),
        }
        assert total == pytest.approx(expected[name], rel=1e-6, abs=1e-6)
        assert orders > 5
        assert 0.0 < expected[name] < (orders if name == "cpa_score" else revenue)  # the target is missed
        env.reset()
    env.close()


def test_the_ledger_of_a_tick_holds_what_the_rewards_ask_for() -> None:
    """Profit is margin less spend, and attributed orders are among all orders."""
    env = AdMarketEnv(config=BUSY)
    env.reset(seed=2)
    for _ in range(48):
        _, reward, _, _, told = env.step(np.full(K, 0.1, np.float32))
        assert reward == pytest.approx(told["margin"] - told["spend"], abs=1e-9)
        assert told["attributed"] <= told["conversions"]
        assert told["attributed_margin"] <= told["margin"] + 1e-9
    env.close()


def test_the_goals_are_those_of_the_configuration() -> None:
    assert MarketConfig().goals == Goals()
    assert Goals(target_cpa=10.0, target_roas=4.0) == GOALS


def test_an_unknown_reward_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"reward.*'cpa_scor'.*cpa_score"):
        AdMarketEnv(reward="cpa_scor")
