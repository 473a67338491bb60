"""The native vector env under Stable-Baselines3: what a DummyVecEnv of single ones is, for every learner."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gaelp_env.env import AdMarketEnv
from gaelp_env.vector import AdMarketVectorEnv
from storage.siblings import all_worlds
from tests.worlds import new_url

sb3 = pytest.importorskip("stable_baselines3")

from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback  # noqa: E402
from stable_baselines3.common.evaluation import evaluate_policy  # noqa: E402
from stable_baselines3.common.monitor import Monitor  # noqa: E402
from stable_baselines3.common.vec_env import (  # noqa: E402
    DummyVecEnv,
    VecEnv,
    VecFrameStack,
    VecNormalize,
)

from agents.sb3_vector import WorldsVecEnv  # noqa: E402

N = 3
TICKS = 5
CONFIG = {"people.users": 60, "people.media_per_day": 12.0, "clock.episode_ticks": TICKS}


def native(store: str | None = None, **terms: Any) -> WorldsVecEnv:
    return WorldsVecEnv(AdMarketVectorEnv(N, store, config=CONFIG, autoreset_mode="SameStep", **terms))


def dummy(**terms: Any) -> DummyVecEnv:
    def maker(place: int) -> Callable[[], gym.Env[Any, Any]]:
        return lambda: Monitor(AdMarketEnv(None, f"one/{place}", config=CONFIG, **terms))

    return DummyVecEnv([maker(place) for place in range(N)])


def plain(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Infos that `==` can compare: lists for arrays, and no clock on the wall."""
    told = []
    for info in infos:
        one = {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in info.items()
        }
        if "episode" in one:
            one["episode"] = {name: one["episode"][name] for name in ("r", "l")}
        told.append(one)
    return told


@pytest.mark.parametrize("terms", [{}, {"reward": "roas_score", "observe": "full", "per_audience": True}])
def test_three_episodes_are_those_of_monitored_single_envs(terms: dict[str, Any]) -> None:
    one, many = native(**terms), dummy(**terms)
    assert one.observation_space == many.observation_space and one.action_space == many.action_space
    for envs in (one, many):
        envs.seed(5)
    assert_array_equal(one.reset(), many.reset())
    assert one.reset_infos == many.reset_infos
    chance = np.random.default_rng(1)
    for step in range(3 * TICKS + 1):
        if step == 2:
            assert_array_equal(one.reset(), many.reset())
        actions = chance.uniform(-1.0, 1.0, (N, *one.action_space.shape)).astype(np.float32)
        found, expected = one.step(actions), many.step(actions)
        for value, wanted in zip(found[:3], expected[:3], strict=True):
            assert value.dtype == wanted.dtype
            assert_array_equal(value, wanted)
        assert plain(found[3]) == plain(expected[3])
        assert {k: type(v) for k, v in found[3][0].items()} == {k: type(v) for k, v in expected[3][0].items()}
        assert one.reset_infos == many.reset_infos
    one.close()


def ppo(envs: VecEnv) -> Any:
    return sb3.PPO(
        "MlpPolicy", envs, n_steps=2 * TICKS, batch_size=N * TICKS, n_epochs=1, seed=1, device="cpu"
    )


def test_ppo_learns_what_it_learns_from_single_envs() -> None:
    weights = []
    for envs in (native(), dummy()):
        model = ppo(VecNormalize(envs, norm_obs=True, norm_reward=True)).learn(N * TICKS * 4)
        assert [episode["l"] for episode in model.ep_info_buffer] == [TICKS] * len(model.ep_info_buffer)
        weights.append({name: value.numpy() for name, value in model.policy.state_dict().items()})
    for name, value in weights[0].items():
        assert_array_equal(value, weights[1][name], err_msg=name)


def test_sac_learns_and_bootstraps_through_the_horizon() -> None:
    envs = native()
    model = sb3.SAC("MlpPolicy", envs, learning_starts=6, buffer_size=100, batch_size=8, seed=1, device="cpu")
    model.learn(N * TICKS * 2)
    buffer: Any = model.replay_buffer
    last = TICKS - 1
    assert buffer.dones[last].tolist() == [1.0] * N and buffer.timeouts[last].tolist() == [1.0] * N
    assert buffer.dones[: last - 1].max() == 0.0
    assert (buffer.next_observations[last] != buffer.observations[last + 1]).any(), "the terminal observation"
    assert_array_equal(buffer.next_observations[0], buffer.observations[1])


