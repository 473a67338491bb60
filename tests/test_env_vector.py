"""Many environments at once: every one gets a sub-world of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from storage.siblings import all_worlds
from tests.worlds import new_url

sb3_env_util = pytest.importorskip("stable_baselines3.common.env_util")
sb3_vec = pytest.importorskip("stable_baselines3.common.vec_env")


def made(url: str, vec: str, count: int) -> Any:
    return sb3_env_util.make_vec_env(
        "gaelp_env:AdMarket-tiny-v1",
        n_envs=count,
        seed=1,
        env_kwargs={"store": url, "world": "demo/*"},
        vec_env_cls={"dummy": sb3_vec.DummyVecEnv, "subproc": sb3_vec.SubprocVecEnv}[vec],
    )


def worlds(url: str) -> dict[str, int]:
    return {line.birth.world: line.sequence for _, line in all_worlds(url)}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_in_one_process(kind: str, tmp_path: Path) -> None:
    url = new_url(kind, tmp_path)
    for sequence in (1, 2):
        envs = made(url, "dummy", 4)
        envs.reset()
        for _ in range(24):
            _, _, dones, _ = envs.step(np.zeros((4, 5), np.float32))
        assert dones.all()
        envs.close()
        assert worlds(url) == {f"demo/{k}": sequence for k in range(4)}


def test_in_many_processes_and_then_in_one(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    envs = made(url, "subproc", 2)
    envs.reset()
    for _ in range(24):
        envs.step(np.zeros((2, 5), np.float32))
    envs.close()
    assert worlds(url) == {"demo/0": 1, "demo/1": 1}
    envs = made(url, "dummy", 3)
    envs.reset()
    for _ in range(24):
        envs.step(np.zeros((3, 5), np.float32))
    envs.close()
    assert worlds(url) == {"demo/0": 2, "demo/1": 2, "demo/2": 1}


def test_gymnasium_makes_vectors_too(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    envs = gym.make_vec(
        "gaelp_env:AdMarket-tiny-v1", num_envs=3, vectorization_mode="sync", store=url, world="demo/*"
    )
    envs.reset(seed=1)
    for _ in range(30):
        observations, *_ = envs.step(envs.action_space.sample())
    assert observations in envs.observation_space
    envs.close()
    assert sorted(worlds(url)) == ["demo/0", "demo/1", "demo/2"]


def test_an_algorithm_learns_on_several_worlds(tmp_path: Path) -> None:
    ppo = pytest.importorskip("stable_baselines3").PPO
    url = new_url("sqlite", tmp_path)
    envs = made(url, "dummy", 2)
    ppo("MlpPolicy", envs, n_steps=24, batch_size=48, n_epochs=1, device="cpu", seed=0).learn(96)
    envs.close()
    assert worlds(url) == {"demo/0": 2, "demo/1": 2}
