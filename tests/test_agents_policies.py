"""The baselines: what they bid, and that the pacing rule follows its plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.policies import ConstantBids, NeverBid, PacedBids, RandomBids, ReferencePriceBids
from agents.policies_reading import Reading
from gaelp_env import published
from gaelp_env.actions import bids_cpm
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.constants import season_of
from gaelp_env.market import Market
from gaelp_env.observation import names, observe_market

CONFIG = load_config({"people.users": 1})
NAMES = names("advertiser")
REFERENCE = np.array([channel.reference_cpm for channel in CONFIG.channels.in_order()])


def seen_at(tick: int, spent: float = 0.0, config: MarketConfig = CONFIG) -> NDArray[np.float32]:
    """What is seen at a tick of the second day, with a share of the budget spent."""
    market = Market.born(config, 3)
    record: Any = market.record
    record["tick"] = config.clock.episode_ticks + tick
    record["episode_tick"] = tick
    record["spent_micro"] = round(spent * config.budget.per_episode * 1e6)
    return observe_market(record, config)


def bids(policy: Any, observation: Any) -> NDArray[np.float64]:
    return bids_cpm(policy.predict(observation)[0], CONFIG)


def test_reading_tells_time_and_budget() -> None:
    reading = Reading(CONFIG, NAMES)
    for tick in range(48):
        seen = seen_at(tick, spent=0.25)
        assert reading.hour(seen) == tick / 2.0
        assert reading.tick(seen) == tick
        assert reading.spent_share(seen) == pytest.approx(0.25, abs=1e-6)
        level = season_of(CONFIG).price[tick // 2]
        assert reading.price_level(seen) == pytest.approx(level, rel=1e-5)


def test_reading_plans_by_published_traffic() -> None:
    reading = Reading(CONFIG, NAMES)
    shares = np.array(published.HOUR_SHARES["avito"])
    assert reading.plan(seen_at(0)) == 0.0
    assert reading.plan(seen_at(20)) == pytest.approx(shares[:10].sum() / shares.sum())
    assert reading.plan(seen_at(21)) == pytest.approx((shares[:10].sum() + shares[10] / 2) / shares.sum())


def test_reading_names_what_is_missing() -> None:
    with pytest.raises(ValueError, match="has no budget_left"):
        Reading(CONFIG, tuple(name for name in NAMES if name != "budget_left"))


def test_never_bid_bids_nowhere() -> None:
    assert bids(NeverBid(), seen_at(0)).tolist() == [0.0] * 5
    assert NeverBid().predict(np.zeros((3, len(NAMES))))[0].shape == (3, 5)


def test_constant_bids_what_it_says() -> None:
    wanted = REFERENCE * [0.5, 1.0, 2.0, 0.0, 3.0]
    assert bids(ConstantBids(wanted, CONFIG), seen_at(5)) == pytest.approx(wanted, rel=1e-5)


def test_random_repeats_with_its_seed_and_differs_from_tick_to_tick() -> None:
    seen = np.zeros((4, len(NAMES)), np.float32)

    def two_ticks(seed: int) -> list[Any]:
        first, state = RandomBids(seed).predict(seen)
        second, _ = RandomBids(seed).predict(seen, state)
        return [first.tolist(), second.tolist()]

    assert two_ticks(1) == two_ticks(1)
    assert two_ticks(1) != two_ticks(2)
    assert two_ticks(1)[0] != two_ticks(1)[1]


def test_the_reference_rule_follows_the_price_of_the_hour() -> None:
    rule = ReferencePriceBids(1.5, CONFIG, NAMES)
    for tick in (0, 9, 30, 47):
        level = season_of(CONFIG).price[tick // 2]
        assert bids(rule, seen_at(tick)) == pytest.approx(1.5 * REFERENCE * level, rel=1e-4)


@settings(max_examples=30)
@given(st.integers(0, 47), st.floats(0.0, 0.5), st.floats(0.01, 0.5))
def test_a_pacing_rule_that_has_spent_more_bids_less(tick: int, spent: float, more: float) -> None:
    rule = PacedBids(REFERENCE, CONFIG, NAMES)
    assert (bids(rule, seen_at(tick, spent + more)) <= bids(rule, seen_at(tick, spent)) + 1e-9).all()


@pytest.mark.parametrize("strength", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_pacing_spends_to_plan_on_a_plant(strength: float, share: float) -> None:
    """The plant: spend in a tick is traffic times bid; the base bid would spend `strength` times the plan."""
    rule = PacedBids(REFERENCE, CONFIG, NAMES, share=share)
    traffic = np.repeat(np.array(published.HOUR_SHARES["avito"]), 2) / 2.0
    traffic = traffic / traffic.sum()
    spent, state, worst = 0.0, None, 0.0
    for tick in range(48):
        seen = seen_at(tick, spent)
        planned = share * float(Reading(CONFIG, NAMES).plan(seen))
        worst = max(worst, abs(spent - planned))
        action, state = rule.predict(seen, state)
        push = bids_cpm(action, CONFIG)[0] / REFERENCE[0]
        spent = min(1.0, spent + strength * share * traffic[tick] * push)
    assert spent == pytest.approx(share, abs=0.06)
    assert worst < 0.12
    unpaced = min(1.0, strength * share)
    if unpaced != share:
        assert abs(spent - share) < 0.2 * abs(unpaced - share)


def test_pacing_begins_every_day_anew() -> None:
    rule = PacedBids(REFERENCE, CONFIG, NAMES)
    fresh, _ = rule.predict(seen_at(0))
    tired = np.array([5.0, 0.4])
    again, _ = rule.predict(seen_at(0), tired)
    assert again.tolist() == fresh.tolist()
    later, _ = rule.predict(seen_at(9), tired)
    assert later.tolist() != rule.predict(seen_at(9))[0].tolist()


def test_rules_take_batches() -> None:
    batch = np.stack([seen_at(0), seen_at(20, 0.9), seen_at(40, 0.1)])
    for rule in (
        ConstantBids(REFERENCE, CONFIG),
        ReferencePriceBids(1.0, CONFIG, NAMES),
        PacedBids(REFERENCE, CONFIG, NAMES),
    ):
        together = rule.predict(batch)[0]
        assert together.dtype == np.float32
        for row, seen in zip(together, batch, strict=True):
            assert rule.predict(seen)[0] == pytest.approx(row)
