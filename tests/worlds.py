"""Small worlds for tests, and the few things that every test of a world asks."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.actions import bids_cpm
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.population import GONE
from gaelp_env.world import World
from storage import open_store

TICKS = 4
SMALL = load_config({"people.users": 60, "people.media_per_day": 12.0, "clock.episode_ticks": TICKS})
"""Sixty people who are met often, and episodes of four ticks."""

STORES = ("memory", "sqlite")
_count = itertools.count()


def new_url(kind: str, folder: Path | None) -> str:
    """The URL of a store of that kind that nobody has used."""
    number = next(_count)
    return f"memory:test-{number}" if kind == "memory" else f"sqlite:///{folder / f'store{number}.db'}"


def plan(tick: int) -> NDArray[np.float64]:
    """Bids that are a pure function of the clock, with channels dropping out now and then."""
    return bids_cpm([math.sin(1.7 * tick + k) for k in range(5)], SMALL)


def step(world: World) -> Any:
    """One tick by plan."""
    return world.step(plan(int(world.playing().record["tick"])))


def play(world: World, episodes: int = 1) -> None:
    """Whole episodes by plan, from where the world is to the end of the last one."""
    for _ in range(episodes):
        while not world.over:
            step(world)
        world.end_episode()


def state(world: World) -> bytes:
    """All that a market is, as bytes: the people who live in it and its record."""
    market = world.playing()
    people = market.population.rows(slice(None))
    return people[people["flags"] & GONE == 0].tobytes() + market.record_bytes()


def stored(url: str) -> bytes:
    """The state that the store holds of world "demo"."""
    store = open_store(url, read_only=True)
    snapshot = store.load("demo")
    store.close()
    return snapshot.users.tobytes() + snapshot.market


def played(seed: int, episodes: int) -> bytes:
    """The state of a private world after so many unbroken episodes."""
    world = World.open(config=SMALL)
    world.reset(seed=seed)
    play(world, episodes)
    return state(world)


def rows(url: str, table: str, world: str = "demo") -> list[dict[str, Any]]:
    """A public table, as plain rows."""
    store = open_store(url, read_only=True)
    found = list(store.rows(world, table))
    store.close()
    return found


def begun(store: Any, name: str = "demo", *, config: MarketConfig = SMALL, **terms: Any) -> World:
    """A small world, born from seed 5."""
    world = World.open(store, name, config=config, **terms)
    world.reset(seed=5)
    return world
