"""Many worlds stepped by one call are the single ones, number for number."""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.testing import assert_array_equal

from gaelp_env.actions import all_bids_cpm, bids_cpm
from gaelp_env.env import AdMarketEnv
from gaelp_env.ledger import A
from gaelp_env.observation import observe_market, observe_markets
from gaelp_env.registration import IDS
from gaelp_env.reward import REWARDS, rewards_of
from gaelp_env.told import tell, tell_all
from gaelp_env.vector import AdMarketVectorEnv
from tests.worlds import new_url

N = 3
TICKS = 5
TERMS: dict[str, Any] = {
    "config": {"people.users": 60, "people.media_per_day": 12.0, "clock.episode_ticks": TICKS}
}
MODES = list(AutoresetMode)


def native(mode: AutoresetMode | str = "NextStep", **terms: Any) -> AdMarketVectorEnv:
    return AdMarketVectorEnv(N, autoreset_mode=mode, **(TERMS | terms))


def singles(mode: AutoresetMode, **terms: Any) -> SyncVectorEnv[Any, Any]:
    return SyncVectorEnv(
        [lambda place=place: AdMarketEnv(world=f"one/{place}", **(TERMS | terms)) for place in range(N)],  # type: ignore[misc]
        autoreset_mode=mode,
    )


def acts(step: int, width: int = 5) -> np.ndarray[Any, Any]:
    return np.random.default_rng(step).uniform(-1.1, 1.0, (N, width)).astype(np.float32)


def same(found: Any, expected: Any, where: str = "") -> None:
    """Equal in every bit, and of one type."""
    if isinstance(expected, dict):
        assert set(found) == set(expected), where
        for name in expected:
            same(found[name], expected[name], f"{where}/{name}")
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and found.shape == expected.shape, where
        if expected.dtype == object:
            for one, other in zip(found, expected, strict=True):
                same(one, other, where)
        else:
            assert_array_equal(found, expected, err_msg=where)
    elif isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            same(one, other, where)
    else:
        assert found == expected and type(found) is type(expected), where


VARIANTS: list[dict[str, Any]] = [
    {},
    {"reward": "cpa_score", "observe": "full", "per_audience": True},
    {
        "reward": "accrued_profit",
        "config": TERMS["config"]
        | {"budget.per_episode": 2.0, "budget.per_day": 3.0, "budget.lifetime": 9.0},
    },
    {"reward": "conversions", "store": "memory:"},
]


@pytest.mark.parametrize("terms", VARIANTS)
@pytest.mark.parametrize("mode", MODES)
def test_three_episodes_are_those_of_single_envs(mode: AutoresetMode, terms: dict[str, Any]) -> None:
    one, many = native(mode, **terms), singles(mode, **terms)
    assert one.metadata["autoreset_mode"] is mode
    assert one.observation_space == many.observation_space and one.action_space == many.action_space
    same(one.reset(seed=11), many.reset(seed=11), "reset")
    ended = 0
    for step in range(3 * (TICKS + 1)):
        actions = acts(step, 20 if terms.get("per_audience") else 5)
        found, expected = one.step(actions), many.step(actions)
        same(found, expected, f"step {step}")
        ended += int(found[3].sum())
        if mode is AutoresetMode.DISABLED and found[3].any():
            same(one.reset(), many.reset(), f"reset after step {step}")
    assert ended == 3 * N
    one.close()
    many.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_part_can_be_reset_and_episodes_then_end_apart(mode: AutoresetMode) -> None:
    one, many = native(mode), singles(mode)
    for envs in (one, many):
        envs.reset(seed=[3, 5, 7])
    for step in range(4 * TICKS):
        if step in (2, 9):
            mask = np.arange(N) == step % N
            seeds = [None, 8, None]
            same(
                one.reset(seed=seeds, options={"reset_mask": mask.copy()}),
                many.reset(seed=seeds, options={"reset_mask": mask.copy()}),
                f"reset at {step}",
            )
        found, expected = one.step(acts(step)), many.step(acts(step))
        same(found, expected, f"step {step}")
        if mode is AutoresetMode.DISABLED and found[3].any():
            options: list[dict[str, Any]] = [{"reset_mask": found[3].copy()} for _ in range(2)]
            same(one.reset(options=options[0]), many.reset(options=options[1]))
            assert "reset_mask" in options[0], "the caller's options stay as they are"
    one.close()
    many.close()


