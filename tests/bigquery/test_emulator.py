"""The server that the BigQuery store is tested against: it starts, keeps, and is missed in words."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bigquery.emulator import PROJECT, REST, ROOT, Emulator, NoEmulator, interpreter

pytest.importorskip("google.cloud.bigquery", reason="google-cloud-bigquery is not installed: gaelp[bigquery]")


def rows_of(emulator: Emulator, sql: str) -> list[tuple[object, ...]]:
    with emulator.client() as client:
        return [row.values() for row in client.query_and_wait(sql)]


def test_a_query_is_answered_by_the_real_client(emulator: Emulator) -> None:
    assert rows_of(emulator, "SELECT 1, 'a', TIMESTAMP '2026-01-05 00:00:00+00'")[0][:2] == (1, "a")


def test_every_test_has_a_dataset_of_its_own(emulator: Emulator, bigquery_url: str) -> None:
    scheme, _, project, dataset = bigquery_url.split("/")
    assert (scheme, project) == ("bigquery:", PROJECT)
    assert dataset not in {
        row[0] for row in rows_of(emulator, "SELECT schema_name FROM INFORMATION_SCHEMA.SCHEMATA")
    }
    assert os.environ[REST] == emulator.endpoint


STARTER = """
import sys, pathlib
from tests.bigquery.emulator import Emulator
server = Emulator(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
server.start()
print(server.rest, server.grpc, flush=True)
sys.stdin.read()
"""


def test_a_server_ends_with_a_killed_session_and_what_it_held_is_kept(
    emulator: Emulator, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", STARTER, str(tmp_path), str(emulator.python)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        rest, grpc = map(int, session.stdout.readline().split())
        again = Emulator(tmp_path, emulator.python, rest, grpc)
        rows_of(again, "CREATE SCHEMA kept")
        rows_of(again, "CREATE TABLE kept.t AS SELECT 7 AS x")
        session.kill()
    until = time.monotonic() + 20
    while listens(rest):
        assert time.monotonic() < until, "the server outlives the session that started it"
        time.sleep(0.05)
    again.start()
    try:
        assert rows_of(again, "SELECT x FROM kept.t") == [(7,)]
        assert (again.rest, again.grpc) == (rest, grpc)
    finally:
        again.kill()


def listens(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


def test_users_are_read_by_the_storage_api(emulator: Emulator, bigquery_url: str) -> None:
    import pyarrow  # type: ignore[import-untyped]
    from google.cloud.bigquery_storage_v1.types import DataFormat, ReadSession

    dataset = bigquery_url.rpartition("/")[2]
    rows_of(emulator, f"CREATE SCHEMA {dataset}")
    rows_of(
        emulator, f"CREATE TABLE {dataset}.u AS SELECT 1 AS number, 'one' AS name UNION ALL SELECT 2, 'two'"
    )
    with emulator.read_client() as reader:
        wanted = ReadSession(
            table=f"projects/{PROJECT}/datasets/{dataset}/tables/u",
            data_format=DataFormat.ARROW,
            read_options=ReadSession.TableReadOptions(
                selected_fields=["number"], row_restriction="number > 1"
            ),
        )
        session = reader.create_read_session(
            parent=f"projects/{PROJECT}", read_session=wanted, max_stream_count=1
        )
        schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(session.arrow_schema.serialized_schema))
        # Page by page, as the client's own to_arrow() warns that it is going away.
        batches = [
            pyarrow.ipc.read_record_batch(
                pyarrow.py_buffer(page.arrow_record_batch.serialized_record_batch), schema
            )
            for page in reader.read_rows(session.streams[0].name)  # type: ignore[arg-type]
        ]
    assert pyarrow.Table.from_batches(batches, schema).to_pylist() == [{"number": 2}]


def test_the_opt_in_module_runs_the_contract_in_an_empty_dataset_only(
    emulator: Emulator, bigquery_url: str
) -> None:
    dataset = bigquery_url.rpartition("/")[2]
    chosen = "tests/storage/test_bigquery_service.py::test_a_world_comes_back_as_it_was_committed"
    words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", chosen]

    def run() -> str:
        named = {**os.environ, "GAELP_TEST_BIGQUERY": f"{PROJECT}.{dataset}"}
        named.pop("PYTEST_XDIST_WORKER", None)
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, env=named)
        return done.stdout

    assert "1 passed" in run()
    rows_of(emulator, f"CREATE TABLE {dataset}.mine AS SELECT 1 AS x")
    refused = " ".join(run().split())
    assert "which holds mine; these tests delete everything in it" in refused and "1 error" in refused
    assert rows_of(emulator, f"SELECT x FROM {dataset}.mine") == [(1,)]


def test_an_old_python_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 3 12\n", encoding="utf-8")
    old.chmod(0o755)
    monkeypatch.setenv("GAELP_EMULATOR_PYTHON", str(old))
    with pytest.raises(NoEmulator, match=r"is Python 3\.12; the emulator needs Python 3\.13 or newer"):
        interpreter()


REQUIRING = """
def test_it(emulator):
    pass
"""


@pytest.mark.parametrize(("required", "outcome"), [("", "1 skipped"), ("1", "1 error")])
def test_where_there_is_no_emulator_tests_skip_unless_it_is_required(
    required: str, outcome: str, tmp_path: Path
) -> None:
    (tmp_path / "test_requiring.py").write_text(REQUIRING, encoding="utf-8")
    nowhere = {"GAELP_EMULATOR_PYTHON": str(tmp_path / "none"), "GAELP_EMULATOR_REQUIRED": required}
    words = ["-m", "pytest", "-n", "0", "-p", "tests.bigquery.fixtures", "-p", "no:cacheprovider", "-rs"]
    answer = subprocess.run(
        [sys.executable, *words, "--rootdir", tmp_path, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **nowhere},
    )
    assert outcome in answer.stdout
    assert "does not answer as a Python" in answer.stdout
