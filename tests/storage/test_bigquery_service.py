"""The contract against the real service, and what only the service can show; opt-in.

    GAELP_TEST_BIGQUERY=my-project.gaelp_test python -m pytest -n 0 tests/storage/test_bigquery_service.py

The dataset must be empty or not there yet: every test begins and ends with all of its tables deleted. It
costs cents (10 MiB a query at least), and an hour or so. Credentials are found as always; with
GAELP_BIGQUERY_ENDPOINT the same runs against that server, without what only the service can show.
"""

from __future__ import annotations

import inspect
import os
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.base import StoreError, WorldBusy
from storage.bigquery import BigQueryPlace
from storage.bigquery_client import Wire
from storage.bigquery_endpoint import ENDPOINT
from storage.bigquery_lease import in_force
from storage.bigquery_tables import Table, create, deltas_table, people_table, users_table, worlds_table
from tests.storage import (
    test_contract,
    test_contract_batches,
    test_contract_erasing,
    test_contract_leases,
    test_contract_moving,
    test_past,
)
from tests.storage.small import Kind, batch, birth, born, open_store, public_of
from tests.storage.test_bigquery_sql import CASES, EVENTS, PARAMETERS, TABLES

VARIABLE = "GAELP_TEST_BIGQUERY"
NAMED = os.environ.get(VARIABLE, "")
if not NAMED:
    pytest.skip(
        f"{VARIABLE} names no dataset of the real service (my-project.my_empty_dataset), so that only the "
        "emulator is asked; docs/bigquery.md says what that leaves unproved",
        allow_module_level=True,
    )

CONTRACT = (
    test_contract, test_contract_batches, test_contract_erasing, test_contract_leases, test_contract_moving,
    test_past,
)  # fmt: skip
there_only = pytest.mark.skipif(bool(os.environ.get(ENDPOINT)), reason=f"{ENDPOINT} leads to another server")


def _contract() -> dict[str, Any]:
    """The tests of the contract over a store of any kind, by name."""
    found: dict[str, Any] = {}
    for module in CONTRACT:
        for name, test in vars(module).items():
            asks = inspect.signature(test).parameters if name.startswith("test_") else ()
            if {"kind", "store"} & set(asks):
                assert name not in found, f"two tests of the contract are called {name}"
                found[name] = test
    return found


globals().update(_contract())


