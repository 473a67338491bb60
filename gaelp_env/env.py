"""AdMarketEnv: a world of persistent people as a Gymnasium environment."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from numpy.typing import NDArray

from gaelp_env.actions import bids_cpm
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.ledger import A, K
from gaelp_env.observation import OBSERVE, names, observe_market, space
from gaelp_env.render import Picture, as_picture, as_text
from gaelp_env.reward import REWARDS
from gaelp_env.told import tell
from gaelp_env.world import World
from gaelp_env.world_upgrade import FIRST
from gaelp_env.world_words import one_of

RENDER_MODES = ("ansi", "rgb_array")

Observation = NDArray[np.float32]
Step = tuple[Observation, float, bool, bool, dict[str, Any]]


class AdMarketEnv(gym.Env[Any, Any]):
    """One advertiser in a market of people who remember, from episode to episode and process to process.

    Action: `[5]` in [-1, 1], one a channel; the bid is reference * (max / reference) ** a, none below -0.9.
    With `per_audience` it is `[20]`: four audiences (ledger.AUDIENCES) of the first channel, and so on.
    Observation: float32 in [-1, 1], named by `observation_names`. Reward: see gaelp_env.reward, in
    currency units. An episode is a day of ticks by default; its horizon is truncation, never termination.

    What reset, step, close, a seed and `mode="read"` do to the people is told in docs/worlds.md.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 8}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(
        self,
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
        reward: str = "profit",
        observe: str = "advertiser",
        per_audience: bool = False,
        render_mode: str | None = None,
        shards: int | None = None,
        shard: int | None = None,
    ) -> None:
        """Touches nothing: the first reset reads the world, the first step takes the right to write.

        Args:
          store: URL of the store; None keeps the people in memory, for this object alone.
          config: preset, path of a YAML file, or differences from the defaults, for a new world; None
            is the world's own.
          reward: "profit", "accrued_profit", "attributed_profit", "conversions", "cpa_score" or "roas_score".
          observe: "advertiser" (what can really be seen) or "full" (the hidden means as well).
          per_audience: one bid for each channel and audience instead of each channel.
          render_mode: "ansi" or "rgb_array".
          world, mode, pin, commit_every, touch_log, retain_days, keep_commits, keep_hours, shards, shard: as
            World.open. With several shards each is a market of its own, and infos tell which one this is.
        Raises: ValueError (ConfigError) for an argument that cannot be.
        """
        self._arguments = {
            "store": store, "world": world, "config": config, "mode": mode, "pin": pin,
            "commit_every": commit_every, "touch_log": touch_log, "retain_days": retain_days,
            "keep_commits": keep_commits, "keep_hours": keep_hours,
            "reward": reward, "observe": observe, "per_audience": per_audience, "render_mode": render_mode,
            "shards": shards, "shard": shard,
        }  # fmt: skip
        self._reward = REWARDS[one_of("reward", reward, REWARDS)]
        self._observe = one_of("observe", observe, OBSERVE)
        self.render_mode = None if render_mode is None else one_of("render_mode", render_mode, RENDER_MODES)
        self.world = World.open(
            store, world, config=None if config is None else load_config(config), mode=mode, pin=pin,
            commit_every=commit_every, touch_log=touch_log, retain_days=retain_days,
            keep_commits=keep_commits, keep_hours=keep_hours, shards=shards, shard=shard,
        )  # fmt: skip
        self.observation_names = names(observe)
        self.observation_space = space(observe)
        self.action_space = Box(-1.0, 1.0, (K * A if per_audience else K,), np.float32)
        self._picture = Picture()
        self._over = True
        self._told_of_model = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins the next episode in the same world: nobody forgets anything.

        Args:
          seed: drops an unfinished episode and rekeys chance; people who are committed stay.
          options: {"continue": True} plays on privately from where a reading world is.
        Warns: UserWarning, once, if a world that the first model made is played under an id of v1.
        Raises: StoreError, ConfigError, ValueError, as World.reset.
        """
        resume = resume_asked(options)
        super().reset(seed=seed)
        self._over = True
        self.world.reset(seed, resume=resume)
        self._over = False
        self._tell_of_model()
        market = self.world.playing()
        self._picture = Picture()
        told = {
            "tick": int(market.record["tick"]),
            "episode_number": self.world.episodes_finished + 1,
            "budget_left": market.budget_left,
        }
        return self._observed(), told | self._where()

    def step(self, action: Any) -> Step:
        """Bids for one tick.

        Args:
          action: `[5]` finite numbers in [-1, 1] (clipped), `[20]` with `per_audience`.
        Returns: observation, reward, False, whether that was the episode's last tick, and the tick's
          figures as Python scalars.
        Raises: ResetNeeded before reset and after the last tick; ValueError for an action that cannot be,
          with nothing changed; StoreError if somebody else writes or the commit at the end fails.
        """
        if self._over:
            why = "has not begun" if self.world.market is None else "is over"
            raise ResetNeeded(f"The episode of world {self.world.name!r} {why}; call reset() before step().")
        market = self.world.playing()
        bids = bids_cpm(action, market.config, A if self._arguments["per_audience"] else 1)
        tick = self.world.step(bids)
        told = tell(tick.ledger, bids, self.world.episodes_finished + 1, market.budget_left)
        where = self._where()
        reward, truncated = self._reward(tick.ledger, market.config.goals), self.world.over
        observation = self._observed()
        if self.render_mode is not None:
            self._picture.note(market, tick.ledger)
        if truncated:
            self._over = True
            self.world.end_episode()
        return observation, reward, False, truncated, told | where if where else told

    def render(self) -> Any:
        """The market as it stands: text for "ansi", `[400, 640, 3]` uint8 for "rgb_array"."""
        if self.render_mode is None:
            return None
        if self.world.market is None:
            raise ResetNeeded("There is nothing to see yet; call reset() before render().")
        draw = as_text if self.render_mode == "ansi" else as_picture
        return draw(self._picture, self.world.playing(), self.world.name)

    def close(self) -> None:
        """Ends and commits the open episode as reset does, and lets go of the world. Idempotent."""
        self._over = True
        self.world.close()

    @property
    def shard(self) -> int | None:
        """Which shard of the world this is; None until the first reset has taken a free one of several."""
        return self.world.shard

    def _where(self) -> dict[str, Any]:
        """The shard, for infos, where there are several."""
        return {"shard": self.world.shard} if (self.world.shards or 1) > 1 else {}

    def _tell_of_model(self) -> None:
        """A world keeps the model that it was born with; an id that says another one is told so, once."""
        birth, name = self.world.birth, self.spec.id if self.spec is not None else ""
        if self._told_of_model or birth is None or birth.schema != FIRST or not name.endswith("-v1"):
            return
        self._told_of_model = True
        warnings.warn(
            f"World {birth.world!r} in {self.world.url} was born by the first model and plays on by it, and "
            f"not by that of {name}: AdMarket-v0 is its id (with config=None if it was born with a "
            "configuration of its own), and a new world name plays v1.",
            UserWarning,
            stacklevel=3,
        )

    def _observed(self) -> Observation:
        market = self.world.playing()
        return observe_market(market.record, market.config, self._observe)

    def __getstate__(self) -> dict[str, Any]:
        """Only the constructor's arguments travel: a copy reads its world for itself."""
        return {"arguments": self._arguments, "spec": self.spec}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["arguments"])  # type: ignore[misc]
        self.spec = state["spec"]


def resume_asked(options: Mapping[str, Any] | None) -> bool:
    """Whether the options of a reset ask to play on. Raises ValueError for other options."""
    for name in options or {}:
        one_of("A key of reset's options", name, ("continue",))
    resume = (options or {}).get("continue", False)
    if not isinstance(resume, bool):
        raise ValueError(f"options['continue'] is True or False, and not {resume!r}.")
    return resume
