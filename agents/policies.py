"""Bidding rules without learning: the baselines that a trained agent has to beat.

Each has SB3's `predict(observation, state, episode_start, deterministic) -> (action, state)`, takes one
observation `[N]` or a batch `[R, N]`, and reads observations by their names.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.policies_reading import Reading
from gaelp_env.actions import action_for
from gaelp_env.config import CHANNELS, MarketConfig

K = len(CHANNELS)


class Policy(Protocol):
    """Anything that chooses bids: a rule of this module, or a model of Stable-Baselines3."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], Any]:
        """Chooses actions `[…, 5]` in [-1, 1] for observations `[…, N]`; `state` is what it remembers."""
        ...


class NeverBid:
    """Bids nowhere. The twin that every other policy is compared with."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[np.float32], Any]:
        """No bid on any channel."""
        return np.full((*np.shape(observation)[:-1], K), -1.0, np.float32), None


class RandomBids:
    """Bids uniformly over the action space, afresh in every tick.

    Args:
      seed: of its draws; two evaluations with the same seed see the same bids.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[np.float32], Any]:
        """Uniform actions; the generator travels as the state."""
        generator = np.random.default_rng(self.seed) if state is None else state
        shape = (*np.shape(observation)[:-1], K)
        return generator.uniform(-1.0, 1.0, shape).astype(np.float32), generator


class ConstantBids:
    """Bids the same on each channel in every tick.

    Args:
      bids: `[5]` CPM, 0 is no bid.
      config: of the market.
    """

    def __init__(self, bids: Any, config: MarketConfig) -> None:
        self.bids = np.asarray(bids, np.float64)
        self._action = action_for(self.bids, config)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[np.float32], Any]:
        """The constant action."""
        return np.broadcast_to(self._action, (*np.shape(observation)[:-1], K)).copy(), None


class ReferencePriceBids:
    """Bids in proportion to what the channel costs at this hour: c * reference * price level(hour).

    Args:
      multiplier: c, >= 0.
      config: of the market.
      names: of the observation's entries.
    """

    def __init__(self, multiplier: float, config: MarketConfig, names: tuple[str, ...]) -> None:
        self.multiplier = multiplier
        self._reading = Reading(config, names)
        self._reference = np.array([channel.reference_cpm for channel in config.channels.in_order()])
        self._config = config

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[np.float32], Any]:
        """The action of the hour."""
        level = self._reading.price_level(np.asarray(observation))
        return action_for(self.multiplier * self._reference * level[..., None], self._config), None


class PacedBids:
    """Bids so that spend follows a plan: a base bid, times exp(PID of the error).

        e(t) = planned(t) - spent(t),   bid = base * exp(clip(kp e + ki sum e + kd (e - e_before), ±2))

    Both are shares of the episode's budget; the plan spends `share` of it in proportion to traffic by
    hour of day. The usual pacing controller: Karlsson, "Control problems in online advertising", 2014.

    Args:
      base: `[5]` CPM, 0 is no bid.
      config: of the market.
      names: of the observation's entries.
      share: of the budget that the plan spends in an episode, in (0, 1].
      gains: kp, ki, kd.
    """

    def __init__(
        self,
        base: Any,
        config: MarketConfig,
        names: tuple[str, ...],
        *,
        share: float = 1.0,
        gains: tuple[float, float, float] = (10.0, 1.0, 5.0),
    ) -> None:
        self.base = np.asarray(base, np.float64)
        self.share = share
        self.gains = gains
        self._config = config
        self._reading = Reading(config, names)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[np.float32], Any]:
        """The paced action. The state is `[…, 2]`: the sum of errors and the last error, in this episode."""
        observation = np.asarray(observation, np.float64)
        error = self.share * self._reading.plan(observation) - self._reading.spent_share(observation)
        if state is None:
            state = np.stack([np.zeros_like(error), error], axis=-1)
        fresh = self._reading.tick(observation) == 0
        total = np.where(fresh, 0.0, state[..., 0]) + error
        before = np.where(fresh, error, state[..., 1])
        kp, ki, kd = self.gains
        push = np.clip(kp * error + ki * total + kd * (error - before), -2.0, 2.0)
        total = np.where(np.abs(push) >= 2.0, total - error, total)
        bids = self.base * np.exp(push)[..., None]
        return action_for(bids, self._config), np.stack([total, error], axis=-1)
