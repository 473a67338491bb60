"""The contract of `storage.base.Store`, promise by promise, over every kind of store: moving."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import moving
from storage.base import LeaseLost, Store, StoreError, WorldExists, WorldNotFound
from storage.moving import Digest, Head, People, Portion, Rows
from tests.storage.moved import lived, move, new_store
from tests.storage.small import Kind, batch, birth, born, open_store, seen


def digest(store: Store, world: str = "demo") -> str:
    whole = Digest()
    for _ in whole.passing(store.unload(world)):
        pass
    return whole.hexdigest()


def test_a_moved_world_is_the_world_and_goes_on_as_it_would_have(store: Store, other: Store) -> None:
    lease = lived(store)
    move(store, other)
    assert seen(other) == seen(store)
    assert digest(other) == digest(store)
    taken = other.acquire(birth(), expected=3)
    for place, held in ((store, lease), (other, taken)):
        place.commit(
            [(held, batch(4, [2, 40], names={2: "sara_mobile", 40: "new"}, archived=[2, 3], touch=1))]
        )
        place.commit([(held, batch(5, [0]))])
        for again in (
            batch(6, [4]),
            batch(6, [30]),
            batch(6, [50], names={50: "mike"}),
            batch(6, archived=[1]),
        ):
            with pytest.raises(StoreError):
                place.commit([(held, again)])
    mine, there = seen(store), seen(other)
    stamps = [row.pop("updated_at") for row in there["persistent_users"] if row["user_id"] == "new"]
    assert stamps[0] > max(
        row["updated_at"]
        for row in store.rows("demo", "persistent_users")
        if not row["is_active"] and row["user_id"] == "u000000030"
    )
    for row in (*mine["persistent_users"], *there["persistent_users"]):
        row.pop("updated_at", None)
        if row["user_id"] == "new":
            row.pop("created_at")
    assert there == mine


def test_rows_are_stamped_later_than_all_that_came(kind: Kind, store: Store, other: Store) -> None:
    lease = born(store)
    store.release(lease)
    store.close()
    ahead = open_store(kind.url)
    kind.raw_stamp(ahead, 4_000_000_000_000_000)
    ahead.commit([(ahead.acquire(birth(), expected=0), batch(1, [3]))])
    move(ahead, other)
    other.commit([(other.acquire(birth(), expected=1), batch(2, [4]))])
    stamps = [row["updated_at"] for row in other.rows("demo", "persistent_users")]
    assert stamps[4] > stamps[3] > "2096" > stamps[0]
    ahead.close()


def test_a_world_goes_from_store_to_store_and_comes_back_the_same(tmp_path: Path) -> None:
    stores = [new_store(scheme, tmp_path) for scheme in ("memory", "sqlite", "memory", "sqlite")]
    lease = lived(stores[0])
    for source, target in itertools.pairwise(stores):
        move(source, target)
    assert seen(stores[3]) == seen(stores[0])
    assert len({digest(store) for store in stores}) == 1
    assert lease.epoch == 1
    for store in stores:
        store.close()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=st.integers(1, 5), rows=st.integers(1, 5), blocks=st.integers(1, 3))
def test_how_a_world_is_cut_up_changes_nothing(people: int, rows: int, blocks: int, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        source, target = new_store("memory", tmp_path), new_store("sqlite", tmp_path)
        lease = lived(source)
        whole = digest(source)
        patch.setattr(moving, "PEOPLE_AT_ONCE", people)
        patch.setattr(moving, "ROWS_AT_ONCE", rows)
        patch.setattr("storage.sqlite_blocks.BLOCK_USERS", 4)
        patch.setattr("storage.sqlite_unload.BLOCK_USERS", 4)
        patch.setattr("storage.sqlite_unload._BLOCKS_AT_ONCE", blocks)
        patch.setattr("storage.sqlite_unload.ROWS_AT_ONCE", rows)
        move(source, target)
        assert digest(source) == digest(target) == whole
        assert seen(source) == seen(target)
        del lease
        target.close()


def test_shards_move_together_and_apart(kind: Kind, store: Store, other: Store, tmp_path: Path) -> None:
    whole = birth(shards=2)
    left, right = (store.acquire(whole, shard, expected=None) for shard in (0, 1))
    store.commit([(left, batch(0, [1], touch=1)), (right, batch(0, [2], shard=1, names={2: "r"}))])
    store.commit([(left, batch(1, [1]))])
    move(store, other)
    assert [other.load("demo", shard).sequence for shard in (0, 1)] == [1, 0]
    assert digest(other) == digest(store)
    assert [portion.shard for portion in other.unload("demo") if isinstance(portion, People)] == [0, 1]


def test_shards_in_memory_go_apart_and_those_of_one_file_do_not(tmp_path: Path) -> None:
    whole, store, apart = birth(shards=2), new_store("memory", tmp_path), new_store("sqlite", tmp_path)
    left, right = (store.acquire(whole, shard, expected=None) for shard in (0, 1))
    store.commit([(left, batch(0, [1], touch=1)), (right, batch(0, [2], shard=1, names={2: "r"}))])
    store.commit([(left, batch(1, [1]))])
    for shard in (1, 0):
        lease = apart.acquire(whole, shard, expected=None)
        apart.adopt([lease], store.unload("demo", shard))
    assert [apart.load("demo", shard).sequence for shard in (0, 1)] == [1, 0]
    assert list(apart.rows("demo", "persistent_users")) == list(store.rows("demo", "persistent_users"))
    assert [apart.count("demo", table) for table in ("touchpoints", "episodes")] == [1, 3]
    with pytest.raises(StoreError, match="several shards of world 'demo'"):
        list(apart.unload("demo", 0))
    with pytest.raises(WorldNotFound, match="shard 7"):
        list(apart.unload("demo", 7))
    apart.close()


def test_a_world_on_its_way_is_of_one_commit(store: Store) -> None:
    lease = lived(store)
    expected = digest(store)
    whole, portions = Digest(), store.unload("demo")
    whole.note(next(portions))
    store.commit([(lease, batch(4, [0], touch=5))])
    store.fold()
    for _ in whole.passing(portions):
        pass
    assert whole.hexdigest() == expected != digest(store)


def test_without_records_only_the_public_rows_travel(store: Store) -> None:
    lived(store)
    head, *rest = store.unload("demo", records=False)
    assert isinstance(head, Head)
    assert {type(portion) for portion in rest} == {Rows}
    for table in ("persistent_users", "touchpoints", "conversions", "episodes"):
        found = [
            row
            for portion in rest
            if isinstance(portion, Rows) and portion.table == table
            for row in portion.rows
        ]
        assert found == [tuple(row.values()) for row in store.rows("demo", table)]
        assert head.counts[table] == len(found)


def test_a_broken_off_adoption_leaves_no_trace(store: Store, other: Store) -> None:
    lived(store)
    portions = list(store.unload("demo"))
    lease = other.acquire(birth(), expected=None)

    def broken() -> Iterator[Portion]:
        yield from portions[:3]
        raise OSError("the line is dead")

    with pytest.raises(OSError, match="line is dead"):
        other.adopt([lease], broken())
    assert other.worlds() == []
    with pytest.raises(WorldNotFound):
        other.load("demo")
    other.adopt([lease], iter(portions))
    assert digest(other) == digest(store)
    other.commit([(lease, batch(4, [0]))])
    assert other.load("demo").sequence == 4


def test_what_cannot_be_adopted_is_refused(kind: Kind, store: Store, other: Store) -> None:
    lived(store)
    portions = list(store.unload("demo"))
    lease = other.acquire(birth(), expected=None)
    for wrong, says in (
        (portions[1:], "do not begin with a head"),
        ([], "do not begin with a head"),
        ([portions[0], *portions], "two heads"),
        ([replace(portions[0], birth=birth("else")), *portions[1:]], r"brings the shards \[0\]"),
    ):
        with pytest.raises(StoreError, match=says):
            other.adopt([lease], wrong)
    other.release(lease)
    with pytest.raises(LeaseLost):
        other.adopt([lease], portions)
    assert other.worlds() == []
    born(other, "third", [1], touchpoints=np.zeros(1, [("number", "<i8")]))
    lease = other.acquire(birth(), expected=None)
    with pytest.raises(StoreError, match="touchpoints"):
        other.adopt([lease], portions)
    with pytest.raises(WorldExists):
        store.acquire(birth(), expected=None)
    with pytest.raises(WorldNotFound):
        list(store.unload("nobody"))
