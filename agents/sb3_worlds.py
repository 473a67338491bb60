"""Worlds as the vectorised environments of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from agents.sb3_vector import WorldsVecEnv
from gaelp_env.config import MarketConfig
from gaelp_env.vector import AdMarketVectorEnv
from gaelp_env.world import World
from storage.base import WorldExists
from storage.siblings import all_worlds

REWARD = "accrued_profit"
COMMIT_EVERY = 25
RETAIN_DAYS = 30.0
TERMS: dict[str, Any] = {
    "reward": REWARD, "commit_every": COMMIT_EVERY, "touch_log": "clicks", "retain_days": RETAIN_DAYS,
}  # fmt: skip
"""Arguments of the environments to learn in."""


@dataclass(frozen=True, slots=True)
class Learning:
    """What a learning environment is made of; travels to worker processes.

    Attributes:
      store, world, config: as AdMarketEnv's; `config` is for the birth of a new world.
      seed: of the world's birth.
    """

    store: str
    world: str
    config: MarketConfig
    seed: int


class LearningWorld(gym.Wrapper[Any, Any, Any, Any]):
    """A world to learn in, with the verbs that a training run needs beside `step`."""

    def __init__(self, learning: Learning) -> None:
        self._learning = learning
        self._newborn: World | None = None
        super().__init__(
            gym.make(
                "gaelp_env:AdMarket-v1",
                disable_env_checker=True,
                store=learning.store,
                world=learning.world,
                config=learning.config.model_dump(),
                **TERMS,
            )
        )

    def be_born(self) -> bool:
        """Births the world unless it is there, and holds it until `let_go`; whether it was born now."""
        wanted = self._learning
        try:
            self._newborn = World.create(wanted.store, wanted.world, config=wanted.config, seed=wanted.seed)
        except WorldExists:
            return False
        return True

    def let_go(self) -> None:
        """Lets go of a world that was born here; its first step takes it again."""
        if self._newborn is not None:
            self._newborn.close()
            self._newborn = None

    def commit_world(self) -> int:
        """Commits the episodes that have finished; the sequence of the last commit."""
        world: World = self.env.unwrapped.world  # type: ignore[attr-defined]
        return world.commit()


def learning_envs(learnings: Sequence[Learning], vec: str) -> VecEnv:
    """One environment a world, born if need be, in this process or each in its own.

    With "subproc" every newborn world gets a file of its own, since a file has one writing process.

    Args:
      learnings: one a world, alike but for world and seed.
      vec: "native" (one call steps all), "dummy" or "subproc".
    """
    if vec == "native":
        return _native_envs(learnings)

    def maker(learning: Learning) -> Callable[[], gym.Env[Any, Any]]:
        return lambda: Monitor(LearningWorld(learning))

    if vec == "subproc":
        _refuse_shared_file(learnings)
    makers = [maker(learning) for learning in learnings]
    envs: VecEnv = SubprocVecEnv(makers) if vec == "subproc" else DummyVecEnv(makers)
    try:
        for place in range(len(makers)):
            envs.env_method("be_born", indices=[place])
        envs.env_method("let_go")
    except BaseException:
        envs.close()
        raise
    return envs


def _native_envs(learnings: Sequence[Learning]) -> VecEnv:
    newborn: list[World] = []
    try:
        for wanted in learnings:
            with suppress(WorldExists):
                newborn.append(
                    World.create(wanted.store, wanted.world, config=wanted.config, seed=wanted.seed)
                )
    finally:
        for world in newborn:
            world.close()
    vector = AdMarketVectorEnv(
        len(learnings),
        learnings[0].store,
        [wanted.world for wanted in learnings],
        learnings[0].config,
        autoreset_mode="SameStep",
        **TERMS,
    )
    return WorldsVecEnv(vector)


def _refuse_shared_file(learnings: Sequence[Learning]) -> None:
    there = {line.birth.world: url for url, line in all_worlds(learnings[0].store)}
    homes = [there[learning.world] for learning in learnings if learning.world in there]
    shared = next((home for home in homes if homes.count(home) > 1), None)
    if shared is not None:
        raise ValueError(
            f"Several of the worlds live in one file, {shared}, and a file has one writing process: go on "
            "with --vec native, or let --vec subproc begin new worlds, under another --world or --store."
        )


def watched_env(store: str, world: str) -> VecEnv:
    """One world opened for reading, at its latest commit: to watch a policy without touching anybody."""

    def make() -> gym.Env[Any, Any]:
        return Monitor(
            gym.make(
                "gaelp_env:AdMarket-v1",
                disable_env_checker=True,
                store=store,
                world=world,
                mode="read",
                pin="latest",
                reward=REWARD,
            )
        )

    return DummyVecEnv([make])
