"""Fixtures for all tests that talk to BigQuery; the server starts when the first of them asks for it.

emulator        the server of this session (of each worker, when the suite runs on several)
bigquery_url    bigquery://project/dataset of a dataset that nobody used before, with the variables set that
                lead this process and its children to the emulator
fault_proxy     a proxy in front of the emulator that breaks exchanges; the variables then lead through it
storage_relay   the same for the Storage Read API, whose bytes can be cut, delayed and kept out
analyze         Google's analyzer of SQL: analyze(sql, tables, parameters), see tests/bigquery/analyzer.py
"""

from __future__ import annotations

import importlib.util
import itertools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.bigquery.emulator import GRPC, PROJECT, REST, Emulator, NoEmulator, interpreter

if TYPE_CHECKING:
    from storage.bigquery_client import Wire
    from tests.bigquery.proxy import FaultProxy
    from tests.bigquery.relay import Relay

    Analyze = Callable[..., str]

REQUIRED = "GAELP_EMULATOR_REQUIRED"
"""Set to anything, it makes a missing emulator a failure: CI sets it where a Python 3.13 is installed."""

_fresh = itertools.count()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    try:
        python = interpreter()
    except NoEmulator as reason:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and {reason}", pytrace=False)
        pytest.skip(str(reason))
    server = Emulator(tmp_path_factory.mktemp("emulator"), python)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def bigquery_url(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in emulator.variables.items():
        monkeypatch.setenv(name, value)
    return f"bigquery://{PROJECT}/test_{next(_fresh)}"


@pytest.fixture
def fault_proxy(
    emulator: Emulator, bigquery_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultProxy]:
    from storage.bigquery_client import Wire
    from tests.bigquery.proxy import FaultProxy

    # What passes here has passed at once: an eighth of the pause proves as much.
    monkeypatch.setattr(Wire, "_pause", _eighth(Wire._pause))
    with FaultProxy(emulator.endpoint) as proxy:
        monkeypatch.setenv(REST, proxy.endpoint)
        yield proxy


def _eighth(pause: Callable[[Wire, int], None]) -> Callable[[Wire, int], None]:
    """The pause before another try, an eighth as long."""

    def shorter(wire: Wire, tries: int) -> None:
        pause(wire, tries - 3)

    return shorter


@pytest.fixture
def storage_relay(emulator: Emulator, bigquery_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    from tests.bigquery.relay import Relay

    with Relay(emulator.storage_endpoint) as relay:
        monkeypatch.setenv(GRPC, relay.address)
        yield relay


@pytest.fixture(scope="session")
def analyze(pytestconfig: pytest.Config) -> Analyze:
    if importlib.util.find_spec("zetasql") is None:
        pytest.skip("zetasql, Google's analyzer of SQL, is not installed: pip install 'gaelp[dev]'")
    from tests.bigquery import analyzer

    if pytestconfig.cache is not None:
        analyzer.keep_compiled(pytestconfig.cache.mkdir("zetasql"))
    return analyzer.analyze
