"""AdMarketVectorEnv: many worlds as one Gymnasium vector environment, stepped by one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gaelp_env.actions import all_bids_cpm
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.env import RENDER_MODES, resume_asked
from gaelp_env.ledger import A, K
from gaelp_env.observation import OBSERVE, names, observe_markets, space
from gaelp_env.render import Picture, as_picture, as_text
from gaelp_env.reward import REWARDS, rewards_of
from gaelp_env.told import tell_all, tell_begun
from gaelp_env.vector_asked import autoreset_of, mask_in, seeds_for, world_places
from gaelp_env.vector_block import Block
from gaelp_env.vector_infos import as_infos
from gaelp_env.world import World
from gaelp_env.world_together import advance_all, close_all, end_all, ready_all, reset_all
from gaelp_env.world_words import one_of

Observations = NDArray[np.float32]
Flags = NDArray[np.bool_]
Step = tuple[Observations, NDArray[np.float64], Flags, Flags, dict[str, Any]]


class AdMarketVectorEnv(VectorEnv[Any, Any, Any]):
    """N worlds side by side: number for number what N AdMarketEnvs in a SyncVectorEnv are.

    Episodes that end in one step, or by one reset or close, are committed together: one atomic commit
    for all the worlds of a store. If it fails none of them is committed, all stay in memory, and they go
    with the next commit.

    Attributes:
      worlds: the worlds, in order.
      observation_names: what the entries of an observation are called.
    """

    def __init__(
        self,
        num_envs: int = 1,
        store: str | None = None,
        world: str | Sequence[str] = "demo",
        config: str | Mapping[str, Any] | MarketConfig | None = None,
        mode: str = "write",
        pin: str | int = "first",
        commit_every: int = 1,
        touch_log: str = "own",
        retain_days: float | None = None,
        keep_commits: int | None = None,
        keep_hours: float | None = None,
        reward: str = "profit",
        observe: str = "advertiser",
        per_audience: bool = False,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = "NextStep",
        shards: int | None = None,
    ) -> None:
        """Touches nothing: the first reset reads the worlds, the first step takes the right to write.

        Args:
          num_envs: how many worlds, >= 1.
          world: stem, "demo" for demo/0, demo/1 …; "demo/*" for the first of them that nobody holds; or
            the names themselves. Reading, "demo/3" is that world in every place.
          shards: plays all shards of the one world `world`, one a place; as many as `num_envs`.
          autoreset_mode: "NextStep", "SameStep" or "Disabled", or Gymnasium's AutoresetMode.
          store, config, mode, pin, commit_every, touch_log, retain_days, keep_commits, keep_hours, reward,
            observe, per_audience, render_mode: as AdMarketEnv's, the same for every world.
        Raises: ValueError (ConfigError) for an argument that cannot be.
        """
        self._arguments = {
            "num_envs": num_envs, "store": store, "world": world, "config": config, "mode": mode, "pin": pin,
            "commit_every": commit_every, "touch_log": touch_log, "retain_days": retain_days,
            "keep_commits": keep_commits, "keep_hours": keep_hours,
            "reward": reward, "observe": observe, "per_audience": per_audience, "render_mode": render_mode,
            "autoreset_mode": autoreset_mode, "shards": shards,
        }  # fmt: skip
        self._reward, self._observe = one_of("reward", reward, REWARDS), one_of("observe", observe, OBSERVE)
        self._mode, self._audiences = autoreset_of(autoreset_mode), A if per_audience else 1
        self.render_mode = None if render_mode is None else one_of("render_mode", render_mode, RENDER_MODES)
        self.metadata = {
            "render_modes": list(RENDER_MODES), "render_fps": 8, "autoreset_mode": self._mode,
        }  # fmt: skip
        loaded = None if config is None else load_config(config)
        self.worlds = tuple(
            World.open(
                store, name, config=loaded, mode=mode, pin=pin, commit_every=commit_every,
                touch_log=touch_log, retain_days=retain_days, keep_commits=keep_commits,
                keep_hours=keep_hours, shards=shards, shard=shard,
            )
            for name, shard in world_places(world, num_envs, mode, shards)
        )  # fmt: skip
        self.num_envs = len(self.worlds)
        self.observation_names = names(observe)
        self.single_observation_space = space(observe)
        self.single_action_space = Box(-1.0, 1.0, (K * self._audiences,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._block = Block(self.worlds)
        self._seen = np.zeros((self.num_envs, len(self.observation_names)), np.float32)
        self._ended = np.zeros(self.num_envs, np.bool_)
        self._unready = np.ones(self.num_envs, np.bool_)
        self._pictures = [Picture() for _ in self.worlds]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begins the next episode in the same worlds: nobody forgets anything.

        Args:
          seed: one for each world, or the first one's, the next having the next number.
          options: {"reset_mask": `[N]` of bool} resets only those worlds; {"continue": True} as
            AdMarketEnv.reset.
        Returns: all observations, those of worlds that were not reset as they were; what a reset tells.
        Raises: StoreError, ConfigError, ValueError, TypeError, as World.reset.
        """
        wanted, rest = mask_in(options, self.num_envs)
        seeds, resume = seeds_for(seed, self.num_envs), resume_asked(rest)
        super().reset(seed=seed if isinstance(seed, int) else None)
        if any(world.market is None for world in self._of(~wanted)):
            raise ResetNeeded(
                "Some of the other worlds have not begun; reset all of them first, with no mask."
            )
        self._unready |= wanted
        self._start(wanted, seeds, resume)
        self._unready &= ~wanted
        self._ended = self._ended & ~wanted
        self._see(wanted)
        begun = self._begun()
        return self._seen.copy(), as_infos(begun, wanted)

    def step(self, actions: Any) -> Step:
        """Bids for one tick in every world, but for those that begin anew by it (NextStep).

        Args:
          actions: `[N, 5]` finite numbers in [-1, 1] (clipped), `[N, 20]` with `per_audience`.
        Returns: observations, rewards, False, whether that was an episode's last tick, and infos in
          Gymnasium's vector form; all in fresh memory.
        Raises: ResetNeeded before reset, after an episode's last tick (Disabled), and after a step that
          failed; ValueError for actions that cannot be, with nothing changed; StoreError if somebody else
          writes or a commit fails.
        """
        self._refuse()
        beginning = self._ended
        going = ~beginning
        block = self._block
        block.settle()
        bids = all_bids_cpm(actions, block.levels, self._audiences, going)
        playing = self._of(going)
        ready_all(playing)
        self._unready[:] = True
        advance_all(playing, bids if len(playing) == self.num_envs else bids[going])
        if beginning.any():
            self._start(beginning, [None] * self.num_envs)
        observations = observe_markets(block.records, block.lenses, self._observe)
        rewards = rewards_of(self._reward, block.records["last"], block.goals)
        rewards[beginning] = 0.0
        told = tell_all(block.records, bids, block.limits) | self._where()
        truncated: Flags = (block.records["episode_tick"] >= block.episode_ticks) & going
        if self.render_mode is not None:
            self._note(going)
        infos = self._infos(told, going)
        self._seen, self._ended = observations, truncated
        if truncated.any():
            end_all(self._of(truncated))
            if self._mode is AutoresetMode.SAME_STEP:
                infos = self._begin_at_once(told, truncated)
                self._ended = np.zeros(self.num_envs, np.bool_)
        self._unready[:] = False
        return self._seen.copy(), rewards, np.zeros(self.num_envs, np.bool_), truncated.copy(), infos

    def _begun(self) -> dict[str, Any]:
        return tell_begun(self._block.records, self._block.limits) | self._where()

    def _where(self) -> dict[str, Any]:
        """The shards, for infos, where there are several."""
        if (self._arguments["shards"] or 1) == 1:
            return {}
        return {"shard": np.array([world.shard for world in self.worlds], np.int64)}

    def _infos(self, told: dict[str, Any], going: Flags) -> dict[str, Any]:
        if going.all():
            return as_infos(told, going)
        begun = self._begun()
        told["tick"] = np.where(going, told["tick"], begun["tick"])
        everybody = np.ones(self.num_envs, np.bool_)
        return as_infos(told, going) | as_infos({name: told[name] for name in begun}, everybody)

    def _begin_at_once(self, told: dict[str, Any], ended: Flags) -> dict[str, Any]:
        """SameStep: begins the next episodes, and keeps apart what the last ones ended with."""
        final = np.full(self.num_envs, None, dtype=object)
        for place in np.flatnonzero(ended):
            final[place] = self._seen[place].copy()
        final_info = as_infos(told, ended)
        self._start(ended, [None] * self.num_envs)
        self._see(ended)
        begun = self._begun()
        now = {name: np.where(ended, begun[name], told[name]) for name in begun}
        infos = as_infos(told, ~ended) | as_infos(now, np.ones(self.num_envs, np.bool_))
        return infos | {
            "final_obs": final,
            "_final_obs": ended.copy(),
            "final_info": final_info,
            "_final_info": ended.copy(),
        }

    def _start(self, chosen: Flags, seeds: Sequence[Any], resume: bool = False) -> None:
        """Resets the chosen worlds."""
        places = np.flatnonzero(chosen).tolist()
        reset_all(self._of(chosen), [seeds[place] for place in places], resume=resume)
        self._block.settle()
        if self.render_mode is not None:
            for place in places:
                self._pictures[place] = Picture()

    def _see(self, chosen: Flags) -> None:
        """Looks anew at the chosen worlds."""
        block = self._block
        self._seen[chosen] = observe_markets(block.records[chosen], block.lenses[chosen], self._observe)

    def _of(self, chosen: Flags) -> list[World]:
        return [world for world, one in zip(self.worlds, chosen.tolist(), strict=True) if one]

    def _refuse(self) -> None:
        over = self._ended if self._mode is AutoresetMode.DISABLED else np.zeros(self.num_envs, np.bool_)
        if not (self._unready.any() or over.any()):
            return
        place = int(np.argmax(self._unready | over))
        why = "is over" if over[place] else "has not begun"
        raise ResetNeeded(
            f"The episode of world {self.worlds[place].name!r} {why}; call reset() before step(), with "
            'options={"reset_mask": …} for some of the worlds alone.'
        )

    def _note(self, going: Flags) -> None:
        for place in np.flatnonzero(going):
            market = self.worlds[place].playing()
            self._pictures[place].note(market, market.record["last"])

    def render(self) -> tuple[Any, ...] | None:
        """The markets as they stand, one each, as AdMarketEnv.render."""
        if self.render_mode is None:
            return None
        if self._unready.any():
            raise ResetNeeded("There is nothing to see yet; call reset() before render().")
        draw = as_text if self.render_mode == "ansi" else as_picture
        return tuple(
            draw(picture, world.playing(), world.name)
            for picture, world in zip(self._pictures, self.worlds, strict=True)
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Ends and commits the open episodes together, and lets go of the worlds. Idempotent."""
        self._unready[:] = True
        close_all(self.worlds)

    def __getstate__(self) -> dict[str, Any]:
        """Only the constructor's arguments travel: a copy reads its worlds for itself."""
        return {"arguments": self._arguments, "spec": self.spec}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["arguments"])  # type: ignore[misc]
        self.spec = state["spec"]
