"""One request of a client of BigQuery, as the fault proxy understands and records it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.bigquery.service import dml_of, multipart_json

JOB_PATH = re.compile(r"/projects/([^/]+)/(?:jobs|queries)/([^/?]+)")
PROJECT_PATH = re.compile(r"/projects/([^/?]+)")
UPLOAD_ID = re.compile(r"[?&]upload_id=([^&]+)")


@dataclass
class Exchange:
    """One request and what became of it.

    number: from 1, in the order in which requests reached the proxy.
    what: "query", "load", "copy" or "extract" where a job is submitted; "upload start" and "upload" for the
      parts of a file before the last one, which is the "load"; "job" and "rows" where it is looked up or its
      rows are fetched; "cancel"; else what the path names, such as "tables" or "datasets".
    job_id: of the job that is submitted or looked up; "" if the request names none.
    table: dataset.table that a load or the first DML statement writes; "" if none.
    verbs: the DML statements of a query, as MERGE.
    upstream: the status that the emulator answered; None if it was not asked.
    status: the status that the client was told; None if the connection was cut.
    fault: the name of what was done to it; "" if nothing.
    """

    number: int
    method: str
    path: str
    what: str = ""
    project: str = ""
    job_id: str = ""
    table: str = ""
    sql: str = ""
    verbs: tuple[str, ...] = ()
    upstream: int | None = None
    status: int | None = None
    fault: str = ""

    @property
    def submits(self) -> bool:
        """Whether this request is the one that starts a job."""
        return self.what in ("query", "load", "copy", "extract")

    def __str__(self) -> str:
        name = f" {self.job_id}" if self.job_id else ""
        verbs = f" {'+'.join(self.verbs)}" if self.verbs else ""
        fault = f", {self.fault}" if self.fault else ""
        return f"{self.number}. {self.what}{verbs}{name}: {self.upstream} → {self.status}{fault}"


def _configuration(exchange: Exchange, job: dict[str, Any]) -> None:
    """Reads a job's description into the exchange."""
    exchange.job_id = (job.get("jobReference") or {}).get("jobId") or ""
    configuration = job.get("configuration") or {}
    exchange.what = next(
        (kind for kind in ("query", "load", "copy", "extract") if kind in configuration), "jobs"
    )
    if exchange.what in ("load", "copy"):
        exchange.table = _name(configuration[exchange.what].get("destinationTable") or {})
    if exchange.what == "query":
        _query(exchange, configuration["query"])


def _query(exchange: Exchange, query: dict[str, Any]) -> None:
    exchange.sql = query.get("query") or ""
    statements = dml_of(exchange.sql)
    exchange.verbs = tuple(verb for verb, _ in statements)
    if statements:
        table = statements[0][1]
        dataset = (query.get("defaultDataset") or {}).get("datasetId") or ""
        exchange.table = table if "." in table or not dataset else f"{dataset}.{table}"


def _name(reference: dict[str, Any]) -> str:
    return f"{reference.get('datasetId', '')}.{reference.get('tableId', '')}" if reference else ""


def exchange_of(number: int, method: str, path: str, kind: str, body: bytes) -> Exchange:
    """Reads a request: kind is its Content-Type."""
    exchange = Exchange(number, method, path)
    project = PROJECT_PATH.search(path)
    exchange.project = project[1] if project else ""
    named = JOB_PATH.search(path)
    bare = path.partition("?")[0]
    if UPLOAD_ID.search(path):
        exchange.what = "upload"
    elif method == "POST" and bare.endswith("/jobs"):
        _configuration(exchange, multipart_json(body) if kind.startswith("multipart") else json.loads(body))
        if "uploadType=resumable" in path:
            exchange.what = "upload start"
    elif method == "POST" and bare.endswith("/queries"):
        request = json.loads(body)
        exchange.what, exchange.job_id = "query", request.get("requestId") or ""
        _query(exchange, request)
    elif named:
        exchange.job_id = named[2]
        exchange.what = "cancel" if bare.endswith("/cancel") else "rows" if "/queries/" in bare else "job"
    else:
        parts = bare.rstrip("/").split("/")
        words = [word for word in ("datasets", "tables", "data", "jobs", "projects") if word in parts]
        exchange.what = next((word for word in ("data", "tables", "datasets", "jobs") if word in words), bare)
    return exchange
