"""Where a world lives, and the right to write to it: everything that a world asks of a store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import numpy as np

from gaelp_env.world_identities import identities_of
from gaelp_env.world_public import public_of
from gaelp_env.world_shards import Share, checked_shards
from storage import open_store
from storage.base import (
    Arrival,
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
from storage.refusals import all_busy, no_such_shard, other_shards, unnamed_shard
from storage.shards import (
    Known,
    OwnShard,
    free_shard,
    known_in,
    known_of,
    load_beside,
    load_shards,
    shard_url,
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
        shards: int | None = None,
        shard: int | None = None,
        keep: tuple[int | None, float | None] = (None, None),
    ) -> None:
        """Touches nothing. Raises BadStoreURL for what is neither URL nor store, BadWorldName for no text,
        ValueError for shards that no world can have.

        Args:
          shards, shard: how many a new world has, and which one this is; see World.open.
          keep: commits and hours that stay readable, told to the store with the lease; see Store.keep.
        """
        if not (store is None or isinstance(store, str) or hasattr(store, "acquire")):
            raise BadStoreURL(f"A store is a URL such as 'sqlite:///my.db', or None, and not {store!r:.80}.")
        if not isinstance(world, str):
            raise BadWorldName(f"A world is a name such as 'demo' or 'demo/*', and not {world!r:.80}.")
        checked_shards(shards, shard, world)
        self._private, self._keep = store is None, keep
        self._given: str | Store = "memory:" if store is None else store
        self.name = world
        self.url = self._given if isinstance(self._given, str) else self._given.url
        self.lease: Lease | None = None
        self._store: Store | None = None
        self._claimed: SubWorld | OwnShard | None = None
        self._asked, self._shard, self._shards = shards, shard, shards
        self._known: Known | None = None
        self._beat, self._process = 0.0, os.getpid()

    @property
    def private(self) -> bool:
        """Whether no store was given: nobody else can ever read a commit, so none is made."""
        return self._private

    @property
    def known(self) -> Birth | None:
        """How the world was born, as found when its place was last looked for; None if it was not there."""
        return self._known.birth if self._known is not None else None

    @property
    def held(self) -> bool:
        """Whether the right to write is this process's."""
        return self.lease is not None and os.getpid() == self._process

    @property
    def wildcard(self) -> bool:
        """Whether the world is yet to be found: the first free "stem/0", "stem/1" …"""
        return self.name.endswith("/*")

    @property
    def shards(self) -> int | None:
        """How many shards the world has, as far as known."""
        return self._shards

    @property
    def shard(self) -> int | None:
        """Which of them this is; None while a free one is yet to be found."""
        return 0 if self._shard is None and self._shards == 1 else self._shard

    @property
    def share(self) -> Share:
        """The same as a value; the whole world as long as nothing else is known."""
        return Share(self._shard or 0, self._shards or 1)

    def roaming(self) -> bool:
        """Whether a free sub-world or shard is yet to be taken. Looks for the world."""
        if not self.wildcard and self._shard is None:
            self._settle()
        return self.wildcard or self.shard is None

    def open(self, *, whole: bool = True) -> None:
        """Opens the store for writing, where the world lives or will live. Nothing is touched yet. A world of
        which shards are still to come is refused if it must be `whole`."""
        if self._store is None:
            self._open(self._located(write=True, whole=whole))

    def begun(self) -> Known | None:
        """The world as it is there, if shards of it are still to come (see storage.arrivals); else None."""
        self._settle(whole=False)
        return self._known if self._known is not None and self._known.lacking else None

    def there(self, known: Known) -> list[Snapshot]:
        """The shards of a world that are there, as of their last commits."""
        with self._read_all(known.born) as stores:
            return [store.load(self.name, shard) for shard, store in stores.items()]

    def read(self) -> Snapshot | None:
        """The world's last commit, or None if there is no such world yet. Keeps the store open."""
        if self._store is not None and self.lease is None and self.share.shards > 1 and not self._claimed:
            self._settle()
        self.open()
        try:
            return self._opened().load(self.name, self.share.shard)
        except WorldNotFound:
            return None

    def read_only(self, at: str | int = "latest") -> Snapshot:
        """A commit of the shard, from a store opened for reading and let go of.

        Args:
          at: its number, "first" for the first that can be read, or "latest"; of a world of several shards:
            that can be read of all, and that all have reached.
        Raises: WorldNotFound, CommitNotFound, StoreError if no shard of several was named.
        """
        self._settle()
        if self.shard is None:
            raise unnamed_shard(self.name, self.url, self._shards or 1)
        with self._read_all() as stores:
            return load_shards(stores, self.name, at, [self.shard])[0]

    def committed(
        self, at: str | int = "latest", own: Snapshot | None = None, *, near: bool = False
    ) -> list[Snapshot]:
        """All shards as of a commit, this one's own last; from where they are open, as `read_only`.

        Args:
          own: this shard, if it was read before; the others are as of `at` if that is a number, else as near
            to it as they go.
          near: a shard that has not kept that commit may be as of the nearest one that it has.
        """
        self._settle()
        if own is not None and own.birth.shards == 1:
            return [own]
        mine = self.share.shard
        with self._read_all() as stores:
            others = [shard for shard in stores if shard != mine]
            if own is not None:
                return [*load_beside(stores, own, at, others), own]
            return load_shards(stores, self.name, at, [*others, mine], near=near)

    @contextmanager
    def _read_all(self, shards: Iterable[int] | None = None) -> Iterator[dict[int, Store]]:
        """The stores of all shards, or of some: this one's own if it is open, others opened for reading."""
        with ExitStack() as opened:
            stores: dict[int, Store] = {}
            for shard in range(self._shards or 1) if shards is None else shards:
                url = self._url_of(shard, write=False)
                if not isinstance(self._given, str):
                    stores[shard] = self._given
                elif self._store is not None and url == self.url:
                    stores[shard] = self._store
                else:
                    stores[shard] = opened.enter_context(
                        closing(open_store(url, read_only=True, public=public_of))
                    )
            yield stores

    def take_free(self, newborn: Callable[[], Birth]) -> Snapshot | None:
        """Takes the first sub-world of "stem/*", or shard, that nobody holds, and its lease at once.

        Args:
          newborn: makes the birth of what does not exist yet, once its name is known.
        Returns: its last commit, or None if it is new. Raises WorldBusy if none can be had.
        """
        name = self.name
        for number in range(ATTEMPTS):
            self._claim(name, number)
            snapshot = self.read()
            birth = snapshot.birth if snapshot else newborn()
            try:
                self.hold(birth, snapshot.sequence if snapshot else None)
            except (WorldBusy, WorldExists, WorldMoved):
                self.close()
                self.name, self._shard = name, None
            else:
                return snapshot
        raise WorldBusy(f"None of {name!r} in {self.url} could be had; try again later.")

    def _claim(self, name: str, number: int) -> None:
        """Opens the first sub-world or shard that nobody else has; of a store given as an object, a next."""
        if not name.endswith("/*"):
            self._claim_shard(number)
        elif isinstance(self._given, str):
            claim = free_subworld(self._given, name[:-2])
            self._open(claim.url)
            self.name, self._claimed = claim.world, claim
        else:
            self._open(self.url)
            self.name = f"{name[:-2]}/{number}"

    def _claim_shard(self, number: int) -> None:
        shards = self._shards or 1
        if isinstance(self._given, str):
            claim = free_shard(self._given, self.name, shards)
            self._open(claim.url)
            self._shard, self._claimed = claim.shard, claim
            return
        self._open(self.url)
        if number >= shards:
            raise all_busy(self.name, self.url, [""] * shards)
        self._shard = number

    def hold(self, birth: Birth, expected: int | None, arrival: Arrival | None = None) -> None:
        """Takes the lease if it is not held yet.

        Args:
          birth: of the world.
          expected: the commit that the world must be at; None: it must be new.
          arrival: with which other shards a new one comes into being.
        Raises: WorldBusy, WorldMoved, WorldExists.
        """
        if self.lease is not None:
            return
        try:
            self.lease = self._opened().acquire(birth, self.share.shard, expected=expected, arrival=arrival)
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

    def heard(self, now: float, process: int) -> bool:
        """Whether `hold` and `say_alive` have nothing to do, at that moment and in that process."""
        return self.lease is not None and process == self._process and now - self._beat <= HEARTBEAT_S

    @property
    def home(self) -> object:
        """What lies behind the store: worlds of one home can be committed together. Needs `open`."""
        return self._opened().home

    def commit(self, batches: Sequence[Batch], *others: tuple[Place, Sequence[Batch]]) -> None:
        """Makes batches part of the world, and others of other places of one `home`: one commit, all or none.

        Raises: LeaseLost if one of the leases was taken over (`is_lost` tells which), otherwise as
          Store.commit; nothing was written then.
        """
        parts = ((self, batches), *others)
        self._opened().commit([pair for place, some in parts for pair in place._pairs(some)])
        for place, _ in parts:
            place._beat = time.monotonic()

    def _pairs(self, batches: Sequence[Batch]) -> list[tuple[Lease, Batch]]:
        if self.lease is None:
            raise StoreError(f"World {self.name!r} is not held; step() takes the lease, then it can commit.")
        return [(self.lease, batch) for batch in batches]

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

    def identities(self, *user_ids: str) -> dict[int, str]:
        """Everybody in this shard who is the same person as some users by canonical_user_id, archived or not:
        number -> user_id. Empty if there are no such users. Needs `open`."""
        found = identities_of(self._opened(), self.name, *user_ids)
        return {number: name for number, name in found.items() if self.share.has_number(number)}

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

    def _located(self, *, write: bool, whole: bool = True) -> str:
        self._settle(whole=whole)
        return self._url_of(self.share.shard, write=write)

    def _url_of(self, shard: int, *, write: bool) -> str:
        if not isinstance(self._given, str):
            return self._given.url
        if self._shards is not None and self._shards > 1:
            return shard_url(self._given, self.name, shard, self._shards)
        return place_of(self._given, self.name, write=write)

    def _settle(self, *, whole: bool = True) -> None:
        """Finds out how many shards the world has. Raises StoreError if that is not what was asked for, or if
        some of them are still to come and it must be `whole`."""
        if "/" in self.name:
            self._shards = 1
            return
        given = self._given
        self._known = known_of(given, self.name) if isinstance(given, str) else known_in(given, self.name)
        if whole and self._known is not None:
            self._known.check_whole(self.url)
        there = self.known.shards if self.known is not None else self._asked or 1
        if self._asked not in (None, there):
            raise other_shards(self.name, self.url, there, self._asked or 1)
        if self._shard is not None and self._shard >= there:
            raise no_such_shard(self.name, self.url, there, self._shard)
        self._shards = there

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
