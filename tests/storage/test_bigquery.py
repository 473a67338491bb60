"""What only a BigQuery store promises: the outbox, the drain, the fold under a lease, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage import bigquery_sql as sql
from storage.base import LeaseLost, NotAStore, StoreError
from storage.bigquery import BigQueryPlace
from storage.bigquery_errors import WarehouseAway
from storage.bigquery_fold import Fold, new_base
from storage.bigquery_outbox import Outbox
from storage.bigquery_stand import Stand, Waiting, read_deltas, read_stands
from storage.bigquery_tables import users_table
from storage.retention import Retention
from storage.shared import SharedStore
from tests.bigquery.emulator import Emulator
from tests.storage.small import ROOT, batch, birth, born, open_store, public_of, run, seen

Kit = tuple[SharedStore, BigQueryPlace]


@pytest.fixture
def url(bigquery_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GAELP_OUTBOX", str(tmp_path / "outbox"))
    return bigquery_url


@pytest.fixture
def kit(url: str) -> Iterator[Kit]:
    store = open_store(url)
    place: Any = store.home
    yield store, place
    store.public = None
    store.close()


def elsewhere(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> BigQueryPlace:
    """The same dataset as another machine has it: with an outbox of its own."""
    monkeypatch.setenv("GAELP_OUTBOX", str(folder / "elsewhere"))
    place = BigQueryPlace(*url.removeprefix("bigquery://").split("/"))
    place.public = public_of
    return place


def asked(place: BigQueryPlace, text: str) -> list[dict[str, Any]]:
    return place.wire.query(text)


# ---- the outbox and the drain


def test_a_commit_is_on_this_machine_at_once_and_in_the_dataset_when_drained(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, place = kit
    lease = born(store, touch=2)
    there = elsewhere(store.url, tmp_path, monkeypatch)
    assert there.worlds() == []
    assert seen(store)["sequence"] == 0
    assert place.drain() == 1
    assert there.load("demo").sequence == 0
    store.commit([(lease, batch(1, [1]))])
    assert (store.load("demo").sequence, there.load("demo").sequence) == (1, 0)
    assert (place.drain(), place.drain()) == (1, 0)
    assert there.load("demo").users["level"].tolist() == [0, 1, 0, 0, 0]
    there.close()


@pytest.mark.parametrize("moment", ["before the load", "after the load"])
def test_a_process_killed_in_a_drain_loses_and_doubles_nothing(url: str, moment: str) -> None:
    name = {"before the load": "wire.load", "after the load": "outbox.sent"}[moment]
    target, verb = name.split(".")
    run(
        f"""
        import os, signal
        from tests.storage.small import batch, birth, born, open_store
        store = open_store({url!r})
        lease = born(store, touch=2)
        store.commit([(lease, batch(1, [1], touch=1))])
        setattr(store.home.{target}, {verb!r}, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
        store.home.drain()
        """,
        killed=True,
    )
    store = open_store(url)
    place: Any = store.home
    lease = store.acquire(birth(), expected=1)
    assert lease.epoch == 2
    assert place.outbox.waiting() == 0
    rows = asked(place, "SELECT epoch, sequence, COUNT(*) AS n FROM gaelp_deltas GROUP BY epoch, sequence")
    assert sorted(tuple(row.values()) for row in rows) == [(1, 0, 1), (1, 1, 1)]
    assert store.count("demo", "touchpoints") == 3
    store.fold()
    assert asked(place, "SELECT COUNT(*) AS n FROM touchpoints")[0]["n"] == 3
    store.close()


def test_a_worker_ends_while_the_network_is_away_and_another_process_sends_what_it_left(
    url: str, emulator: Emulator
) -> None:
    away = "http://127.0.0.1:9"
    said = run(
        f"""
        import warnings
        from tests.storage.small import batch, birth, born, open_store
        store = open_store({url!r})
        lease = born(store)
        place = store.home
        place.drain()
        place.wire.close()
        place.wire.endpoint, place.wire.patience_s = {away!r}, 0.2
        store.commit([(lease, batch(1, [1])), (lease, batch(2, [2]))])
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            store.close()
        print(found[0].message)
        """
    )
    assert "cannot be reached" in said and "2 commits of world 'demo' wait" in said
    assert "gaelp store drain" in said
    done = subprocess.run(
        [sys.executable, "-m", "gaelp_env", "store", "drain", url],
        cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ.copy(),
    )  # fmt: skip
    assert "2 commits sent, 1 leases given back, 0 commits set aside" in done.stdout
    store = open_store(url, read_only=True)
    assert (store.worlds()[0].sequence, store.worlds()[0].holder) == (2, "")
    store.close()


def test_a_takeover_forfeits_what_was_not_drained_and_says_so(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, place = kit
    lease = born(store)
    place.drain()
    store.commit([(lease, batch(1, [1], level=7.0))])
    there = elsewhere(store.url, tmp_path, monkeypatch)
    taken = there.acquire(birth(), expected=0)
    assert taken.epoch == 2
    with pytest.warns(UserWarning, match=r"forfeited: 1 of world 'demo'.*set aside in"):
        place.drain()
    with pytest.raises(LeaseLost, match="epoch 1"):
        store.commit([(lease, batch(2, [2]))])
    there.commit([(taken, batch(1, [1], level=9.0))])
    there.drain()
    assert store.load("demo").users["level"].tolist() == [0, 9, 0, 0, 0]
    assert [entry.sequence for entry in place.outbox.set_aside()] == [1]
    there.release(taken)
    there.close()


def test_the_processes_of_a_machine_drain_once_in_the_time_that_is_set(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, place = kit
    born(store)
    another = Outbox(place.outbox.path)
    moments = [0.0, 15.0, 59.0, 60.0, 61.0, 119.0, 121.0, 60.0, 119.0]
    due = [
        box.due(int(1e15 + s * 1e6), 60.0)
        for s, box in zip(moments, [place.outbox, another] * 9, strict=False)
    ]
    assert due == [True, False, False, True, False, False, True, True, False], (
        "set back, a clock makes it due"
    )
    another.close()
    monkeypatch.setenv("GAELP_DRAIN_S", "60")
    monkeypatch.setattr(place, "_clock", lambda: int(1e15 + 119e6))
    place._drain_quietly()
    assert place.outbox.waiting() == 1
    monkeypatch.setattr(place, "_clock", lambda: int(1e15 + 120e6))
    place._drain_quietly()
    assert place.outbox.waiting() == 0


# ---- the fold


def folding(place: BigQueryPlace, store: SharedStore, lease: Any) -> Fold:
    place.drain()
    stands = read_stands(place.wire, place.outbox, "demo")
    shards = stands.of("demo")
    deltas = read_deltas(place.wire, place.outbox, "demo", shards)
    return Fold(place.wire, public_of, lease, stands, deltas, {}, shards[0].sequence)


class Heedless(Fold):
    """A fold of somebody who does not look at the lease."""

    def _check_in_force(self) -> None:
        return


class Again(Fold):
    """A fold whose jobs are new ones, though what they do was done."""

    def _job(self, what: str) -> str:
        return f"again-{os.urandom(6).hex()}-{what}"


def test_a_fold_is_done_once_by_the_lease_in_force_whatever_is_tried(kit: Kit) -> None:
    store, place = kit
    lease = born(store, touch=3)
    store.commit([(lease, batch(1, [1, 2], archived=[4], touch=1))])
    fold = folding(place, store, lease)
    changes: list[tuple[str, int]] = []
    change = place.wire.change

    def watched(text: str, values: Any, job: str) -> int:
        changes.append((text.split("`")[1], change(text, values, job)))
        return changes[-1][1]

    place.wire.change = watched  # type: ignore[method-assign]
    old = replace(lease, epoch=0, token="stale")
    with pytest.raises(LeaseLost):
        replace(fold, lease=old, stages=[]).run()
    with pytest.raises(StoreError):  # it goes on for all that, and no statement lets it
        Heedless(fold.wire, public_of, old, fold.stands, fold.deltas, {}, fold.base).run()
    assert {rows for _, rows in changes} == {0}
    assert fold.run() == 2
    counts = dict(changes[-7:])
    assert counts["gaelp_people"] == counts["persistent_users"] == 5
    assert counts["touchpoints"] == 4
    changes.clear()
    Again(fold.wire, public_of, lease, fold.stands, fold.deltas, {}, fold.base).run()
    assert [rows for table, rows in changes if table not in ("gaelp_worlds", "gaelp_deltas")] == [0] * 4
    assert asked(place, "SELECT COUNT(*) AS n FROM persistent_users")[0]["n"] == 5
    store.close()


def test_a_row_that_moves_to_another_partition_is_found_in_its_old_one(kit: Kit) -> None:
    store, place = kit
    lease = born(store, numbers=range(3))
    store.fold()
    days = 40 * 86_400.0
    store.commit([(lease, batch(1, [1], level=days))])
    store.fold()
    rows = asked(place, "SELECT user_id, last_seen FROM persistent_users ORDER BY user_id")
    assert [row["user_id"] for row in rows] == ["u000000000", "u000000001", "u000000002"]
    assert str(rows[1]["last_seen"])[:10] == "2026-02-14"
    assert [row["awareness_level"] for row in store.rows("demo", "persistent_users")][1] == days


def test_a_fold_that_was_broken_off_is_finished_by_the_next(kit: Kit) -> None:
    store, place = kit
    lease = born(store, touch=2)
    expected = seen(store)
    change = place.wire.change

    def broken(text: str, values: Any, job: str) -> int:
        if text == sql.END_FOLD:
            raise WarehouseAway("the line is dead")
        return change(text, values, job)

    place.wire.change = broken  # type: ignore[method-assign]
    with pytest.raises(WarehouseAway):
        store.fold()
    assert seen(store) == expected
    place.wire.change = change  # type: ignore[method-assign]
    store.commit([(lease, batch(1, [1], touch=1))])
    assert store.fold() == 2
    assert store.count("demo", "touchpoints") == 3
    assert asked(place, "SELECT COUNT(*) AS n FROM touchpoints")[0]["n"] == 3
    assert asked(place, "SELECT COUNT(*) AS n FROM persistent_users")[0]["n"] == 5


@pytest.mark.parametrize(
    ("base", "last", "keep", "expected"),
    [(-1, 3, 1, 3), (-1, 3, 2, 2), (-1, 3, 9, 0), (1, 4, 2, 3), (1, 4, 9, 1), (2, 2, 1, 2), (-1, 0, 1, 0)],
)
def test_the_base_is_of_the_oldest_commit_that_is_kept(
    base: int, last: int, keep: int, expected: int
) -> None:
    waiting = [Waiting(1, k, 10 + k, 0, "{}") for k in range(base + 1, last + 1)]
    row = {"base_sequence": None if base < 0 else base, "base_stamp_us": 10 + base, "folded": None}
    stand = Stand(row, waiting)
    assert new_base(stand, Retention(keep, 0.0).cut(last, 10 + last, last)) == expected


# ---- the dataset


def test_a_table_that_is_otherwise_is_refused_with_every_difference(kit: Kit) -> None:
    place = kit[1]
    place.wire.make()
    place.wire.query(
        "CREATE TABLE persistent_users (user_id INT64, note STRING, last_seen TIMESTAMP) CLUSTER BY note"
    )
    with pytest.raises(NotAStore, match=r"lacks canonical_user_id STRING.*also has note") as refusal:
        place.wire.need(users_table("persistent_users"))
    for said in (
        "user_id is INT64 where STRING is needed",
        "partitioned by nothing where DAY last_seen",
        "clustered by note",
    ):
        assert said in str(refusal.value)
