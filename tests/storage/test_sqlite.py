"""What holds for SQLite files alone: their tables, pragmas, strangers, full disks and read-only places."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from storage.base import (
    PUBLIC_COLUMNS,
    LeaseLost,
    NotAStore,
    Store,
    StoreError,
    StoreFull,
    WorldBusy,
    WorldNotFound,
)
from storage.clock import now_us
from tests.storage.small import batch, birth, open_store, query, run, writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.close()


def beside(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


# ---- tables


def test_persistent_users_has_exactly_the_public_columns_in_order(store: Store, path: Path) -> None:
    for world in ("demo", "other", "demo/1", "a.b-c"):
        lease = store.acquire(birth(world), expected=None)
        store.commit([(lease, batch(0, [1], world=world))])
    tables = {name for (name,) in query(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    named = {name for name in tables if name.startswith("persistent_users")}
    assert named == {
        "persistent_users",
        "persistent_users__other",
        "persistent_users__demo_1",
        "persistent_users__a.b-c",
    }
    for table in named:
        columns = query(path, f'PRAGMA table_info("{table}")')
        assert tuple(column[1] for column in columns) == PUBLIC_COLUMNS
        assert [column[2] for column in columns] == (
            ["TEXT"] * 3 + ["REAL"] * 3 + ["INTEGER"] * 2 + ["TEXT"] * 4 + ["INTEGER", "TEXT", "TEXT"]
        )
        assert [column[1] for column in columns if column[5]] == ["user_id"]


def test_the_first_world_to_be_born_has_the_plain_table(store: Store, path: Path) -> None:
    early = store.acquire(birth("early"), expected=None)
    late = store.acquire(birth("late"), expected=None)
    store.commit([(late, batch(0, [1, 2], world="late"))])
    store.commit([(early, batch(0, [1], world="early"))])
    assert query(path, "SELECT count(*) FROM persistent_users") == [(0,)]
    assert store.fold() == 2
    assert query(path, "SELECT count(*) FROM persistent_users") == [(2,)]
    assert [line.birth.world for line in store.worlds()] == ["late", "early"]


def test_any_sql_tool_reads_users_and_events(store: Store, path: Path) -> None:
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [3], touch=1))])
    store.close()
    assert query(path, "SELECT user_id, last_seen, typeof(is_active) FROM persistent_users") == [
        ("u000000003", "2026-01-05 00:00:00.000000", "integer")
    ]
    assert query(path, "SELECT * FROM touchpoints") == [
        ("demo", 0, "2026-01-05 00:00:00.000000", "search", 0, float(np.float32(0.1)), 1)
    ]
    assert query(path, "SELECT sequence, summary, config, fingerprint FROM worlds") == [
        (0, '{"clock": 0}', '{"a": 1}', "f00d")
    ]


# ---- the file


def test_a_writer_is_in_wal_with_a_sync_at_every_commit_and_alone(store: Store, path: Path) -> None:
    lease = store.acquire(birth(), expected=None)
    assert writer(store).execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert writer(store).execute("PRAGMA synchronous").fetchone() == (2,)
    assert writer(store).isolation_level is None
    first = writer(store)
    again = open_store(f"sqlite:///{path}")
    other = again.acquire(birth("other"), expected=None)
    assert writer(again) is first
    again.commit([(other, batch(0, [1], world="other"))])
    store.commit([(lease, batch(0, [1]))])
    again.close()


def test_nothing_is_created_before_the_first_lease(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    assert store.worlds() == []
    with pytest.raises(WorldNotFound):
        store.load("demo")
    with pytest.raises(WorldNotFound):
        store.acquire(birth(), expected=0)
    assert beside(path) == []
    lease = store.acquire(birth(), expected=None)
    assert {"s.db", "s.db.lock", "s.db-wal", "s.db-shm"} == set(beside(path))
    store.commit([(lease, batch(0, [1]))])
    store.close()


def test_a_file_at_rest_is_one_file(store: Store, path: Path) -> None:
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1]))])
    reader = open_store(f"sqlite:///{path}", read_only=True)
    store.release(lease)
    assert beside(path) == ["s.db"]
    assert reader.load("demo").sequence == 0
    assert beside(path) == ["s.db"]
    reader.close()


def test_a_relative_path_is_taken_from_the_folder_at_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///near.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1]))])
    store.close()
    assert (tmp_path / "near.db").exists()


def test_two_names_of_a_file_are_one_store(store: Store, path: Path) -> None:
    lease = store.acquire(birth(), expected=None)
    first = writer(store)
    link = path.with_name("link.db")
    link.symlink_to(path)
    other = open_store(f"sqlite:///{link}")
    beside_it = other.acquire(birth("other"), expected=None)
    assert writer(other) is first
    other.release(beside_it)
    store.release(lease)
    other.close()


# ---- strangers


def test_a_missing_file_is_named_when_read_only(path: Path) -> None:
    reader = open_store(f"sqlite:///{path}", read_only=True)
    for read in (reader.worlds, lambda: reader.load("demo")):
        with pytest.raises(WorldNotFound, match=r"no file for the store sqlite:///.*s\.db"):
            read()
    assert beside(path) == []


def test_an_empty_file_is_a_new_store(store: Store, path: Path) -> None:
    path.touch()
    assert store.worlds() == []
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1]))])
    assert store.load("demo").sequence == 0


def test_a_file_that_is_no_database_is_refused_and_left_alone(store: Store, path: Path) -> None:
    path.write_text("user_id,awareness\n" * 200)
    before = path.read_bytes()
    for use in (store.worlds, lambda: store.acquire(birth(), expected=None)):
        with pytest.raises(NotAStore, match=r"no SQLite database.*Name another file"):
            use()
    assert path.read_bytes() == before
    assert beside(path) == ["s.db"]


def test_a_database_of_somebody_else_is_refused_and_left_alone(store: Store, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE persistent_users (user_id TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    for use in (store.worlds, lambda: store.acquire(birth(), expected=None)):
        with pytest.raises(NotAStore, match="no gaelp store"):
            use()
    assert path.read_bytes() == before
    assert beside(path) == ["s.db"]


def test_a_damaged_store_is_refused_in_words(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, range(500)))])
    store.close()
    whole = bytearray(path.read_bytes())
    whole[4096:] = os.urandom(len(whole) - 4096)
    path.write_bytes(whole)
    with pytest.raises(NotAStore, match="damaged"):
        open_store(f"sqlite:///{path}", read_only=True).load("demo")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/no/s.db")
    assert store.worlds() == []
    with pytest.raises(StoreError, match=r"folder '.*/no' .* is not there; create it first"):
        store.acquire(birth(), expected=None)


def test_another_program_that_writes_the_file_is_told_of(store: Store, path: Path) -> None:
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1]))])
    writer(store).execute("PRAGMA busy_timeout = 20")
    browser = sqlite3.connect(path, isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    with pytest.raises(WorldBusy, match="locked by another program"):
        store.commit([(lease, batch(1, [1]))])
    browser.execute("ROLLBACK")
    browser.close()
    store.commit([(lease, batch(1, [1]))])


# ---- full and read-only places


def test_a_full_disk_loses_nothing_and_the_store_goes_on(store: Store, path: Path) -> None:
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, range(10), touch=3))])
    pages = writer(store).execute("PRAGMA page_count").fetchone()[0]
    writer(store).execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreFull, match=r"full, or the file is read-only.*Nothing was written"):
        store.commit([(lease, batch(1, range(5000), touch=5000))])
    assert store.load("demo").sequence == 0
    assert store.count("demo", "touchpoints") == 3
    writer(store).execute("PRAGMA max_page_count = 1000000")
    store.commit([(lease, batch(1, range(5000), touch=5000))])
    assert store.load("demo").users["level"].tolist() == [1.0] * 5000
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_file_that_may_not_grow_is_a_full_disk(path: Path) -> None:
    said = run(
        f"""
        import resource
        from storage import StoreFull
        from tests.storage.small import open_store
        from tests.storage.small import batch, birth
        store = open_store("sqlite:///{path}")
        lease = store.acquire(birth(), expected=None)
        store.commit([(lease, batch(0, range(10)))])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            store.commit([(lease, batch(1, range(9000)))])
        except StoreFull as error:
            print(type(error).__name__, isinstance(error, OSError), store.load("demo").sequence)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        store.commit([(lease, batch(1, range(9000)))])
        print(store.load("demo").sequence)
        store.close()
        """
    )
    assert said.split() == ["StoreFull", "True", "0", "1"]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_store_in_a_read_only_folder_can_be_read_and_not_written(mode: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(f"sqlite:///{folder}/s.db")
        lease = store.acquire(birth(), expected=None)
        store.commit([(lease, batch(0, [1, 2]))])
        store.close()
        connection = sqlite3.connect(folder / "s.db")
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.close()
        (folder / "s.db").chmod(0o444)
        folder.chmod(0o555)
        said = run(
            f"""
            import os
            from storage import StoreError, StoreFull
            from tests.storage.small import open_store
            from storage import sqlite, memory
            from tests.storage.small import batch, birth
            if os.geteuid() == 0:
                os.setuid(65534)
            for read_only in (True, False):
                store = open_store("sqlite:///{folder}/s.db", read_only=read_only)
                print(len(store.load("demo").users), store.count("demo", "persistent_users"))
            try:
                store.acquire(birth(), expected=0)
            except StoreFull as error:
                print("refused" if "Permission denied" in str(error) else error)
            """
        )
        assert said.split() == ["2", "2", "2", "2", "refused"]
        assert beside(folder / "s.db") == ["s.db"]
        folder.chmod(0o755)


# ---- leases in the file


def test_a_holder_of_another_machine_is_believed_for_a_minute(path: Path) -> None:
    url = f"sqlite:///{path}"
    for silent_s, is_free in ((30, False), (61, True)):
        store = open_store(url)
        lease = store.acquire(birth(), expected=None)
        lost = f"UPDATE worlds SET lease_host = 'far', lease_heard_us = {now_us() - silent_s * 1_000_000}"
        writer(store).execute(lost)
        if is_free:
            assert store.acquire(birth(), expected=None).epoch == lease.epoch + 1
        else:
            with pytest.raises(WorldBusy, match="on far since"):
                store.acquire(birth(), expected=None)
        store.close()
        connection = sqlite3.connect(path)
        connection.execute("UPDATE worlds SET lease_token = ''")
        connection.commit()
        connection.close()


def test_a_lease_that_was_taken_over_from_elsewhere_never_writes_again(store: Store) -> None:
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, [1]))])
    taken = "UPDATE worlds SET lease_host = 'far', lease_token = 't', lease_epoch = lease_epoch + 1"
    writer(store).execute(taken)
    for write in (
        lambda: store.commit([(lease, batch(1, [1]))]),
        lambda: store.heartbeat(lease),
        lambda: store.prune(lease, np.datetime64("2027-01-01")),
    ):
        with pytest.raises(LeaseLost, match=r"epoch 1.*held by process .* on far since"):
            write()
    assert store.load("demo").sequence == 0
    store.close()
    assert query(store.url.removeprefix("sqlite:///"), "SELECT lease_token FROM worlds") == [("t",)]


@pytest.mark.parametrize("change", ["lease_boot = 'before'", "lease_pid = 0", "lease_started = '1'"])
def test_a_holder_from_before_the_boot_or_without_a_process_is_dead(path: Path, change: str) -> None:
    store = open_store(f"sqlite:///{path}")
    lease = store.acquire(birth(), expected=None)
    writer(store).execute(f"UPDATE worlds SET {change}")
    assert store.held() == {}
    assert store.acquire(birth(), expected=None).epoch == lease.epoch + 1
    store.close()
