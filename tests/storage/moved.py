"""Worlds that have lived, and worlds that move: for the tests of both."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from storage.base import Lease, Store
from storage.moving import Head
from tests.storage.small import START, batch, born, open_store

_fresh = itertools.count()


def new_store(scheme: str, folder: Path) -> Store:
    number = next(_fresh)
    return open_store(
        f"memory:moved{number}" if scheme == "memory" else f"sqlite:///{folder}/moved{number}.db"
    )


def lived(store: Store, world: str = "demo") -> Lease:
    """A world with names, archived and pruned people, and events, some of it folded and some not."""
    lease = born(store, world, range(9), names={2: "sara_mobile", 5: "mike"}, touch=3)
    store.commit(
        [(lease, batch(1, [1, 2, 12], world=world, names={2: "sara_mobile"}, archived=[4, 5], touch=2))]
    )
    store.prune(lease, START + np.timedelta64(1, "m"))
    store.fold()
    store.commit([(lease, batch(2, [1, 20], world=world, names={20: "ann"}, archived=[1], touch=9))])
    store.commit([(lease, batch(3, [2, 30], world=world, names={2: "sara_mobile"}, archived=[30]))])
    return lease


def move(source: Store, target: Store, world: str = "demo") -> None:
    head = next(iter(source.unload(world)))
    assert isinstance(head, Head)
    leases = [target.acquire(head.birth, shard, expected=None) for shard in head.stands]
    target.adopt(leases, source.unload(world))
    for lease in leases:
        target.release(lease)
