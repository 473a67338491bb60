"""AdMarketImpressionEnv: Gymnasium's contract, the observation, persistence, and episodes without anybody."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.config import CHANNELS
from gaelp_env.impression import AdMarketImpressionEnv
from gaelp_env.impression_view import names, space
from gaelp_env.world import World
from storage.base import WorldMoved
from tests.worlds import new_url, state

SMALL: dict[str, Any] = {
    "people.users": 40, "people.media_per_day": 60.0, "clock.episode_ticks": 4, "clock.tick_minutes": 120.0,
    "response.creatives": [1.0],
}  # fmt: skip
NOBODY: dict[str, Any] = {
    **SMALL,
    "people.users": 1,
    "people.media_per_day": 1e-6,
    "people.visits_per_day": 0.0,
    "visits.return_probability": [0.0] * 5,
    "visits.return_buyer": 0.0,
}
BID = np.array([0.4], np.float32)


def small(**arguments: Any) -> AdMarketImpressionEnv:
    return AdMarketImpressionEnv(**{"config": SMALL, **arguments})


def played(env: AdMarketImpressionEnv, action: Any = BID) -> tuple[int, float]:
    """Plays the open episode to its end: (steps, sum of rewards)."""
    steps, total, truncated = 0, 0.0, False
    while not truncated:
        _, reward, terminated, truncated, _ = env.step(action)
        assert not terminated
        steps, total = steps + 1, total + reward
    return steps, total


@pytest.mark.parametrize("name", ["AdMarketImpression-v0", "AdMarketImpression-tiny-v0"])
def test_gymnasium_finds_nothing_to_complain_about(name: str) -> None:
    env = gym.make(f"gaelp_env:{name}")
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


def test_equal_seeds_give_equal_episodes() -> None:
    stories = []
    for _ in range(2):
        env = small(observe="full")
        views = [env.reset(seed=3)[0]]
        for k in range(60):
            views.append(env.step(np.array([np.sin(k)]))[0])
        stories.append(np.stack(views).tobytes())
    assert stories[0] == stories[1]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["advertiser", "full"]))
def test_every_observation_is_in_the_space_and_shows_one_opportunity(seed: int, observe: str) -> None:
    env = small(observe=observe)
    view, told = env.reset(seed=seed)
    truncated, at = False, {name: k for k, name in enumerate(names(observe))}
    while not truncated:
        assert view in space(observe)
        for group in ("channel_", "device_", "audience_"):
            assert sum(view[k] for name, k in at.items() if name.startswith(group)) == 1.0
        assert view[at[f"channel_{CHANNELS[told['channel']]}"]] == 1.0
        view, _, _, truncated, told = env.step(BID)
    assert view in space(observe)
    assert not view[at["channel_search"] : at["user_visit_age"] + 1].any()
    assert told["channel"] == told["user"] == -1


def test_what_is_known_of_a_user_is_what_happened_to_them() -> None:
    env, seen, bought = small(observe="full"), {}, 0
    view, told = env.reset(seed=1)
    at = {name: k for k, name in enumerate(env.observation_names)}
    for _ in range(3):
        truncated = False
        while not truncated:
            user, n = told["user"], seen.get(told["user"], 0)
            assert view[at["user_touches"]] == pytest.approx(n / (5.0 + n), rel=1e-6)
            assert (view[at["user_touch_age"]] == 1.0) == (n == 0)
            assert (view[at["audience_new"]] == 1.0) <= (n == 0)
            view, _, _, truncated, told = env.step(np.array([1.0]))
            seen[user] = n + told["view"]
            bought += told["click"]
        view, told = env.reset()
    assert max(seen.values()) > 5
    assert bought > 0


def test_a_won_auction_has_a_price_and_a_lost_one_has_none() -> None:
    env = small()
    env.reset(seed=2)
    told = [env.step(BID)[4] for _ in range(100)]
    assert {True, False} == {one["win"] for one in told}
    assert all((one["price"] == 0.0 and not one["view"]) or one["win"] for one in told)
    assert all(isinstance(value, bool | int | float) for one in told for value in one.values())


def test_no_bid_wins_nothing() -> None:
    env = small(reward="accrued_profit")
    env.reset(seed=2)
    steps, total = played(env, np.array([-1.0]))
    assert steps > 50
    assert total == 0.0


def test_the_creative_that_is_asked_for_is_shown() -> None:
    env = small(config={**SMALL, "response.creatives": [1.0, 0.0], "response.fatigue_by": "creative"})
    assert env.action_space.shape == (2,)
    totals = []
    for creative in (-1.0, 1.0):  # the second one does nothing
        env.reset(seed=5)
        played(env, np.array([0.8, creative]))
        totals.append(env.world.playing().record["awareness_sum"])
        fatigue = env.world.playing().population.hot["fatigue"].sum(axis=0)
        assert np.argmax(fatigue) == (creative > 0)
        env.close()
    assert totals[0] > 0 == totals[1]


@pytest.mark.parametrize("action", [[np.nan], [0.0, 0.0], 0.0, ["x"], None])
def test_an_action_that_cannot_be_changes_nothing(action: Any) -> None:
    env, twin = small(), small()
    for one in (env, twin):
        one.reset(seed=1)
        one.step(BID)
    with pytest.raises(ValueError, match="An action"):
        env.step(action)
    assert env.step(BID)[0].tobytes() == twin.step(BID)[0].tobytes()


def test_before_reset_and_after_the_end_there_is_no_step() -> None:
    env = small()
    with pytest.raises(ResetNeeded, match="has not begun"):
        env.step(BID)
    env.reset(seed=1)
    played(env)
    with pytest.raises(ResetNeeded, match="is over"):
        env.step(BID)


def test_an_episode_without_anybody_is_one_step_that_is_truncated() -> None:
    env = small(config=NOBODY)
    view, told = env.reset(seed=1)
    assert told["channel"] == -1
    assert not view[list(env.observation_names).index("channel_search") :].any()
    _, reward, terminated, truncated, _ = env.step(BID)
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert env.world.episodes_finished == 1
    assert int(env.world.playing().record["tick"]) == 4


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_people_persist_and_a_broken_day_is_played_to_the_end_of_its_tick(kind: str, tmp_path: Path) -> None:
    url = new_url(kind, tmp_path)
    env = small(store=url)
    env.reset(seed=1)
    for _ in range(30):
        env.step(BID)
    env.close()
    world = World.open(url, mode="read")
    world.reset(seed=0)
    record = world.playing().record
    assert record["episode"] == 1
    assert 1 <= record["tick"] < 4
    assert record["touches"] > 0
    kept = state(world)
    world.close()
    env = small(store=url, config=None, creatives=1)
    env.reset()
    env.close()  # a look is no episode
    world = World.open(url, mode="read")
    world.reset(seed=0)
    assert world.episodes_finished == 1
    assert state(world) == kept
    world.close()


def test_a_resumed_world_is_the_unbroken_one(tmp_path: Path) -> None:
    def story(url: str | None, breaks: bool) -> bytes:
        env = small(store=url)
        env.reset(seed=4)
        for _ in range(3):
            played(env)
            if breaks:
                env.close()
                env = small(store=url)
            env.reset()
        env.close()
        world = World.open(url, mode="read")
        world.reset(seed=9)
        whole = state(world)
        world.close()
        return whole

    assert story(new_url("sqlite", tmp_path), True) == story(new_url("sqlite", tmp_path), False)


def test_events_are_in_the_store(tmp_path: Path) -> None:
    from tests.worlds import rows

    url = new_url("sqlite", tmp_path)
    env = small(store=url)
    env.reset(seed=6)
    seen = 0
    truncated = False
    while not truncated:
        _, _, _, truncated, told = env.step(np.array([1.0]))
        seen += told["view"]
    env.close()
    assert len(rows(url, "touchpoints")) == seen > 0
    assert rows(url, "episodes")[0]["views"] == seen


def test_a_seed_drops_the_unfinished_day() -> None:
    env = small()
    first = env.reset(seed=3)[0]
    for _ in range(20):
        env.step(BID)
    assert env.reset(seed=3)[0].tobytes() == first.tobytes()
    assert env.world.episodes_finished == 0


def test_a_look_takes_no_lease_and_the_first_step_fails_if_the_world_has_moved(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    one = small(store=url)
    one.reset(seed=1)
    played(one)
    one.close()
    one, other = small(store=url), small(store=url)
    one.reset()
    other.reset()
    played(other)
    other.close()
    with pytest.raises(WorldMoved):
        one.step(BID)
    with pytest.raises(ResetNeeded):
        one.step(BID)
    one.reset()
    played(one)
    one.close()


def test_reading_writes_nothing_and_can_go_on(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    env = small(store=url)
    env.reset(seed=1)
    played(env)
    env.close()
    reader = small(store=url, mode="read")
    first = reader.reset(seed=5)[0]
    for _ in range(10):
        reader.step(BID)
    assert reader.reset(seed=5)[0].tobytes() == first.tobytes()
    played(reader)
    reader.reset(options={"continue": True})
    assert reader.world.episodes_finished == 2
    reader.close()
    world = World.open(url, mode="read")
    world.reset()
    assert world.episodes_finished == 1
    world.close()


def test_a_commit_in_the_middle_of_a_tick_is_refused() -> None:
    env = small(store="memory:test-impression-commit", commit_every=5)
    env.reset(seed=1)
    played(env)
    env.reset()
    with pytest.raises(RuntimeError, match="opportunity by opportunity"):
        env.world.commit()
    env.close()


def test_copies_carry_arguments_only() -> None:
    env = small(reward="profit")
    env.reset(seed=1)
    copy = pickle.loads(pickle.dumps(env))
    assert copy.world.market is None
    assert copy.reset(seed=1)[0].tobytes() == small(reward="profit").reset(seed=1)[0].tobytes()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [({"reward": "x"}, "reward"), ({"observe": "x"}, "observe"), ({"render_mode": "ansi"}, "render_mode")],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        small(**arguments)


def test_a_world_with_other_creatives_says_so(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    env = small(store=url)
    env.reset(seed=1)
    played(env)
    env.close()
    env = small(store=url, config=None)  # the defaults have several creatives
    with pytest.raises(ValueError, match="creatives=1"):
        env.reset()
    env = small(store=url, config=None, creatives=1)
    env.reset()
    env.close()
