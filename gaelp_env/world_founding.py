"""Worlds that come into being with all their shards at once: created, or forked from another one.

Each shard is born by a commit of its own. Until the last one is there nobody reads or plays the world (see
`storage.arrivals`), so one that was stopped in between is finished by doing the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from gaelp_env.config import MarketConfig
from gaelp_env.world_people import Names
from gaelp_env.world_place import Place
from gaelp_env.world_shards import Share
from gaelp_env.world_upgrade import market_of
from gaelp_env.world_words import config_of
from storage.base import Arrival, Snapshot, Store
from storage.refusals import created_otherwise

if TYPE_CHECKING:
    from gaelp_env.world import World


def created(
    opened: Callable[[int], World], config: MarketConfig, seed: int, shards: int, shard: int
) -> World:
    """See World.create.

    Args:
      opened: opens the world at a shard.
      shards, shard: how many it has, and which of them is held.
    """
    first = opened(shard)
    begun = first.place.begun() if shards > 1 else None
    if begun is not None:
        begun.check_act(first.url, "create")
        alike = begun.birth == first.birth_of(first.name, config, "")
        if not alike or not all(_is_born_of(each, config, seed) for each in first.place.there(begun)):
            raise created_otherwise(first.name, first.url)
    arrival = Arrival("create", tuple(range(shards))) if shards > 1 else None

    def found(world: World) -> None:
        world.found(world.place.share.born(config, seed), config, "", arrival)

    order = [*(each for each in range(shards) if each != shard), shard]
    return _founded(opened, order, begun.born if begun is not None else (), found)


def _is_born_of(snapshot: Snapshot, config: MarketConfig, seed: int) -> bool:
    """Whether a shard is as a seed bears it: the record of its market has the luck that came of the seed."""
    market = Share(snapshot.shard, snapshot.birth.shards).born(config, seed)
    return snapshot.sequence == 0 and snapshot.market == market.record_bytes()


def forked(
    source: World, store: str | Store | None, name: str, at: str | int, pinned: Snapshot | None
) -> World:
    """See World.fork.

    Of a fork that was stopped, the shards that are still to come are as of its own commit, or as near to it
    as the source has kept them.

    Args:
      pinned: this shard as of the commit that is wanted, if a reading world has it.
    """
    begun = Place(store, name).begun()
    finishing = begun is not None and begun.birth.parent == f"{source.name}@{at}"
    wanted = at if pinned is None else source.terms.pin
    snapshots = source.place.committed(wanted, pinned, near=finishing)
    birth, commit = snapshots[0].birth, min(snapshot.sequence for snapshot in snapshots)
    parent = f"{birth.world}@{at if finishing else commit}"
    config = config_of(birth, None, source.url)
    by_shard = {snapshot.shard: snapshot for snapshot in snapshots}

    def opened(shard: int) -> World:
        return type(source).open(store, name, config=config, shards=birth.shards, shard=shard)

    def found(world: World) -> None:
        snapshot = by_shard[world.place.share.shard]
        world.names = Names(dict(snapshot.names))
        market = market_of(snapshot, world.place.share.of(config), source.url)
        market.population.note_changed()
        world.found(market, config, parent)

    if begun is not None:
        begun.check_act(Place(store, name).url, "fork" if begun.birth.parent == parent else "another")
    return _founded(opened, list(by_shard), begun.born if begun is not None else (), found)


def _founded(
    opened: Callable[[int], World],
    order: Sequence[int],
    there: Collection[int],
    found: Callable[[World], None],
) -> World:
    """Bears all shards of a world but those that are there, in order; the last one stays held."""
    for shard in order:
        world = opened(shard)
        if shard not in there:
            found(world)
        elif shard == order[-1]:
            world.reset()
            world.hold()
        if shard != order[-1]:
            world.close()
    return world
