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


@pytest.fixture(params=["memory", "sqlite"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    scheme = request.param
    return Kind(scheme, f"memory:t{next(_fresh)}" if scheme == "memory" else f"sqlite:///{tmp_path}/s.db")


@pytest.fixture
def store(kind: Kind) -> Iterator[Store]:
    opened = open_store(kind.url)
    yield opened
    opened.close()


@pytest.fixture(params=["memory", "sqlite"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Another store, of each kind in turn."""
    opened = new_store(request.param, tmp_path)
    yield opened
    opened.close()
