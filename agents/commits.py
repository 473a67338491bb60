"""Which commit of a world is meant, and a store as of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import Snapshot, Store, WorldInfo
from storage.siblings import place_of

FIRST, LATEST = "first", "latest"


class Reading(Protocol):
    """What is read of a store, as of one commit."""

    url: str

    def load(self, world: str, shard: int = 0) -> Snapshot: ...
    def count(self, world: str, table: str) -> int: ...
    def rows(
        self, world: str, table: str, *, where: Mapping[str, Any] | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]: ...


class AsOf:
    """A store as of one commit of each shard: what it says is what it said then."""

    def __init__(self, store: Store, at: int) -> None:
        self.url = store.url
        self._store, self._at = store, at

    def load(self, world: str, shard: int = 0) -> Snapshot:
        """See Store."""
        return self._store.load(world, shard, at=self._at)

    def count(self, world: str, table: str) -> int:
        """See Store."""
        return self._store.count(world, table, at=self._at)

    def rows(
        self, world: str, table: str, *, where: Mapping[str, Any] | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """See Store."""
        return self._store.rows(world, table, where=where, limit=limit, at=self._at)


def commit_asked(at: str) -> str | int:
    """A commit as it was typed: "first" (that can still be read), "latest", or a number.

    Raises: ValueError for anything else.
    """
    if at in (FIRST, LATEST):
        return at
    if at.isascii() and at.isdigit():
        return int(at)
    raise ValueError(f"A commit is a number from 0 on, {FIRST} or {LATEST}, and not {at!r}.")


def named(at: str) -> str:
    """What a report calls it."""
    asked = commit_asked(at)
    return {FIRST: "first commit kept", LATEST: "last commit"}.get(str(asked), f"commit {asked}")


def as_of(store: Store, latest: WorldInfo, at: str) -> tuple[Reading, WorldInfo]:
    """A store as of a commit of one of its worlds, and the line of the world then.

    Raises: ValueError, CommitNotFound.
    """
    asked = commit_asked(at)
    if asked == LATEST:
        return store, latest
    sequence = _number(store, latest.birth.world, latest.birth.shards, asked)
    summary = store.load(latest.birth.world, at=sequence).summary
    return AsOf(store, sequence), replace(latest, sequence=sequence, summary=summary)


def first_or_number(url: str, world: str, at: str) -> int:
    """The number of a commit that is not asked for as the latest. Raises ValueError, StoreError."""
    asked = commit_asked(at)
    if isinstance(asked, int):
        return asked
    store = open_store(place_of(url, world, write=False), read_only=True, public=public_of)
    try:
        return _number(store, world, store.load(world).birth.shards, asked)
    finally:
        store.close()


def _number(store: Store, world: str, shards: int, asked: str | int) -> int:
    if isinstance(asked, int):
        return asked
    return max(store.history(world, shard)[0].sequence for shard in range(shards))
