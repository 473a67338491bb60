"""A BigQuery server of the tests' own: local-bigquery in a subprocess, on free ports of this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.cloud.bigquery import Client
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient

ROOT = Path(__file__).parents[2]
MAIN = Path(__file__).with_name("emulator_main.py")
PROJECT = "gaelp-test"
REST = "GAELP_BIGQUERY_ENDPOINT"
GRPC = "GAELP_BIGQUERY_STORAGE_ENDPOINT"
PATIENCE_S = 90.0
"""How long a server may take to answer; it needs 2 s, and cores may be busy."""


class NoEmulator(Exception):
    """No interpreter here can run the emulator; the words say what to do."""


def interpreter() -> Path:
    """The Python that has local-bigquery: the one that was named, that of .venv-emulator, or any here.

    Raises:
      NoEmulator: there is none.
    """
    question: list[str | Path] = [sys.executable, ROOT / "scripts" / "emulator.py", "--which"]
    answer = subprocess.run(question, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise NoEmulator(answer.stderr.strip())
    return Path(answer.stdout.strip())


def free_ports(n: int) -> list[int]:
    """Ports that nobody listens on now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [port.getsockname()[1] for port in held]
    for port in held:
        port.close()
    return ports


def client_of(endpoint: str, project: str = PROJECT) -> Client:
    """Google's own client, without credentials, for a server at `endpoint`."""
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.bigquery import Client

    return Client(
        project,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options=ClientOptions(api_endpoint=endpoint),
        location="US",
    )


def read_client_of(address: str) -> BigQueryReadClient:
    """Google's own client of the Storage Read API over plain gRPC, for a server at `address` (host:port)."""
    import grpc  # type: ignore[import-untyped]
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

    # With a pool of its own, each client opens a connection of its own, so a test knows which one it breaks.
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.insecure_channel(address, options=options)
    return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))  # type: ignore[no-untyped-call]


@dataclass
class Emulator:
    """One server and its data folder; it may be stopped and started again with what it held.

    folder: holds its data and its log.
    rest, grpc: its ports, the same for all its life.
    """

    folder: Path
    python: Path
    rest: int = 0
    grpc: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        """For GAELP_BIGQUERY_ENDPOINT."""
        return f"http://127.0.0.1:{self.rest}"

    @property
    def storage_endpoint(self) -> str:
        """For GAELP_BIGQUERY_STORAGE_ENDPOINT."""
        return f"127.0.0.1:{self.grpc}"

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs in its environment to find this server."""
        return {REST: self.endpoint, GRPC: self.storage_endpoint}

    def client(self) -> Client:
        return client_of(self.endpoint)

    def read_client(self) -> BigQueryReadClient:
        return read_client_of(self.storage_endpoint)

    def start(self) -> None:
        """Returns when the server answers a query.

        Raises:
          RuntimeError: it ended or stayed silent; the end of its log is in the message.
        """
        for _ in range(3):  # another process may take a port between the look and the start
            if not self.rest:
                self.rest, self.grpc = free_ports(2)
            self._launch()
            if self._answers():
                return
            self.stop()
            self.rest = 0
        raise RuntimeError(f"The emulator did not start; its log ends:\n{self.log()[-3000:]}")

    def stop(self) -> None:
        """Ends the server; what it held stays in its folder."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _close(process)

    def kill(self) -> None:
        """Ends the server as a power cut of its machine would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            _close(process)

    def log(self) -> str:
        return (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")

    def _launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [str(self.python), str(MAIN), str(self.folder / "extensions"), "--host", "127.0.0.1"]
        words += ["--port", str(self.rest), "--grpc-port", str(self.grpc)]
        words += ["--project", PROJECT, "--data-dir", str(self.folder / "data")]
        # Variables of the tests' own Python would lead the other one to packages that are not its own.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        with open(self.folder / "log.txt", "ab") as log:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=log, stderr=log, env=clean, cwd=self.folder
            )

    def _answers(self) -> bool:
        """Waits until `SELECT 1` is answered; False if the server ended or did not in time."""
        until = time.monotonic() + PATIENCE_S
        asked = urllib.request.Request(
            f"{self.endpoint}/bigquery/v2/projects/{PROJECT}/queries",
            json.dumps({"query": "SELECT 1", "useLegacySql": False}).encode(),
            {"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < until:
            assert self._process is not None
            if self._process.poll() is not None:
                return False
            try:
                with opener.open(asked, timeout=PATIENCE_S) as answer:
                    return bool(json.load(answer)["jobComplete"])
            except urllib.error.HTTPError as refused:
                raise RuntimeError(f"The emulator refuses SELECT 1: {refused.read().decode()}") from refused
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        return False


def _close(process: subprocess.Popen[bytes]) -> None:
    """Closes our end of its standard input, by which it knows that we are there."""
    if process.stdin is not None:
        process.stdin.close()
