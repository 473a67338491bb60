"""A policy trained with Stable-Baselines3, with the statistics that it was trained under."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from agents.manifest import Manifest

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"ppo": PPO, "sac": SAC}
POLICY_FILE = "policy.zip"
STATISTICS_FILE = "vecnormalize.pkl"


class TrainedPolicy:
    """A model and its frozen VecNormalize statistics, read from a run's folder.

    Pickles by path: another process reads the files for itself.

    Args:
      path: a folder with policy.zip, or the file of a model; `vecnormalize.pkl` beside it is used if there.
      algorithm: "ppo" or "sac"; None takes the manifest's beside it, else PPO.
    Raises: FileNotFoundError or ValueError in words.
    """

    def __init__(self, path: str | Path, algorithm: str | None = None) -> None:
        self.path, self.algorithm = Path(path), algorithm
        file = self.path / POLICY_FILE if self.path.is_dir() else self.path
        if not file.exists():
            raise ValueError(f"There is no policy at {file}; train one first, or give the folder of a run.")
        manifest = Manifest.load(file.parent) if algorithm is None else None
        kind = algorithm or (manifest.algorithm if manifest is not None else "ppo")
        self.model: Any = ALGORITHMS[kind].load(file, device="cpu")
        self.statistics = read_statistics(file.parent / STATISTICS_FILE)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[Any], Any]:
        """The model's actions for raw observations."""
        seen = observation if self.statistics is None else self.statistics.normalize_obs(observation)
        actions, state = self.model.predict(seen, state, episode_start, deterministic)
        return np.asarray(actions), state

    def __reduce__(self) -> tuple[Any, ...]:
        return TrainedPolicy, (self.path, self.algorithm)


def read_statistics(path: Path) -> VecNormalize | None:
    """VecNormalize statistics that were saved with a policy, frozen; None if there is no such file.

    They are a pickle, as SB3 writes it: read only files that you trust.
    """
    if not path.exists():
        return None
    with path.open("rb") as stream:
        statistics = pickle.load(stream)
    if not isinstance(statistics, VecNormalize):
        raise ValueError(f"{path} holds no VecNormalize statistics but {type(statistics).__name__}.")
    statistics.training = False
    return statistics
