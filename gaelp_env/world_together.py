"""Several worlds moved as one: ticks, ends of episodes, resets, and one commit for all that end together."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.ledger import A, K
from gaelp_env.turns import play_together
from gaelp_env.world_words import checked_seed
from storage.base import Batch, LeaseLost, StoreFull

if TYPE_CHECKING:
    from gaelp_env.world import World


def ready_all(worlds: Sequence[World]) -> None:
    """Makes sure that every world can be moved: read, whole, and held for writing.

    Raises: as World.step does before it moves anything; no market has moved then.
    """
    now, process = time.monotonic(), os.getpid()
    for world in worlds:
        if not world.stands(now, process):
            world.ready()


def advance_all(worlds: Sequence[World], bids_cpm: NDArray[np.float64]) -> None:
    """Plays one tick of every world: the only place where several markets move together.

    Small markets of one configuration are played by one compiled call, larger ones one after the other.

    Args:
      worlds: each one ready, with its episode open.
      bids_cpm: `[N, 5]` or `[N, 5, A]` finite CPM, a world's bids each.
    """
    count = len(worlds)
    if not count:
        return
    bids = np.empty((count, K, A))
    bids[:] = bids_cpm.reshape(count, K, -1)
    alike = dict[str, list[int]]()
    for place, world in enumerate(worlds):
        market = world.playing()
        if market.small:
            alike.setdefault(market.fingerprint, []).append(place)
        else:
            world.step(bids[place])
    for places in alike.values():
        some, whole = worlds, len(places) == count
        if not whole:
            some = [worlds[place] for place in places]
        seats = [world.sit() for world in some]
        came = play_together([world.playing() for world in some], bids if whole else bids[places], seats)
        for world, one in zip(some, came, strict=True):
            world.end_tick(one)


def end_all(worlds: Sequence[World]) -> None:
    """Ends the open episodes of several worlds, and commits together those whose commit is due.

    Raises: StoreError if a commit fails. All episodes have ended all the same: those that are not
      committed stay in memory, and go with the next commit.
    """
    commit_all([world for world in worlds if world.finish_episode()])


def commit_all(worlds: Sequence[World]) -> None:
    """Commits all finished episodes of several worlds: one atomic commit for the worlds of one store.

    Raises: StoreError if a commit fails; of its worlds none is committed, and all stay in memory, but for
      those whose lease was taken over: they are let go of.
    """
    for group in _by_home(worlds):
        try:
            (place, batches), *others = [(world.place, batches) for world, batches in group]
            place.commit(batches, *others)
        except LeaseLost:
            for world, _ in group:
                if world.place.is_lost():
                    world.let_go()
            raise
        for world, _ in group:
            world.accepted()


def _by_home(worlds: Sequence[World]) -> list[list[tuple[World, list[Batch]]]]:
    """Worlds with what they have to commit, in groups of one store each."""
    groups: dict[int, list[tuple[World, list[Batch]]]] = {}
    for world in worlds:
        batches = world.packed()
        if batches:
            groups.setdefault(id(world.place.home), []).append((world, batches))
    return list(groups.values())


def reset_all(worlds: Sequence[World], seeds: Sequence[Any], *, resume: bool = False) -> None:
    """Resets every world as World.reset; open episodes that end by it are committed together.

    Args:
      worlds: all different.
      seeds: a seed or None for each.
      resume: as World.reset.
    Raises: ValueError for a seed that cannot be, with nothing changed; otherwise as World.reset.
    """
    checked = [checked_seed(seed, resume) for seed in seeds]
    pairs = list(zip(worlds, checked, strict=True))
    going_on = [world for world, seed in pairs if seed is None and world.mode == "write" and world.held]
    commit_all([world for world in going_on if world.finish_open()])
    for world, seed in pairs:
        world.reset(seed, resume=resume)


def close_all(worlds: Sequence[World]) -> None:
    """Ends what is open, commits all that has finished together, and lets go. Idempotent.

    Raises: StoreFull with everything kept in memory, so that it can be called again; after any other
      StoreError every world has been closed on its own, and what could be committed was.
    """
    failed: BaseException | None = None
    try:
        held = [world for world in worlds if world.held and world.mode == "write"]
        for world in held:
            world.finish_open()
        commit_all(held)
    except StoreFull:
        raise
    except BaseException as error:
        failed = error
    for world in worlds:
        try:
            world.close()
        except StoreFull:
            raise
        except BaseException as error:
            failed = failed or error
    if failed is not None:
        raise failed
