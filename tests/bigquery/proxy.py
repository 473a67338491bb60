"""A loopback proxy between Google's client and the emulator, which breaks exchanges as a network does.

    with FaultProxy(emulator.endpoint) as proxy:
        proxy.plan("drop", "after", matching=lambda exchange: exchange.what == "load")
        client_of(proxy.endpoint).load_table_from_file(...)
        print(*proxy.exchanges, sep="\\n")

Each request is an exchange with a number. A fault strikes before the emulator is asked or after it answered,
so a test knows whether the request was applied. With `limits` the proxy also refuses what the real service
would for its quotas.
"""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.bigquery.exchanges import UPLOAD_ID, Exchange, exchange_of
from tests.bigquery.limits import Limits
from tests.bigquery.plans import CUTS, Plan
from tests.bigquery.service import REFUSALS, Refusal

CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
"""Headers that belong to one connection and are not passed on."""
Answer = tuple[int, list[tuple[str, str]], bytes]
JSON = [("Content-Type", "application/json; charset=UTF-8")]


class FaultProxy:
    """A server in a thread of its own; many requests at a time.

    upstream: the emulator's endpoint.
    limits: what the service allows; None allows all.
    """

    def __init__(self, upstream: str, limits: Limits | None = None) -> None:
        self.upstream, self.limits = urlsplit(upstream), limits
        self.exchanges: list[Exchange] = []
        self.plans: list[Plan] = []
        self._failed: dict[str, dict[str, Any]] = {}
        self._uploads: dict[str, Exchange] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self

    def __enter__(self) -> FaultProxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        """For GAELP_BIGQUERY_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def plan(
        self,
        kind: str,
        when: str = "before",
        at: int = 0,
        matching: Callable[[Exchange], bool] | None = None,
        **more: Any,
    ) -> Plan:
        """Adds a fault; see Plan for what each word means."""
        planned = Plan(kind, when, at, matching, **more)
        with self._lock:
            self.plans.append(planned)
        return planned

    def begin(self) -> None:
        """Forgets plans and exchanges, and numbers from 1 again; jobs that failed stay failed."""
        with self._lock:
            self.exchanges, self.plans = [], []

    def of(self, what: str) -> list[Exchange]:
        """The exchanges of one sort, in order."""
        return [exchange for exchange in self.exchanges if exchange.what == what]

    def handle(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Answer | Plan:
        """What the client gets for a request: an answer, or the plan by which it is cut off."""
        kind = next((value for name, value in headers if name.lower() == "content-type"), "")
        with self._lock:
            exchange = exchange_of(len(self.exchanges) + 1, method, path, kind, body)
            self._complete_upload(exchange, headers)
            self.exchanges.append(exchange)
        answer = self._broken(exchange, "before") or self._as_the_service(exchange)
        if answer is None:
            if self.limits is not None and exchange.submits:
                self.limits.enter(exchange, lambda job: self._ended(exchange.project, job))
            answer = self._ask(exchange, method, path, headers, body)
            if any(self._struck(exchange, when, ("duplicate",)) for when in ("before", "after")):
                answer = self._ask(exchange, method, path, headers, body)
            if self.limits is not None and exchange.submits and exchange.upstream != 200:
                self.limits.leave(exchange)
            self._note_upload(exchange, answer)
            answer = self._broken(exchange, "after", answer) or answer
        if isinstance(answer, Plan):
            return answer
        exchange.status = answer[0]
        return answer

    def _note_upload(self, exchange: Exchange, answer: Answer) -> None:
        """Remembers which job an upload in parts is for."""
        if exchange.what == "upload start":
            where = next((value for name, value in answer[1] if name.lower() == "location"), "")
            if named := UPLOAD_ID.search(where):
                self._uploads[named[1]] = exchange

    def _complete_upload(self, exchange: Exchange, headers: list[tuple[str, str]]) -> None:
        """The last part of an upload is what starts its load job."""
        named = UPLOAD_ID.search(exchange.path)
        begun = self._uploads.get(named[1]) if named else None
        if begun is not None:
            exchange.job_id, exchange.table = begun.job_id, begun.table
            part = next((value for name, value in headers if name.lower() == "content-range"), "")
            exchange.what = "upload" if part.endswith("*") else "load"

    def _struck(self, exchange: Exchange, when: str, kinds: tuple[str, ...] | None = None) -> Plan | None:
        """The plan that strikes now, if any: of these kinds, or of all but `duplicate`."""
        with self._lock:
            for plan in self.plans:
                if (plan.kind in kinds if kinds else plan.kind != "duplicate") and plan.strikes(
                    exchange, when
                ):
                    exchange.fault = f"{plan.kind} {when}" if not exchange.fault else exchange.fault
                    return plan
        return None

    def _broken(self, exchange: Exchange, when: str, answer: Answer | None = None) -> Answer | Plan | None:
        """What a plan makes of an exchange: None if nothing."""
        plan = self._struck(exchange, when)
        if plan is None:
            return None
        if plan.kind == "delay":
            time.sleep(plan.seconds)
            return self._broken(exchange, when, answer)
        if plan.kind == "kill":
            plan.kill()
            return Plan("drop", when)
        if plan.kind == "job fails":
            return self._failing(exchange, REFUSALS[plan.reason])
        if plan.kind in CUTS:
            return plan
        refusal = REFUSALS[plan.kind].filled(exchange.project, exchange.table, exchange.job_id)
        return refusal.status, JSON, refusal.body()

    def _as_the_service(self, exchange: Exchange) -> Answer | None:
        """What the service would answer by itself where the emulator would not; None if that is nothing."""
        failed = self._failed.get(exchange.job_id)
        if failed is not None and exchange.submits:
            refusal = REFUSALS["409"].filled(exchange.project, "", exchange.job_id)
            return refusal.status, JSON, refusal.body()
        if failed is not None and exchange.what == "job":
            return 200, JSON, json.dumps(failed).encode()
        if failed is not None and exchange.what == "rows":
            return self._error_of(failed)
        if self.limits is not None and exchange.submits:
            self.limits.tidy(exchange.table, lambda job: self._ended(exchange.project, job))
            refused = self.limits.refuses(exchange)
            if refused is not None:
                exchange.fault = f"limit: {refused.reason}"
                return self._failing(exchange, refused)
        return None

    def _failing(self, exchange: Exchange, refusal: Refusal) -> Answer:
        """Takes a job and lets it fail: the submission is accepted, and whoever looks finds it failed."""
        refusal = refusal.filled(exchange.project, exchange.table, exchange.job_id)
        kind = exchange.what
        reference = {"projectId": exchange.project, "jobId": exchange.job_id, "location": "US"}
        job: dict[str, Any] = {
            "kind": "bigquery#job",
            "id": f"{exchange.project}:US.{exchange.job_id}",
            "jobReference": reference,
            "configuration": {"jobType": kind.upper(), kind: self._described(exchange)},
            "statistics": {"creationTime": str(int(time.time() * 1000))},
            "status": {"state": "DONE", "errorResult": refusal.proto(), "errors": [refusal.proto()]},
        }
        self._failed[exchange.job_id] = job
        if exchange.path.partition("?")[0].endswith("/queries"):
            return refusal.status, JSON, refusal.body()
        return 200, JSON, json.dumps({**job, "status": {"state": "RUNNING"}}).encode()

    @staticmethod
    def _described(exchange: Exchange) -> dict[str, Any]:
        dataset, _, table = exchange.table.partition(".")
        named = {"projectId": exchange.project, "datasetId": dataset, "tableId": table}
        return {"query": exchange.sql} if exchange.what == "query" else {"destinationTable": named}

    @staticmethod
    def _error_of(job: dict[str, Any]) -> Answer:
        result = job["status"]["errorResult"]
        status = next((r.status for r in REFUSALS.values() if r.reason == result["reason"]), 400)
        return status, JSON, Refusal(status, result["reason"], result["message"]).body()

    def _ask(
        self, exchange: Exchange, method: str, path: str, headers: list[tuple[str, str]], body: bytes
    ) -> Answer:
        """Puts a request to the emulator; 502 where it is gone."""
        host, port = self.upstream.hostname or "127.0.0.1", self.upstream.port
        connection = http.client.HTTPConnection(host, port, timeout=600)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:  # the Host too: the emulator builds the address of an upload from it
                if name.lower() not in CONNECTION:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answered = connection.getresponse()
            content = answered.read()
            kept = [(name, value) for name, value in answered.getheaders() if name.lower() not in CONNECTION]
            exchange.upstream = answered.status
            return answered.status, kept, content
        except (OSError, http.client.HTTPException):
            return 502, JSON, Refusal(502, "backendError", "The emulator is gone.").body()
        finally:
            connection.close()

    def _ended(self, project: str, job: str) -> bool:
        """Whether a job is over, or was never there."""
        if job in self._failed:
            return True
        path, host = f"/bigquery/v2/projects/{project}/jobs/{job}", [("Host", self.upstream.netloc)]
        status, _, content = self._ask(Exchange(0, "GET", path), "GET", path, host, b"")
        return status == 200 and json.loads(content)["status"]["state"] == "DONE"


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: FaultProxy


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing; the proxy keeps its own record."""

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.proxy.handle(self.command, self.path, list(self.headers.items()), body)
        if isinstance(answer, Plan):
            self._cut(answer)
            return
        status, headers, content = answer
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _cut(self, plan: Plan) -> None:
        self.close_connection = True
        if plan.kind == "torn":
            self.send_response_only(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b'{"kind": "bigq')
            self.wfile.flush()
        if plan.kind == "reset":
            # Closing with nothing to linger for sends a reset instead of an end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _exchange  # noqa: N815
