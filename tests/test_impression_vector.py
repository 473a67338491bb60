"""Many worlds at once: each is bit for bit the single environment, in every autoreset mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from gaelp_env.impression import AdMarketImpressionEnv
from gaelp_env.impression_vector import AdMarketImpressionVectorEnv
from storage.siblings import all_worlds
from tests.test_impression import SMALL
from tests.worlds import new_url

N = 3


def many(**arguments: Any) -> AdMarketImpressionVectorEnv:
    return AdMarketImpressionVectorEnv(**{"num_envs": N, "config": SMALL, "info": "full", **arguments})


def action_of(step: int, e: int) -> np.ndarray:
    return np.array([np.sin(1.3 * step + e)], np.float32)


def alone(seed: int, e: int, mode: AutoresetMode, steps: int) -> list[tuple[bytes, float, bool]]:
    """What the single environment does in a loop with that autoreset mode."""
    env = AdMarketImpressionEnv(config=SMALL)
    story = [(env.reset(seed=seed + e)[0].tobytes(), 0.0, False)]
    over = False
    for step in range(steps):
        if over:
            view, reward, over = env.reset()[0], 0.0, False
        else:
            view, reward, _, over, _ = env.step(action_of(step, e))
            if over and mode is AutoresetMode.SAME_STEP:
                story.append((env.reset()[0].tobytes(), reward, True))
                over = False
                continue
        story.append((view.tobytes(), reward, over))
    return story


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_each_world_is_the_single_environment(mode: AutoresetMode) -> None:
    envs, steps = many(autoreset_mode=mode), 1500
    views, _ = envs.reset(seed=10)
    stories = [[(views[e].tobytes(), 0.0, False)] for e in range(N)]
    ends = 0
    for step in range(steps):
        views, rewards, terminations, truncations, infos = envs.step(
            np.stack([action_of(step, e) for e in range(N)])
        )
        assert views in envs.observation_space
        assert not terminations.any()
        for e in range(N):
            stories[e].append((views[e].tobytes(), float(rewards[e]), bool(truncations[e])))
        ends += truncations.sum()
        if mode is AutoresetMode.SAME_STEP and truncations.any():
            assert (infos["_final_obs"] == truncations).all()
            assert all((infos["final_obs"][e] is not None) == truncations[e] for e in range(N))
    assert ends > N
    for e in range(N):
        assert stories[e] == alone(10, e, mode, steps)
    envs.close()


def test_the_number_of_threads_changes_no_bit() -> None:
    stories = []
    for threads in (1, 2):
        envs = many(num_envs=260, threads=threads)
        assert envs.reset(seed=1)[0].shape[0] == 260
        story = [
            b"".join(part.tobytes() for part in envs.step(np.full((260, 1), 0.3))[:4]) for _ in range(200)
        ]
        stories.append(story)
        envs.close()
    assert stories[0] == stories[1]


def test_disabled_asks_for_a_reset_of_those_that_are_over() -> None:
    envs = many(autoreset_mode="Disabled")
    envs.reset(seed=1)
    actions = np.zeros((N, 1), np.float32)
    truncations = np.zeros(N, np.bool_)
    while not truncations.any():
        *_, truncations, _ = envs.step(actions)
    with pytest.raises(ResetNeeded, match="reset_mask"):
        envs.step(actions)
    before = [world.episodes_finished for world in envs.worlds]
    envs.reset(options={"reset_mask": truncations})
    assert [world.episodes_finished for world in envs.worlds] == before == truncations.tolist()
    envs.step(actions)
    envs.close()


def test_gymnasium_makes_it() -> None:
    envs = gym.make_vec("gaelp_env:AdMarketImpression-tiny-v0", num_envs=4, info="full")
    assert isinstance(envs.unwrapped, AdMarketImpressionVectorEnv)
    _, told = envs.reset(seed=1)
    assert set(told) == {"win", "view", "click", "price", "channel", "user", "tick"}
    envs.step(envs.action_space.sample())
    envs.close()


def test_worlds_of_a_store_persist(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    for finished in (1, 2):
        envs = many(store=url)
        envs.reset(seed=None if finished == 2 else 1)
        for _ in range(20):
            envs.step(np.zeros((N, 1), np.float32))
        envs.close()
        assert {line.birth.world: line.sequence for _, line in all_worlds(url)} == {
            f"demo/{e}": finished for e in range(N)
        }


def test_handed_out_arrays_are_the_callers() -> None:
    envs = many()
    views, _ = envs.reset(seed=1)
    kept = views.copy()
    envs.step(np.zeros((N, 1), np.float32))
    assert (views == kept).all()
    envs.close()


@pytest.mark.parametrize("actions", [np.zeros(N), np.zeros((N, 2)), np.full((N, 1), np.inf)])
def test_actions_that_cannot_be(actions: Any) -> None:
    envs = many()
    with pytest.raises(ResetNeeded):
        envs.step(np.zeros((N, 1)))
    envs.reset(seed=1)
    with pytest.raises(ValueError, match="An action"):
        envs.step(actions)
    with pytest.raises(ValueError, match="seeds"):
        envs.reset(seed=[1])
    with pytest.raises(ValueError, match="reset_mask"):
        envs.reset(options={"reset_mask": [True] * N})
    envs.close()


@pytest.mark.parametrize("arguments", [{"num_envs": 0}, {"info": "some"}, {"autoreset_mode": "never"}])
def test_arguments_that_cannot_be(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        many(**arguments)
