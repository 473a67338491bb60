"""A market's state is its users and its record: put back, restored or handed out, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.ledger import RECORD
from gaelp_env.market import Market
from gaelp_env.observation import observe_market
from gaelp_env.population import GONE
from tests.markets import bids_of, full_world, play, reference_cpm, state_of

BUSY = full_world(
    per_episode=8.0,
    budget={"per_day": 5.0, "pacing": "even"},
    clock={"episode_ticks": 400},
    conversion={"buy_rate": [0.1, 0.2, 0.5, 0.9, 0.2]},
)
SUMS = (
    "active", "stage_count", "awareness_sum", "fatigue_sum", "intent_sum", "reached", "clicked", "bought",
)  # fmt: skip


def opened(seed: int = 4) -> Market:
    market = Market.born(BUSY, seed)
    market.begin_episode()
    return market


def next_episode(market: Market, *, take: bool = True) -> None:
    market.end_episode()
    if take:
        market.take_changes()
    market.begin_episode()


def again(market: Market) -> Market:
    """The same market, from what a store would hold."""
    return Market.restored(market.config, market.population.rows(slice(None)), market.record_bytes())


def test_going_back_to_a_checkpoint_is_exact_and_can_be_done_again() -> None:
    market = opened()
    play(market, 30)
    before, point = state_of(market), market.checkpoint()
    story = play(market, 40)
    next_episode(market)
    play(market, 40)
    after = state_of(market)
    for _ in range(2):
        market.rollback(point)
        assert state_of(market) == before
        assert play(market, 40) == story
        next_episode(market)
        play(market, 40)
        assert state_of(market) == after


def test_a_checkpoint_remembers_what_had_changed() -> None:
    market = opened()
    market.take_changes()
    play(market, 3)
    point = market.checkpoint()
    changed, _ = market.take_changes()
    assert 0 < len(changed) <= market.population.size
    market.rollback(point)
    assert market.take_changes()[0].tobytes() == changed.tobytes()


@pytest.mark.parametrize("ticks", [0, 7, 55])
def test_a_restored_market_goes_on_bit_for_bit(ticks: int) -> None:
    unbroken = opened()
    play(unbroken, ticks)
    next_episode(unbroken)
    play(unbroken, ticks)
    restored = again(unbroken)
    assert state_of(restored) == state_of(unbroken)
    for _ in range(2):
        assert play(restored, 30) == play(unbroken, 30)
        assert state_of(restored) == state_of(unbroken)
        for observe in ("advertiser", "full"):
            views = [observe_market(market.record, BUSY, observe) for market in (restored, unbroken)]
            assert (views[0] == views[1]).all()
        next_episode(restored)
        next_episode(unbroken)


def test_users_are_restored_in_any_order_of_rows() -> None:
    market = opened()
    play(market, 30)
    rows = market.population.rows(slice(None))
    shuffled = Market.restored(BUSY, np.random.default_rng(1).permutation(rows), market.record_bytes())
    assert state_of(shuffled) == state_of(market)
    assert play(shuffled, 20) == play(market, 20)
    for number in rows["number"].tolist():
        assert shuffled.population.index_of(number) == market.population.index_of(number)


def test_a_damaged_store_is_noticed() -> None:
    market = opened()
    play(market, 40)
    rows, record = market.population.rows(slice(None)), market.record_bytes()
    with pytest.raises(ValueError, match="disagree"):
        Market.restored(BUSY, rows[1:], record)
    wrong = rows.copy()
    wrong["awareness"][wrong["awareness"].argmax()] *= 0.5
    with pytest.raises(ValueError, match="disagree"):
        Market.restored(BUSY, wrong, record)
    with pytest.raises(ValueError, match=f"{RECORD.itemsize} bytes"):
        Market.restored(BUSY, rows, record[:-1])


def test_changes_are_all_that_changed() -> None:
    """Changes laid over what was known before give what is known now, through births and departures."""
    market = opened()
    known: dict[int, bytes] = {}
    for t in range(300):
        if t % 50 == 49:
            market.end_episode()
        if t % 7 == 0 or t % 50 == 49:
            rows, gone = market.take_changes()
            known.update({int(row["number"]): row.tobytes() for row in rows})
            for number in gone.tolist():
                assert np.frombuffer(known.pop(number), rows.dtype)[0]["flags"] & GONE
            here = market.population.rows(slice(None))
            assert known == {int(row["number"]): row.tobytes() for row in here}
        if t % 50 == 49:
            market.begin_episode()
        play(market, 1)
    assert int(market.record["next_number"]) - len(known) > 50


def test_nobody_changes_while_nobody_plays() -> None:
    market = opened()
    assert len(market.take_changes()[0]) == BUSY.people.users
    assert len(market.take_changes()[0]) == 0
    market.end_episode()
    market.begin_episode()
    assert len(market.take_changes()[0]) == 0


def test_leavers_are_archived_at_the_end_of_an_episode_unless_an_order_is_pending() -> None:
    market = opened()
    play(market, 150)
    hot = market.population.hot[: market.population.size]
    left, pending = hot["leaves_h"] <= market.hour, hot["due_h"] >= 0.0
    assert (left & pending).any()
    assert (left & ~pending).any()
    expected, waiting = hot["number"][left & ~pending].tolist(), hot["number"][left & pending].tolist()
    market.end_episode()
    _, gone = market.take_changes()
    assert gone.tolist() == expected
    assert set(waiting) <= set(market.population.number[: market.population.size].tolist())
    market.begin_episode()
    due = {int(number) for _ in range(200) for number in numbers_due(market)}
    assert set(waiting) <= due


def numbers_due(market: Market) -> np.ndarray:
    return market.advance(np.zeros(5)).conversions["number"]


def test_numbers_are_never_reused() -> None:
    market, buried = opened(), set()
    for _ in range(6):
        play(market, 50)
        market.end_episode()
        rows, gone = market.take_changes()
        assert not buried & set(rows["number"].tolist())
        buried |= set(gone.tolist())
        market.begin_episode()
    assert len(buried) > 50
    assert (np.diff(market.population.number[: market.population.size].astype(np.int64)) > 0).all()


def test_episodes_count_each_user_once() -> None:
    market = opened()
    for episode in range(1, 5):
        play(market, 30)
        rows = market.population.rows(slice(None))
        assert rows["episodes"].max() <= episode
        assert (rows["last_episode"] <= episode).all()
        assert (rows["episodes"] <= rows["last_episode"]).all()
        market.end_episode()
        assert market.record["episode"] == episode
        market.begin_episode()


STEPS: dict[str, Callable[[Market], object]] = {
    "play": lambda market: play(market, 6),
    "play more": lambda market: play(market, 30, seed=2),
    "bid nothing": lambda market: [market.advance(np.zeros(5)) for _ in range(5)],
    "next episode": next_episode,
    "next episode, nothing taken": lambda market: next_episode(market, take=False),
    "take changes": lambda market: market.take_changes(),
    "rekey": lambda market: market.rekey(3),
    "there and back": lambda market: there_and_back(market),
    "by hand": lambda market: by_hand(market),
}


def by_hand(market: Market) -> None:
    number = market.name_user()
    market.touch(number, 1, clicked=True)
    market.convert(number, 12.5)
    market.meet(number)


def there_and_back(market: Market) -> None:
    point = market.checkpoint()
    market.advance(10.0 * bids_of(9, 9, reference_cpm(BUSY)))
    market.end_episode()
    market.rollback(point)


@settings(max_examples=25)
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=12))
def test_running_sums_equal_a_recount_after_any_history(history: list[str]) -> None:
    market = opened()
    for step in history:
        STEPS[step](market)
    kept = {name: market.record[name].tolist() for name in SUMS}
    rows = market.population.rows(slice(None))
    rows = rows[rows["flags"] & GONE == 0]
    scores = rows["fatigue"].astype(np.float64).sum(axis=1)
    assert kept["active"] == len(rows) == sum(kept["stage_count"])
    assert kept["stage_count"] == np.bincount(rows["stage"], minlength=5).tolist()
    assert kept["fatigue_sum"] == np.floor(scores / (1.0 + scores) * 2.0**20 + 0.5).sum()
    assert kept["awareness_sum"] == np.floor(rows["awareness"].astype(np.float64) * 2.0**20 + 0.5).sum()
    assert kept["intent_sum"] == np.floor(rows["intent"].astype(np.float64) * 2.0**20 + 0.5).sum()
    assert kept["reached"] == (rows["touches"] > 0).sum()
    assert kept["clicked"] == (rows["clicks"] > 0).sum()
    restored = again(market)
    assert {name: restored.record[name].tolist() for name in SUMS} == kept
    assert play(restored, 3) == play(market, 3)
