"""Playing a market by opportunities and by ticks, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gaelp_env.actions import bids_cpm
from gaelp_env.config import MarketConfig
from gaelp_env.impression_desk import OVER, PAUSED
from gaelp_env.impression_floor import Floor
from gaelp_env.impression_view import names
from gaelp_env.market import Market
from gaelp_env.world import World

Played = tuple[Floor, float]


def floor_of(config: MarketConfig, seed: int, reward: str = "accrued_profit") -> Floor:
    """One world at a desk, at its first opportunity."""
    world = World.open(config=config)
    world.reset(seed=seed)
    floor = Floor([world], reward, "full", keep=True, threads=1)
    floor.begin([0], np.zeros((1, len(names("full"))), np.float32))
    return floor


def answer(floor: Floor, action: Any) -> float:
    """Answers the opportunity that is waiting, by an action of AdMarketEnv; returns the reward."""
    desk = floor.desks[0]
    shape = 2 if len(floor.config.response.creatives) > 1 else 1
    chosen = np.full((1, shape), action[int(desk["channel"])], np.float32)
    return float(floor.step(chosen)[1][0])


def by_ticks(floor: Floor, action: Any) -> Iterator[float]:
    """Plays the open episode by opportunities and stops at each tick's close; yields the tick's reward."""
    floor.desks["pause"] = 1
    while floor.desks["status"][0] != OVER:
        reward = answer(floor, action)
        while floor.desks["status"][0] not in (PAUSED, OVER):
            reward += answer(floor, action)
        yield reward


def people(floor: Floor) -> bytes:
    """Every user's record, a tick having closed."""
    market = floor.books[0].world.playing()
    market.population.size = int(floor.desks["size"][0])
    return market.population.rows(slice(None)).tobytes()


def record_of(market: Market) -> dict[str, bytes]:
    """The market record by field, but for the bids, which are unknown where nothing was bid for."""
    return {name: market.record[name].tobytes() for name in market.record.dtype.names if name != "bid_cpm"}


def twin(config: MarketConfig, seed: int) -> Market:
    """The same market, to be played by ticks."""
    market = Market.born(config, seed)
    market.begin_episode()
    return market


def bids(action: Any, config: MarketConfig) -> Any:
    """What an action means in money."""
    return bids_cpm(np.array(action, np.float32), config)
