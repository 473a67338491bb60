"""The contract of `storage.base.Store` over every kind of store: who may write."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest

from storage.base import (
    Arrival,
    BadWorldName,
    Lease,
    LeaseLost,
    Store,
    StoreError,
    WorldBusy,
    WorldExists,
    WorldMoved,
    WorldNotFound,
)
from tests.storage.small import START, Kind, batch, birth, born, open_store, seen

# ---- leases


def test_a_new_world_is_listed_only_once_it_is_born(store: Store) -> None:
    assert store.worlds() == []
    lease = store.acquire(birth(), expected=None)
    assert store.worlds() == []
    for read in (lambda: store.load("demo"), lambda: store.count("demo", "episodes")):
        with pytest.raises(WorldNotFound, match="no world 'demo'"):
            read()
    store.commit([(lease, batch(0, [1]))])
    (line,) = store.worlds()
    assert (line.birth, line.sequence, line.summary) == (birth(), 0, {"clock": 0})
    assert line.holder == lease.holder
    assert str(os.getpid()) in lease.holder


def test_a_reservation_that_came_to_nothing_vanishes(store: Store) -> None:
    store.release(store.acquire(birth(), expected=None))
    assert store.worlds() == []
    lease = store.acquire(birth(config="{}"), expected=None)
    assert lease.epoch == 2
    store.commit([(lease, batch(0, [1]))])
    assert store.load("demo").birth.config == "{}"


def test_shards_that_come_together_are_born_by_that_act_alone(kind: Kind, store: Store) -> None:
    whole, copy = birth(shards=3), Arrival("copy", (0, 1))
    lease = store.acquire(whole, 0, expected=None, arrival=copy)
    for other in (None, Arrival("create", (0, 1, 2))):
        with pytest.raises(StoreError, match=r"is being copied .* shard 1 is not there yet"):
            store.acquire(whole, 1, expected=None, arrival=other)
    store.commit([(lease, batch(0, [1]))])
    store.release(lease)
    again = open_store(kind.url)
    (line,) = again.worlds()
    assert [(each.shard, each.arrival) for each in line.shards] == [(0, copy)]
    with pytest.raises(StoreError, match=r"is being copied .* shard 1 is not there yet"):
        again.acquire(whole, 1, expected=None)
    with pytest.raises(WorldExists):
        again.acquire(whole, 2, expected=None, arrival=Arrival("create", (0, 2)))
    again.release(again.acquire(whole, 0, expected=0))
    grown = again.acquire(whole, 2, expected=None)
    lease = again.acquire(whole, 1, expected=None, arrival=copy)
    again.commit([(grown, batch(0, [3], shard=2)), (lease, batch(0, [2], shard=1))])
    assert [each.arrival for each in again.worlds()[0].shards] == [copy, copy, None]
    again.public = None
    again.close()


def test_a_reservation_of_an_act_that_came_to_nothing_binds_nobody(store: Store) -> None:
    whole = birth(shards=2)
    store.release(store.acquire(whole, 0, expected=None, arrival=Arrival("create", (0, 1))))
    leases = [store.acquire(whole, shard, expected=None) for shard in (1, 0)]
    store.commit([(lease, batch(0, [lease.shard], shard=lease.shard)) for lease in leases])
    assert [each.arrival for each in store.worlds()[0].shards] == [None, None]


def test_a_world_has_one_living_holder(kind: Kind, store: Store) -> None:
    lease = born(store)
    other = open_store(kind.url)
    with pytest.raises(WorldBusy, match=rf"process {os.getpid()} on .* since .*Wait until"):
        other.acquire(birth(), expected=0)
    store.release(lease)
    taken = other.acquire(birth(), expected=0)
    assert taken.epoch == lease.epoch + 1
    other.close()


def test_acquire_says_what_is_not_as_expected(store: Store) -> None:
    with pytest.raises(WorldNotFound, match=r"no world 'demo'.*no world yet"):
        store.acquire(birth(), expected=3)
    lease = born(store)
    store.commit([(lease, batch(1))])
    with pytest.raises(WorldExists, match="already"):
        store.acquire(birth(), expected=None)
    store.release(lease)
    with pytest.raises(WorldMoved, match="at commit 1, but 0 was read"):
        store.acquire(birth(), expected=0)
    with pytest.raises(WorldNotFound, match=r"'other'.*'demo'"):
        store.acquire(birth("other"), expected=0)
    assert store.acquire(birth(), expected=1).epoch == 2


@pytest.mark.parametrize("name", ["", "/x", "a/b/c", "-a", "a b", "ä", "a/", "x" * 101, 5, "a\n"])
def test_a_name_that_no_world_can_have_is_refused(store: Store, name: Any) -> None:
    with pytest.raises(BadWorldName, match="cannot name a world"):
        store.acquire(birth(name), expected=None)


def test_a_lease_that_was_taken_over_can_never_write_again(kind: Kind, store: Store) -> None:
    lease = born(store)
    copy = Lease(lease.world, lease.shard, lease.epoch, lease.holder, lease.token)
    del lease
    gc.collect()
    other = open_store(kind.url)
    taken = other.acquire(birth(), expected=0)
    before = seen(other)
    for write in (
        lambda: store.commit([(copy, batch(1, [1]))]),
        lambda: store.commit([(copy, batch(0, [1]))]),
        lambda: store.heartbeat(copy),
        lambda: store.prune(copy, START),
    ):
        with pytest.raises(LeaseLost, match="epoch 1"):
            write()
    store.release(copy)
    assert seen(other) == before
    other.heartbeat(taken)
    other.commit([(taken, batch(1, [1]))])
    other.close()


def test_a_forgotten_lease_is_free_at_once_even_in_a_reference_cycle(store: Store) -> None:
    class Env:
        def __init__(self, lease: Lease) -> None:
            self.lease = lease
            self.me = self

    gc.disable()
    try:
        Env(born(store))
        assert store.acquire(birth(), expected=0).epoch == 2
    finally:
        gc.enable()


def test_release_and_close_are_idempotent_and_end_leases(kind: Kind, store: Store) -> None:
    lease = born(store)
    store.release(lease)
    store.release(lease)
    with pytest.raises(LeaseLost):
        store.commit([(lease, batch(1))])
    lease = store.acquire(birth(), expected=0)
    other = open_store(kind.url)
    store.close()
    store.close()
    store.release(lease)
    assert other.acquire(birth(), expected=0).epoch == 3
    other.close()
    with pytest.raises(StoreError, match="was closed"):
        store.worlds()


def test_closing_one_store_leaves_the_leases_of_another(kind: Kind, store: Store) -> None:
    lease = born(store)
    open_store(kind.url).close()
    store.commit([(lease, batch(1, [1]))])
    assert store.load("demo").sequence == 1
