"""The contract of `storage.base.Store`, promise by promise, over every kind of store: moving and erasing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import moving
from storage.base import Lease, LeaseLost, Store, StoreError, WorldExists, WorldNotFound
from storage.moving import Digest, Head, Left, People, Portion, Rows
from tests.storage.small import START, Kind, batch, birth, born, open_store, seen

_fresh = itertools.count()


@pytest.fixture(params=["memory", "sqlite"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Another store, of each kind in turn."""
    opened = new_store(request.param, tmp_path)
    yield opened
    opened.close()


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


# ---- erasure


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
