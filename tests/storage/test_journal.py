"""The journal of a SQLite file: folds, replays, torn tails, damage, and what a kill leaves at any moment."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage import sqlite
from storage.base import NotAStore, Store, StoreError
from storage.sqlite_repair import examine, repair
from tests.storage.small import batch, birth, born, open_store, query, run, seen, writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.close()


def left_behind(path: Path) -> Path:
    """A copy of what is on disk at this moment: what `kill -9` would leave."""
    folder = path.parent / f"left{len(list(path.parent.iterdir()))}"
    folder.mkdir()
    for name in (path.name, f"{path.name}-wal"):
        if (path.parent / name).exists():
            shutil.copyfile(path.parent / name, folder / name)
    return folder / path.name


def everything(path: Path, world: str = "demo") -> dict[str, Any]:
    """All that a reader sees of a world in a file."""
    store = open_store(f"sqlite:///{path}", read_only=True)
    try:
        return seen(store, world)
    finally:
        store.close()


def tables(path: Path) -> dict[str, list[Any]]:
    """The public tables as any SQL tool sees them."""
    named = ("persistent_users", "touchpoints", "episodes")
    return {table: query(path, f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in named}


def some_history(store: Store) -> Any:
    """Four commits with a name, a newcomer, people who leave, and events."""
    lease = born(store, numbers=range(4), names={2: "sara"}, touch=2)
    store.commit([(lease, batch(1, [1, 2, 9], names={2: "sara"}, touch=1))])
    store.commit([(lease, batch(2, [9], archived=[0, 9]))])
    store.commit([(lease, batch(3, [2, 11], names={2: "sara", 11: "mike"}, touch=3))])
    return lease


def changed(path: Path, sequence: int, column: str = "users") -> None:
    """Turns a bit of a commit in the journal."""
    connection = sqlite3.connect(path, isolation_level=None)
    where = "WHERE world = 'demo' AND sequence = ?"
    (blob,) = connection.execute(f"SELECT {column} FROM journal {where}", (sequence,)).fetchone()
    turned = bytes([blob[0] ^ 1]) + blob[1:] if isinstance(blob, bytes) else blob + " "
    connection.execute(f"UPDATE journal SET {column} = ? {where}", (turned, sequence))
    connection.close()


# ---- folds


def test_a_fold_changes_nothing_that_a_store_says_and_brings_the_tables_up(store: Store, path: Path) -> None:
    lease = some_history(store)
    before = seen(store)
    assert query(path, "SELECT count(*) FROM persistent_users") == [(0,)]
    assert everything(path) == before
    assert store.fold() == 4
    store.heartbeat(lease)
    assert seen(store) == everything(path) == before
    assert query(path, "SELECT count(*) FROM journal") == [(0,)]
    rows = {
        row[0]: row for row in query(path, "SELECT user_id, is_active, awareness_level FROM persistent_users")
    }
    assert rows == {
        "u000000000": ("u000000000", 0, 0.0),
        "u000000001": ("u000000001", 1, 1.0),
        "sara": ("sara", 1, 3.0),
        "u000000003": ("u000000003", 1, 0.0),
        "u000000009": ("u000000009", 0, 2.0),
        "mike": ("mike", 1, 3.0),
    }


def test_to_fold_at_every_commit_is_to_fold_once(tmp_path: Path) -> None:
    found = []
    for often in (True, False):
        store = open_store(f"sqlite:///{tmp_path}/{often}.db")
        lease = born(store, numbers=range(300))
        for sequence in range(1, 6):
            store.commit(
                [(lease, batch(sequence, range(sequence, 300, 7), archived=[sequence - 1], touch=2))]
            )
            if often:
                assert store.fold() == 1 + (sequence == 1)
                assert store.fold() == 0
        store.close()
        there = everything(tmp_path / f"{often}.db")
        for row in there["persistent_users"]:
            row["stamps"] = row.pop("created_at") < row.pop("updated_at")
        found.append(there)
    assert found[0] == found[1]


def test_replaying_folded_commits_is_nothing(store: Store, path: Path) -> None:
    lease = some_history(store)
    kept = writer(store).execute("SELECT * FROM journal").fetchall()
    store.fold()
    before, rows = seen(store), tables(path)
    marks = ", ".join("?" * len(kept[0]))
    writer(store).executemany(f"INSERT INTO journal VALUES ({marks})", kept)
    with pytest.raises(sqlite3.IntegrityError):
        writer(store).executemany(
            f"INSERT INTO journal VALUES (NULL, {marks[3:]})", [row[1:] for row in kept]
        )
    assert seen(store) == before
    assert store.fold() == 0
    assert (seen(store), tables(path)) == (before, rows)
    assert query(path, "SELECT count(*) FROM journal") == [(0,)]
    store.release(lease)


def test_a_fold_killed_at_any_statement_loses_nothing(store: Store, path: Path) -> None:
    lease = some_history(store)
    before = seen(store)
    left: list[Path] = []
    writer(store).set_trace_callback(lambda _: left.append(left_behind(path)))
    store.fold()
    writer(store).set_trace_callback(None)
    whole = tables(path)
    assert len(left) > 30
    done = 0
    for copy in left:
        assert everything(copy) == before
        again = open_store(f"sqlite:///{copy}")
        done += again.fold() == 0
        again.close()
        assert tables(copy) == whole
        assert everything(copy) == before
    assert done < 3
    store.commit([(lease, batch(4, [1]))])


def test_a_commit_killed_at_any_statement_is_there_or_not(store: Store, path: Path) -> None:
    lease = some_history(store)
    before = seen(store)
    left: list[Path] = []
    writer(store).set_trace_callback(lambda _: left.append(left_behind(path)))
    store.commit([(lease, batch(4, [1, 20], touch=2))])
    writer(store).set_trace_callback(None)
    after = seen(store)
    found = [everything(copy) for copy in [*left, left_behind(path)]]
    assert all(there in (before, after) for there in found)
    assert found[-1] == after and found[0] == before


def test_the_journal_is_folded_when_it_outgrows_the_people(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "ROOM_BYTES", 200)
    lease = born(store, numbers=range(10))
    waiting = []
    for sequence in range(1, 30):
        store.commit([(lease, batch(sequence, range(10)))])
        waiting += [count for (count,) in query(path, "SELECT count(*) FROM journal")]
    assert max(waiting) == 2 and min(waiting) == 1
    assert store.load("demo").sequence == 29


def test_the_last_lease_folds_and_the_next_writer_folds_what_a_killed_one_left(path: Path) -> None:
    run(
        f"""
        import os
        from tests.storage.small import batch, born, open_store
        store = open_store("sqlite:///{path}")
        lease = born(store, touch=2)
        store.commit([(lease, batch(1, [1], touch=1))])
        os.kill(os.getpid(), 9)
        """,
        killed=True,
    )
    assert query(path, "SELECT count(*) FROM journal") == [(2,)]
    store = open_store(f"sqlite:///{path}")
    assert store.count("demo", "touchpoints") == 3
    before = seen(store)
    lease = store.acquire(birth(), expected=1)
    assert query(path, "SELECT count(*) FROM journal") == [(0,)]
    assert len(tables(path)["touchpoints"]) == 3
    assert seen(store) == before
    store.commit([(lease, batch(2, [1]))])
    store.close()
    assert query(path, "SELECT count(*) FROM journal") == [(0,)]
    assert query(path, "SELECT sequence FROM worlds") == [(2,)]


def test_a_fold_that_finds_no_room_is_told_and_the_commits_stay(store: Store, path: Path) -> None:
    lease = born(store, numbers=range(2000))
    store.commit([(lease, batch(1, range(2000), touch=10))])
    before = seen(store)
    pages = writer(store).execute("PRAGMA page_count").fetchone()[0]
    writer(store).execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.warns(UserWarning, match=r"All commits are safe.*make room, then run `gaelp fold`"):
        store.release(lease)
    assert everything(path) == before
    assert query(path, "SELECT count(*) FROM journal") == [(2,)]
    assert store.fold() == 2
    assert everything(path) == before


# ---- torn tails and damage


@pytest.mark.parametrize("column", ["users", "market", "summary", "touchpoints", "layout"])
def test_a_torn_last_commit_never_was(store: Store, path: Path, column: str) -> None:
    lease = some_history(store)
    store.public = None
    store.close()
    changed(path, 3, column)
    with pytest.warns(UserWarning, match="3 of world 'demo'.*never finished on disk"):
        there = everything(path)
    assert there["sequence"] == 2
    assert len(there["touchpoints"]) == 3
    again = open_store(f"sqlite:///{path}")
    with pytest.warns(UserWarning, match="never finished on disk"):
        lease = again.acquire(birth(), expected=2)
    again.commit([(lease, batch(3, [2, 11], names={2: "sara", 11: "mike"}, touch=3))])
    assert again.load("demo").sequence == 3
    again.close()


def test_of_a_torn_commit_of_several_worlds_nothing_is_kept(store: Store, path: Path) -> None:
    leases = [born(store, world) for world in ("demo", "other")]
    batches = [batch(1, [1], world=world) for world in ("demo", "other")]
    store.commit(list(zip(leases, batches, strict=True)))
    store.public = None
    store.close()
    changed(path, 1)
    with pytest.warns(UserWarning, match="1 of world 'demo', 1 of world 'other'"):
        assert [line.sequence for line in open_store(f"sqlite:///{path}").worlds()] == [0, 0]


def test_a_torn_birth_leaves_no_world(store: Store, path: Path) -> None:
    lease = born(store)
    store.public = None
    store.close()
    del lease
    changed(path, 0)
    store = open_store(f"sqlite:///{path}")
    with pytest.warns(UserWarning):
        assert store.worlds() == []
    with pytest.warns(UserWarning):
        again = born(store, numbers=[7])
    assert again.epoch == 2
    store.close()
    assert everything(path)["sequence"] == 0


@pytest.mark.parametrize("sequence", [0, 1, 2])
def test_damage_before_the_tail_stops_writing_and_repair_gives_it_up(
    store: Store, path: Path, sequence: int
) -> None:
    leases = [some_history(store), born(store, "other")]
    store.commit([(leases[1], batch(1, [1], world="other"))])
    store.public = None
    store.close()
    changed(path, sequence)
    before = query(path, "SELECT * FROM journal")
    store = open_store(f"sqlite:///{path}")
    said = rf"commit {sequence} of world 'demo' \(shard 0\) does not match.*gaelp repair --store sqlite:///"
    for use in (lambda: store.load("demo"), lambda: store.acquire(birth(), expected=3), store.fold):
        with pytest.raises(NotAStore, match=said):
            use()
    (damage,) = examine(str(path))
    assert damage.cost.startswith(f"World 'demo' (shard 0) loses commits {sequence} to 3: it ")
    assert query(path, "SELECT * FROM journal") == before
    assert repair(str(path)) == [damage]
    assert examine(str(path)) == []
    worlds = {line.birth.world: line.sequence for line in store.worlds()}
    assert worlds == ({"other": 1} if sequence == 0 else {"demo": sequence - 1, "other": 1})
    if sequence:
        lease = store.acquire(birth(), expected=sequence - 1)
        store.commit([(lease, batch(sequence, [1]))])
    else:
        born(store)
    store.close()


def test_damaged_people_are_named_and_repair_lets_them_go(store: Store, path: Path) -> None:
    lease = born(store, numbers=[1, 2, 5000, 5001], names={5001: "sara"})
    store.fold()
    store.commit([(lease, batch(1, [1, 5000]))])
    store.public = None
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE base SET users = zeroblob(length(users)) WHERE block = 1")
    connection.close()
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(NotAStore, match=r"people numbered 4096 to 8191 of world 'demo'.*gaelp repair"):
        store.load("demo")
    with pytest.raises(NotAStore, match="gaelp repair"):
        store.acquire(birth(), expected=1)
    (damage,) = repair(str(path))
    assert "4096 to 8191" in damage.what
    assert store.load("demo").users["number"].tolist() == [1, 2, 5000]
    rows = {row["user_id"]: row["is_active"] for row in store.rows("demo", "persistent_users")}
    assert rows == {"u000000001": 1, "u000000002": 1, "u000005000": 1, "sara": 0}
    lease = store.acquire(birth(), expected=1)
    store.commit([(lease, batch(2, [5000, 6000]))])
    store.close()


def test_a_file_that_is_missing_or_written_is_not_repaired(store: Store, path: Path) -> None:
    for act in (examine, repair):
        with pytest.raises(StoreError, match="no store in"):
            act(str(path))
    lease = born(store)
    said = run(
        f"""
        from storage import WorldBusy
        from storage.sqlite_repair import examine, repair
        print(len(examine("{path}")))
        try:
            repair("{path}")
        except WorldBusy:
            print("busy")
        """
    )
    assert said.split() == ["0", "busy"]
    store.release(lease)
