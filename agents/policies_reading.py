"""What a bidding rule reads in an observation, by the names of its entries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gaelp_env.config import MarketConfig
from gaelp_env.constants import season_of

Floats = NDArray[np.float64]
READS = ("hour_sin", "hour_cos", "episode_progress", "price_level", "budget_left")


class Reading:
    """Reads time, price level and budget out of observations `[…, N]`.

    Args:
      config: of the market.
      names: of the observation's entries.
    Raises: ValueError if an entry that is needed is not there.
    """

    def __init__(self, config: MarketConfig, names: tuple[str, ...]) -> None:
        missing = [name for name in READS if name not in names]
        if missing:
            raise ValueError(
                f"A bidding rule reads {', '.join(READS)}, and this observation has no {', '.join(missing)}."
            )
        self._at = {name: names.index(name) for name in READS}
        self._tick_h = config.clock.tick_h
        self._ticks = config.clock.episode_ticks
        self._planned = self._plans(config)

    def _plans(self, config: MarketConfig) -> Floats:
        """Share of an episode's traffic before each of its ticks, by the hour of its start `[24, T + 1]`."""
        traffic = season_of(config).traffic.reshape(7, 24).mean(axis=0)
        hours = np.arange(24)[:, None] + np.arange(self._ticks)[None, :] * self._tick_h
        weight = traffic[np.floor(hours + 1e-9).astype(np.intp) % 24]
        before = np.concatenate([np.zeros((24, 1)), np.cumsum(weight, axis=1)], axis=1)
        return np.asarray(before / before[:, -1:])

    def _entry(self, observation: NDArray[np.generic], name: str) -> Floats:
        return np.asarray(observation[..., self._at[name]], np.float64)

    def hour(self, observation: NDArray[np.generic]) -> Floats:
        """Hour of the day `[…]` in [0, 24), to a ten-thousandth."""
        turn = np.arctan2(self._entry(observation, "hour_sin"), self._entry(observation, "hour_cos"))
        return np.asarray(np.round(turn * 12.0 / np.pi % 24.0, 4) % 24.0)

    def tick(self, observation: NDArray[np.generic]) -> NDArray[np.intp]:
        """Number of the tick within the episode `[…]`, 0 …"""
        return np.rint(self._entry(observation, "episode_progress") * self._ticks).astype(np.intp)

    def price_level(self, observation: NDArray[np.generic]) -> Floats:
        """Rivals' price level at this hour `[…]`, as a multiple of the reference."""
        return np.asarray(np.exp(self._entry(observation, "price_level")))

    def spent_share(self, observation: NDArray[np.generic]) -> Floats:
        """Share of the episode's budget that is spent `[…]`, in [0, 1]."""
        return 1.0 - self._entry(observation, "budget_left")

    def plan(self, observation: NDArray[np.generic]) -> Floats:
        """Share of the episode's traffic that has passed `[…]`, in [0, 1]: 0 at the first tick."""
        tick = self.tick(observation)
        start = np.floor((self.hour(observation) - tick * self._tick_h) % 24.0 + 1e-3).astype(np.intp) % 24
        return np.asarray(self._planned[start, tick])
