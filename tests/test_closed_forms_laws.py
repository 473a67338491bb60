"""Laws of bidding that hold through the whole market, whatever the rule and the prices."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.config_load import load_config
from gaelp_env.market import Market
from gaelp_env.special_cases import CASES, CHANNELS
from gaelp_env.tick import Tick

RULES = ("second", "first", "gsp")
FLOOR = 0.4
BID = st.floats(0.1, 10.0)


@lru_cache(maxsize=64)
def config(rule: str, scale: float = 1.0, floor: bool = False) -> Any:
    """Log-normal prices around 20 (scaled); a reserve of 0.4 of it for everybody, or none."""
    channels: dict[str, Any] = {f"channels.{name}.rule": rule for name in CHANNELS}
    channels |= {f"channels.{name}.reference_cpm": 20.0 * scale for name in CHANNELS}
    if rule == "gsp":
        channels |= {f"channels.{name}.slots": 3 for name in CHANNELS}
        channels |= {f"channels.{name}.quality_score": 1.3 for name in CHANNELS}
        channels |= {f"channels.{name}.slot_view": [1.0, 1.0, 1.0, 1.0] for name in CHANNELS}
    reserve = {"prices.floor_share": float(floor), "prices.floor_median": FLOOR, "prices.floor_log_sd": 0.0}
    return load_config(
        CASES["shading-lognormal"].config
        | {"people.users": 300, "people.stay_days": 1.0}
        | channels
        | reserve
    )


def played(rule: str, multiple: float, scale: float = 1.0, floor: bool = False) -> Tick:
    """One tick of the same people with the same luck, at a multiple of the reference price."""
    return Market.born(config(rule, scale, floor), 5).advance(np.full(5, 20.0 * scale * multiple))


def won(tick: Tick) -> set[tuple[int, int]]:
    """What was won and seen: (user, moment)."""
    touches = tick.touchpoints
    return set(zip(touches["number"].tolist(), touches["at"].astype(np.int64).tolist(), strict=True))


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=20, deadline=None)
@given(multiple=BID)
def test_a_price_is_between_the_reserve_and_the_bid(rule: str, multiple: float) -> None:
    price = played(rule, multiple, floor=True).touchpoints["price_micro"]
    bid = 20.0 * multiple * 1000.0
    assert (price <= bid + 0.5).all()
    assert (price >= 20.0 * FLOOR * 1000.0 - 0.5).all()
    if multiple < FLOOR:
        assert len(price) == 0
    if rule == "first":
        assert (np.abs(price - bid) <= 0.5).all()


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=20, deadline=None)
@given(multiple=BID, more=st.floats(1.0, 5.0))
def test_raising_a_bid_loses_nothing_that_was_won(rule: str, multiple: float, more: float) -> None:
    assert won(played(rule, multiple)) <= won(played(rule, multiple * more))


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=20, deadline=None)
@given(multiple=BID, scale=st.sampled_from([0.25, 2.0, 8.0]))
def test_money_has_no_unit(rule: str, multiple: float, scale: float) -> None:
    """Bids and prices in another currency: the same is won, at the same multiple (to a micro)."""
    one, other = played(rule, multiple), played(rule, multiple, scale)
    assert won(one) == won(other)
    price, there = one.touchpoints["price_micro"], other.touchpoints["price_micro"]
    assert (np.abs(there - scale * price) <= 0.5 * scale + 0.5).all()
