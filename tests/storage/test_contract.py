"""The contract of `storage.base.Store`, promise by promise, over every kind of store: commits and reads."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from storage.base import (
    PUBLIC_COLUMNS,
    LeaseLost,
    Store,
    StoreError,
    WorldExists,
    default_id,
)
from tests.storage.small import (
    EPISODE,
    NONE,
    SALE,
    START,
    USER,
    Kind,
    batch,
    birth,
    born,
    open_store,
    seen,
    users,
)

# ---- what comes in goes out


def test_a_world_comes_back_as_it_was_committed(kind: Kind, store: Store) -> None:
    born(store, numbers=[3, 1, 2], names={2: "sara_mobile_001"}, touch=2)
    snapshot = store.load("demo")
    assert snapshot.users.dtype == USER
    assert snapshot.users.dtype.isalignedstruct
    assert (snapshot.users == users([1, 2, 3], 0.0)).all()
    assert snapshot.names == {2: "sara_mobile_001"}
    assert (snapshot.sequence, snapshot.market, snapshot.summary) == (0, b"market\0", {"clock": 0})
    assert snapshot.birth == birth()
    assert kind.raw_rows(store, "demo") == {int(row["number"]): row.tobytes() for row in snapshot.users}


def test_public_rows_have_the_columns_in_order_and_plain_values(store: Store) -> None:
    born(store, numbers=[4])
    (row,) = store.rows("demo", "persistent_users")
    assert tuple(row) == PUBLIC_COLUMNS
    assert row["created_at"] == row["updated_at"]
    assert {name: row[name] for name in PUBLIC_COLUMNS[:-2]} == {
        "user_id": "u000000004",
        "canonical_user_id": "u000000004",
        "current_journey_state": "AWARE",
        "awareness_level": 0.0,
        "fatigue_score": 0.5,
        "intent_score": None,
        "episode_count": 4,
        "last_episode": None,
        "first_seen": "2026-01-05 00:00:00.000000",
        "last_seen": "2026-01-05 00:00:00.000000",
        "touchpoint_history": '[{"channel":"é"}]',
        "conversion_history": "[]",
        "is_active": 1,
    }


def test_events_come_back_in_stored_order_as_plain_values(store: Store) -> None:
    lease = born(store, touch=2)
    store.commit([(lease, batch(1, touch=1))])
    rows = list(store.rows("demo", "touchpoints"))
    assert [row["price"] for row in rows] == [0, 1, 1_000_000]
    assert rows[1] == {
        "number": 1,
        "at": "2026-01-05 00:00:01.000000",
        "channel": "search",
        "price": 1,
        "ctr": float(np.float32(0.1)),
        "own": 0,
    }
    assert list(store.rows("demo", "conversions")) == []
    assert [store.count("demo", table) for table in ("touchpoints", "conversions", "episodes")] == [3, 0, 2]


def test_rows_are_chosen_by_equality_and_limit(store: Store) -> None:
    born(store, touch=5)
    found = list(store.rows("demo", "touchpoints", where={"number": np.uint32(3), "own": False}))
    assert [row["number"] for row in found] == [3]
    by_time = list(store.rows("demo", "touchpoints", where={"at": START + np.timedelta64(4, "s")}))
    assert [row["number"] for row in by_time] == [4]
    assert len(list(store.rows("demo", "persistent_users", where={"last_episode": None}, limit=2))) == 2
    assert list(store.rows("demo", "persistent_users", limit=0)) == []
    with pytest.raises(StoreError, match="no column 'colour' in touchpoints; it has number"):
        store.rows("demo", "touchpoints", where={"colour": 1})
    with pytest.raises(StoreError, match="'number' holds an integer"):
        store.rows("demo", "touchpoints", where={"number": "three"})
    with pytest.raises(StoreError, match="no public table 'secrets'; there are persistent_users"):
        store.rows("demo", "secrets")


def test_a_changed_user_is_replaced_and_the_others_stay(store: Store) -> None:
    lease = born(store)
    store.commit([(lease, batch(1, [4, 2]))])
    assert store.load("demo").users["level"].tolist() == [0.0, 0.0, 1.0, 0.0, 1.0]
    levels = [row["awareness_level"] for row in store.rows("demo", "persistent_users")]
    assert levels == [0.0, 0.0, 1.0, 0.0, 1.0]


def test_an_archived_user_stays_readable_and_is_not_loaded(store: Store) -> None:
    lease = born(store, names={1: "mike"})
    store.commit([(lease, batch(1, [1], names={1: "mike"}, archived=[1, 3]))])
    assert store.load("demo").users["number"].tolist() == [0, 2, 4]
    assert store.load("demo").names == {}
    rows = {row["user_id"]: row for row in store.rows("demo", "persistent_users")}
    assert [rows[name]["is_active"] for name in ("mike", "u000000003", "u000000000")] == [0, 0, 1]
    assert rows["u000000003"]["updated_at"] > rows["u000000000"]["updated_at"]
    for again in (batch(2, [3]), batch(2, archived=[3]), batch(2, archived=[77])):
        with pytest.raises(StoreError, match="archive"):
            store.commit([(lease, again)])


def test_a_store_keeps_several_worlds_apart(store: Store) -> None:
    born(store, "one", [1], touch=1)
    born(store, "two/0", [1, 2], touch=2)
    assert [line.birth.world for line in store.worlds()] == ["one", "two/0"]
    assert store.count("one", "persistent_users") == 1
    assert store.count("two/0", "persistent_users") == 2
    assert [len(list(store.rows(world, "touchpoints"))) for world in ("one", "two/0")] == [1, 2]
    for near in ("One", "two_0", "TWO/0"):
        with pytest.raises(WorldExists, match="same table of users"):
            store.acquire(birth(near), expected=None)


def test_shards_of_a_world_are_committed_on_their_own(store: Store) -> None:
    whole = birth(shards=2)
    left, right = (store.acquire(whole, shard, expected=None) for shard in (0, 1))
    store.commit([(left, batch(0, [1])), (right, batch(0, [2], shard=1))])
    store.commit([(left, batch(1, [1]))])
    assert [store.load("demo", shard).sequence for shard in (0, 1)] == [1, 0]
    assert store.load("demo", 1).users["number"].tolist() == [2]
    assert store.worlds()[0].sequence == 0
    with pytest.raises(StoreError, match="another shard"):
        store.commit([(left, batch(2, [2]))])
    with pytest.raises(StoreError, match="has shards 0 to 1"):
        store.acquire(whole, 2, expected=None)


# ---- stamps


def test_created_at_stays_and_updated_at_grows_even_if_the_clock_goes_back(kind: Kind, store: Store) -> None:
    lease = born(store)
    before = list(store.rows("demo", "persistent_users"))
    assert len({row["updated_at"] for row in before}) == 1
    store.close()
    ahead = open_store(kind.url)
    kind.raw_stamp(ahead, 4_000_000_000_000_000)
    lease = ahead.acquire(birth(), expected=0)
    ahead.commit([(lease, batch(1, [0])), (lease, batch(2, [1]))])
    ahead.commit([(lease, batch(3, [2]))])
    after = list(ahead.rows("demo", "persistent_users"))
    assert [row["updated_at"] for row in after] == [
        "2096-10-02 07:06:40.000001",
        "2096-10-02 07:06:40.000001",
        "2096-10-02 07:06:40.000002",
        before[3]["updated_at"],
        before[4]["updated_at"],
    ]
    assert [row["created_at"] for row in after] == [row["created_at"] for row in before]
    ahead.close()


# ---- durability, atomicity, idempotence, order


def test_a_commit_is_there_for_whoever_opens_the_store_next(kind: Kind, store: Store) -> None:
    lease = born(store, touch=3)
    store.commit([(lease, batch(1, [0]))])
    before = seen(store)
    store.close()
    again = open_store(kind.url)
    assert seen(again) == before
    again.close()


def test_a_commit_that_raises_leaves_no_trace_of_any_batch(store: Store) -> None:
    one, two = born(store, "one"), born(store, "two")
    before = [seen(store, "one"), seen(store, "two")]
    good = batch(1, [0], world="one", touch=2)
    bad = [
        batch(5, [0], world="two"),
        batch(1, [1], world="two", names={1: "renamed"}),
        batch(1, [7], world="two", archived=[99]),
        batch(1, [7], world="two", touchpoints=np.ones(1, SALE)),
        batch(1, users=users([1], 1.0)[["number", "level"]], world="two"),
    ]
    for refused in bad:
        with pytest.raises(StoreError):
            store.commit([(one, good), (two, refused)])
        assert [seen(store, "one"), seen(store, "two")] == before
    store.commit([(one, good), (two, batch(1, [0], world="two"))])
    assert [store.load(world).sequence for world in ("one", "two")] == [1, 1]


def test_worlds_of_one_home_are_committed_by_either_store(kind: Kind, store: Store) -> None:
    second, elsewhere = open_store(kind.url), open_store("memory:")
    assert store.home is second.home
    assert store.home is not elsewhere.home
    leases = [born(store, "one"), born(second, "two")]
    batches = [batch(1, [0], world="one", touch=2), batch(1, [1], world="two", touch=1)]
    second.commit(list(zip(leases, batches, strict=True)))
    assert [store.load(world).sequence for world in ("one", "two")] == [1, 1]
    changed = [("one", default_id(0)), ("two", default_id(1))]
    stamps = [
        row["updated_at"]
        for world, user in changed
        for row in store.rows(world, "persistent_users", where={"user_id": user})
    ]
    assert len(stamps) == 2 and len(set(stamps)) == 1
    second.release(leases[1])
    before = [seen(store, "one"), seen(store, "two")]
    with pytest.raises(LeaseLost, match="two"):
        store.commit([(leases[0], batch(2, [0], world="one")), (leases[1], batch(2, [0], world="two"))])
    assert [seen(store, "one"), seen(store, "two")] == before
    second.close(), elsewhere.close()


def test_the_same_batch_again_changes_nothing(store: Store) -> None:
    lease = born(store)
    first = batch(1, [1], touch=2)
    store.commit([(lease, first)])
    before = seen(store)
    store.commit([(lease, first)])
    store.commit([(lease, batch(1, [1, 2], level=77.0, touch=9))])
    store.commit([(lease, batch(0, [1])), (lease, first)])
    assert seen(store) == before
    store.commit([(lease, first), (lease, batch(2, [3]))])
    assert store.load("demo").sequence == 2
    assert store.count("demo", "touchpoints") == 2


def test_a_gap_is_refused(store: Store) -> None:
    lease = store.acquire(birth(), expected=None)
    with pytest.raises(StoreError, match="born with sequence 0, not 1"):
        store.commit([(lease, batch(1, [1]))])
    store.commit([(lease, batch(0, [1])), (lease, batch(1, [1])), (lease, batch(2, [1]))])
    with pytest.raises(StoreError, match="stands at 2: the next batch is 3, not 4"):
        store.commit([(lease, batch(4, [1]))])


# ---- ownership of arrays, isolation


def test_arrays_belong_to_whoever_holds_them(store: Store) -> None:
    lease = born(store, touch=1)
    brought = batch(1, [1, 2], touch=1)
    store.commit([(lease, brought)])
    before = seen(store)
    brought.users["level"] = -1
    brought.touchpoints["price"] = -1
    dict(brought.names).clear()
    snapshot = store.load("demo")
    snapshot.users["level"] = -2
    next(store.rows("demo", "persistent_users"))["user_id"] = "changed"
    assert seen(store) == before


def test_a_reader_in_another_thread_sees_whole_commits_only(kind: Kind, store: Store) -> None:
    lease = born(store, numbers=range(50))
    torn: list[Any] = []
    done = threading.Event()

    def read() -> None:
        reader = open_store(kind.url, read_only=True)
        while not done.is_set():
            snapshot = reader.load("demo")
            levels = set(snapshot.users["level"].tolist())
            if levels != {float(snapshot.sequence)} or snapshot.summary["clock"] != snapshot.sequence:
                torn.append((snapshot.sequence, levels))
        reader.close()

    thread = threading.Thread(target=read)
    thread.start()
    for sequence in range(1, 30):
        store.commit([(lease, batch(sequence, range(50)))])
    done.set()
    thread.join()
    assert torn == []


def test_rows_are_of_the_commit_at_which_they_were_asked_for(store: Store) -> None:
    lease = born(store)
    rows = store.rows("demo", "persistent_users")
    first = next(rows)["awareness_level"]
    store.commit([(lease, batch(1, range(5)))])
    assert {first, *(row["awareness_level"] for row in rows)} == {0.0}


# ---- pruning


def test_prune_deletes_the_touchpoints_of_before_a_moment_of_one_world(store: Store) -> None:
    lease = born(store, touch=5)
    born(store, "other", touch=5)
    store.prune(lease, START + np.timedelta64(3, "s"))
    store.fold()
    assert [row["number"] for row in store.rows("demo", "touchpoints")] == [3, 4]
    assert store.count("other", "touchpoints") == 5
    store.prune(lease, START)
    fresh = store.acquire(birth("fresh"), expected=None)
    store.prune(fresh, START)
    store.fold()
    assert store.count("demo", "touchpoints") == 2


def test_prune_deletes_archived_users_last_seen_before_a_moment(store: Store) -> None:
    lease = born(store, numbers=range(4))
    store.commit([(lease, batch(1, [0, 1, 2], archived=[0, 1]))])
    seen = {row["user_id"]: row["last_seen"] for row in store.rows("demo", "persistent_users")}
    store.prune(lease, np.datetime64(min(seen.values())))
    store.fold()
    assert store.count("demo", "persistent_users") == 4
    store.prune(lease, np.datetime64(max(seen.values())) + np.timedelta64(1, "s"))
    store.fold()
    assert store.count("demo", "persistent_users") == 2
    assert set(seen) - {row["user_id"] for row in store.rows("demo", "persistent_users")} == {
        default_id(0),
        default_id(1),
    }
    assert store.load("demo").users["number"].tolist() == [2, 3]


def test_empty_events_with_fields_make_their_table(store: Store) -> None:
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1], conversions=np.zeros(0, SALE)))])
    assert store.count("demo", "conversions") == 0
    assert list(store.rows("demo", "conversions", where={"number": 1})) == []
    with pytest.raises(StoreError, match=r"but this store keeps number \(integer\), at"):
        store.commit([(lease, batch(1, conversions=np.zeros(1, EPISODE)))])
    with pytest.raises(StoreError, match="has none yet"):
        list(store.rows("demo", "touchpoints", where={"number": 1}))


def test_pruning_a_name_forgets_no_number_that_looks_like_it(store: Store) -> None:
    lease = born(store, numbers=range(4), names={3: "x0"})
    store.commit([(lease, batch(1, [3], names={3: "x0"}, archived=[3]))])
    store.commit([(lease, batch(2, [0], archived=[0]))])
    seen = {row["user_id"]: row["last_seen"] for row in store.rows("demo", "persistent_users")}
    assert seen["x0"] < seen[default_id(0)]
    store.prune(lease, np.datetime64(seen[default_id(0)]))
    store.fold()
    assert {row["user_id"] for row in store.rows("demo", "persistent_users")} == set(seen) - {"x0"}
    store.prune(lease, np.datetime64(seen[default_id(0)]) + np.timedelta64(1, "s"))
    store.fold()
    for again in (batch(3, [0]), batch(3, [3], names={3: "x0"}), batch(3, [9], names={9: "x0"})):
        with pytest.raises(StoreError):  # a number is never reused for another person, nor is a name
            store.commit([(lease, again)])


def test_a_batch_without_users_or_events_is_a_batch(store: Store) -> None:
    lease = born(store, numbers=[])
    store.commit([(lease, batch(1, episodes=NONE))])
    assert store.load("demo").users.shape == (0,)
    assert store.load("demo").users.dtype == USER
    assert store.count("demo", "episodes") == 1
    assert next(store.rows("demo", "episodes"))["ended"] == "2026-01-05 00:00:00.000000"
    assert EPISODE.names == tuple(next(store.rows("demo", "episodes")))


def test_read_only_refuses_every_write_and_sees_what_others_write(kind: Kind, store: Store) -> None:
    lease = born(store)
    reader = open_store(kind.url, read_only=True)
    for write in (
        lambda: reader.acquire(birth("new"), expected=None),
        lambda: reader.commit([(lease, batch(1))]),
        lambda: reader.prune(lease, START),
    ):
        with pytest.raises(StoreError, match="read_only=True"):
            write()
    store.commit([(lease, batch(1, [1]))])
    assert reader.load("demo").sequence == 1
    reader.close()
