"""Steps a second: of the environment at 1,000 users, and of PPO on eight worlds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from agents.bench_market import Say, market_of
from agents.bench_measure import Effort, Figure, Work, in_turn
from gaelp_env.env import AdMarketEnv
from gaelp_env.market import Market
from gaelp_env.observation import observe_market

USERS = 1_000
WORLDS = 8
TICKS = 1_000
"""Ticks, or looks at the market, in one repetition of what takes microseconds."""


def measure_env(effort: Effort, say: Say) -> Iterator[Figure]:
    """Yields steps a second of the environment, its parts, and what an observation takes."""
    say(f"the environment at {USERS:,} users")
    with tempfile.TemporaryDirectory(prefix="gaelp-bench-") as folder:
        config = {"people.users": USERS}
        in_memory = AdMarketEnv(config=config)
        in_file = AdMarketEnv(store=f"sqlite:///{Path(folder) / 'env.db'}", config=config)
        market, bids = market_of(USERS)
        works = {
            "market": Work(lambda: [market.advance(bids) for _ in range(TICKS)]),
            "memory": Work(_steps(in_memory, effort.env_steps), lambda: in_memory.reset(seed=1)),
            "sqlite": Work(_steps(in_file, effort.env_steps), lambda: in_file.reset(seed=1)),
            "look": Work(lambda: [_look(market) for _ in range(TICKS)]),
        }
        for work in works.values():
            work.prepare()
            work.do()
        timed = in_turn(works, effort.repetitions, on_core=True)
        timed["sqlite"].on_core = False
        in_memory.close()
        in_file.close()
    ticks = timed["market"].scaled(1 / TICKS)
    step = timed["memory"].seconds / effort.env_steps
    tick, look = timed["market"].seconds / TICKS, timed["look"].seconds / TICKS
    yield Figure(
        "env_steps", "env.step, 1k users, in memory", "1/s",
        timed["memory"].rates(effort.env_steps), {"tick": tick / step}, core=timed["memory"].core,
    )  # fmt: skip
    yield Figure(
        "env_steps_sqlite", "env.step, 1k users, SQLite", "1/s",
        timed["sqlite"].rates(effort.env_steps),
        {"in memory": median(timed["memory"].elapsed) / timed["sqlite"].seconds},
    )  # fmt: skip
    yield Figure(
        "tick_1k", "the tick alone, 1k users", "1/s", tuple(1 / t for t in ticks),
        reference=True, core=timed["market"].core,
    )  # fmt: skip
    yield Figure(
        "observation", "an observation", "µs", timed["look"].scaled(1e6 / TICKS), {"env.step": look / step},
        core=timed["look"].core,
    )  # fmt: skip


def _look(market: Market) -> Any:
    return observe_market(market.record, market.config, "advertiser")


def _steps(env: AdMarketEnv, steps: int) -> Callable[[], None]:
    action = np.zeros(5, np.float32)

    def play() -> None:
        for _ in range(steps):
            if env.step(action)[3]:
                env.reset()

    return play


def can_train() -> bool:
    """Whether the extra `train` is installed."""
    return find_spec("stable_baselines3") is not None and find_spec("torch") is not None


def measure_ppo(effort: Effort, say: Say) -> Iterator[Figure]:
    """Yields steps a second of PPO with the default settings of `gaelp train`; nothing without the extra."""
    if not can_train():
        return
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    from agents.train_settings import settings_of

    say(f"PPO on {WORLDS} worlds")
    settings = settings_of("ppo")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        worlds = DummyVecEnv([lambda: AdMarketEnv(reward="accrued_profit") for _ in range(WORLDS)])
        network = {"net_arch": list(settings.hidden)}
        model = PPO(
            "MlpPolicy", worlds, seed=1, device="cpu", policy_kwargs=network, **settings.arguments_for(WORLDS)
        )
        rollout = model.n_steps * WORLDS
        model.learn(rollout)
        steps = max(rollout, effort.ppo_steps // rollout * rollout)
        action = np.zeros((WORLDS, 5), np.float32)
        works = {
            "ppo": Work(lambda: model.learn(steps)),
            "worlds": Work(lambda: [worlds.step(action) for _ in range(steps // WORLDS)], worlds.reset),
        }
        timed = in_turn(works, effort.slow_repetitions, on_core=True)
        worlds.close()
    finally:
        torch.set_num_threads(threads)
    share = timed["worlds"].seconds / timed["ppo"].seconds
    yield Figure(
        "ppo_steps", f"PPO, {WORLDS} default worlds", "1/s", timed["ppo"].rates(steps),
        {"worlds": share}, core=timed["ppo"].core,
    )  # fmt: skip
    yield Figure(
        "vec_steps", f"the {WORLDS} worlds alone", "1/s", timed["worlds"].rates(steps),
        reference=True, core=timed["worlds"].core,
    )  # fmt: skip
