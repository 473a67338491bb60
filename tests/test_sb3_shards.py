"""Shards under Stable-Baselines3: four processes train on one world, and do what one process would do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray

from gaelp_env.env import AdMarketEnv
from gaelp_env.vector import AdMarketVectorEnv
from gaelp_env.world_shards import Share
from storage.siblings import all_worlds
from tests.test_world_shards import snapshots
from tests.worlds import TICKS, new_url

sb3 = pytest.importorskip("stable_baselines3")

from stable_baselines3.common.env_util import make_vec_env  # noqa: E402
from stable_baselines3.common.vec_env import SubprocVecEnv  # noqa: E402

S = 4
# Which seed a shard is born from is a race, so there are people enough for ads in every one of them.
CONFIG = {"people.users": 242, "people.media_per_day": 24.0, "clock.episode_ticks": TICKS}
NAMES = ("sara", "tom", "ann", "lee", "kim", "joe")


class Welcoming(gym.Wrapper[Any, Any, Any, Any]):
    """An environment in which people can be met by name from another process."""

    def welcome(self, user_id: str) -> str:
        """Meets a user; returns the stage."""
        world = self.unwrapped.world  # type: ignore[attr-defined]
        return str(world.get_or_create_user(user_id)["current_journey_state"])


def welcoming(url: str) -> gym.Env[Any, Any]:
    return Welcoming(AdMarketEnv(url, config=CONFIG, shards=S))


def homes() -> dict[str, int]:
    """Name -> the shard in which such a user lives."""
    found = {}
    for name in NAMES:
        for shard in range(S):
            try:
                Share(shard, S).check_name(name)
            except ValueError:
                continue
            found[name] = shard
    return found


def actions_of(rounds: int) -> NDArray[np.float32]:
    """Recorded actions, `[T, shard, 5]`: two episodes and one that is cut short by closing."""
    chance = np.random.default_rng(rounds)
    return chance.uniform(-1.0, 1.0, (2 * TICKS + 2, S, 5)).astype(np.float32)


def by_processes(url: str, rounds: int) -> dict[int, int]:
    """Four processes take a shard each and play it; shard -> seed of its first reset."""
    makers: list[Callable[[], gym.Env[Any, Any]]] = [partial(welcoming, url) for _ in range(S)]
    envs = SubprocVecEnv(makers)
    try:
        seeds = envs.seed(11) if rounds == 0 else [None] * S
        envs.reset()
        shards = envs.get_attr("shard")
        assert sorted(shards) == list(range(S))
        for name, shard in homes().items():
            envs.env_method("welcome", name, indices=[shards.index(shard)])
        for actions in actions_of(rounds):
            infos = envs.step(actions[shards])[-1]
        assert [info["shard"] for info in infos] == shards
    finally:
        envs.close()
    return dict(zip(shards, seeds, strict=True))


def by_one(url: str, rounds: int, seeds: dict[int, int]) -> None:
    """One process plays all shards by one call a step."""
    env = AdMarketVectorEnv(S, url, "demo", CONFIG, shards=S, autoreset_mode="SameStep")
    env.reset(seed=[seeds[shard] for shard in range(S)])
    for name, shard in homes().items():
        env.worlds[shard].get_or_create_user(name)
    for actions in actions_of(rounds):
        env.step(actions)
    env.close()


def test_four_processes_do_what_one_does_bit_for_bit(tmp_path: Path) -> None:
    many, one = new_url("sqlite", tmp_path), new_url("sqlite", tmp_path)
    assert len(set(homes().values())) > 1
    for rounds in (0, 1):  # the second time the world is opened again
        by_one(one, rounds, by_processes(many, rounds))
        found, expected = snapshots(many), snapshots(one)
        for mine, other in zip(found, expected, strict=True):
            assert mine == other
        assert [sequence for sequence, *_ in found] == [3 * (rounds + 1)] * S
        users = [row["user_id"] for *_, rows in found for row in rows["persistent_users"]]
        assert len(users) == len(set(users)) >= 242 + len(NAMES)
        assert set(NAMES) <= set(users)
        assert all(rows["touchpoints"] and len(rows["episodes"]) == 3 * (rounds + 1) for *_, rows in found)


def test_make_vec_env_trains_on_all_shards(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    envs = make_vec_env(
        "gaelp_env:AdMarket-tiny-v1",
        n_envs=S,
        seed=3,
        vec_env_cls=SubprocVecEnv,
        env_kwargs={"store": url, "world": "demo", "shards": S},
    )
    try:
        learner = sb3.PPO("MlpPolicy", envs, n_steps=48, batch_size=96, n_epochs=1, seed=1, device="cpu")
        learner.learn(2 * S * 48)
        assert sorted(envs.get_attr("shard")) == list(range(S))
    finally:
        envs.close()
    ((_, line),) = all_worlds(url)
    assert [each.sequence for each in line.shards] == [4] * S
