"""Rewards are pure functions of a tick's ledger."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.ledger import LEDGER
from gaelp_env.reward import REWARDS

MICRO = st.integers(-(10**12), 10**12)


def ledger(**fields: object) -> np.void:
    row = np.zeros(1, LEDGER)
    for name, value in fields.items():
        row[name] = value
    return row[0]


TICK = ledger(
    spend_micro=[1_000_000, 500_000, 0, 0, 250_000], margin_micro=9_000_000, accrued_micro=2_000_001,
    attributed_micro=34_600_000, conversions=3, decided_micro=7,
)  # fmt: skip


def test_rewards_worked_by_hand() -> None:
    assert {name: reward(TICK) for name, reward in REWARDS.items()} == {
        "profit": 7.25,
        "accrued_profit": 0.250001,
        "attributed_profit": 32.85,
        "conversions": 3.0,
    }


@pytest.mark.parametrize("name", sorted(REWARDS))
def test_a_reward_is_a_python_float_and_leaves_the_ledger_alone(name: str) -> None:
    before = TICK.tobytes()
    assert type(REWARDS[name](TICK)) is float
    assert TICK.tobytes() == before
    assert REWARDS[name](ledger()) == 0.0


@given(MICRO, MICRO, MICRO, st.integers(0, 10**9))
def test_a_unit_spent_costs_a_unit_of_every_profit(value: int, accrued: int, own: int, spend: int) -> None:
    fields = {"margin_micro": value, "accrued_micro": accrued, "attributed_micro": own}
    free, paid = ledger(**fields), ledger(**fields, spend_micro=[0, spend, 0, 0, 0])
    for name in ("profit", "accrued_profit", "attributed_profit"):
        cost = REWARDS[name](free) - REWARDS[name](paid)
        assert cost == pytest.approx(spend / 1e6, abs=1e-6)
