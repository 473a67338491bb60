"""Frequency caps: what is counted, and what a capped market never does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_env.caps import seen_within
from gaelp_env.config_load import load_config
from gaelp_env.ledger import K
from gaelp_env.market import Market, Tick
from gaelp_env.population import EMPTY_MINUTE, RING

MINUTES = st.lists(st.integers(0, 20_000), max_size=RING)
BIDS = np.full(K, 400.0)


def ring(minutes: list[int]) -> np.ndarray:
    out = np.full(RING, EMPTY_MINUTE, np.uint32)
    out[: len(minutes)] = minutes
    return out


@given(MINUTES, st.integers(0, 20_000), st.integers(1, 20_000))
def test_it_counts_the_touches_whose_minute_reaches_into_the_window(
    minutes: list[int], now: int, window: int
) -> None:
    recent = sum(minute >= now - window for minute in minutes)
    assert seen_within(ring(minutes), now / 60.0, window / 60.0 - 1e-9) == recent


@given(MINUTES, st.floats(0.0, 400.0), st.floats(0.1, 100.0), st.floats(0.0, 100.0))
def test_a_longer_window_counts_no_less_and_a_later_moment_no_more(
    minutes: list[int], now_h: float, window_h: float, more_h: float
) -> None:
    count = seen_within(ring(minutes), now_h, window_h)
    assert 0 <= count <= len(minutes)
    assert seen_within(ring(minutes), now_h, window_h + more_h) >= count
    assert seen_within(ring(minutes), now_h + more_h, window_h) <= count


@given(MINUTES, st.integers(0, RING - 1))
def test_it_does_not_matter_where_in_the_ring_the_touches_are(minutes: list[int], head: int) -> None:
    assert seen_within(np.roll(ring(minutes), head), 300.0, 24.0) == seen_within(ring(minutes), 300.0, 24.0)


def test_counts_worked_by_hand() -> None:
    """At hour 48 a window of 24 h begins with minute 1,440; an empty ring has seen nothing."""
    assert seen_within(ring([1438, 1440, 2000, 2880]), 48.0, 24.0) == 3
    assert seen_within(ring([]), 48.0, 1e6) == 0
    assert seen_within(ring([0]), 1.0, 24.0) == 1


def capped(cap: int, window_h: float = 24.0, **keys: object) -> Market:
    config = load_config(
        {
            "people.users": 80, "people.media_per_day": 60.0, "people.stay_days": 1000.0,
            "budget.per_episode": 1e9, "budget.frequency_cap": cap, "budget.frequency_window_h": window_h,
            **keys,
        }
    )  # fmt: skip
    market = Market.born(config, 6)
    market.begin_episode()
    return market


def days(market: Market, ticks: int = 144) -> list[Tick]:
    return [market.advance(BIDS) for _ in range(ticks)]


@pytest.mark.parametrize(("cap", "window_h"), [(1, 24.0), (3, 12.0), (8, 48.0)])
def test_nobody_sees_more_ads_within_a_window_than_the_cap(cap: int, window_h: float) -> None:
    market = capped(cap, window_h)
    ticks = days(market)
    touches = np.concatenate([tick.touchpoints for tick in ticks])
    window = np.timedelta64(round(window_h * 60), "m")
    reached = 0
    for number in np.unique(touches["number"]):
        at = touches["at"][touches["number"] == number]
        within = [int(((at > moment - window) & (at <= moment)).sum()) for moment in at]
        assert max(within) <= cap
        reached += max(within) == cap
    assert reached > 20
    assert sum(int(tick.ledger["capped"].sum()) for tick in ticks) > 100


def test_a_capped_opportunity_is_no_bid_and_no_cap_counts_nothing() -> None:
    limited, free = days(capped(2)), days(capped(0))
    for tick in limited:
        ledger = tick.ledger
        assert (ledger["bids"] + ledger["capped"] == ledger["opportunities"]).all()
    assert sum(int(tick.ledger["capped"].sum()) for tick in free) == 0
    assert sum(len(tick.touchpoints) for tick in limited) < sum(len(tick.touchpoints) for tick in free)
    people = [sum(int(tick.ledger["candidates"]) for tick in ticks) for ticks in (limited, free)]
    assert people[0] == people[1]


def test_nothing_changes_before_somebody_has_seen_the_cap() -> None:
    """The first touch of everybody is the same with and without a cap."""
    firsts = []
    for cap in (0, 1):
        touches = np.concatenate([tick.touchpoints for tick in days(capped(cap), 24)])
        _, first = np.unique(touches["number"], return_index=True)
        firsts.append(touches[first].tobytes())
    assert firsts[0] == firsts[1]


def test_a_rival_gets_the_slot_that_a_cap_keeps_us_out_of() -> None:
    limited, free = capped(1), capped(0)
    lost = [sum(int(t.ledger["rival_views"].sum()) for t in days(market, 48)) for market in (limited, free)]
    assert lost[0] > lost[1] + 200
