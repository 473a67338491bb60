"""Wrappers for algorithms that need another form of the same market."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from gaelp_env.config import CHANNELS


class DiscreteBids(gym.ActionWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Turns the five bids into one choice of many, for DQN and the like.

    Every channel takes one of `levels`; action 0 … L ** 5 - 1 is the combination, the first channel
    being the most significant digit in base L. With the default levels there are 243 choices: no bid,
    the reference price, or halfway (on the log scale) from there to the highest bid.
    """

    def __init__(self, env: gym.Env[Any, Any], levels: Sequence[float] = (-1.0, 0.0, 0.5)) -> None:
        """Wraps an env whose action is Box(-1, 1).

        Args:
          env: the market.
          levels: two or more rising numbers in [-1, 1]; below -0.9 is no bid.
        Raises: ValueError for other levels or another env.
        """
        given = [float(level) for level in levels]
        if len(given) < 2 or given != sorted(set(given)) or not -1.0 <= given[0] <= given[-1] <= 1.0:
            raise ValueError(f"levels are two or more rising numbers in [-1, 1], and not {list(levels)}.")
        if not isinstance(env.action_space, Box):
            raise ValueError(
                f"DiscreteBids wraps a market whose action is a Box, and not {env.action_space}."
            )
        gym.utils.RecordConstructorArgs.__init__(self, levels=given)
        super().__init__(env)
        self.levels: NDArray[np.float32] = np.array(given, np.float32)
        self.action_space = Discrete(len(given) ** len(CHANNELS))

    def action(self, action: Any) -> NDArray[np.float32]:
        """The bids `[5]` that a choice means. Raises ValueError for a choice that there is not."""
        if not self.action_space.contains(action):
            raise ValueError(f"An action is a whole number in {self.action_space}, and not {action!r}.")
        count, rest = len(self.levels), int(action)
        digits = []
        for _ in CHANNELS:
            rest, digit = divmod(rest, count)
            digits.append(digit)
        return self.levels[digits[::-1]]
