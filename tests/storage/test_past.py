"""The past of a world: commits within its retention are read as they were, on every kind of store."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from storage.base import CommitNotFound, LeaseLost, Store, StoreError, default_id
from storage.names import TABLES
from storage.shared import SharedStore
from tests.storage.small import START, Kind, batch, birth, born, open_store, seen

HOUR_US = 3_600_000_000


def some_history(store: Store, commits: int = 5) -> tuple[Any, list[dict[str, Any]]]:
    """Commits with names, newcomers, people who leave, and events; and what was seen after each."""
    lease = born(store, numbers=range(4), names={2: "sara"}, touch=2)
    store.keep(lease, commits=commits)
    known = [seen(store)]
    for brought in (
        batch(1, [1, 2, 9], names={2: "sara"}, touch=1),
        batch(2, [9, 10], archived=[0, 9]),
        batch(3, [2, 11], names={2: "sara", 11: "mike"}, touch=3),
        batch(4, [11, 12], names={11: "mike"}, archived=[2, 12], touch=1),
    ):
        store.commit([(lease, brought)])
        known.append(seen(store))
    return lease, known


def readable(store: Store, world: str = "demo", shard: int = 0) -> list[int]:
    return [line.sequence for line in store.history(world, shard)]


@pytest.mark.parametrize("folds", list(itertools.product([False, True], repeat=3)), ids=str)
def test_every_kept_commit_is_read_as_it_was(store: Store, folds: tuple[bool, bool, bool]) -> None:
    lease = born(store, numbers=range(4), names={2: "sara"}, touch=2)
    store.keep(lease, commits=4)
    known = [seen(store)]
    for brought, fold in zip(
        (
            batch(1, [1, 2, 9], names={2: "sara"}, touch=1),
            batch(2, [9, 10], archived=[0, 9]),
            batch(3, [2, 11], names={2: "sara", 11: "mike"}, archived=[2], touch=3),
        ),
        folds,
        strict=True,
    ):
        store.commit([(lease, brought)])
        known.append(seen(store))
        if fold:
            store.fold()
    assert readable(store) == [0, 1, 2, 3]
    assert [seen(store, at=at) for at in range(4)] == known
    assert seen(store) == known[-1]


def test_the_past_outlives_the_process_and_says_when_and_what(kind: Kind, store: Store) -> None:
    _, known = some_history(store)
    store.close()
    again = open_store(kind.url, read_only=True)
    assert [seen(again, at=at) for at in range(5)] == known
    lines = again.history("demo")
    assert [line.summary for line in lines] == [{"clock": at} for at in range(5)]
    last = [max(row["updated_at"] for row in view["persistent_users"]) for view in known]
    assert [line.committed_at for line in lines] == last
    again.close()


def test_only_the_last_commit_is_kept_unless_asked_and_the_refusal_names_the_remedy(store: Store) -> None:
    lease = born(store)
    for at in range(1, 4):
        store.commit([(lease, batch(at, [at]))])
    store.fold()
    assert readable(store) == [3]
    reads: list[Callable[[], Any]] = [lambda: store.load("demo", at=1)]
    reads += [partial(store.rows, "demo", table, at=1) for table in TABLES]
    reads += [partial(store.count, "demo", table, at=1) for table in TABLES]
    for read in reads:
        with pytest.raises(CommitNotFound, match=r"Commit 1 .* is gone: commit 3 can be read.*keep_commits"):
            read()
    for never in (4, -1, True, "x", 1.5):
        with pytest.raises(CommitNotFound, match="There is no commit"):
            store.load("demo", at=never)  # type: ignore[arg-type]
    assert seen(store, at=3) == seen(store)


def test_a_retention_is_by_number_lasts_and_can_be_changed(kind: Kind, store: Store) -> None:
    lease = born(store)
    store.keep(lease, commits=3)
    for at in range(1, 6):
        store.commit([(lease, batch(at, [at]))])
    store.fold()
    assert readable(store) == [3, 4, 5]
    store.close()
    again = open_store(kind.url)
    lease = again.acquire(birth(), expected=5)
    again.commit([(lease, batch(6, [1]))])
    again.fold()
    assert readable(again) == [4, 5, 6]
    again.keep(lease, commits=2)
    again.keep(lease)
    again.commit([(lease, batch(7, [1])), (lease, batch(8, [1]))])
    again.fold()
    assert readable(again) == [7, 8]
    again.keep(lease, commits=5)
    again.commit([(lease, batch(9, [1]))])
    again.fold()
    assert readable(again) == [7, 8, 9]
    again.close()


def test_a_retention_by_hours_counts_back_from_the_last_commit(kind: Kind, store: Store) -> None:
    lease = born(store)
    store.keep(lease, hours=2)
    start = 4_000_000_000_000_000
    for at, hours in enumerate((0.0, 1.0, 1.5, 3.25, 3.5), 1):
        kind.raw_stamp(store, start + int(hours * HOUR_US) - 1)
        store.commit([(lease, batch(at, [1]))])
    store.fold()
    assert readable(store) == [2, 3, 4, 5]  # 2 was the last one until an hour and a half, 3.5 - 2 hours
    store.keep(lease, commits=2, hours=0)
    store.commit([(lease, batch(6, [1]))])
    store.fold()
    assert readable(store) == [5, 6]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"commits": 0}, "not 0"), ({"commits": 1.5}, "not 1.5"), ({"commits": True}, "not True")]
    + [({"hours": value}, f"not {value}") for value in (-1.0, float("inf"), float("nan"), True)],
)
def test_a_retention_that_makes_no_sense_is_refused(store: Store, wrong: Any, said: str) -> None:
    lease = born(store)
    with pytest.raises(StoreError, match=said):
        store.keep(lease, **wrong)
    store.release(lease)
    with pytest.raises(LeaseLost):
        store.keep(lease, commits=2)


def test_a_shard_that_is_ahead_keeps_what_all_have_reached(store: Store) -> None:
    whole = birth(shards=2)
    left, right = (store.acquire(whole, shard, expected=None) for shard in (0, 1))
    store.commit([(left, batch(0, [1], touch=1)), (right, batch(0, [2], shard=1, touch=2))])
    for at in range(1, 4):
        store.commit([(left, batch(at, [1, 10 + at], touch=1))])
        store.fold()
    store.commit([(right, batch(1, [2, 20], shard=1, touch=2))])
    both = [list(store.rows("demo", table, at=1)) for table in TABLES]
    assert [row["user_id"] for row in both[0]] == [default_id(n) for n in (1, 2, 11, 20)]
    assert [row["price"] // 1_000_000 for row in both[1]] == [0, 0, 0, 1, 1, 1]
    store.fold()
    assert (readable(store), readable(store, shard=1)) == ([1, 2, 3], [1])
    assert [list(store.rows("demo", table, at=1)) for table in TABLES] == both
    assert [store.count("demo", table, at=1) for table in TABLES] == [len(rows) for rows in both]
    with pytest.raises(CommitNotFound, match=r"shard 1.*commit 1 can be read"):
        store.rows("demo", "touchpoints", at=2)


@pytest.mark.parametrize("fold", [False, True], ids=["waiting", "folded"])
def test_shards_of_one_store_are_read_as_of_a_commit_of_each(store: Store, fold: bool) -> None:
    whole = birth(shards=2)
    left, right = (store.acquire(whole, shard, expected=None) for shard in (0, 1))
    store.keep(left, commits=3)
    store.commit([(left, batch(0, [1], touch=1)), (right, batch(0, [2], shard=1, touch=2))])
    views = {}
    for at in range(1, 4):
        store.commit([(left, batch(at, [1, 10 + at], touch=1))])
        views[at] = [list(store.rows("demo", table)) for table in TABLES]
    store.commit([(right, batch(1, [2, 20], shard=1, touch=2))])
    last = [list(store.rows("demo", table)) for table in TABLES]
    if fold:
        store.fold()
    for at, view in views.items():
        asked = {0: at, 1: 0}
        assert [list(store.rows("demo", table, at=asked)) for table in TABLES] == view
        assert [store.count("demo", table, at=asked) for table in TABLES] == [len(rows) for rows in view]
    for asked in ({0: 3, 1: 1}, {1: 1}, {}):
        assert [list(store.rows("demo", table, at=asked)) for table in TABLES] == last
    with pytest.raises(CommitNotFound, match="shard 1"):
        store.rows("demo", "touchpoints", at={0: 3, 1: 2})


def test_a_floor_keeps_more_than_the_retention(store: Store) -> None:
    assert isinstance(store, SharedStore)
    asked: list[tuple[str, int]] = []

    def floor(world: str, shard: int) -> int | None:
        asked.append((world, shard))
        return 2 if world == "demo" else None

    store.home.floor = floor
    leases = {world: born(store, world) for world in ("demo", "other")}
    for world, lease in leases.items():
        store.commit([(lease, batch(at, [at], world=world)) for at in range(1, 6)])
    store.fold()
    assert (readable(store), readable(store, "other")) == ([2, 3, 4, 5], [5])
    assert set(asked) == {("demo", 0), ("other", 0)}
    store.keep(leases["demo"], commits=2)
    store.commit([(leases["demo"], batch(6))])
    store.fold()
    assert readable(store) == [2, 3, 4, 5, 6]


def test_what_is_pruned_is_pruned_in_the_past_as_well(store: Store) -> None:
    lease, known = some_history(store)
    store.prune(lease, START + np.timedelta64(2, "h"))
    store.fold()
    for at, before in enumerate(known):
        now = seen(store, at=at)
        late = [row for row in before["touchpoints"] if row["at"] >= "2026-01-05 02"]
        assert now["touchpoints"] == late
        assert now["users"] == before["users"]
        living = [row for row in before["persistent_users"] if row["is_active"]]
        assert [row for row in now["persistent_users"] if row["is_active"]] == living
        assert not [row for row in now["persistent_users"] if not row["is_active"]]
        assert now["counts"] == [len(now[table]) for table in TABLES]


def test_past_rows_are_chosen_by_equality_and_limit(store: Store) -> None:
    _, known = some_history(store)
    for _ in range(2):
        for at, view in enumerate(known):
            for row in view["persistent_users"]:
                where = {"user_id": row["user_id"]}
                assert list(store.rows("demo", "persistent_users", where=where, at=at)) == [row]
            assert list(store.rows("demo", "persistent_users", where={"user_id": "nobody"}, at=at)) == []
            found = list(store.rows("demo", "persistent_users", where={"is_active": 0}, limit=1, at=at))
            assert found == [row for row in view["persistent_users"] if not row["is_active"]][:1]
            found = list(store.rows("demo", "touchpoints", where={"number": 0}, limit=2, at=at))
            assert found == [row for row in view["touchpoints"] if row["number"] == 0][:2]
        assert list(store.rows("demo", "persistent_users", where={"user_id": "mike"}, at=1)) == []
        store.fold()
