"""The native vector environment as a VecEnv of Stable-Baselines3."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from gaelp_env.vector import AdMarketVectorEnv
from gaelp_env.world_together import commit_all

Infos = list[dict[str, Any]]


class WorldsVecEnv(VecEnv):
    """Worlds stepped by one call, for every learner of SB3: what a DummyVecEnv of Monitor(AdMarketEnv) is.

    Infos hold the tick's figures; at an episode's end also `terminal_observation`, `TimeLimit.truncated`
    and, as Monitor has them, the episode's return, length and seconds since the beginning (`episode`).
    The "environments" of `get_attr`, `set_attr` and `env_method` are the worlds.
    """

    def __init__(self, vector: AdMarketVectorEnv) -> None:
        """Takes over a vector env. Raises ValueError if it does not reset in the same step."""
        if vector.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP:
            raise ValueError(
                "SB3 begins the next episode in the step in which one ends; make the vector env with "
                'autoreset_mode="SameStep".'
            )
        self.vector = vector
        super().__init__(vector.num_envs, vector.single_observation_space, vector.single_action_space)
        self._actions: Any = None
        self._returns, self._lengths = np.zeros(self.num_envs), np.zeros(self.num_envs, np.int64)
        self._began = time.time()

    def reset(self) -> NDArray[np.float32]:
        """Begins anew in every world, with the seeds and options that were set."""
        options = next((given for given in self._options if given), None)
        if options is not None and any(given != options for given in self._options):
            raise ValueError("All worlds take the same options; give set_options one dictionary.")
        observations, infos = self.vector.reset(seed=self._seeds, options=options)
        self.reset_infos = _rows(infos, range(self.num_envs))
        self._reset_seeds()
        self._reset_options()
        self._returns[:], self._lengths[:] = 0.0, 0
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keeps the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Plays one tick of every world."""
        observations, rewards, _, truncated, told = self.vector.step(self._actions)
        self._returns += rewards
        self._lengths += 1
        ended = np.flatnonzero(truncated).tolist()
        infos = _rows(told, range(self.num_envs))
        if ended:
            self._close_episodes(ended, told, infos)
        for info, over in zip(infos, truncated.tolist(), strict=True):
            info["TimeLimit.truncated"] = over
        return observations, rewards.astype(np.float32), truncated, infos

    def _close_episodes(self, ended: list[int], told: dict[str, Any], infos: Infos) -> None:
        """Puts into the infos of worlds whose episode has ended what it ended with."""
        since = round(time.time() - self._began, 6)
        begun, final = _rows(told, ended), _rows(told["final_info"], ended)
        for place, beginning, ending in zip(ended, begun, final, strict=True):
            episode = {"r": round(float(self._returns[place]), 6), "l": int(self._lengths[place]), "t": since}
            infos[place] = ending | {"episode": episode, "terminal_observation": told["final_obs"][place]}
            self.reset_infos[place] = beginning
        self._returns[ended], self._lengths[ended] = 0.0, 0

    def close(self) -> None:
        """Ends and commits the open episodes together, and lets go of the worlds."""
        self.vector.close()

    def get_images(self) -> Sequence[NDArray[Any] | None]:
        """A picture of every world. Needs a vector env with render_mode "rgb_array"."""
        return list(self.vector.render() or ())

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the worlds; what they do not have, such as `render_mode`, of the vector env."""
        return [getattr(self._owner(place, attr_name), attr_name) for place in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Sets an attribute of the worlds."""
        for place in self._get_indices(indices):
            setattr(self._owner(place, attr_name), attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method of the worlds; `commit_world` commits them together, and tells their sequences."""
        places = list(self._get_indices(indices))
        worlds = [self.vector.worlds[place] for place in places]
        if method_name == "commit_world":
            commit_all(worlds)
            return [world.sequence for world in worlds]
        return [
            getattr(self._owner(place, method_name), method_name)(*method_args, **method_kwargs)
            for place in places
        ]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Whether infos are what that wrapper makes of them: so of Monitor alone."""
        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]

    def _owner(self, place: int, name: str) -> Any:
        world = self.vector.worlds[place]
        return world if hasattr(world, name) else self.vector


def _rows(infos: dict[str, Any], places: Sequence[int]) -> Infos:
    """The infos of some worlds, a dictionary of Python scalars each: the numbers that they have."""
    names = [name for name, values in infos.items() if not name.startswith("_") and _is_numbers(values)]
    if all(infos[f"_{name}"].all() for name in names) and len(places) == len(infos[f"_{names[0]}"]):
        columns = [infos[name].tolist() for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return [
        {name: infos[name][place].item() for name in names if infos[f"_{name}"][place]} for place in places
    ]


def _is_numbers(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "if"
