"""AdMarketImpressionVectorEnv: many worlds, one opportunity of each a step, in one compiled call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.impression import checked
from gaelp_env.impression_desk import OVER
from gaelp_env.impression_floor import Floor, shape_of, usual_threads
from gaelp_env.impression_view import names, space
from gaelp_env.observation import OBSERVE
from gaelp_env.reward import REWARDS
from gaelp_env.world import World
from gaelp_env.world_words import one_of

INFOS = ("none", "full")
Views = NDArray[np.float32]


class AdMarketImpressionVectorEnv(VectorEnv[Any, Any, Any]):
    """Many AdMarketImpressionEnvs, each in a world of its own: `world/0`, `world/1` …, or in memory.

    All worlds have one configuration. Episodes, actions, observations and rewards are those of the single
    environment; sub-environment e with seed s is bit for bit the single one with that seed. Arrays that are
    handed out are new ones at each call.

    Infos: with `info="full"` an array for each key of the single environment's info; with "none" only what
    the autoreset mode asks for (`final_obs` of SAME_STEP).
    """

    def __init__(
        self,
        num_envs: int = 1,
        store: str | None = None,
        world: str = "demo",
        config: str | Mapping[str, Any] | MarketConfig | None = None,
        mode: str = "write",
        pin: str | int = "first",
        commit_every: int = 1,
        touch_log: str = "own",
        retain_days: float | None = None,
        keep_commits: int | None = None,
        keep_hours: float | None = None,
        reward: str = "accrued_profit",
        observe: str = "advertiser",
        creatives: int | None = None,
        render_mode: str | None = None,
        info: str = "none",
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int | None = None,
    ) -> None:
        """Touches nothing: the first reset reads the worlds, the first step takes the right to write.

        Args:
          num_envs: how many worlds, >= 1.
          info: "none" or "full".
          autoreset_mode: as gymnasium defines them.
          threads: at most so many, a hundred and more worlds each; None is as many as there are cores. The
            number changes no bit.
          the others: as AdMarketImpressionEnv.
        Raises: ValueError (ConfigError) for an argument that cannot be.
        """
        if num_envs < 1:
            raise ValueError(f"There is at least one sub-environment, and num_envs is {num_envs}.")
        if render_mode is not None:
            raise ValueError(f"An impression cannot be drawn; render_mode is None, and not {render_mode!r}.")
        given = None if config is None else load_config(config)
        self.num_envs, self._mode = num_envs, AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self._mode}
        self._reward, self._observe = one_of("reward", reward, REWARDS), one_of("observe", observe, OBSERVE)
        self._full = one_of("info", info, INFOS) == "full"
        self._threads, self._keep = threads or usual_threads(), store is not None
        self.worlds = [
            World.open(
                store, f"{world}/{e}", config=given, mode=mode, pin=pin, commit_every=commit_every,
                touch_log=touch_log, retain_days=retain_days, keep_commits=keep_commits,
                keep_hours=keep_hours,
            )
            for e in range(num_envs)
        ]  # fmt: skip
        self.observation_names = names(observe)
        self._creatives = creatives or len((given or MarketConfig()).response.creatives)
        self.single_observation_space = space(observe)
        self.single_action_space = Box(-1.0, 1.0, shape_of(self._creatives), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._floor: Floor | None = None
        self._answered = np.zeros(num_envs, np.bool_)
        self._all_answered = False
        self._views = np.zeros((num_envs, len(self.observation_names)), np.float32)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Views, dict[str, Any]]:
        """Begins an episode in all worlds, or in those of options["reset_mask"], a `[N]` array of bool.

        Args:
          seed: s for s, s + 1, s + 2 …; or one a world.
        Raises: StoreError, ConfigError, ValueError, as World.reset.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        seeds = self._seeds(seed)
        which = np.flatnonzero(self._masked(options))
        for e in which.tolist():
            self._leave(e, ends=seeds[e] is None and self.worlds[e].mode == "write")
            self.worlds[e].reset(seeds[e])
        if self._floor is None:
            self._floor = self._opened()
        self._floor.begin(which.tolist(), self._views)
        return self._views.copy(), self._floor.all_told() if self._full else {}

    def step(
        self, actions: Any
    ) -> tuple[Views, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Answers one opportunity in each world.

        Args:
          actions: `[N, 1]` or `[N, 2]` finite numbers in [-1, 1] (clipped).
        Returns: observations, rewards, terminations (none), truncations, infos.
        Raises: ResetNeeded, ValueError and StoreError, as AdMarketImpressionEnv.
        """
        floor = self._floor
        if floor is None or (not self._all_answered and any(world.market is None for world in self.worlds)):
            raise ResetNeeded("No episode has begun; call reset() before step().")
        actions = checked(actions, (self.num_envs, *shape_of(self._creatives)))
        over = np.flatnonzero(floor.desks["status"] == OVER).tolist()
        if over and self._mode is not AutoresetMode.NEXT_STEP:
            raise ResetNeeded(
                f"The episodes of sub-environments {over[:8]} are over; reset them by reset_mask."
            )
        if not self._all_answered:
            floor.hold(np.flatnonzero(~self._answered).tolist())
            self._answered[:] = self._all_answered = True
        self._views, rewards, truncations = floor.step(actions)
        infos: dict[str, Any] = floor.all_told() if self._full else {}
        if over:
            self._go_on(over)
            if self._full:
                infos = floor.all_told()
        if truncations.any():
            ended = np.flatnonzero(truncations).tolist()
            for e in ended:
                floor.end(e)
                self.worlds[e].end_episode()
            if self._mode is AutoresetMode.SAME_STEP:
                infos = self._final(ended, truncations, infos)
        return self._views.copy(), rewards, np.zeros(self.num_envs, np.bool_), truncations, infos

    def _go_on(self, which: list[int]) -> None:
        """Begins the next episode in worlds whose last one has been ended."""
        assert self._floor is not None
        for e in which:
            self.worlds[e].reset()
        self._answered[which] = self._all_answered = False
        self._floor.begin(which, self._views)

    def _final(self, ended: list[int], mask: NDArray[np.bool_], infos: dict[str, Any]) -> dict[str, Any]:
        assert self._floor is not None
        last = np.full(self.num_envs, None, object)
        for e in ended:
            last[e] = self._views[e].copy()
        final_info = {**infos, **{f"_{name}": mask.copy() for name in infos}}
        self._go_on(ended)
        now = self._floor.all_told() if self._full else {}
        return {**now, "final_obs": last, "_final_obs": mask.copy(), "final_info": final_info,
                "_final_info": mask.copy()}  # fmt: skip

    def close_extras(self, **kwargs: Any) -> None:
        """Ends and commits the open episodes as reset does, and lets go of the worlds."""
        for e, world in enumerate(self.worlds):
            self._leave(e, ends=world.mode == "write")
            world.close()
        if self._floor is not None:
            self._floor.close()
            self._floor = None

    def _leave(self, e: int, *, ends: bool) -> None:
        if self._floor is not None and self.worlds[e].lent:
            if ends and self._answered[e]:
                self._floor.end(e)
            else:
                self._floor.drop(e)
        self._answered[e] = self._all_answered = False

    def _opened(self) -> Floor:
        found = len(self.worlds[0].playing().config.response.creatives)
        if shape_of(found) != shape_of(self._creatives):
            raise ValueError(
                f"World {self.worlds[0].name!r} has {found} creatives and the actions of this environment "
                f"are for {self._creatives}; give creatives={found}."
            )
        return Floor(self.worlds, self._reward, self._observe, keep=self._keep, threads=self._threads)

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        seeds: list[int | None] = (
            [seed + e for e in range(self.num_envs)] if isinstance(seed, int) else list(seed)
        )
        if len(seeds) != self.num_envs:
            raise ValueError(
                f"There are {self.num_envs} sub-environments and {len(seeds)} seeds; give one each."
            )
        return seeds

    def _masked(self, options: dict[str, Any] | None) -> NDArray[np.bool_]:
        for name in options or {}:
            one_of("A key of reset's options", name, ("reset_mask",))
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.ones(self.num_envs, np.bool_)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            raise ValueError(
                f"options['reset_mask'] is an array of {self.num_envs} bools, and not {mask!r:.80}."
            )
        if self._floor is None and not mask.all():
            raise ResetNeeded("The first reset begins all sub-environments; leave the mask out.")
        return mask
