"""Store URLs: which store is meant, and where it lies."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from typing import NoReturn

from storage.base import BadStoreURL

SCHEMES: tuple[str, ...] = ("memory", "sqlite", "bigquery")
DATASET = "gaelp_users"
"""The dataset of a BigQuery store whose URL names none."""
_KNOWN = (
    "Known are 'memory:' (private), 'memory:NAME' (shared in the process), 'sqlite:///relative/path.db'"
    ", 'sqlite:////absolute/path.db' and 'bigquery://project/dataset'; for example 'sqlite:///my.db'."
)


@dataclass(frozen=True, slots=True)
class Address:
    """A store URL, read.

    Attributes:
      url: as it was given.
      scheme: "memory", "sqlite" or "bigquery".
      name: of a shared memory store, "" for a private one; of a SQLite store the real path; of a dataset
        "project/dataset".
    """

    url: str
    scheme: str
    name: str


def read_url(url: object) -> Address:
    """Reads a store URL; relative paths are taken from the current folder. Raises BadStoreURL."""
    if not isinstance(url, str):
        _refuse(url, "is no text")
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in SCHEMES:
        near = difflib.get_close_matches(scheme.lower(), SCHEMES, n=1, cutoff=0.6)
        hint = f" (did you mean '{near[0]}:'?)" if colon and near else ""
        _refuse(url, f"begins with no known scheme{hint}")
    if scheme == "bigquery":
        return _bigquery(url, rest)
    return _memory(url, rest) if scheme == "memory" else _sqlite(url, rest)


def _bigquery(url: str, rest: str) -> Address:
    if not rest.startswith("//"):
        _refuse(url, "lacks the two slashes of 'bigquery://'")
    project, _, dataset = rest[2:].partition("/")
    dataset = dataset or DATASET
    if not re.fullmatch(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]|[a-z][a-z0-9-]*", project):
        _refuse(url, f"names no project of Google Cloud: {project!r}")
    if not re.fullmatch(r"[A-Za-z0-9_]{1,1024}", dataset):
        _refuse(url, f"names a dataset {dataset!r}, but names hold letters, digits and '_' only")
    return Address(url, "bigquery", f"{project}/{dataset}")


def _memory(url: str, rest: str) -> Address:
    if rest and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", rest):
        _refuse(url, f"names a memory store {rest!r}, but names hold letters, digits, '_', '.' and '-' only")
    return Address(url, "memory", rest)


def _sqlite(url: str, rest: str) -> Address:
    if not rest.startswith("///"):
        _refuse(url, "lacks the three slashes of 'sqlite:///'")
    path = rest[3:]
    if path == ":memory:":
        _refuse(url, "asks SQLite for a store in memory; that is 'memory:' here")
    if not path or path.endswith("/") or "\0" in path:
        _refuse(url, "names no file")
    real = os.path.realpath(path)
    if os.path.isdir(real):
        _refuse(url, "names a folder; name a file in it")
    return Address(url, "sqlite", real)


def sqlite_url(path: str) -> str:
    """The URL of a file: relative paths stay relative."""
    return f"sqlite:///{path}"


def _refuse(url: object, why: str) -> NoReturn:
    raise BadStoreURL(f"The store URL {url!r} {why}. {_KNOWN}")
