"""The way back of a large market: whatever happened since the mark, it leads there, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.market import Market
from gaelp_env.pages import LEAST_BYTES, paged
from gaelp_env.population import CHANGED, GONE, KEPT
from gaelp_env.threads import set_threads
from gaelp_env.undo import BLOCK_USERS, FIXED, LINES
from gaelp_env.world import World
from storage import open_store
from tests.markets import bids_of, full_world, play, reference_cpm

BUSY = full_world(
    per_episode=8.0,
    budget={"per_day": 5.0, "pacing": "even"},
    clock={"episode_ticks": 400},
    conversion={"buy_rate": [0.1, 0.2, 0.5, 0.9, 0.2]},
)


class Large(Market):
    """A market that keeps lines, however few live in it."""

    @property
    def small(self) -> bool:
        return False


def all_of(market: Market) -> tuple[Any, ...]:
    """Everything that a market is, the marks of change among it."""
    people, size = market.population, market.population.size
    changed = (people.hot["marks"][:size] & CHANGED).tobytes()
    columns = people.rows(slice(None)).tobytes(), people.number[:size].tobytes(), people.rate[:size].tobytes()
    return (*columns, changed, np.sort(market._pending).tobytes(), market.record_bytes())


def opened(kind: type[Market] = Large, seed: int = 4) -> Market:
    market = kind.born(BUSY, seed)
    market.begin_episode()
    play(market, 30)
    market.end_episode()
    market.take_changes()
    market.begin_episode()
    return market


def overspend(market: Market) -> None:
    """A tick whose budget ends in the midst of it, so that it is put back and played again."""
    market.begin_episode()
    market.advance(60.0 * bids_of(9, 9, reference_cpm(BUSY)))


def by_hand(market: Market) -> None:
    number = market.name_user()
    for one in (number, int(market.population.number[3])):
        if one == number or not market.population.hot["flags"][3] & GONE:
            market.touch(one, 1, clicked=True)
            market.convert(one, 12.5)
            market.meet(one)


def next_episode(market: Market) -> None:
    """Leavers are archived; nobody takes what changed, so they are still there."""
    market.end_episode()
    market.begin_episode()


def there_and_back(market: Market) -> None:
    point = market.checkpoint()
    play(market, 2, seed=8)
    market.rollback(point)


STEPS: dict[str, Callable[[Market], object]] = {
    "play": lambda market: play(market, 4),
    "play long": lambda market: play(market, 30, seed=2),
    "bid nothing": lambda market: [market.advance(np.zeros(5)) for _ in range(3)],
    "overspend": overspend,
    "by hand": by_hand,
    "next episode": next_episode,
    "rekey": lambda market: market.rekey(3),
    "back": lambda market: market.back(),
    "a checkpoint within": there_and_back,
}
histories = st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(histories, histories, st.booleans()), min_size=1, max_size=3))
def test_back_is_where_the_mark_was_after_any_history(marks: list[tuple[list[str], list[str], bool]]) -> None:
    market = opened()
    for first, second, take in marks:
        if take:
            market.take_changes()
        market.mark()
        before = all_of(market)
        for history in (first, second):
            for step in history:
                STEPS[step](market)
            market.back()
            assert all_of(market) == before
        assert market.undo_bytes == 0 or market._whole is not None
        for step in second:
            STEPS[step](market)


@settings(max_examples=20, deadline=None)
@given(histories, histories)
def test_lines_and_a_whole_copy_lead_the_same_way(first: list[str], second: list[str]) -> None:
    """What happens after the way back does not show that it was taken, or how."""
    lines, whole = opened(), opened(Market)
    for market in (lines, whole):
        market.mark()
        for step in first:
            STEPS[step](market)
        market.back()
        for step in second:
            STEPS[step](market)
    assert all_of(lines) == all_of(whole)


def test_a_mark_costs_nothing_and_keeps_a_line_once() -> None:
    market = opened()
    market.mark()
    assert market.undo_bytes == 0
    play(market, 200)
    people = market.population
    kept = market._undo.filled.sum(axis=0)
    assert (kept > 0).all()
    assert market.undo_bytes <= 4 * LINES * 17 * people.size
    marks = people.hot["marks"][: people.size]
    assert not ((marks & KEPT > 0) & (marks & 2 == 0)).any(), "the first line is kept whenever one is"
    before = market.undo_bytes
    market._undo.keep(people, np.arange(people.size))
    play(market, 5)
    assert market.undo_bytes >= before
    assert (people.hot["marks"][: market._undo.size] & KEPT == KEPT).all()
    full = market.undo_bytes
    play(market, 5)
    assert market.undo_bytes == full


def test_those_who_are_born_later_are_cut_off() -> None:
    market = opened()
    market.mark()
    size = market.population.size
    play(market, 100)
    market.name_user()
    assert market.population.size > size + 10
    market.back()
    assert market.population.size == size


def test_words_that_are_never_kept_never_change() -> None:
    market = opened()
    people, size = market.population, market.population.size
    words = np.hstack([half[:size].view(np.uint32).reshape(size, -1).copy() for half in people.columns()[:2]])
    play(market, 100)
    overspend(market)
    after = np.hstack([half[:size].view(np.uint32).reshape(size, -1) for half in people.columns()[:2]])
    fixed = [16 * line + k for line in range(LINES) for k in range(16) if FIXED[line] >> k & 1]
    assert len(fixed) == 5
    assert (after[:, fixed] == words[:, fixed]).all()


def test_the_mark_goes_with_the_changes_that_are_taken() -> None:
    market = opened()
    market.mark()
    play(market, 3)
    market.take_changes()
    assert not market.marked
    with pytest.raises(RuntimeError, match="no mark to go back to"):
        market.back()
    assert not (market.population.hot["marks"][: market.population.size]).any()


@pytest.fixture
def _threads_as_before() -> Iterator[None]:
    yield
    set_threads(None)


@pytest.mark.usefixtures("_threads_as_before")
@pytest.mark.parametrize("per_episode", [1e9, 3.0], ids=["rich", "budget binds"])
def test_many_blocks_go_back_with_any_number_of_threads(per_episode: float) -> None:
    config = full_world(per_episode, people={"users": 2 * BLOCK_USERS + 100})
    stories = []
    for threads in (1, 3):
        set_threads(threads)
        market = Market.born(config, 5)
        market.begin_episode()
        play(market, 1)
        market.mark()
        before = all_of(market)
        for _ in range(2):
            stories.append(play(market, 2))
            market.back()
            assert all_of(market) == before
    assert stories[1:] == stories[:1] * 3


def test_pages_are_zeros_and_may_be_written() -> None:
    for shape in (10, (3, LEAST_BYTES)):
        array = paged(shape, np.int64)
        assert array.shape == np.zeros(shape).shape
        assert not array.any()
        array[...] = 7
        assert (array == 7).all()


def leave_and_return(world: World) -> None:
    world.close()
    world.reset(5)


VERBS: dict[str, Callable[[World], object]] = {
    "step": lambda world: world.step(bids_of(1, world.ticks, reference_cpm(BUSY))),
    "three steps": lambda world: [world.step(3.0 * reference_cpm(BUSY)) for _ in range(3)],
    "new user": lambda world: world.get_or_create_user(f"ann {world.playing().record['next_number']}"),
    "touch": lambda world: world.record_touchpoint("u000000002", clicked=True),
    "convert": lambda world: world.record_conversion("u000000005", 9.5),
    "reset": lambda world: world.reset(),
    "reset with a seed": lambda world: world.reset(7),
    "end": lambda world: world.end_episode(),
    "commit": lambda world: world.commit(),
    "rollback": lambda world: world.rollback(),
    "leave and return": lambda world: leave_and_return(world),
}


def lived(history: list[str], commit_every: int, name: str) -> list[Any]:
    """All that a world was on its way."""
    world = World.open(open_store("memory:"), name, config=BUSY, commit_every=commit_every)
    world.reset(3)
    was: list[Any] = []
    for verb in history:
        try:
            VERBS[verb](world)
        except LookupError as error:
            was.append(str(error))
        was.append((all_of(world.playing()), dict(world.names.by_number), world.sequence, world.ticks))
    world.close()
    world.reset(5)
    was.append((all_of(world.playing()), world.sequence))
    world.close()
    return was


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(sorted(VERBS)), min_size=1, max_size=12), st.sampled_from([1, 3]))
def test_a_world_that_keeps_lines_lives_as_one_that_keeps_copies(history: list[str], every: int) -> None:
    copies = lived(history, every, "demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Market, "small", property(lambda market: False))
        assert lived(history, every, "demo") == copies
