"""A world: people who persist. The contract in short (docs/worlds.md has it as tables):

1. An episode is a transaction. It ends when it is over, at `reset()` after at least one tick or meeting,
   or at `close()`; what ended is committed, and nothing else ever is.
2. A seed never changes committed people: `reset(seed=s)` drops an unfinished episode and rekeys chance.
3. Reading (`mode="read"`) writes nothing, ever; each reset starts at a pinned commit.
4. One writer: construction touches nothing, the first reset reads, the first step takes the lease.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any

from gaelp_env import world_people
from gaelp_env.chance import key_of
from gaelp_env.config import MarketConfig
from gaelp_env.market import Market
from gaelp_env.population import SCHEMA
from gaelp_env.world_founding import created, forked
from gaelp_env.world_people import Names
from gaelp_env.world_place import Place
from gaelp_env.world_play import UNBORN, Play
from gaelp_env.world_upgrade import in_format_of, market_of
from gaelp_env.world_words import Terms, checked_commit, checked_seed, config_of
from storage.base import Arrival, Birth, Erasure, Snapshot, Store, WorldNotFound


class World(Play):
    """People, a clock and luck, kept in a store and played in memory. `World.open` opens one.

    Attributes:
      terms: on which it was opened.
      market: the market in memory; None before the first reset and after close.
      sequence: of the last commit that this object read or made; -1 before the first.
      birth: name, configuration and origin; None before the first reset.
      names: of the people.
    """

    _base: int | None  # chance key from which the next replicates are derived

    def __init__(self, place: Place, terms: Terms, config: MarketConfig | None) -> None:
        """As `open`, with the arguments in order."""
        self._pinned: Snapshot | None = None
        self._replicate, self._base = 0, None
        super().__init__(place, terms, config)

    @property
    def shard(self) -> int | None:
        """Which shard of the world this is; None until the first reset has taken a free one of several."""
        return self._place.shard

    @property
    def shards(self) -> int | None:
        """How many shards the world has; None before the first reset if nobody said."""
        return self._place.shards

    @classmethod
    def open(
        cls,
        store: str | Store | None = None,
        world: str = "demo",
        *,
        config: MarketConfig | None = None,
        mode: str = "write",
        pin: str | int = "first",
        commit_every: int = 1,
        touch_log: str = "own",
        retain_days: float | None = None,
        shards: int | None = None,
        shard: int | None = None,
        keep_commits: int | None = None,
        keep_hours: float | None = None,
    ) -> World:
        """A world in a store. Touches nothing until the first reset.

        Args:
          store: URL or store; None is a private store in memory.
          world: "name", "name/sub", or "name/*" for the first sub-world that nobody holds.
          config: for a new world; None is the world's own, or the defaults.
          mode: "write", or "read" to play on privately from a commit, writing nothing.
          pin: reading: the commit found at the "first" reset, the "latest" at each reset, or a commit by its
            number, as far back as the world keeps them.
          commit_every: finished episodes a commit, >= 1.
          touch_log: touchpoints kept in the store: "own" (ours, and all clicks), "clicks", "none".
          retain_days: touchpoints older than this on the simulated clock are deleted at the next fold, and
            the rows of people who have left and were last seen before that; None keeps all.
          keep_commits, keep_hours: so many of the world's last commits, and those of the last so many hours
            of the wall clock, stay readable (`pin`, `fork`). The world remembers both; None leaves them as
            they are, and a new world keeps its last commit only.
          shards: how many a new world is born with, 1 to 64, each with its part of the people and of the
            money; None is what the world has, or 1.
          shard: which one to play; None takes the first that nobody holds, at the first reset.
        Raises: ValueError for an argument that cannot be.
        """
        terms = Terms(mode, pin, commit_every, touch_log, retain_days, keep_commits, keep_hours)
        place = Place(store, world, shards, shard, keep=(keep_commits, keep_hours))
        if mode == "read" and (store in (None, "memory:") or place.wildcard):
            raise ValueError(
                "mode='read' plays on from a commit of one world: give a store that it can be in, and its "
                f"whole name; got store {store!r} and world {world!r}."
            )
        return cls(place, terms, config)

    @classmethod
    def create(
        cls,
        store: str | Store | None = None,
        world: str = "demo",
        *,
        config: MarketConfig | None = None,
        seed: int = 0,
        shards: int = 1,
        shard: int = 0,
    ) -> World:
        """Births a world and commits its birth (sequence 0) at once; the world is held until `close()`.

        Args:
          seed: of its people and its luck; each shard's is derived from it.
          shards, shard: how many are born, and which of them is held.
        Of several shards all are born, or nobody plays any; what was stopped is finished by the same again.
        Raises: WorldExists if there is one of that name, WorldBusy if its place is held.
        """
        opened = partial(cls.open, store, world, config=config, shards=shards)
        return created(lambda k: opened(shard=k), config or MarketConfig(), seed, shards, shard)

    def fork(self, store: str | Store | None, world: str, *, at: str | int = "latest") -> World:
        """A new world of its own, copied from a commit of this one; its event tables begin empty.

        Fed the same actions, it plays on as this one did from there, bit for bit.

        Of several shards all are copied, the "latest" being what every one has reached (the barrier), or
        nobody plays any; a fork that was stopped in between is finished by forking again `at` its commit,
        whatever the source has done meanwhile. The same shard is held.

        Args:
          store, world: where the copy lives, and its name.
          at: a commit by its number; the "first" that can still be read; or the "latest", which is the one
            that it is pinned to for a reading world.
        Raises: WorldNotFound if this world has no commit, CommitNotFound if not that one, WorldExists if
          there is one of the new name.
        """
        checked_commit("at", at)
        if self._place.private:
            raise WorldNotFound(
                f"World {self.name!r} was opened without a store and keeps no commits to fork; "
                "open it in a store, such as 'memory:mine'."
            )
        return forked(self, store, world, at, self._pinned if at == "latest" else None)

    def found(
        self, market: Market, config: MarketConfig, parent: str, arrival: Arrival | None = None
    ) -> None:
        """Commits the birth of a world, with the people of `market`, and keeps the lease.

        Args:
          parent: of a fork, as Birth has it; else "".
          arrival: with which other shards it comes into being.
        """
        try:
            self._place.open(whole=False)
            self.birth = self.birth_of(self.name, config, parent)
            self._place.hold(self.birth, None, arrival)
            self._outbox.pack_birth(self.name, self._place.share, market, self.names)
            self._place.commit(self._outbox.batches)
        except BaseException:
            self._place.close()
            raise
        self.sequence = self._outbox.sent()

    def reset(self, seed: int | None = None, *, resume: bool = False) -> None:
        """Begins the next episode in the same world: nobody is reset, the clock goes on.

        Writing: an open episode of at least one tick, or in which somebody was met by name (it then lasts
        one tick without bids), ends, and is committed as `commit_every` says. With
        a seed it is dropped instead, the world goes back to the end of the last finished episode, and
        chance is rekeyed. While no episode has finished and no birth is committed, the seed also
        decides who is born.
        Reading: back to the pinned commit, with chance `seed`, or with the next replicate of chance.

        Args:
          seed: any whole number >= 0.
          resume: reading: play on privately from where the world is, instead of from the pin.
        Raises: StoreError if the world cannot be read or committed, ConfigError if the configuration
          given is not the world's, ValueError for a seed that cannot be.
        """
        seed = checked_seed(seed, resume)
        if self.mode == "read":
            self._reset_reading(seed, resume)
        else:
            self._reset_writing(seed)
        self._begin("")

    def _reset_writing(self, seed: int | None) -> None:
        if self.market is None or not self._place.held:
            self._read()
        elif seed is None:
            self._end_open()
        else:
            self.rollback()
        if self.market is None or (
            seed is not None and self.sequence == UNBORN and self.episodes_finished == 0
        ):
            self._bear(secrets.randbits(63) if seed is None else seed)
        elif seed is not None:
            self._rekey(seed)

    def _reset_reading(self, seed: int | None, resume: bool) -> None:
        if resume and self.market is not None:
            self._end_open()
            return
        if self._pinned is None or self.terms.pin == "latest":
            self._pinned = self._place.read_only("latest" if self.terms.pin == "first" else self.terms.pin)
        self._restore(self._pinned)
        if seed is not None:
            self._rekey(seed)
            self._replicate, self._base = 0, int(self.playing().record["key"])
            return
        if self._base is None:
            self._base = int(self.playing().record["key"])
        self._rekey(key_of("replicate", self._base, self._replicate))
        self._replicate += 1

    def _read(self) -> None:
        """Reads the world, if there is one; else makes ready for its birth.

        Until the lease is held others may write, so every reset looks again.
        """
        try:
            if self._place.roaming():
                snapshot = self._place.take_free(self._newborn)
            else:
                snapshot = self._place.read()
            if self.market is not None and (snapshot is None or snapshot.sequence == self.sequence):
                self.rollback()
            elif snapshot is not None:
                self._forget()
                self._restore(snapshot)
            else:
                self.birth, self.sequence = self._newborn(), UNBORN
        except BaseException:
            self._place.close()
            raise

    def birth_of(self, name: str, config: MarketConfig, parent: str) -> Birth:
        """How a new world comes into being."""
        shards = self._place.share.shards
        return Birth(name, config.to_json(), config.fingerprint(), SCHEMA, shards, parent)

    def _newborn(self) -> Birth:
        """The birth of a world that is not there yet, or that has other shards than this one already."""
        known = self._place.known
        if known is not None:
            config_of(known, self._given, self.url)
            return known
        return self.birth_of(self.name, self._given or MarketConfig(), "")

    def _bear(self, seed: int) -> None:
        """Makes the people of a world, or of a shard, that has never been committed."""
        share, birth = self._place.share, self.birth
        config = config_of(birth, self._given, self.url) if birth is not None else self._given
        self.market = share.born(config or MarketConfig(), seed)
        self._outbox.bear(self.market, share, seed)
        self.market.mark()

    def _restore(self, snapshot: Snapshot) -> None:
        config = config_of(snapshot.birth, self._given, self.url)
        self.market = market_of(snapshot, self._place.share.of(config), self.url)
        self.birth, self.sequence = snapshot.birth, snapshot.sequence
        self.names = Names(dict(snapshot.names))
        self.market.mark()

    def _pack(self) -> None:
        """As Play; a world that was born by the first release stays in the format of its birth."""
        super()._pack()
        if self.birth is not None:
            self._outbox.batches = [in_format_of(self.birth, batch) for batch in self._outbox.batches]

    def _rekey(self, seed: int) -> None:
        market = self.playing()
        market.rekey(self._place.share.seed(seed))
        market.mark()

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get_or_create_user(self, user_id: str, episode_id: str | int | None = None) -> dict[str, Any]:
        """Meets a user by name; somebody new is born at the first mention.

        Args:
          user_id: of 1 to 200 characters; "u" and nine digits is anybody by number.
          episode_id: names the episode; another name than the open one's ends that and begins the next.
            An episode in which people were met and no tick was played lasts one tick without bids.
        Returns: the public columns as of now (Python scalars), number, touchpoints, clicks, visits and
          conversions since birth, episode_id, and whether they were created.
        Raises: LookupError for a number that is nobody's, or of somebody who has left for good; ValueError
          for names that cannot be;
          otherwise as `step`.
        """
        return world_people.get_or_create(self, user_id, episode_id)

    def record_touchpoint(
        self, user_id: str, channel: str = "social", clicked: bool = False
    ) -> dict[str, Any]:
        """Shows a user an ad of ours, through the same dynamics as everything else; one tick passes.

        Returns: the user right after the ad, as `get_or_create_user`.
        """
        return world_people.touch(self, user_id, channel, clicked)

    def record_conversion(self, user_id: str, value: float) -> dict[str, Any]:
        """Lets an order of a user fall due now; one tick passes.

        Args:
          value: of the order, currency units, above 0 and up to 1e9.
        Returns: the user right after the order, as `get_or_create_user`.
        """
        return world_people.convert(self, user_id, value)

    def forget(self, *user_ids: str) -> Erasure:
        """Erases a person, with all identities, from the store: records, rows, names, events and the past.

        The open episode ends and is committed as by `close()`. The market goes on without the person, whose
        pending orders never fall due, by a commit of its own; a tombstone (the number) keeps them
        from ever being born again. Run again after it was broken off, it finishes. Of several shards this one
        forgets.

        Args:
          user_ids: of one identity of the person, or of several.
        Returns: what was searched, and erased.
        Raises: WorldNotFound, WorldBusy, LeaseLost, StoreFull; RuntimeError for a world that keeps nothing.
        """
        if self.mode == "read" or self._place.private:
            raise RuntimeError(f"World {self.name!r} writes to no store; open the one that does.")
        if self.market is None:
            self._place.read_only()
            self.reset()
        self._end_open()
        self.commit()
        self.hold()
        market, numbers = self.playing(), list(self._place.identities(*user_ids))
        assert self.birth is not None
        gone = market.let_go(numbers)
        # Whatever fails from here on, no way back in memory leads to the person.
        self.names.forget(numbers)
        market.mark()
        self._begin("")
        if len(gone):
            self._outbox.pack_farewell(self.name, self._place.share, self.sequence, market, gone)
            self._outbox.batches = [in_format_of(self.birth, batch) for batch in self._outbox.batches]
            self.commit()
        erasure = self._place.forget(numbers)
        records = erasure.erased["records"] + len(gone)  # who has just left had one until then
        return replace(erasure, erased={**erasure.erased, "records": records})
