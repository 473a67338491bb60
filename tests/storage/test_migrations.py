"""Schemas of SQLite files: files of every release open, newer ones are refused."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from storage import migrations
from storage.base import NotAStore, Store
from storage.columns import stored
from tests.storage.golden import make_golden
from tests.storage.small import USER, batch, birth, open_store, query, users

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(version: int, tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / f"v{version}.db"
    shutil.copyfile(GOLDEN / path.name, path)
    return path, f"sqlite:///{path}"


def read(store: Store) -> None:
    """What `make_golden` put in, as every later release must find it."""
    assert [(line.birth.world, line.birth.parent, line.sequence) for line in store.worlds()] == [
        ("demo", "", 1),
        ("demo/1", "demo@0", 0),
    ]
    snapshot = store.load("demo")
    assert snapshot.users.dtype == USER
    expected = users(range(5), 0.0)
    expected[[2, 4]] = users([2, 4], 1.0)
    assert (snapshot.users == expected).all()
    assert (snapshot.names, snapshot.market) == ({2: "sara_mobile_001"}, b"market\1")
    rows = list(store.rows("demo", "persistent_users"))
    names = ["sara_mobile_001", "u000000000", "u000000001", "u000000003", "u000000004", "u000000005"]
    assert [row["user_id"] for row in rows] == names
    assert [row["is_active"] for row in rows] == [1, 1, 1, 1, 1, 0]
    assert [store.count("demo", table) for table in ("touchpoints", "conversions", "episodes")] == [5, 0, 2]
    assert list(store.rows("demo/1", "conversions")) == [
        {"number": 1, "at": "2026-01-06 12:00:00.000000", "value_micro": 49_990_000}
    ]


@pytest.mark.parametrize("version", range(1, len(migrations.MIGRATIONS) + 1))
def test_a_file_of_every_release_opens_and_goes_on(version: int, tmp_path: Path) -> None:
    path, url = golden(version, tmp_path)
    store = open_store(url)
    lease = store.acquire(birth(), expected=1)
    assert lease.epoch == 2
    read(store)
    store.commit([(lease, batch(2, [1], touch=1))])
    assert store.acquire(birth("unborn"), expected=None).epoch == 2
    store.close()
    reader = open_store(url, read_only=True)
    assert reader.load("demo").users["level"].tolist() == [0.0, 2.0, 1.0, 0.0, 1.0]
    reader.close()
    assert query(path, "PRAGMA user_version") == [(len(migrations.MIGRATIONS),)]


def test_the_newest_golden_file_is_what_this_release_writes(tmp_path: Path) -> None:
    make_golden(str(tmp_path / "now.db"))
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
    newest = GOLDEN / f"v{len(migrations.MIGRATIONS)}.db"
    assert query(tmp_path / "now.db", schema) == query(newest, schema)


def test_steps_are_taken_in_order_once_and_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, url = golden(1, tmp_path)

    def second(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE worlds ADD COLUMN note TEXT NOT NULL DEFAULT 'new'")

    def third(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE worlds SET note = note || 'er'")

    def failing(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE worlds")
        raise ValueError("half-way")

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, second, third))
    monkeypatch.setattr("storage.sqlite_open.MIGRATIONS", migrations.MIGRATIONS)
    before = path.read_bytes()
    read(open_store(url, read_only=True))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    store = open_store(url)
    store.release(store.acquire(birth(), expected=1))
    read(store)
    store.release(store.acquire(birth(), expected=1))
    store.close()
    assert query(path, "SELECT DISTINCT note FROM worlds") == [("newer",)]
    assert query(path, "PRAGMA user_version") == [(len(migrations.MIGRATIONS),)]
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(ValueError, match="half-way"):
        migrations.migrate(connection, str(path), (*migrations.MIGRATIONS, failing))
    connection.close()
    assert query(path, "PRAGMA user_version") == [(len(migrations.MIGRATIONS),)]
    assert query(path, "SELECT count(*) FROM worlds") == [(3,)]


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path, url = golden(1, tmp_path)
    known = len(migrations.MIGRATIONS)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    store = open_store(url)
    for use in (store.worlds, lambda: store.load("demo"), lambda: store.acquire(birth(), expected=1)):
        with pytest.raises(NotAStore, match=rf"schema 99; this release knows schemas up to {known}\."):
            use()
    assert path.read_bytes() == before


def test_stored_values_are_of_their_kind_only() -> None:
    assert stored("x", "real", [1, None, float("nan")]) == [1.0, None, None]
    assert stored("x", "integer", [True, 2**63 - 1]) == [1, 2**63 - 1]
    assert stored("x", "time", ["2026-01-05", None]) == ["2026-01-05 00:00:00.000000", None]
