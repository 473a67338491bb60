"""An erasure from a SQLite file, seen from below: not a byte of the person is left beside the number."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from storage.base import Lease
from storage.shared import SharedStore
from storage.sqlite_open import open_reader
from storage.sqlite_repair import examine
from tests.storage.small import USER, batch, birth, born, open_store, query, seen, writer

NAME = "margarethe_von_oldenburg"
MARK = np.datetime64("1987-06-05T04:03:02.123456", "us")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


def lived(path: Path) -> tuple[SharedStore, Lease]:
    """A person with a name and a record that bytes can be told by, in every table, folded and not."""
    store = open_store(f"sqlite:///{path}")
    lease = born(store, "demo", range(5_000), touch=9)
    store.keep(lease, commits=9)
    # Some builds of SQLite zero whatever is deleted; others leave it where it was.
    writer(store).execute("PRAGMA secure_delete = OFF")
    store.commit([(lease, _marked(1, range(4_990, 5_010), {5_001: NAME}))])
    store.fold()
    store.commit([(lease, _marked(2, range(5_000, 5_005), {5_001: NAME}))])
    return store, lease


def _marked(sequence: int, numbers: range, names: dict[int, str]) -> object:
    made = batch(sequence, numbers, names=names, touch=3)
    made.users["seen"][made.users["number"] == 5_001] = MARK
    made.touchpoints["number"] = 5_001
    made.touchpoints["at"] = MARK
    return made


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()))


def traces(folder: Path) -> list[bool]:
    """Whether name, record and event times are anywhere in the files."""
    found = bytes_of(folder)
    return [mark in found for mark in (NAME.encode(), MARK.astype("<i8").tobytes(), b"1987-06-05 04:03:02")]


def test_no_byte_of_a_person_is_left(path: Path) -> None:
    store, lease = lived(path)
    assert traces(path.parent) == [True, True, True]
    erased = store.forget(lease, [5_001])
    assert erased.remains == ()
    assert (erased.erased["records"], erased.erased["names"], erased.erased["touchpoints"]) == (1, 1, 6)
    assert traces(path.parent) == [False, False, False]
    store.commit([(lease, batch(3, [1]))])
    store.close()
    assert traces(path.parent) == [False, False, False]
    assert examine(str(path)) == []
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    (gone,) = query(path, "SELECT numbers FROM gone")[0]
    assert np.frombuffer(gone, "<i8").tolist() == [5_001]


def test_whoever_reads_meanwhile_is_told_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.sqlite_forget._WAIT_MS", 50)
    store, lease = lived(path)
    reader = open_reader(str(path))
    assert reader is not None
    (told,) = store.forget(lease, [5_001]).remains
    assert "Somebody reads" in told
    reader.close()
    assert store.forget(lease, [5_001]).remains == ()
    assert traces(path.parent) == [False, False, False]
    store.close()


def test_an_erasure_that_breaks_off_is_finished_by_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, lease = lived(path)
    with monkeypatch.context() as patch:
        patch.setattr(
            "storage.sqlite_moves.scrub", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("no"))
        )
        with pytest.raises(Exception, match="no"):
            store.forget(lease, [5_001])
    after = seen(store)
    assert NAME not in after["names"].values()
    assert set(store.forget(lease, [5_001]).erased.values()) == {0}
    assert traces(path.parent) == [False, False, False]
    assert seen(store) == after
    store.close()
    again = open_store(f"sqlite:///{path}")
    assert again.load("demo").users.dtype == USER
    assert again.acquire(birth(), expected=2).epoch == 2
    again.close()
