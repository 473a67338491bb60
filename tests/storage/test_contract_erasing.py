"""The contract of `storage.base.Store`, promise by promise, over every kind of store: erasing."""

from __future__ import annotations

from typing import Any

import pytest

from storage.base import LeaseLost, Store, StoreError, WorldNotFound
from storage.moving import Left, People
from tests.storage.moved import lived, move
from tests.storage.small import Kind, batch, birth, born, open_store, seen


def test_an_erased_person_is_nowhere_and_the_number_is_taken(store: Store, other: Store) -> None:
    lease = lived(store)
    before = seen(store)
    found = store.forget(lease, [2, 5, 6, 0])
    assert found.erased == {
        "records": 3,
        "past": 0,
        "names": 2,
        "persistent_users": 3,  # that of mike was pruned
        "touchpoints": sum(row["number"] in (0, 2, 5, 6) for row in before["touchpoints"]),
        "conversions": 0,
    }
    assert set(found.erased) <= {*found.searched, "records"}
    after = seen(store)
    assert after["persistent_users"] == [
        row
        for row in before["persistent_users"]
        if row["user_id"] not in ("sara_mobile", "mike", "u000000006", "u000000000")
    ]
    assert after["touchpoints"] == [row for row in before["touchpoints"] if row["number"] not in (0, 2, 5, 6)]
    assert after["names"] == {20: "ann"}
    assert (after["sequence"], after["market"], after["episodes"]) == (
        3,
        before["market"],
        before["episodes"],
    )
    assert store.load("demo").users["number"].tolist() == [3, 7, 8, 12, 20]
    assert store.numbers("demo", ["sara_mobile", "mike"]) == {}
    for again in (batch(4, [2]), batch(4, [6]), batch(4, archived=[2])):
        with pytest.raises(StoreError, match="archive"):
            store.commit([(lease, again)])
    store.commit([(lease, batch(4, [60], names={60: "sara_mobile"}))])
    assert store.numbers("demo", ["sara_mobile"]) == {"sara_mobile": 60}
    move(store, other)
    assert seen(other) == seen(store)
    with pytest.raises(StoreError, match="archive"):
        other.commit([(other.acquire(birth(), expected=4), batch(5, [2]))])


def test_an_erased_person_is_in_no_earlier_commit_and_the_others_are(store: Store) -> None:
    lease = born(store, "demo", range(9), names={2: "sara_mobile"}, touch=6)
    store.keep(lease, commits=9)
    for sequence in range(1, 6):
        named = {2: "sara_mobile"} if sequence % 2 else {}
        numbers = [0, 2, 20 + sequence] if named else [1, 20 + sequence]
        gone = [6] if sequence == 4 else []
        store.commit([(lease, batch(sequence, numbers, names=named, touch=6, archived=gone))])
        if sequence in (2, 4):
            store.fold()
    before = {at: as_of(store, at) for at in range(1, 6)}
    found = store.forget(lease, [2, 6, 21]).erased
    assert (found["records"], found["names"], found["persistent_users"]) == (2, 1, 3)
    assert found["past"] > 0
    assert [commit.sequence for commit in store.history("demo")] == list(range(6))
    for at, (users, names, rows, touches, market) in before.items():
        left = [user for user in users if user["number"] not in (2, 6, 21)]
        ids = ("sara_mobile", "u000000006", "u000000021")
        assert as_of(store, at) == (
            left, {number: name for number, name in names.items() if number != 2},
            [row for row in rows if row["user_id"] not in ids],
            [touch for touch in touches if touch["number"] != 2], market,
        )  # fmt: skip
        assert store.load("demo", at=at).erased == (at < 5)
        assert store.count("demo", "persistent_users", at=at) == len(as_of(store, at)[2])
    assert not store.load("demo").erased
    store.commit([(lease, batch(6, [0], touch=1))])
    assert as_of(store, 5)[0] == [user for user in before[5][0] if user["number"] not in (2, 6, 21)]


def as_of(store: Store, at: int) -> tuple[Any, ...]:
    """A world as of a commit, in comparable values."""
    snapshot = store.load("demo", at=at)
    users = [
        dict(zip(snapshot.users.dtype.names or (), user.tolist(), strict=True)) for user in snapshot.users
    ]
    tables = [list(store.rows("demo", table, at=at)) for table in ("persistent_users", "touchpoints")]
    return (
        [{**user, "ring": user["ring"].tolist()} for user in users],
        dict(snapshot.names),
        *tables,
        snapshot.market,
    )


def test_the_retention_moves_and_earlier_commits_do_not(store: Store, other: Store) -> None:
    lease = born(store)
    store.keep(lease, commits=2)
    for sequence in (1, 2):
        store.commit([(lease, batch(sequence, [1]))])
    move(store, other)
    there = other.acquire(birth(), expected=2)
    assert other.history("demo") == store.history("demo")[-1:]
    for sequence in (3, 4, 5):
        other.commit([(there, batch(sequence, [1]))])
        other.fold()
    assert [commit.sequence for commit in other.history("demo")] == [4, 5]


def test_erasing_again_finds_nothing_and_a_stranger_is_refused(store: Store) -> None:
    lease = lived(store)
    store.forget(lease, [3])
    before = seen(store)
    assert set(store.forget(lease, [3, 3]).erased.values()) == {0}
    with pytest.raises(StoreError, match="never had a user of number 77; nothing was erased"):
        store.forget(lease, [7, 77])
    assert seen(store) == before
    store.release(lease)
    with pytest.raises(LeaseLost):
        store.forget(lease, [7])
    assert seen(store) == before


def test_an_erasure_lasts(kind: Kind, store: Store) -> None:
    lease = lived(store)
    store.forget(lease, [2])
    expected = seen(store)
    store.release(lease)
    store.close()
    again = open_store(kind.url)
    assert seen(again) == expected
    with pytest.raises(StoreError, match="archive"):
        again.commit([(again.acquire(birth(), expected=3), batch(4, [2]))])
    again.close()


def test_numbers_are_known_by_user_id(store: Store) -> None:
    lease = lived(store)
    asked = [
        "sara_mobile",
        "mike",
        "u000000002",
        "u000000003",
        "u000000030",
        "u000000077",
        "u3",
        "",
        "nobody",
    ]
    assert store.numbers("demo", asked) == {"sara_mobile": 2, "mike": 5, "u000000003": 3, "u000000030": 30}
    with pytest.raises(WorldNotFound):
        store.numbers("else", ["mike"])
    del lease


def test_left_are_told_with_their_names(store: Store) -> None:
    lease = lived(store)
    (left,) = (portion for portion in store.unload("demo") if isinstance(portion, Left))
    assert left.numbers.tolist() == [1, 4, 5, 30]
    assert left.names == {5: "mike"}
    people: Any = [portion for portion in store.unload("demo") if isinstance(portion, People)]
    assert {n: name for part in people for n, name in part.names.items()} == {2: "sara_mobile", 20: "ann"}
    del lease


def test_a_world_that_is_not_born_forgets_nobody(store: Store) -> None:
    lease = store.acquire(birth(), expected=None)
    for numbers in ([], [0]):
        with pytest.raises(WorldNotFound):
            store.forget(lease, numbers)
