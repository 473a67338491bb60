"""Tuned settings of the learners on AdMarket-v1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CURVE_EPISODES = 7
"""Episodes of each world in a point of the learning curve: a week by default, so that no weekday shows."""
SHORTEST = 16
"""Env steps of each world between updates, at least: advantages look about ten steps ahead."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a learner is set up.

    Attributes:
      arguments: of SB3's constructor, plain numbers and texts; beside them those that hang on the number of
        worlds, see `arguments_for`.
      hidden: units of the hidden layers, for policy and value each.
      log_std: initial log standard deviation of actions (PPO only).
      steps: env steps of a default run.
      rollout: env steps of all worlds together between updates; None leaves it to `arguments`.
      anneal: whether the learning rate falls linearly to a tenth over a run.
      normalize: of VecNormalize. Observations lie in [-1, 1] by themselves; scaled by their spread in worlds
        that have settled they would lie far outside in a fresh one.
    """

    arguments: dict[str, Any]
    hidden: tuple[int, ...]
    steps: int
    rollout: int | None = None
    log_std: float | None = None
    anneal: bool = False
    normalize: dict[str, Any] = field(default_factory=lambda: {"norm_obs": False, "norm_reward": True})

    def arguments_for(self, worlds: int) -> dict[str, Any]:
        """The constructor's arguments for so many worlds: however many there are, about as many env steps lie
        between updates, and a rollout holds a whole number of mini-batches.

        Args:
          worlds: >= 1.
        """
        arguments = dict(self.arguments)
        on_policy = "n_epochs" in arguments
        if self.rollout is not None:
            each = max(SHORTEST if on_policy else 1, round(self.rollout / worlds))
            arguments["n_steps" if on_policy else "train_freq"] = each
        if "n_steps" in arguments:
            arguments["batch_size"] = _even_batch(arguments["n_steps"] * worlds, arguments["batch_size"])
        return arguments


def _even_batch(rollout: int, wanted: int) -> int:
    """The mini-batch nearest to `wanted` of which a rollout holds a whole number."""
    parts = range(max(1, round(rollout / wanted)), 0, -1)
    return rollout // next(count for count in parts if rollout % count == 0)


SETTINGS: dict[str, Settings] = {
    "ppo": Settings(
        arguments={
            "learning_rate": 1e-3,
            "batch_size": 960,
            "n_epochs": 6,
            "gamma": 0.95,
            "gae_lambda": 0.9,
            "ent_coef": 0.0,
            "clip_range": 0.2,
        },
        hidden=(64, 64),
        rollout=3840,
        log_std=-1.2,
        steps=1_000_000,
        anneal=True,
    ),
    "sac": Settings(
        arguments={
            "learning_rate": 1e-3,
            "buffer_size": 100_000,
            "learning_starts": 1_000,
            "batch_size": 256,
            "gradient_steps": 8,
            "gamma": 0.95,
        },
        hidden=(64, 64),
        rollout=64,
        steps=60_000,
    ),
}


def settings_of(algorithm: str) -> Settings:
    """The settings of a learner. Raises ValueError with the known ones."""
    if algorithm not in SETTINGS:
        known = ", ".join(SETTINGS)
        raise ValueError(f"There is no algorithm {algorithm!r}; the known ones are {known}.")
    return SETTINGS[algorithm]
