"""Bids by audience and bid adjustments: who is in an audience, and what it changes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gaelp_env.config_load import load_config
from gaelp_env.env import AdMarketEnv
from gaelp_env.ledger import AUDIENCES, A, K
from gaelp_env.market import Market
from gaelp_env.population import KNOWN, REACHED
from tests.markets import state_of, told

NEW, SAW, VISITED, BUYER = range(A)
BIDS = np.array([120.0, 40.0, 15.0, 60.0, 2.0])
NOTHING: Mapping[str, Any] = MappingProxyType({})
CPM = arrays(np.float64, K, elements=st.one_of(st.just(0.0), st.floats(0.1, 500.0)))


def market_of(keys: Mapping[str, Any] = NOTHING, seed: int = 7) -> Market:
    base = {
        "people.users": 250, "people.media_per_day": 40.0, "people.visits_per_day": 6.0,
        "conversion.visit_rate": [0.3] * 5, "conversion.buy_rate": [0.3] * 5, "budget.per_episode": 1e6,
        "conversion.delay_max_h": 2.0, "clock.tick_minutes": 60.0, "channels.email.known_only": False,
    }  # fmt: skip
    market = Market.born(load_config({**base, **keys}), seed)
    market.begin_episode()
    return market


def audiences(rows: np.ndarray) -> np.ndarray:
    """The audience of each user, said anew: the furthest that applies."""
    out = np.where(rows["flags"] & REACHED != 0, SAW, NEW)
    out = np.where(rows["flags"] & KNOWN != 0, VISITED, out)
    return np.where(rows["conversions"] > 0, BUYER, out)


def test_the_audiences_are_named_in_their_order() -> None:
    assert AUDIENCES == ("new", "reached", "known", "buyer")


@settings(max_examples=15)
@given(st.lists(CPM, min_size=1, max_size=12))
def test_bids_that_are_equal_over_audiences_are_the_bids_by_channel(bids: list[np.ndarray]) -> None:
    by_channel, by_audience = market_of(), market_of()
    for cpm in bids:
        ours, theirs = by_channel.advance(cpm), by_audience.advance(np.repeat(cpm[:, None], A, axis=1))
        assert told(ours) == told(theirs)
        assert state_of(by_channel) == state_of(by_audience)


def test_a_bid_for_one_audience_is_a_bid_for_nobody_else() -> None:
    """Ads of a tick go to users who were in the audience when the tick began, or came into it within."""
    for audience in range(A):
        market = market_of({"people.users": 800})
        for _ in range(9):
            market.advance(BIDS)
        before = market.population.rows(slice(None))
        bids = np.zeros((K, A))
        bids[:, audience] = BIDS
        tick = market.advance(bids)
        touched = np.unique(tick.touchpoints["number"])
        assert len(touched) > 5
        then = audiences(before)[np.isin(before["number"], touched)]
        assert (then <= audience).all()
        assert (then == audience).mean() > 0.5
        if audience == NEW:
            assert len(tick.touchpoints) == len(touched)  # one ad, and nobody is new any more


@pytest.mark.parametrize("audience", range(A))
def test_targeting_of_zero_leaves_an_audience_out_as_a_bid_of_zero_does(audience: int) -> None:
    adjusted = [1.0] * A
    adjusted[audience] = 0.0
    keys = {
        f"channels.{name}.targeting": adjusted for name in ("search", "social", "display", "video", "email")
    }
    targeted, plain = market_of(keys), market_of()
    bids = np.repeat(BIDS[:, None], A, axis=1)
    bids[:, audience] = 0.0
    for _ in range(20):
        ours, theirs = targeted.advance(BIDS), plain.advance(bids)
        assert ours.ledger["wins"].tolist() == theirs.ledger["wins"].tolist()
        assert told(ours)[1:] == told(theirs)[1:]
    rows = targeted.population.rows(slice(None))
    assert (rows["touches"] > 0).any()
    if audience == NEW:  # only a visit makes somebody an old acquaintance
        assert (rows["visits"][rows["touches"] > 0] > 0).all()


@given(st.lists(st.floats(0.0, 4.0), min_size=4, max_size=4))
@settings(max_examples=10)
def test_an_adjustment_multiplies_the_bid(adjusted: list[float]) -> None:
    keys = {
        f"channels.{name}.targeting": adjusted for name in ("search", "social", "display", "video", "email")
    }
    targeted, plain = market_of(keys), market_of()
    for _ in range(6):
        ours = targeted.advance(BIDS)
        theirs = plain.advance(BIDS[:, None] * np.array(adjusted))
        assert told(ours)[1:] == told(theirs)[1:]


def test_the_same_people_come_whatever_audience_we_bid_for() -> None:
    markets = [market_of() for _ in range(A)]
    for _ in range(24):
        counts = []
        for audience, market in enumerate(markets):
            bids = np.zeros((K, A))
            bids[:, audience] = BIDS
            counts.append(int(market.advance(bids).ledger["candidates"]))
        assert len(set(counts)) == 1


def test_where_nobody_has_been_met_a_bid_for_others_than_the_new_reaches_nobody() -> None:
    market = market_of({"conversion.visit_rate": [0.0] * 5})
    bids = np.repeat(BIDS[:, None], A, axis=1)
    bids[:, NEW] = 0.0
    for _ in range(24):
        ledger = market.advance(bids).ledger
        assert ledger["opportunities"].sum() > 0
        assert not ledger["bids"].any()


@pytest.mark.parametrize("shape", [(K, A + 1), (A, K), (K, 1), (K * A,), (1, K, A)])
def test_bids_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="5 x 4 by audience"):
        market_of().advance(np.ones(shape))


def test_the_environment_plays_one_number_a_channel_and_audience() -> None:
    """Twenty equal actions play as five do; `-1` for the new leaves all but visitors out."""
    small = {"people.users": 150, "people.media_per_day": 40.0, "clock.episode_ticks": 12}
    five, twenty = AdMarketEnv(config=small), AdMarketEnv(config=small, per_audience=True)
    assert twenty.action_space.shape == (K * A,)
    action = np.array([0.3, -0.2, 0.5, -1.0, 0.1], np.float32)
    first = [env.reset(seed=4)[0].tolist() for env in (five, twenty)]
    assert first[0] == first[1]
    for _ in range(12):
        ours, theirs = five.step(action), twenty.step(np.repeat(action, A))
        assert ours[0].tolist() == theirs[0].tolist()
        assert (ours[1], ours[3], ours[4]) == (theirs[1], theirs[3], theirs[4])
    twenty.reset()
    nobody_new = np.repeat(action, A).reshape(K, A)
    nobody_new[:, NEW] = -1.0
    before = twenty.world.playing().population.rows(slice(None))["touches"]
    new = audiences(twenty.world.playing().population.rows(slice(None))) == NEW
    told_of = twenty.step(nobody_new.ravel())[4]
    after = twenty.world.playing().population.rows(slice(None))["touches"][: len(before)]
    assert told_of["views"] == int((after - before).sum())
    visited = twenty.world.playing().population.rows(slice(None))["visits"][: len(before)] > 0
    assert (after == before)[new & ~visited].all()
    for env in (five, twenty):
        env.close()
