"""What happens while a model learns: checkpoints with the commits of their worlds, lines, a curve."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from agents.manifest import Checkpoint, Manifest, part_of, utc_now
from agents.sb3_policy import POLICY_FILE, STATISTICS_FILE

KEPT = 2
"""Checkpoints kept; older ones are deleted."""


class WorldCheckpoints(BaseCallback):
    """Saves policy and statistics, after the worlds have committed, and names their commits.

    A crash leaves the manifest at the last whole checkpoint.

    Args:
      folder: of the run.
      manifest: of the run.
      every: env steps between checkpoints.
    """

    def __init__(self, folder: Path, manifest: Manifest, every: int) -> None:
        super().__init__()
        self._folder, self._manifest, self._every = folder, manifest, every
        self._last, self._began = manifest.steps_done, time.monotonic()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if self.num_timesteps - self._last >= self._every:
            self.save()

    def save(self) -> Checkpoint:
        """Makes a checkpoint now."""
        manifest, steps = self._manifest, self.num_timesteps
        sequences = self.training_env.env_method("commit_world")
        (self._folder / "checkpoints").mkdir(exist_ok=True)
        entry = Checkpoint(
            steps=steps,
            policy=f"checkpoints/{steps}-{POLICY_FILE}",
            statistics=f"checkpoints/{steps}-{STATISTICS_FILE}",
            commits=dict(zip(manifest.worlds, sequences, strict=True)),
            saved=utc_now(),
        )
        save_whole(self.model, self._folder / entry.policy, self._folder / entry.statistics)
        now = time.monotonic()
        manifest.wall_seconds += now - self._began
        self._last, self._began = steps, now
        manifest.steps_done = steps
        manifest.checkpoints = [kept for kept in manifest.checkpoints if kept.steps != steps] + [entry]
        dropped, manifest.checkpoints = manifest.checkpoints[:-KEPT], manifest.checkpoints[-KEPT:]
        manifest.save(self._folder)
        for old in dropped:
            (self._folder / old.policy).unlink(missing_ok=True)
            (self._folder / old.statistics).unlink(missing_ok=True)
        return entry


def save_whole(model: BaseAlgorithm, policy: Path, statistics: Path) -> None:
    """Writes model and statistics so that each file is there whole or not at all."""
    with part_of(policy, ".part.zip") as part:
        model.save(part)
    normalizer = model.get_vec_normalize_env()
    if normalizer is not None:
        with part_of(statistics) as part:
            normalizer.save(str(part))


class LearningCurve(BaseCallback):
    """Keeps the mean return of finished episodes by env steps, and says a line now and then.

    Args:
      goal: env steps at which the run ends.
      say: called with a line, `lines` times a run; None says nothing.
    """

    def __init__(self, goal: int, say: Callable[[str], None] | None, lines: int = 10) -> None:
        super().__init__()
        self.points: list[tuple[int, float]] = []
        self._goal, self._say, self._lines = goal, say, lines
        self._first, self._next, self._began = 0, 0.0, time.monotonic()

    def _on_training_start(self) -> None:
        self._first, self._began = self.num_timesteps, time.monotonic()
        self._next = self._first + (self._goal - self._first) / self._lines

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        episodes: Any = self.model.ep_info_buffer
        if not episodes:
            return
        mean = float(np.mean([episode["r"] for episode in episodes]))
        self.points.append((self.num_timesteps, mean))
        if self._say is not None and self.num_timesteps >= self._next:
            speed = (self.num_timesteps - self._first) / max(1e-9, time.monotonic() - self._began)
            self._say(
                f"step {self.num_timesteps:,} of {self._goal:,}: accrued profit of an episode {mean:,.1f}, "
                f"{speed:,.0f} steps/s"
            )
            self._next += (self._goal - self._first) / self._lines

    def thinned(self, most: int = 200) -> list[tuple[int, float]]:
        """At most `most` points of the curve, evenly spread."""
        every = max(1, -(-len(self.points) // most))
        return self.points[::every]
