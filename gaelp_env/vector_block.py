"""The market records of many worlds in one block, and what reading them takes of the configurations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gaelp_env.constants import levels_of
from gaelp_env.ledger import RECORD
from gaelp_env.market import Market
from gaelp_env.observation import lens_of
from gaelp_env.told import limits_of
from gaelp_env.world import World


class Block:
    """N market records as rows of one array: what a market writes to its record, the block shows.

    A row stands for the market that a world plays at the moment; `settle` takes in new ones. Everything
    but `records` changes only there.

    Attributes:
      records: `[N]` of RECORD, live.
      lenses, levels, limits, episode_ticks, goals: by row, of the configuration: see `lens_of`,
        `all_bids_cpm`, `limits_of`, `rewards_of`.
    """

    def __init__(self, worlds: Sequence[World]) -> None:
        self._worlds = worlds
        self._markets: list[Market | None] = [None] * len(worlds)
        self.records = np.zeros(len(worlds), RECORD)

    def settle(self) -> None:
        """Gives a row to every market that has none yet; a world without a market keeps its old one."""
        moved = False
        for place, (world, known) in enumerate(zip(self._worlds, self._markets, strict=True)):
            market = world.market
            if market is not known and market is not None:
                market.live_in(self.records[place : place + 1])
                self._markets[place] = market
                moved = True
        if moved and None not in self._markets:
            self._learn()

    def _learn(self) -> None:
        configs = [market.config for market in self._markets if market is not None]
        self.lenses = np.concatenate([lens_of(config) for config in configs])
        self.levels = np.array([levels_of(config)[:2] for config in configs], np.float64)
        self.limits = np.stack([limits_of(config) for config in configs])
        self.episode_ticks = np.array([config.clock.episode_ticks for config in configs], np.int64)
        self.goals: list[Any] = [config.goals for config in configs]
