"""A tick over many blocks is the same for any number of threads; rows lie on cache lines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numba import njit

from gaelp_env.blocks import BLOCK_USERS
from gaelp_env.chance import AUCTION, CANDIDATE, RESPOND, SLOTS, uniforms
from gaelp_env.config import MarketConfig
from gaelp_env.draws import BIDS, LUCK, ORDER, RESPONSE, ROOM, draw_all, drawn, no_words, note_candidates
from gaelp_env.market import Market
from gaelp_env.population import COLD, HOT, LINE, Population
from gaelp_env.threads import set_threads
from tests.markets import full_world, reference_cpm

ROWS = ((LUCK, CANDIDATE), (BIDS, AUCTION), (RESPONSE, RESPOND), (ORDER, SLOTS))


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    yield
    set_threads(None)


def many_people(per_episode: float) -> MarketConfig:
    return full_world(per_episode, people={"users": 2 * BLOCK_USERS + 100})


def played(config: MarketConfig, threads: int) -> list[bytes]:
    """All that a few ticks leave behind."""
    set_threads(threads)
    market = Market.born(config, 5)
    market.begin_episode()
    left = []
    for _ in range(4):
        tick = market.advance(reference_cpm(config))
        left += [tick.ledger.tobytes(), tick.touchpoints.tobytes(), tick.click_probability.tobytes()]
        left += [tick.visits.tobytes(), tick.conversions.tobytes()]
    rows = market.population.rows(slice(None))
    assert int(market.record["touches"]) > 100
    return [*left, rows.tobytes(), market.record_bytes()]


@pytest.mark.parametrize("per_episode", [1e9, 3.0], ids=["rich", "budget binds"])
def test_any_number_of_threads_plays_the_same_ticks(per_episode: float) -> None:
    config = many_people(per_episode)
    alone = played(config, 1)
    assert played(config, 2) == alone
    assert played(config, 3) == alone


@njit
def drawn_together(key, tick, users, counts, out):  # type: ignore[no-untyped-def]
    words, filled = no_words(), 0
    for k in range(len(users)):
        filled = note_candidates(words, filled, users[k], counts[k])
    draw_all(words, filled, key, tick)
    for place in range(filled):
        for r in range(4):
            out[place, r, 0], out[place, r, 1], out[place, r, 2], out[place, r, 3] = drawn(
                words, 4 * r, place
            )
    return filled


def test_words_drawn_together_are_the_addressed_ones() -> None:
    users = np.array([0, 7, 2**32 - 2], np.uint32)
    counts, out = np.array([1, 60, 3]), np.zeros((ROOM, 4, 4))
    key, tick = np.uint64(2**63 + 11), 2**32 - 1
    assert drawn_together(key, tick, users, counts, out) == 64
    place = 0
    for user, count in zip(users.tolist(), counts.tolist(), strict=True):
        for j in range(count):
            for row, purpose in ROWS:
                assert tuple(out[place, row // 4]) == uniforms(key, user, tick, purpose, j)
            place += 1


def test_rows_lie_on_cache_lines_and_a_hot_half_on_two() -> None:
    people = Population(Market.born(full_world(), 1).population.rows(slice(None)))
    assert people.hot.ctypes.data % LINE == people.cold.ctypes.data % LINE == 0
    assert HOT.itemsize == 2 * LINE
    assert COLD.itemsize == LINE
    people.make_room(10 * people.size)
    assert people.hot.ctypes.data % LINE == 0