@pytest.mark.skipif(importlib.util.find_spec("sb3_contrib") is None, reason="sb3-contrib is not installed")
def test_a_recurrent_policy_learns() -> None:
    from sb3_contrib import RecurrentPPO

    model = RecurrentPPO(
        "MlpLstmPolicy", native(), n_steps=2 * TICKS, batch_size=TICKS, n_epochs=1, device="cpu"
    )
    model.learn(N * TICKS * 4)
    assert len(model.ep_info_buffer) == 4 * N


def test_what_a_recurrent_learner_asks_is_there() -> None:
    """Episode starts come from `dones`, bootstrapping from the infos, state from `num_envs`."""
    envs = native()
    assert isinstance(envs, VecEnv) and envs.num_envs == N
    observations = envs.reset()
    assert isinstance(observations, np.ndarray) and observations.shape == (N, *envs.observation_space.shape)
    for _ in range(TICKS):
        observations, rewards, dones, infos = envs.step(np.zeros((N, 5), np.float32))
    assert dones.dtype == bool and dones.all() and rewards.dtype == np.float32
    for info in infos:
        assert info["TimeLimit.truncated"] is True
        assert envs.observation_space.contains(info["terminal_observation"])
        assert info["terminal_observation"].tolist() != observations[0].tolist()
    stacked = VecFrameStack(envs, 2)
    assert stacked.reset().shape == (N, 2 * envs.observation_space.shape[0])


def test_callbacks_and_evaluation(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    envs, watched = native(url), WorldsVecEnv(
        AdMarketVectorEnv(2, config=CONFIG, autoreset_mode="SameStep")
    )  # fmt: skip
    normalized = VecNormalize(envs)
    looking = VecNormalize(watched, training=False)
    model = ppo(normalized)
    callbacks = [
        EvalCallback(looking, n_eval_episodes=4, eval_freq=TICKS, log_path=str(tmp_path), verbose=0),
        CheckpointCallback(TICKS, str(tmp_path), save_vecnormalize=True),
    ]
    model.learn(N * TICKS * 4, callback=callbacks)
    kept = np.load(tmp_path / "evaluations.npz")
    assert (
        kept["ep_lengths"].tolist() == [[TICKS] * 4] * len(kept["timesteps"]) and len(kept["timesteps"]) >= 3
    )
    saved = sorted(tmp_path.glob("rl_model_*_steps.zip"))
    assert saved and len(list(tmp_path.glob("*vecnormalize*.pkl"))) == len(saved)
    again = VecNormalize.load(str(next(tmp_path.glob("*vecnormalize*.pkl"))), envs)
    sb3.PPO.load(saved[0], env=again).learn(N * TICKS * 2)
    mean, _ = evaluate_policy(model, watched, n_eval_episodes=4)
    assert np.isfinite(mean)
    normalized.close()


def test_the_environments_of_its_methods_are_the_worlds(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    envs = native(url, commit_every=9)
    envs.seed(1)
    envs.reset()
    for _ in range(TICKS):
        envs.step(np.zeros((N, 5), np.float32))
    assert [line.sequence for _, line in all_worlds(url)] == []
    assert envs.env_method("commit_world") == [1] * N
    assert [line.sequence for _, line in all_worlds(url)] == [1] * N
    assert envs.get_attr("name") == [f"demo/{place}" for place in range(N)]
    assert envs.get_attr("render_mode", 1) == [None]
    assert envs.env_method("totals", indices=[2])[0]["world"] == "demo/2"
    assert envs.env_is_wrapped(Monitor) == [True] * N
    assert envs.env_is_wrapped(gym.wrappers.TimeLimit) == [False] * N
    assert not envs.has_attr("nothing")
    envs.set_attr("note", 3, [0])
    assert envs.get_attr("note", [0]) == [3]
    with pytest.raises(AttributeError):
        envs.env_method("fly")
    envs.close()
    assert [line.holder for _, line in all_worlds(url)] == [""] * N


def test_pictures_are_tiled() -> None:
    envs = native(render_mode="rgb_array")
    envs.reset()
    picture = envs.render()
    assert picture is not None and picture.dtype == np.uint8 and picture.ndim == 3


def test_another_way_to_begin_anew_is_refused() -> None:
    with pytest.raises(ValueError, match='autoreset_mode="SameStep"'):
        WorldsVecEnv(AdMarketVectorEnv(2))
    envs = native()
    envs.set_options([{"continue": True}, {}, {}])
    with pytest.raises(ValueError, match="the same options"):
        envs.reset()
