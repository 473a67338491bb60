"""AdMarketImpressionEnv: the same world of persistent people, one opportunity a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from numpy.typing import NDArray

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.env import resume_asked
from gaelp_env.impression_floor import Floor, shape_of
from gaelp_env.impression_view import names, space
from gaelp_env.observation import OBSERVE
from gaelp_env.reward import REWARDS
from gaelp_env.world import World
from gaelp_env.world_words import one_of

Observation = NDArray[np.float32]
Step = tuple[Observation, float, bool, bool, dict[str, Any]]


class AdMarketImpressionEnv(gym.Env[Any, Any]):
    """One advertiser who is asked for a bid at every opportunity, as in real-time bidding.

    An episode is a day of ticks as in AdMarketEnv, with the same people, luck and effects. Within a tick
    opportunities come by moment, ties by user number. A step answers one; what comes between it and the
    next one (visits, opportunities that the frequency cap, the targeting or a spent budget keeps us out of,
    orders falling due at the tick's end, whole ticks without anybody) is part of it.

    Action: `[1]` in [-1, 1], the bid: reference * (max / reference) ** a of the opportunity's channel, none
    below -0.9. Where a market has several creatives it is `[2]`, and the second number chooses creative
    floor((a + 1) / 2 * how many).
    Observation: float32 in [-1, 1], named by `observation_names`; see gaelp_env.impression_view.
    The last observation of an episode shows no opportunity (all `channel_` entries are 0), nor does the first
    one of an episode without any: its one step ignores the action and is truncated.

    Reward: see gaelp_env.reward, what this step brought. Orders fall due at ticks' ends, and count at the
    tick's last opportunity; over an episode rewards sum to those of the same bids in AdMarketEnv.

    What reset, close, a seed and `mode="read"` do to the people is told in docs/worlds.md. A reset or close
    within a tick lets the rest of that tick pass without bids.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own form)

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
        reward: str = "accrued_profit",
        observe: str = "advertiser",
        creatives: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Touches nothing: the first reset reads the world, the first step takes the right to write.

        Args:
          reward: as AdMarketEnv, "accrued_profit" by default: it counts at the opportunity that earns it.
          observe: "advertiser" or "full" (the user's hidden scores as well).
          creatives: how many the action chooses among, where the configuration is the world's own; None
            takes it from config, or the defaults.
          render_mode: None; there is nothing to draw.
          store, world, config, mode, pin, commit_every, touch_log, retain_days, keep_commits, keep_hours: as
            AdMarketEnv.
        Raises: ValueError (ConfigError) for an argument that cannot be.
        """
        self._arguments = {
            "store": store, "world": world, "config": config, "mode": mode, "pin": pin,
            "commit_every": commit_every, "touch_log": touch_log, "retain_days": retain_days,
            "keep_commits": keep_commits, "keep_hours": keep_hours,
            "reward": reward, "observe": observe, "creatives": creatives, "render_mode": render_mode,
        }  # fmt: skip
        if render_mode is not None:
            raise ValueError(f"An impression cannot be drawn; render_mode is None, and not {render_mode!r}.")
        one_of("reward", reward, REWARDS)
        one_of("observe", observe, OBSERVE)
        given = None if config is None else load_config(config)
        self.world = World.open(
            store, world, config=given, mode=mode, pin=pin, commit_every=commit_every, touch_log=touch_log,
            retain_days=retain_days, keep_commits=keep_commits, keep_hours=keep_hours,
        )  # fmt: skip
        self.observation_names = names(observe)
        self.observation_space = space(observe)
        self._creatives = creatives or len((given or MarketConfig()).response.creatives)
        self.action_space = Box(-1.0, 1.0, shape_of(self._creatives), np.float32)
        self._keep = store is not None
        self._floor: Floor | None = None
        self._over, self._answered = True, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins the next episode in the same world, and shows its first opportunity.

        Args:
          seed: drops an unfinished episode and rekeys chance; people who are committed stay.
          options: {"continue": True} plays on privately from where a reading world is.
        Returns: what is seen, and the opportunity's `channel`, `user` and `tick`, with `budget_left`.
        Raises: StoreError, ConfigError, ValueError, as World.reset.
        """
        resume = resume_asked(options)
        super().reset(seed=seed)
        self._over = True
        self._leave(ends=seed is None and (resume or self.world.mode == "write"))
        self.world.reset(seed, resume=resume)
        market = self.world.playing()
        if self._floor is None:
            self._floor = self._opened(market.config)
        view = np.zeros((1, len(self.observation_names)), np.float32)
        self._floor.begin([0], view)
        self._over = self._answered = False
        told = self._floor.told(0)
        return view[0], {
            "episode_number": self.world.episodes_finished + 1,
            "budget_left": market.budget_left,
            **{name: told[name] for name in ("channel", "user", "tick")},
        }

    def step(self, action: Any) -> Step:
        """Answers one opportunity.

        Args:
          action: finite numbers in [-1, 1] (clipped), of the action space's shape.
        Returns: observation, reward, False, whether that was the episode's last opportunity, and what came of
          the bid (`win`, `view`, `click`, `price` in currency) with `channel`, `user` and `tick` of the
          opportunity that is now shown; -1 for the first two if there is none.
        Raises: ResetNeeded before reset and after the last opportunity; ValueError for an action that cannot
          be, with nothing changed; StoreError if somebody else writes or the commit at the end fails.
        """
        if self._over or self._floor is None or self.world.market is None:
            why = "has not begun" if self.world.market is None else "is over"
            raise ResetNeeded(f"The episode of world {self.world.name!r} {why}; call reset() before step().")
        actions = checked(action, shape_of(self._creatives))[None]
        if not self._answered:
            self._floor.hold([0])
            self._answered = True
        views, rewards, overs = self._floor.step(actions)
        told, truncated = self._floor.told(0), bool(overs[0])
        if truncated:
            self._over = True
            self._floor.end(0)
            self.world.end_episode()
        return views[0], float(rewards[0]), False, truncated, told

    def close(self) -> None:
        """Ends and commits the open episode as reset does, and lets go of the world. Idempotent."""
        self._over = True
        self._leave(ends=self.world.mode == "write")
        self.world.close()

    def _leave(self, *, ends: bool) -> None:
        """Gives the market back: ended if it is to count and a bid was answered, or as it was before."""
        if self._floor is not None and self.world.lent:
            if ends and self._answered:
                self._floor.end(0)
            else:
                self._floor.drop(0)
        self._answered = False

    def _opened(self, config: MarketConfig) -> Floor:
        found = len(config.response.creatives)
        if shape_of(found) != shape_of(self._creatives):
            raise ValueError(
                f"World {self.world.name!r} has {found} creatives and the actions of this environment are "
                f"for {self._creatives}; give creatives={found}."
            )
        reward, observe = self._arguments["reward"], self._arguments["observe"]
        return Floor([self.world], str(reward), str(observe), keep=self._keep, threads=1)

    def __getstate__(self) -> dict[str, Any]:
        """Only the constructor's arguments travel: a copy reads its world for itself."""
        return {"arguments": self._arguments, "spec": self.spec}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["arguments"])  # type: ignore[misc]
        self.spec = state["spec"]


def checked(action: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An action as float32. Raises ValueError if it has another shape or is not finite."""
    try:
        a = np.asarray(action, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"An action is an array of numbers of shape {shape}, not {action!r:.80}.") from error
    if a.shape != shape:
        raise ValueError(f"An action has shape {shape}, and this one has shape {a.shape}.")
    if not np.isfinite(a).all():
        raise ValueError("An action must be finite: a number from -1 (no bid) to 1 (the highest bid).")
    return a