def test_every_answer_is_in_memory_of_its_own() -> None:
    envs = native("SAME_STEP")
    other = native("SAME_STEP")
    for each in (envs, other):
        each.reset(seed=1)
    answers = []
    for step in range(TICKS + 2):
        found, expected = envs.step(acts(step)), other.step(acts(step))
        same(found, expected)
        answers.append((found, pickle.loads(pickle.dumps(found))))
        if step == TICKS:
            for array in found[:4]:
                array[:] = 1
    for found, kept in answers[:TICKS]:
        same(found, kept)


def test_seeds_and_masks_that_cannot_be_are_refused_and_nothing_changes() -> None:
    envs = native()
    with pytest.raises(ResetNeeded, match="call reset"):
        envs.step(acts(0))
    with pytest.raises(ResetNeeded, match="reset all of them first"):
        envs.reset(options={"reset_mask": np.array([True, False, False])})
    envs.reset(seed=1)
    envs.step(acts(0))
    before = [world.playing().record_bytes() for world in envs.worlds]
    for seed in ([1, 2], [1, 2, -3], True):
        with pytest.raises(ValueError, match="seed"):
            envs.reset(seed=seed)
    for mask, error in (
        ([True] * N, TypeError),
        (np.ones(2, bool), ValueError),
        (np.zeros(N, bool), ValueError),
    ):
        with pytest.raises(error, match="reset_mask"):
            envs.reset(options={"reset_mask": mask})
    assert [world.playing().record_bytes() for world in envs.worlds] == before


def test_actions_that_cannot_be_are_refused_and_nothing_changes() -> None:
    envs = native()
    envs.reset(seed=1)
    before = [world.playing().record_bytes() for world in envs.worlds]
    wrong = acts(0)
    wrong[1, 2] = np.nan
    with pytest.raises(ValueError, match="market 1 for display is nan"):
        envs.step(wrong)
    with pytest.raises(ValueError, match=r"shape \(3, 5\), and this one has shape \(2, 5\)"):
        envs.step(wrong[:2])
    assert [world.playing().record_bytes() for world in envs.worlds] == before
    envs.step(acts(0))


def test_without_autoreset_an_episode_that_is_over_is_not_stepped() -> None:
    envs = native("Disabled")
    envs.reset(seed=1)
    for step in range(TICKS):
        envs.step(acts(step))
    with pytest.raises(ResetNeeded, match="is over; call reset"):
        envs.step(acts(0))
    envs.reset(options={"reset_mask": np.array([True, True, False])})
    with pytest.raises(ResetNeeded, match="demo/2' is over"):
        envs.step(acts(0))


@pytest.mark.filterwarnings("ignore:.*is out of date:DeprecationWarning")
@pytest.mark.parametrize("id_", [id_ for id_ in IDS if "Impression" not in id_])
def test_gymnasium_makes_every_id_and_its_spec_travels(id_: str) -> None:
    envs = gym.make_vec(f"gaelp_env:{id_}", num_envs=2)
    assert isinstance(envs, AdMarketVectorEnv)
    assert envs.spec is not None
    again = gym.make_vec(pickle.loads(pickle.dumps(envs.spec)))
    assert isinstance(again, AdMarketVectorEnv) and again.num_envs == 2
    assert again.action_space == envs.action_space


def test_gymnasium_makes_it_by_name_with_all_arguments(tmp_path: Any) -> None:
    envs = gym.make_vec(
        "gaelp_env:AdMarket-tiny-v1", num_envs=8, vectorization_mode="vector_entry_point",
        store=new_url("sqlite", tmp_path), world="demo", commit_every=2, touch_log="none", retain_days=3.0,
        reward="conversions", observe="full", autoreset_mode="SameStep",
    )  # fmt: skip
    found = envs.unwrapped
    assert isinstance(found, AdMarketVectorEnv)
    observations, _ = envs.reset(seed=3)
    assert observations in envs.observation_space
    assert [world.name for world in found.worlds] == [f"demo/{k}" for k in range(8)]
    stepped = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    stepped.reset(seed=3)
    for _ in range(24):
        *_, infos = stepped.step(envs.action_space.sample())
    assert infos["episode"]["l"].tolist() == [24] * 8
    stepped.close()


