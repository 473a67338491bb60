"""Where a world lives, and the right to write to it: everything that a world asks of a store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import (
    BadStoreURL,
    BadWorldName,
    Batch,
    Birth,
    Erasure,
    Lease,
    LeaseLost,
    Snapshot,
    Store,
    StoreError,
    WorldBusy,
    WorldExists,
    WorldMoved,
    WorldNotFound,
)
from storage.siblings import SubWorld, free_subworld, place_of

HEARTBEAT_S = 5.0
"""Seconds between two signs of life to the store."""
ATTEMPTS = 1_000
"""How often "stem/*" is tried again when another process was faster."""


class Place:
    """A world's place in a store, and the lease on it once it is held.

    Attributes:
      name: of the world; "stem/*" until the first free sub-world was taken.
      url: of the store in which it lives, as far as known.
      lease: the right to commit, or None.
    """

    def __init__(
        self,
        store: str | Store | None,
        world: str,
        keep: tuple[int | None, float | None] = (None, None),
    ) -> None:
        """Touches nothing. Raises BadStoreURL for what is neither URL nor store, BadWorldName for no text.

        Args:
          keep: commits and hours that stay readable, told to the store with the lease; see Store.keep.
        """
        if not (store is None or isinstance(store, str) or hasattr(store, "acquire")):
            raise BadStoreURL(f"A store is a URL such as 'sqlite:///my.db', or None, and not {store!r:.80}.")
        if not isinstance(world, str):
            raise BadWorldName(f"A world is a name such as 'demo' or 'demo/*', and not {world!r:.80}.")
        self._private, self._keep = store is None, keep
        self._given: str | Store = "memory:" if store is None else store
        self.name = world
        self.url = self._given if isinstance(self._given, str) else self._given.url
        self.lease: Lease | None = None
        self._store: Store | None = None
        self._claimed: SubWorld | None = None
        self._beat = 0.0
        self._process = os.getpid()

    @property
    def private(self) -> bool:
        """Whether no store was given: nobody else can ever read a commit, so none is made."""
        return self._private

    @property
    def held(self) -> bool:
        """Whether the right to write is this process's."""
        return self.lease is not None and os.getpid() == self._process

    @property
    def wildcard(self) -> bool:
        """Whether the world is yet to be found: the first free "stem/0", "stem/1" …"""
        return self.name.endswith("/*")

    def open(self) -> None:
        """Opens the store for writing, where the world lives or will live. Nothing is touched yet."""
        if self._store is None:
            self._open(self._located(write=True))

    def read(self) -> Snapshot | None:
        """The world's last commit, or None if there is no such world yet. Keeps the store open."""
        self.open()
        try:
            return self._opened().load(self.name)
        except WorldNotFound:
            return None

    def read_only(self, at: str | int = "latest") -> Snapshot:
        """A commit of the world, from a store opened for reading and let go of.

        Args:
          at: its number, "first" for the first that can be read, or "latest".
        Raises: WorldNotFound, CommitNotFound.
        """
        if not isinstance(self._given, str):
            return _as_of(self._given, self.name, at)
        store = open_store(self._located(write=False), read_only=True, public=public_of)
        try:
            return _as_of(store, self.name, at)
        finally:
            store.close()

    def committed(self, at: str | int = "latest") -> Snapshot:
        """As `read_only`, from where the world is open if it is."""
        return self.read_only(at) if self._store is None else _as_of(self._store, self.name, at)

    def take_free(self, newborn: Callable[[str], Birth]) -> Snapshot | None:
        """Takes the first sub-world of "stem/*" that nobody holds, and its lease at once.

        Args:
          newborn: makes the birth of a sub-world that does not exist yet, from its name.
        Returns: its last commit, or None if it is new. Raises WorldBusy if none can be had.
        """
        stem = self.name[:-2]
        for number in range(ATTEMPTS):
            self._claim(stem, number)
            snapshot = self.read()
            birth = snapshot.birth if snapshot else newborn(self.name)
            try:
                self.hold(birth, snapshot.sequence if snapshot else None)
            except (WorldBusy, WorldExists, WorldMoved):
                self.close()
            else:
                return snapshot
        self.name = f"{stem}/*"
        raise WorldBusy(f"No sub-world {stem}/0, {stem}/1 … of {self.url} could be had; try again later.")

    def _claim(self, stem: str, number: int) -> None:
        """Opens the first sub-world that nobody else has; of a store given as an object, the next one."""
        if isinstance(self._given, str):
            claim = free_subworld(self._given, stem)
            self._open(claim.url)
            self.name, self._claimed = claim.world, claim
        else:
            self._open(self.url)
            self.name = f"{stem}/{number}"

    def hold(self, birth: Birth, expected: int | None) -> None:
        """Takes the lease if it is not held yet.

        Args:
          birth: of the world.
          expected: the commit that the world must be at; None: it must be new.
        Raises: WorldBusy, WorldMoved, WorldExists.
        """
        if self.lease is not None:
            return
        try:
            self.lease = self._opened().acquire(birth, expected=expected)
        except WorldBusy:
            # Another process was faster with the file; a new sub-world may be born in a file beside it.
            place = self._located(write=True)
            if expected is not None or place == self.url:
                raise
            self._open(place)
            self.lease = self._opened().acquire(birth, expected=expected)
        self._beat, self._process = time.monotonic(), os.getpid()
        if self._keep != (None, None):
            self._opened().keep(self.lease, commits=self._keep[0], hours=self._keep[1])

    def say_alive(self) -> None:
        """Tells the store, every few seconds at most, that the holder lives. Raises LeaseLost."""
        if os.getpid() != self._process:
            raise StoreError(
                f"World {self.name!r} is played by process {self._process}, from which this process was "
                "forked; play it there, or open it again here after it was closed there."
            )
        now = time.monotonic()
        if self.lease is not None and now - self._beat > HEARTBEAT_S:
            self._opened().heartbeat(self.lease)
            self._beat = now

    @property
    def home(self) -> object:
        """What lies behind the store: worlds of one home can be committed together. Needs `open`."""
        return self._opened().home

    def commit(self, batches: Sequence[Batch]) -> None:
        """Makes batches part of the world, all or none. Needs the lease."""
        commit_together([(self, batches)])

    def pairs(self, batches: Sequence[Batch]) -> list[tuple[Lease, Batch]]:
        """Batches under the lease, as a store takes them. Raises StoreError without a lease."""
        if self.lease is None:
            raise StoreError(f"World {self.name!r} is not held; step() takes the lease, then it can commit.")
        return [(self.lease, batch) for batch in batches]

    def accepted(self) -> None:
        """Notes that the store has just heard of the holder."""
        self._beat = time.monotonic()

    def is_lost(self) -> bool:
        """Whether somebody else has taken the lease over, asked of the store itself."""
        if self.lease is None:
            return False
        try:
            self._opened().heartbeat(self.lease)
        except LeaseLost:
            return True
        return False

    def prune(self, before: np.datetime64) -> None:
        """Lets what is older than a UTC moment be deleted, see Store.prune. Needs the lease."""
        if self.lease is not None:
            self._opened().prune(self.lease, before)

    def identities(self, user_id: str) -> dict[int, str]:
        """Everybody who is the same person as a user by canonical_user_id, archived or not: number ->
        user_id. Empty if there is no such user. Needs `open`."""
        return identities_in(self._opened(), self.name, user_id)

    def forget(self, numbers: Sequence[int]) -> Erasure:
        """See Store.forget. Needs the lease."""
        if self.lease is None:
            raise StoreError(f"World {self.name!r} is not held; step() takes the lease.")
        return self._opened().forget(self.lease, numbers)

    def fold(self) -> int:
        """See Store.fold. Needs the lease, else there is nothing to fold."""
        return 0 if self.lease is None else self._opened().fold()

    def close(self) -> None:
        """Gives the lease back and lets go of the store. Idempotent; in a forked child it does nothing."""
        store, lease = self._store, self.lease
        self._store = self.lease = self._claimed = None
        if store is None or os.getpid() != self._process:
            return
        try:
            if lease is not None:
                store.release(lease)
        finally:
            if isinstance(self._given, str):
                store.close()

    def _located(self, *, write: bool) -> str:
        if isinstance(self._given, str):
            return place_of(self._given, self.name, write=write)
        return self._given.url

    def _open(self, url: str) -> None:
        self.close()
        self.url = url
        self._store = open_store(url, public=public_of) if isinstance(self._given, str) else self._given
        if self._store.public is None:
            self._store.public = public_of
        self._process = os.getpid()

    def _opened(self) -> Store:
        if self._store is None:
            raise StoreError(f"World {self.name!r} is not open; reset() opens it.")
        return self._store


def identities_in(store: Store, world: str, user_id: str) -> dict[int, str]:
    """See Place.identities."""
    ids = {user_id}
    for row in list(store.rows(world, "persistent_users", where={"user_id": user_id})):
        same = {"canonical_user_id": row["canonical_user_id"]}
        ids |= {str(one["user_id"]) for one in store.rows(world, "persistent_users", where=same)}
    return {number: name for name, number in sorted(store.numbers(world, sorted(ids)).items())}


def _as_of(store: Store, world: str, at: str | int) -> Snapshot:
    if at == "first":
        return store.load(world, at=store.history(world)[0].sequence)
    return store.load(world, at=None if at == "latest" else int(at))


def commit_together(parts: Sequence[tuple[Place, Sequence[Batch]]]) -> None:
    """Makes batches of several places of one `home` part of their worlds: one commit, all or none.

    Raises: LeaseLost if one of the leases was taken over (`Place.is_lost` tells which), otherwise as
      Store.commit; nothing was written then.
    """
    pairs = [pair for place, batches in parts for pair in place.pairs(batches)]
    parts[0][0]._opened().commit(pairs)
    for place, _ in parts:
        place.accepted()
