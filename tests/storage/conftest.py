"""The stores under test, one of every kind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.base import Store
from tests.storage.moved import new_store
from tests.storage.small import Kind, open_store

_fresh = itertools.count()


@pytest.fixture(params=["memory", "sqlite", "bigquery"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return Kind(request.param, url_of(request, request.param))


def url_of(request: pytest.FixtureRequest, scheme: str) -> str:
    """The URL of a store that nobody used before."""
    if scheme == "memory":
        return f"memory:t{next(_fresh)}"
    folder: Path = request.getfixturevalue("tmp_path")
    if scheme == "sqlite":
        return f"sqlite:///{folder}/s{next(_fresh)}.db"
    request.getfixturevalue("monkeypatch").setenv("GAELP_OUTBOX", str(folder / "outbox"))
    url: str = request.getfixturevalue("bigquery_url")
    return url


@pytest.fixture
def store(kind: Kind) -> Iterator[Store]:
    opened = open_store(kind.url)
    yield opened
    if kind.scheme == "bigquery":
        # What is folded at the end nobody looks at here, and a fold is some twenty requests.
        opened.public = None
    opened.close()


@pytest.fixture(params=["memory", "sqlite"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Another store, of each kind in turn."""
    opened = new_store(request.param, tmp_path)
    yield opened
    opened.close()
