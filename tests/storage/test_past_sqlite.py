"""The past in a SQLite file: what a fold writes down, what a kill leaves, damage, and that off is free."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage import sqlite_fold
from storage.base import CommitNotFound, NotAStore, Store
from storage.sqlite_repair import examine, repair
from tests.storage.small import batch, birth, born, open_store, query, seen, writer
from tests.storage.test_journal import left_behind
from tests.storage.test_past import readable, some_history


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.close()


def views(path: Path, last: int) -> list[dict[str, Any]]:
    """What a reader of a file sees at each commit."""
    store = open_store(f"sqlite:///{path}", read_only=True)
    try:
        return [seen(store, at=at) for at in range(last + 1)]
    finally:
        store.close()


def test_a_fold_killed_at_any_statement_leaves_the_past_whole(store: Store, path: Path) -> None:
    lease, known = some_history(store)
    store.fold()
    store.commit([(lease, batch(5, [10, 13], archived=[11], touch=2))])
    known.append(seen(store))
    store.keep(lease, commits=6)
    left: list[Path] = []
    writer(store).set_trace_callback(lambda _: left.append(left_behind(path)))
    store.fold()
    writer(store).set_trace_callback(None)
    assert len(left) > 30
    for copy in left:
        assert views(copy, 5) == known
        again = open_store(f"sqlite:///{copy}")
        again.fold()
        again.close()
        assert views(copy, 5) == known
    assert views(path, 5) == known


def test_a_world_that_keeps_only_its_last_commit_writes_no_past(store: Store, path: Path) -> None:
    lease = born(store, numbers=range(50))
    for at in range(1, 4):
        store.commit([(lease, batch(at, range(50), touch=1))])
        said: list[str] = []
        writer(store).set_trace_callback(said.append)
        store.fold()
        writer(store).set_trace_callback(None)
        assert not any("INSERT INTO past" in line or "asked" in line for line in said)
    assert query(path, "SELECT count(*) FROM past") == [(0,)]


def test_a_way_back_holds_those_whom_its_commit_changed(store: Store, path: Path) -> None:
    some_history(store)
    store.fold()
    rows = query(path, "SELECT sequence, length(born) / 8, length(stamps) / 16 FROM past ORDER BY sequence")
    # Commit 1 brings 9 and changes 1 and 2; 2 brings 10, changes 9, archives 0 and 9; and so on.
    assert rows == [(1, 1, 2), (2, 1, 2), (3, 1, 1), (4, 1, 2)]


def test_blocks_of_people_come_back_across_their_borders(store: Store) -> None:
    numbers = np.arange(0, 20_000, 3)
    lease = born(store, numbers=numbers.tolist())
    store.keep(lease, commits=4)
    known = [seen(store)]
    some: list[list[int]] = [numbers[::5].tolist(), list(range(1, 20_000, 700)), [4095, 4096, 12_285]]
    for at, changed in enumerate(some, 1):
        store.commit([(lease, batch(at, changed, archived=[int(numbers[at * 1000])]))])
        known.append(seen(store))
    store.fold()
    assert [seen(store, at=at) for at in range(4)] == known


@pytest.mark.parametrize("column", ["users", "born", "stamps", "market", "events", "committed_at"])
def test_damage_in_the_past_is_told_and_given_up_without_anybody_lost(
    store: Store, path: Path, column: str
) -> None:
    _, known = some_history(store)
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    (blob,) = connection.execute(f"SELECT {column} FROM past WHERE sequence = 3").fetchone()
    turned = bytes([blob[0] ^ 1]) + blob[1:] if isinstance(blob, bytes) else blob + " "
    connection.execute(f"UPDATE past SET {column} = ? WHERE sequence = 3", (turned,))
    connection.close()
    store = open_store(f"sqlite:///{path}")
    for at in (0, 1, 2):
        for read in (store.load, partial(store.rows, table="touchpoints")):
            with pytest.raises(NotAStore, match=r"nothing before commit 3 can be read.*gaelp repair --store"):
                read("demo", at=at)  # type: ignore[operator]
    assert seen(store, at=3) == known[3]
    lease = store.acquire(birth(), expected=4)
    store.release(lease)
    (damage,) = examine(str(path))
    assert "before 3 can no longer be read; nobody is lost" in damage.cost
    assert repair(str(path)) == [damage]
    assert (examine(str(path)), readable(store)) == ([], [3, 4])
    assert [seen(store, at=at) for at in (3, 4)] == known[3:]
    with pytest.raises(CommitNotFound, match="commits 3 to 4 can be read"):
        store.load("demo", at=2)
    store.close()


@pytest.mark.parametrize("lost", [1, 3, 4])
def test_a_way_back_that_is_missing_is_told_and_never_stepped_over(
    store: Store, path: Path, lost: int
) -> None:
    _, known = some_history(store)
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DELETE FROM past WHERE sequence = ?", (lost,))
    connection.close()
    store = open_store(f"sqlite:///{path}")
    first = 0 if lost > 1 else 1
    for at in range(first, lost):
        reads = [partial(store.rows, table=table) for table in ("persistent_users", "touchpoints")]
        for read in (store.load, *reads, partial(store.count, table="episodes")):
            with pytest.raises(NotAStore, match=f"nothing before commit {lost} can be read.*gaelp repair"):
                read("demo", at=at)  # type: ignore[operator]
    for at in range(max(first, lost), 5):
        assert seen(store, at=at) == known[at]
    if lost > 1:
        with pytest.raises(NotAStore, match=f"before commit {lost}"):
            store.history("demo")
        (damage,) = repair(str(path))
        assert "is missing" in damage.what
    assert (examine(str(path)), readable(store)) == ([], list(range(lost, 5)))
    store.close()


def test_a_fold_asks_once_for_each_shard_where_its_past_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def counted(connection: Any, world: str, shard: int, floor: Any) -> Any:
        asked.append((world, shard))
        return original(connection, world, shard, floor)

    original = sqlite_fold.cut_of
    lease, _ = some_history(store)
    monkeypatch.setattr(sqlite_fold, "cut_of", counted)
    store.fold()
    assert (asked, readable(store)) == ([("demo", 0)], [0, 1, 2, 3, 4])
    store.fold()
    assert asked == [("demo", 0)] * 2
    store.release(lease)


def test_a_repaired_block_of_people_gives_their_past_up(store: Store, path: Path) -> None:
    some_history(store)
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE base SET users = zeroblob(length(users))")
    connection.close()
    (damage,) = repair(str(path))
    assert "Earlier commits of the shard can no longer be read" in damage.cost
    assert readable(open_store(f"sqlite:///{path}", read_only=True)) == [4]


def test_a_golden_file_of_this_schema_still_leads_back(tmp_path: Path) -> None:
    from tests.storage.test_migrations import golden

    _, url = golden(3, tmp_path)
    store = open_store(url, read_only=True)
    assert readable(store) == [0, 1]
    assert store.load("demo", at=0).users["number"].tolist() == [0, 1, 2, 3, 4, 5]
    assert [store.count("demo", table, at=0) for table in ("persistent_users", "touchpoints")] == [6, 3]
    store.close()
