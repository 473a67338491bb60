"""Tuned settings of the learners on AdMarket-v1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """How a learner is set up.

    Attributes:
      arguments: of SB3's constructor, plain numbers and texts.
      hidden: units of the hidden layers, for policy and value each.
      log_std: initial log standard deviation of actions (PPO only).
      steps: env steps of a default run.
      anneal: whether the learning rate falls linearly to a tenth over a run.
      normalize: of VecNormalize. Observations lie in [-1, 1] by themselves; scaled by their spread in worlds
        that have settled they would lie far outside in a fresh one.
    """

    arguments: dict[str, Any]
    hidden: tuple[int, ...]
    steps: int
    log_std: float | None = None
    anneal: bool = False
    normalize: dict[str, Any] = field(default_factory=lambda: {"norm_obs": False, "norm_reward": True})


SETTINGS: dict[str, Settings] = {
    "ppo": Settings(
        arguments={
            "learning_rate": 1e-3,
            "n_steps": 240,
            "batch_size": 480,
            "n_epochs": 6,
            "gamma": 0.95,
            "gae_lambda": 0.9,
            "ent_coef": 0.0,
            "clip_range": 0.2,
        },
        hidden=(64, 64),
        log_std=-1.2,
        steps=400_000,
        anneal=True,
    ),
    "sac": Settings(
        arguments={
            "learning_rate": 1e-3,
            "buffer_size": 100_000,
            "learning_starts": 1_000,
            "batch_size": 256,
            "train_freq": 8,
            "gradient_steps": 8,
            "gamma": 0.95,
        },
        hidden=(64, 64),
        steps=60_000,
    ),
}


def settings_of(algorithm: str) -> Settings:
    """The settings of a learner. Raises ValueError with the known ones."""
    if algorithm not in SETTINGS:
        known = ", ".join(SETTINGS)
        raise ValueError(f"There is no algorithm {algorithm!r}; the known ones are {known}.")
    return SETTINGS[algorithm]