@pytest.fixture(scope="module")
def dataset() -> Iterator[Wire]:
    """The dataset that was named, which nobody else uses."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.fail("These tests share one dataset: run them with -n 0.", pytrace=False)
    project, _, name = NAMED.rpartition(".")
    wire = Wire(project, name)
    held = tables_of(wire) if wire.is_there() else []
    if held:
        pytest.fail(
            f"{VARIABLE} names the dataset {NAMED}, which holds {', '.join(sorted(held))}; these tests "
            "delete everything in it, so name one that is empty or not there yet.",
            pytrace=False,
        )
    wire.make()
    yield wire
    wire.close()


def tables_of(wire: Wire) -> list[str]:
    return [table.table_id for table in wire._google().list_tables(wire._dataset_id())]


def emptied(wire: Wire) -> None:
    for name in tables_of(wire):
        wire.drop(name)


@pytest.fixture
def kind(dataset: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kind]:
    monkeypatch.setenv("GAELP_OUTBOX", str(tmp_path / "outbox"))
    emptied(dataset)
    yield Kind("bigquery", dataset.where)
    emptied(dataset)


def place_of(kind: Kind, outbox: Path, monkeypatch: pytest.MonkeyPatch) -> BigQueryPlace:
    """The dataset as a machine of its own has it."""
    monkeypatch.setenv("GAELP_OUTBOX", str(outbox))
    place = BigQueryPlace(*kind.url.removeprefix("bigquery://").split("/"))
    place.public = public_of
    return place


def test_of_many_who_reach_for_a_lease_each_epoch_is_given_once(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [place_of(kind, tmp_path / str(k), monkeypatch) for k in range(6)]
    places[0].make()
    start, told = threading.Barrier(len(places)), list[Any]()

    def reach(place: BigQueryPlace) -> None:
        start.wait()
        try:
            told.append(place.acquire(birth(), expected=None))
        except StoreError as error:
            told.append(error)

    reaching = [threading.Thread(target=reach, args=(place,)) for place in places]
    for one in reaching:
        one.start()
    for one in reaching:
        one.join()
    # They are of one process, so that who comes late takes over what the others of it cannot hold.
    held = [one for one in told if not isinstance(one, StoreError)]
    assert all(isinstance(one, WorldBusy) for one in told if one not in held), told
    assert sorted(lease.epoch for lease in held) == list(range(1, len(held) + 1)), "an epoch was given twice"
    last = max(held, key=lambda lease: lease.epoch)
    assert in_force(places[0].wire)["demo", 0] == (last.epoch, last.token)
    for place in places:
        place.close()


def test_two_worlds_are_folded_at_the_same_time(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [place_of(kind, tmp_path / str(k), monkeypatch) for k in range(2)]
    leases = []
    for k, place in enumerate(places):
        leases.append(place.acquire(birth(f"w{k}"), expected=None))
        place.commit([(leases[k], batch(0, range(50), world=f"w{k}", touch=20))])
        place.fold()
        place.commit([(leases[k], batch(1, range(40, 60), world=f"w{k}", touch=10))])
        place.drain()
    folding = [threading.Thread(target=place.release, args=(leases[k],)) for k, place in enumerate(places)]
    for one in folding:
        one.start()
    for one in folding:
        one.join()
    store = open_store(kind.url, read_only=True)
    for k in range(2):
        assert [store.count(f"w{k}", table) for table in ("persistent_users", "touchpoints")] == [60, 30]
        assert store.load(f"w{k}").sequence == 1
    store.close()
    for place in places:
        place.close()


def test_a_job_that_is_said_again_is_not_done_again(kind: Kind, dataset: Wire) -> None:
    dataset.query("CREATE TABLE `said` (x INT64)")
    job = f"gaelp-test-{uuid.uuid4().hex}"
    changes = [dataset.change("INSERT INTO `said` (x) VALUES (@x)", {"x": 7}, job) for _ in range(2)]
    assert changes == [1, 1]
    assert dataset.query("SELECT COUNT(*) AS n FROM `said`") == [{"n": 1}]


def test_histories_come_back_as_json(kind: Kind) -> None:
    store = open_store(kind.url)
    born(store)
    store.fold()
    (row, *_) = store.rows("demo", "persistent_users")
    assert row["touchpoint_history"] == '[{"channel":"é"}]'
    store.close()


@there_only
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[0]))
def test_the_service_takes_every_statement(case: tuple[str, str, dict[str, str]], filled: Wire) -> None:
    """By dry run: it is analyzed with the tables that are there, and not done."""
    from google.cloud import bigquery

    _, text, other = case
    parameters: list[Any] = []
    for name, kind in {**PARAMETERS, **other}.items():
        listed = kind.removeprefix("ARRAY<").removesuffix(">")
        if listed != kind:
            parameters.append(bigquery.ArrayQueryParameter(name, listed, []))
        else:
            value = 1 if name == "limit" else None
            parameters.append(bigquery.ScalarQueryParameter(name, listed, value))
    config = bigquery.QueryJobConfig(
        default_dataset=filled._dataset_id(), query_parameters=parameters, dry_run=True, use_query_cache=False
    )
    assert filled._google().query(text, job_config=config, location=filled.location).state


@pytest.fixture(scope="module")
def filled(dataset: Wire) -> Iterator[Wire]:
    """The dataset with a table of each kind that a statement names."""
    emptied(dataset)
    for table in (worlds_table, deltas_table, people_table, users_table("persistent_users"), EVENTS):
        dataset.query(create(table))
    for name in ("stage", "stage_events", "stage_deltas"):
        dataset.query(create(Table(name, TABLES[name])))
    yield dataset
    emptied(dataset)


@there_only
def test_days_and_clusters_are_pruned(kind: Kind, dataset: Wire) -> None:
    from storage.bigquery_statistics import read_statistics

    store = open_store(kind.url)
    lease = born(store, numbers=range(2_000))
    for day in range(1, 6):
        store.commit([(lease, batch(day, range(400 * day, 400 * day + 400), level=86_400.0 * day))])
    store.close()
    found = read_statistics(dataset)
    assert found is not None
    whole, newest = found.dry_runs
    assert 0 < newest.bytes < whole.bytes / 2


@there_only
def test_what_was_staged_is_deleted_by_itself(kind: Kind, dataset: Wire) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]

    dataset.load(
        "gaelp_stage_x", pa.table({"x": [1]}), f"gaelp-test-{uuid.uuid4().hex}", replace=True, days=1
    )
    found = dataset._google().get_table(dataset._table_id("gaelp_stage_x"))
    assert timedelta(hours=23) < found.expires - datetime.now(UTC) < timedelta(hours=25)


@there_only
def test_an_erased_person_can_be_read_by_time_travel_as_the_page_says(kind: Kind, dataset: Wire) -> None:
    store = open_store(kind.url)
    lease = born(store)
    store.fold()
    before = dataset.query("SELECT CURRENT_TIMESTAMP() AS t")[0]["t"]
    store.forget(lease, [2])
    asked = "SELECT COUNT(*) AS n FROM persistent_users"
    name = {"name": "u000000002"}
    assert dataset.query(f"{asked} WHERE user_id = @name", name) == [{"n": 0}]
    then = f"{asked} FOR SYSTEM_TIME AS OF @t WHERE user_id = @name"
    assert dataset.query(then, name | {"t": before}) == [{"n": 1}]
    store.close()


@there_only
def test_a_large_world_comes_in_several_streams_in_order(kind: Kind) -> None:
    store = open_store(kind.url)
    numbers = np.arange(400_000)
    lease = store.acquire(birth(), expected=None)
    store.commit([(lease, batch(0, numbers))])
    store.fold()
    assert (store.load("demo").users["number"] == numbers).all()
    store.close()


def test_every_test_of_the_contract_is_here() -> None:
    assert len(_contract()) > 60
    assert set(_contract()) <= set(globals())
