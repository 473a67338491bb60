"""A world founded with people who were there before it."""

from __future__ import annotations

import numpy as np

from gaelp_env.adoption import Adopted
from gaelp_env.chance import key_of
from gaelp_env.config import MarketConfig
from gaelp_env.ledger import RECORD, K
from gaelp_env.market import Market
from gaelp_env.opening import pressures
from gaelp_env.rivalry import initial_shades
from gaelp_env.world import World
from gaelp_env.world_people import Names
from storage.base import Store


def config_for(config: MarketConfig, people: Adopted) -> MarketConfig:
    """A configuration whose clock begins, and whose population is as large, as that of adopted people."""
    own = config.model_dump()
    own["clock"]["epoch"] = str(people.epoch.astype("M8[s]"))
    own["people"]["users"] = max(int((people.users["rate"] > 0.0).sum()), 1)
    return MarketConfig.model_validate(own)


def found_with(store: str | Store, world: str, config: MarketConfig, people: Adopted, seed: int) -> World:
    """Births a world with adopted people and commits its birth at once; the world is held until `close()`.

    Its clock stands at the midnight after all that is known of them; totals of touches, clicks, visits and
    conversions are those of the records. No event is written: the log begins with the next episode.

    Args:
      config: as `config_for` makes it.
      seed: of the chance to come.
    Raises: WorldExists if there is one of that name, WorldBusy if its place is held.
    """
    market = market_of(config, people, seed)
    adopting = World.open(store, world, config=config)
    adopting.names = Names(dict(people.names))
    adopting.found(market, config, parent="")
    return adopting


def market_of(config: MarketConfig, people: Adopted, seed: int) -> Market:
    """The market of adopted people, with rivals as at a birth."""
    users, record = people.users, np.zeros((), RECORD)
    record["key"] = key_of("chance", seed)
    tick = round(people.now_h / config.clock.tick_h)
    record["tick"], record["episode"] = tick, int(users["last_episode"].max())
    record["pressure"] = pressures(config, record["key"], tick, np.zeros(K), 1e9)
    record["next_number"], record["initial_users"] = int(users["number"].max()) + 1, config.people.users
    for total in ("touches", "clicks", "visits", "conversions"):
        record[total] = int(users[total].astype(np.int64).sum())
    record["met"] = int(users["episodes"].astype(np.int64).sum())
    record["rival_shade"], record["pace"] = initial_shades(config), 1.0
    market = Market(config, users, record)
    market.population.note_changed()
    market._sum_up()
    return market
