"""Fixtures for all tests that talk to BigQuery; the server starts when the first of them asks for it.

emulator        the server of this session (of each worker, when the suite runs on several)
bigquery_url    bigquery://project/dataset of a dataset that nobody used before, with the variables set that
                lead this process and its children to the emulator
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.bigquery.emulator import PROJECT, Emulator, NoEmulator, interpreter

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