def test_a_copy_carries_the_arguments_alone() -> None:
    envs = native(observe="full")
    envs.reset(seed=1)
    copy = pickle.loads(pickle.dumps(envs))
    assert copy.observation_names == envs.observation_names
    same(copy.reset(seed=2), envs.reset(seed=2))


@pytest.mark.parametrize("draw", ["ansi", "rgb_array"])
def test_pictures_are_those_of_single_envs(draw: str) -> None:
    one, many = native("SAME_STEP", render_mode=draw), singles(AutoresetMode.SAME_STEP, render_mode=draw)
    with pytest.raises(ResetNeeded, match="nothing to see"):
        one.render()
    one.reset(seed=1)
    many.reset(seed=1)
    for step in range(TICKS + 2):
        one.step(acts(step))
        many.step(acts(step))
        for found, expected in zip(one.render() or (), many.render(), strict=True):
            if draw == "ansi":
                assert found.replace("demo/", "one/") == expected
            else:
                assert np.shape(found) == np.shape(expected)
    assert native().render() is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_envs": 0}, "num_envs is a whole number"),
        ({"num_envs": 2, "world": ["a"]}, "as many names"),
        ({"num_envs": 2, "world": "demo/1"}, "one writer"),
        ({"num_envs": 2, "world": ["a", "a"]}, "one writer"),
        ({"autoreset_mode": "Next"}, "did you mean 'NextStep'"),
        ({"reward": "profits"}, "did you mean 'profit'"),
    ],
)
def test_arguments_that_cannot_be_are_refused_in_words(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AdMarketVectorEnv(**arguments)


def test_the_rows_of_a_batch_do_not_hang_on_each_other() -> None:
    """What is computed for all is bit for bit what is computed for one, whatever its neighbours."""
    envs = native(observe="full", per_audience=True)
    envs.reset(seed=1)
    for step in range(TICKS - 1):
        envs.step(acts(step, 20))
    records, configs = envs._block.records, [world.playing().config for world in envs.worlds]
    seen = observe_markets(records, envs._block.lenses, "full")
    bids = all_bids_cpm(acts(7, 20), envs._block.levels, A, np.ones(N, bool))
    told = tell_all(records, bids, envs._block.limits)
    for place, (world, config) in enumerate(zip(envs.worlds, configs, strict=True)):
        market, ledger = world.playing(), records["last"][place]
        assert_array_equal(seen[place], observe_market(records[place], config, "full"))
        assert_array_equal(bids[place], bids_cpm(acts(7, 20)[place], config, A))
        one = tell(ledger, bids[place], world.episodes_finished + 1, market.budget_left)
        assert {name: values[place].item() for name, values in told.items()} == one
        for name, reward in REWARDS.items():
            rewards = rewards_of(name, records["last"], envs._block.goals)
            assert rewards[place] == reward(ledger, config.goals)


def returns_by_rllib(envs: AdMarketVectorEnv, steps: int) -> list[list[float]]:
    """Returns of finished episodes, counted as RLlib's vector runner does: after an episode's end one step
    is the next one's reset, whose action and reward are nobody's."""
    finished: list[list[float]] = [[] for _ in range(envs.num_envs)]
    running = [0.0] * envs.num_envs
    done = [False] * envs.num_envs
    for step in range(steps):
        _, rewards, terminated, truncated, _ = envs.step(acts(step))
        for place in range(envs.num_envs):
            if done[place]:
                running[place], done[place] = 0.0, False
                continue
            running[place] += float(rewards[place])
            if terminated[place] or truncated[place]:
                finished[place].append(running[place])
                done[place] = True
    return finished


def test_returns_counted_as_rllib_does_are_the_true_ones() -> None:
    envs = native(AutoresetMode.NEXT_STEP)
    envs.reset(seed=4)
    counted = returns_by_rllib(envs, 3 * (TICKS + 1))
    for place in range(N):
        env = AdMarketEnv(**TERMS)
        env.reset(seed=4 + place)
        truth = []
        for episode in range(3):
            first = episode * (TICKS + 1)
            truth.append(sum((env.step(acts(first + tick)[place])[1] for tick in range(TICKS)), 0.0))
            env.reset()
        assert counted[place] == pytest.approx(truth, rel=1e-12)
