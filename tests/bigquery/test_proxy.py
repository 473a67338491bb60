"""The fault proxy itself: each fault does what its name says, and why job ids must be fixed is seen."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.bigquery.emulator import GRPC, PROJECT, REST, Emulator, client_of, read_client_of
from tests.bigquery.exchanges import Exchange
from tests.bigquery.limits import Limits
from tests.bigquery.plans import KINDS
from tests.bigquery.proxy import FaultProxy
from tests.bigquery.relay import Relay
from tests.bigquery.service import REFUSALS

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

pytest.importorskip("google.cloud.bigquery", reason="google-cloud-bigquery is not installed: gaelp[bigquery]")

ROWS = b"".join(json.dumps({"x": x}).encode() + b"\n" for x in range(100))


@pytest.fixture
def proxy(fault_proxy: FaultProxy) -> FaultProxy:
    assert os.environ[REST] == fault_proxy.endpoint
    return fault_proxy


@pytest.fixture
def table(emulator: Emulator, bigquery_url: str) -> str:
    """dataset.table of a new table with one column."""
    dataset = bigquery_url.rpartition("/")[2]
    with emulator.client() as client:
        client.query_and_wait(f"CREATE SCHEMA {dataset}")
        client.query_and_wait(f"CREATE TABLE {dataset}.t (x INT64)")
    return f"{dataset}.t"


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[Client]:
    with client_of(proxy.endpoint) as between:
        yield between


def number_of(emulator: Emulator, table: str) -> int:
    with emulator.client() as direct:
        (row,) = direct.query_and_wait(f"SELECT COUNT(*) FROM {table}")
    return int(row[0])


def load_job(client: Client, job_id: str) -> Any:
    return client.get_job(job_id)


def load(client: Client, table: str, job_id: str, size: int | None = len(ROWS)) -> Any:
    """One load job of 100 rows, tried once; with a size it is one request, without it two."""
    from google.cloud.bigquery import LoadJobConfig

    config = LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", write_disposition="WRITE_APPEND")
    job = client.load_table_from_file(
        io.BytesIO(ROWS), f"{PROJECT}.{table}", size=size, job_id=job_id, job_config=config, num_retries=0
    )
    return job.result()


def starts(exchange: Exchange) -> bool:
    return exchange.what == "load"


@pytest.mark.parametrize("size", [len(ROWS), None], ids=["one request", "in parts"])
@pytest.mark.parametrize("kind", ["drop", "reset", "503", "torn"])
def test_a_new_id_loads_twice_where_a_fixed_id_meets_409(
    kind: str, size: int | None, proxy: FaultProxy, client: Client, emulator: Emulator, table: str
) -> None:
    from google.api_core.exceptions import Conflict

    proxy.plan(kind, "after", matching=starts)
    with pytest.raises(Exception):  # noqa: B017 - which one depends on the fault; the retry is what counts
        load(client, table, "fixed-" + table.partition(".")[0], size)
    assert number_of(emulator, table) == 100, "it was applied, and the client does not know"
    with pytest.raises(Conflict):
        load(client, table, "fixed-" + table.partition(".")[0])
    job = load_job(client, "fixed-" + table.partition(".")[0])
    assert (job.state, job.output_rows, job.error_result) == ("DONE", 100, None)
    assert number_of(emulator, table) == 100
    load(client, table, "new-" + table.partition(".")[0])
    assert number_of(emulator, table) == 200


@pytest.mark.parametrize(
    "kind", ["drop", "reset", "503", "429", "quota", "rate limit", "409", "streaming buffer"]
)
def test_a_fault_before_leaves_no_trace(
    kind: str, proxy: FaultProxy, client: Client, emulator: Emulator, table: str
) -> None:
    proxy.plan(kind, "before", matching=starts)
    job_id = "again-" + table.partition(".")[0]
    with pytest.raises(Exception) as met:
        load(client, table, job_id)
    if kind in REFUSALS:
        assert REFUSALS[kind].reason in str(getattr(met.value, "errors", "")) or kind in ("503", "429")
    assert number_of(emulator, table) == 0
    load(client, table, job_id)
    assert number_of(emulator, table) == 100
    first, *_ = proxy.of("load")
    assert (first.fault, first.upstream, first.job_id) == (f"{kind} before", None, job_id)
    assert first.status == (REFUSALS[kind].status if kind in REFUSALS else None)


def test_a_reset_is_a_reset(proxy: FaultProxy) -> None:
    import requests

    for kind, words in (
        ("reset", "reset by peer"),
        ("drop", "closed connection without response"),
        ("torn", "IncompleteRead"),
    ):
        proxy.plan(kind)
        with pytest.raises(requests.RequestException, match=words):
            requests.get(f"{proxy.endpoint}/bigquery/v2/projects/{PROJECT}/datasets", timeout=10).json()


def test_a_duplicated_request_is_applied_twice_only_without_an_id(
    proxy: FaultProxy, client: Client, emulator: Emulator, table: str
) -> None:
    from google.api_core.exceptions import Conflict

    proxy.plan("duplicate", matching=starts)
    with pytest.raises(Conflict):
        load(client, table, "twice-" + table.partition(".")[0])
    assert number_of(emulator, table) == 100


@pytest.mark.parametrize("size", [len(ROWS), None], ids=["one request", "in parts"])
def test_a_job_that_failed_keeps_its_id(
    size: int | None, proxy: FaultProxy, client: Client, emulator: Emulator, table: str
) -> None:
    from google.api_core.exceptions import Conflict, Forbidden

    job_id = "failing-" + table.partition(".")[0]
    proxy.plan("job fails", matching=starts, reason="quota")
    with pytest.raises(Forbidden, match="exceeded quota for imports"):
        load(client, table, job_id, size)
    with pytest.raises(Conflict):
        load(client, table, job_id)
    job = load_job(client, job_id)
    assert job.state == "DONE"
    assert job.error_result["reason"] == "quotaExceeded"
    assert number_of(emulator, table) == 0
    load(client, table, job_id + "-2")
    assert number_of(emulator, table) == 100


def test_a_statement_that_fails_says_what_the_service_says(
    proxy: FaultProxy, client: Client, table: str
) -> None:
    from google.api_core.exceptions import BadRequest

    proxy.plan("job fails", reason="streaming buffer")
    with pytest.raises(
        BadRequest, match=rf"over table {PROJECT}:{table} would affect rows in the streaming buffer"
    ):
        client.query(f"UPDATE {table} SET x = 1 WHERE TRUE", job_retry=None).result()
    (submitted,) = proxy.of("query")
    assert (submitted.verbs, submitted.table) == (("UPDATE",), table)


def test_a_delay_is_as_long_as_it_says(proxy: FaultProxy, client: Client) -> None:
    proxy.plan("delay", "after", seconds=0.3)
    begun = time.monotonic()
    client.query_and_wait("SELECT 1")
    assert time.monotonic() - begun >= 0.3


CHILD = f"""
import sys
from tests.bigquery.emulator import client_of
client = client_of(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for x in range(3):
    client.query(f"INSERT INTO {{sys.argv[2]}} VALUES ({{x}})", project="{PROJECT}").result()
"""


@pytest.mark.parametrize(("when", "rows"), [("before", 1), ("after", 2)])
def test_a_process_dies_at_an_exchange(
    when: str, rows: int, proxy: FaultProxy, emulator: Emulator, table: str
) -> None:
    words = [sys.executable, "-c", CHILD, proxy.endpoint, table]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    proxy.plan("kill", when, matching=lambda e: e.what == "query" and "(1)" in e.sql, pid=child.pid)
    child.communicate("go\n", timeout=60)
    assert child.returncode == -9
    assert number_of(emulator, table) == rows


def test_faults_strike_by_number_and_begin_counts_afresh(proxy: FaultProxy, client: Client) -> None:
    client.query_and_wait("SELECT 1")
    proxy.begin()
    proxy.plan("503", at=2)
    client.query_and_wait("SELECT 1")
    client.query_and_wait("SELECT 2")
    assert [exchange.fault for exchange in proxy.exchanges] == ["", "503 before", ""]
    assert [exchange.number for exchange in proxy.exchanges] == [1, 2, 3]
    assert str(proxy.exchanges[1]).endswith("None → 503, 503 before")


def test_an_unknown_fault_lists_the_known_ones(proxy: FaultProxy) -> None:
    with pytest.raises(ValueError, match=f"the faults are: {', '.join(KINDS)}"):
        proxy.plan("thunder")


def test_more_statements_than_the_service_allows_are_refused(emulator: Emulator, table: str) -> None:
    from google.api_core.exceptions import TooManyRequests

    clock = [0.0]
    with (
        FaultProxy(emulator.endpoint, Limits(dml_per_10_s=3, now=lambda: clock[0])) as proxy,
        client_of(proxy.endpoint) as client,
    ):
        insert = f"INSERT INTO {table} VALUES (1)"
        for _ in range(3):
            client.query(insert, job_retry=None).result()
        # Of a job that failed, the client makes 429 of what the service calls 403.
        with pytest.raises(TooManyRequests, match="too many table update operations"):
            client.query(insert, job_retry=None).result()
        clock[0] = 10.1
        client.query(insert, job_retry=None).result()
    assert number_of(emulator, table) == 4


def test_more_loads_than_a_day_has_are_refused_until_the_next(emulator: Emulator, table: str) -> None:
    from google.api_core.exceptions import Forbidden

    clock, name = [0.0], table.partition(".")[0]
    with (
        FaultProxy(emulator.endpoint, Limits(loads_per_day=2, now=lambda: clock[0])) as proxy,
        client_of(proxy.endpoint) as client,
    ):
        load(client, table, f"{name}-1")
        load(client, table, f"{name}-2")
        with pytest.raises(Forbidden, match="exceeded quota for imports"):
            load(client, table, f"{name}-3")
        clock[0] = 86_401.0
        load(client, table, f"{name}-4")
    assert number_of(emulator, table) == 300


def test_statements_that_change_rows_queue_and_then_fail(emulator: Emulator, table: str) -> None:
    from google.api_core.exceptions import BadRequest

    def update(client: Client, n: int) -> str:
        try:
            client.query(f"UPDATE {table} SET x = {n} WHERE TRUE", job_retry=None).result()
            return "done"
        except BadRequest as refused:
            assert "Too many DML statements outstanding" in str(refused)
            return "refused"

    with (
        FaultProxy(emulator.endpoint, Limits(dml_per_10_s=None, running=1, queued=1)) as proxy,
        client_of(proxy.endpoint) as client,
    ):
        with ThreadPoolExecutor(6) as pool:
            told = list(pool.map(partial(update, client), range(6)))
        assert update(client, 6) == "done"
    assert "done" in told
    assert "refused" in told


def test_limits_count_each_table_for_itself() -> None:
    limits = Limits(dml_per_10_s=1, now=lambda: 0.0)

    def insert(table: str) -> Exchange:
        return Exchange(1, "POST", "", what="query", table=table, verbs=("INSERT",))

    assert limits.refuses(insert("d.a")) is None
    assert limits.refuses(insert("d.b")) is None
    refusal = limits.refuses(insert("d.a"))
    assert refusal is not None and refusal.reason == "rateLimitExceeded"


def test_two_run_twenty_wait_and_the_next_is_refused() -> None:
    ended: set[str] = set()
    limits = Limits(dml_per_10_s=None)

    def merge(n: int) -> Exchange:
        return Exchange(n, "POST", "", what="query", job_id=str(n), table="d.t", verbs=("MERGE",))

    for n in range(22):
        assert limits.refuses(merge(n)) is None
        threading.Thread(target=limits.enter, args=(merge(n), ended.__contains__), daemon=True).start()
        while str(n) not in limits._outstanding["d.t"]:
            time.sleep(0.001)
    refusal = limits.refuses(merge(22))
    assert refusal is not None and refusal.reason == "resourcesExceeded"
    ended.add("0")
    limits.tidy("d.t", ended.__contains__)
    assert limits.refuses(merge(23)) is None
    ended |= {str(n) for n in range(22)}


def test_the_relay_passes_cuts_and_keeps_out(storage_relay: Relay, emulator: Emulator, table: str) -> None:
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud.bigquery_storage_v1.types import DataFormat, ReadSession

    with emulator.client() as direct:
        load(direct, table, "rows-" + table.partition(".")[0])
    dataset, _, name = table.partition(".")
    wanted = ReadSession(
        table=f"projects/{PROJECT}/datasets/{dataset}/tables/{name}", data_format=DataFormat.ARROW
    )

    def read(relay: Relay) -> int:
        with read_client_of(relay.address) as reader:
            session = reader.create_read_session(
                parent=f"projects/{PROJECT}", read_session=wanted, max_stream_count=1, timeout=2, retry=None
            )
            stream = session.streams[0].name
            return sum(page.row_count for page in reader.read_rows(stream, timeout=2, retry=None))  # type: ignore[arg-type, misc]

    relay = storage_relay
    assert os.environ[GRPC] == relay.address
    assert read(relay) == 100
    assert relay.connections == 1
    assert relay.bytes_down > 800
    for after in (0, 100, 600):
        planned = relay.cut(after, reset=True, times=math.inf)
        with pytest.raises(GoogleAPICallError):
            read(relay)
        assert planned.struck >= 1
        relay.cuts.clear()
    assert read(relay) == 100
    relay.gone = True
    with pytest.raises(GoogleAPICallError):
        read(relay)
