"""Where the wall time of `gaelp train` goes: learning, the environment, the store, and the rest.

A short run of the command's own code in a new SQLite file. The clock runs from the first to the last line of
the learner's `learn`: births of the worlds, imports and the evaluation after it are not in it, since a whole
run has them once. There are as many checkpoints and looks at the policy for its steps as in a run of the
default length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from agents.bench_env import can_train
from agents.bench_market import Say
from agents.bench_measure import Effort, Figure, LeftOut, Row, timing
from gaelp_env.threads import set_threads

SHARE = "env and store, share of the wall time of gaelp train"
PARTS = {
    "learn": "gradient steps",
    "env": "the vector environment, its store apart",
    "store": "commits",
    "looks": "looks at the policy in a read-only world",
    "rest": "choosing actions, buffers, saving the policy",
}


def measure_train(effort: Effort, say: Say, profile: dict[str, Any]) -> Iterator[Row]:
    """Yields the share of env and store, and steps a second of the whole.

    Args:
      profile: takes the seconds by part (PARTS), the steps and the worlds.
    """
    worlds = effort.vector_worlds
    if not can_train():
        why = "the extra train is not installed; pip install 'gaelp[train]' brings it"
        yield LeftOut("train_share", SHARE, why)
        return
    say(f"gaelp train in {worlds} worlds")
    set_threads(None)
    try:
        runs = [
            train_profile(effort.train_steps, worlds) for _ in range(max(1, effort.slow_repetitions // 2))
        ]
    finally:
        set_threads(1)
    wholes = [sum(run[part] for part in PARTS) for run in runs]
    shares = tuple((run["env"] + run["store"]) / whole for run, whole in zip(runs, wholes, strict=True))
    parts = {part: sum(run[part] for run in runs) / len(runs) for part in PARTS}
    profile |= {"worlds": worlds, "steps": runs[0]["steps"], "runs": len(runs), "seconds": parts}
    yield Figure("train_share", f"{SHARE}, {worlds} worlds", "×", shares)
    yield Figure(
        "train_steps", f"gaelp train, {worlds} worlds", "1/s",
        tuple(run["steps"] / whole for run, whole in zip(runs, wholes, strict=True)),
    )  # fmt: skip


def train_profile(steps: int, worlds: int, users: int | None = None) -> dict[str, float]:
    """Seconds by part (PARTS) of a run of `gaelp train` with so many steps at least, and its `steps`.

    Args:
      users: people of a world; None for as many as the command gives it.
    """
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import EvalCallback

    import agents.sb3_vector as sb3_vector
    import gaelp_env.world_together as together
    from agents import train
    from agents.train_settings import settings_of

    clocks: dict[str, list[float]] = {
        name: [0.0, 0.0] for name in ("all", "learn", "step", "commit", "asked", "looks")
    }
    counted: list[int] = []
    threads, checkpoints = torch.get_num_threads(), train.CHECKPOINTS
    learn: Any = PPO.learn
    watched = (
        (PPO, "train", "learn"),
        (sb3_vector.WorldsVecEnv, "step_wait", "step"),
        (sb3_vector.WorldsVecEnv, "reset", "step"),
        (sb3_vector, "commit_all", "asked"),
        (together, "commit_all", "commit"),
        (EvalCallback, "_on_step", "looks"),
    )

    def counting(self: Any, *given: Any, **named: Any) -> Any:
        before = self.num_timesteps
        with ExitStack() as stack:
            for owner, name, clock in watched:
                stack.enter_context(timing(owner, name, clocks[clock]))
            done = learn(self, *given, **named)
        counted.append(self.num_timesteps - before)
        return done

    with tempfile.TemporaryDirectory(prefix="gaelp-bench-") as folder, redirect_stdout(StringIO()):
        config = None
        if users is not None:
            config = str(Path(folder) / "small.yaml")
            Path(config).write_text(f"people:\n  users: {users}\n")
        options = train.TrainOptions(
            store=f"sqlite:///{Path(folder) / 'train.db'}", steps=steps, worlds=worlds, seed=1, config=config,
            out=str(Path(folder) / "run"), evaluate=False, quiet=True,
        )  # fmt: skip
        try:
            train.CHECKPOINTS = max(1, round(checkpoints * steps / settings_of("ppo").steps))
            PPO.learn = counting  # type: ignore[method-assign]
            with timing(PPO, "learn", clocks["all"]):
                train.run_training(options)
        finally:
            train.CHECKPOINTS, PPO.learn = checkpoints, learn  # type: ignore[method-assign]
            torch.set_num_threads(threads)
    return parts_of({name: clock[0] for name, clock in clocks.items()}) | {"steps": float(sum(counted))}


def parts_of(seconds: Mapping[str, float]) -> dict[str, float]:
    """The parts (PARTS) of a run, which add up to the whole.

    Args:
      seconds: "all"; "learn", gradient steps; "step", the vector environment with the commits in it;
        "commit", those commits; "asked", commits asked for outside it; "looks".
    """
    told = {
        "learn": seconds["learn"],
        "env": seconds["step"] - seconds["commit"],
        "store": seconds["commit"] + seconds["asked"],
        "looks": seconds["looks"],
    }
    return told | {"rest": seconds["all"] - sum(told.values())}
