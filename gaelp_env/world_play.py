"""A world in memory: moved tick by tick, kept by whole episodes. `World` opens and resets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.constants import epoch_of
from gaelp_env.ledger import A, K
from gaelp_env.market import Market, Tick
from gaelp_env.population import moments
from gaelp_env.turn_desk import CLICKS, ORDERS, TOUCHES, WINS
from gaelp_env.world_log import EpisodeLog, Happened
from gaelp_env.world_outbox import Outbox, drop_archived
from gaelp_env.world_people import Names
from gaelp_env.world_place import Place
from gaelp_env.world_words import Terms, totals_of
from storage.base import Batch, Birth, LeaseLost, StoreFull, WorldExists, WorldMoved

UNBORN = -1
"""The sequence of a world that no store knows yet."""
NO_BIDS = np.zeros(K)


class Play:
    """An episode is a transaction: it ends and is committed whole, or it is dropped whole.

    Attributes:
      terms: on which the world was opened.
      market: the market in memory; None before the first reset and after close.
      sequence: of the last commit that this object read or made; -1 before the first.
      birth: name, configuration and origin; None before the first reset.
      names: of the people.
    """

    def __init__(self, place: Place, terms: Terms, config: MarketConfig | None) -> None:
        self.terms = terms
        self.sequence = UNBORN
        self.birth: Birth | None = None
        self._place = place
        self._given = config
        # What a world that nobody else can read has logged would only be thrown away.
        self._logs = terms.mode == "write" and not place.private
        self._logged = {"own": TOUCHES, "clicks": CLICKS}.get(terms.touch_log)
        self._forget()

    def _forget(self) -> None:
        """Lets go of all that is in memory; what was not committed is gone."""
        self.market: Market | None = None
        self.names = Names({})
        self._outbox = Outbox(self.terms.touch_log)
        self._ticks = self._horizon = 0
        self._half = self._stirred = self._lent = False

    @property
    def mode(self) -> str:
        """Either "write" or "read"."""
        return self.terms.mode

    @property
    def name(self) -> str:
        """The world's name; "stem/*" until the first reset has found a free sub-world."""
        return self._place.name

    @property
    def held(self) -> bool:
        """Whether a market is in memory and the right to write is this process's."""
        return self.market is not None and self._place.held

    @property
    def place(self) -> Place:
        """Where the world lives."""
        return self._place

    @property
    def url(self) -> str:
        """URL of the store in which the world lives, as far as known."""
        return self._place.url

    @property
    def log(self) -> EpisodeLog:
        """Events of the open episode and of those that wait for a commit."""
        return self._outbox.log

    @property
    def label(self) -> str:
        """What the caller named the open episode, "" if nothing."""
        return self.log.label

    @property
    def episodes_finished(self) -> int:
        """Episodes of the world that have finished, committed or not. Needs a reset."""
        return int(self.playing().record["episode"])

    @property
    def lent(self) -> bool:
        """Whether the market is lent, see `lend`."""
        return self._lent

    @property
    def ticks(self) -> int:
        """Whole ticks played in the open episode."""
        return self._ticks

    @property
    def over(self) -> bool:
        """Whether the open episode has reached its horizon: it is truncated, not terminated."""
        return self._ticks >= self.playing().config.clock.episode_ticks

    def playing(self) -> Market:
        """The market in memory. Raises RuntimeError before the first reset."""
        if self.market is None:
            raise RuntimeError(f"World {self.name!r} has not been read yet; call reset() first.")
        return self.market

    def totals(self) -> dict[str, Any]:
        """How the world stands in memory, as JSON-able numbers. Needs a reset."""
        totals = totals_of(self.playing(), self._place.share.first_number)
        return totals | {"world": self.name, "sequence": self.sequence}

    def _begin(self, label: str) -> None:
        market = self.playing()
        market.begin_episode()
        self.log.begin(market.record if self._logs else None, label)
        self._ticks, self._horizon = 0, market.config.clock.episode_ticks
        self._half = self._stirred = self._lent = False

    def step(self, bids_cpm: Any) -> Tick:
        """Plays one tick. The first one takes the lease.

        Args:
          bids_cpm: `[5]` CPM by channel, in the order of CHANNELS, or `[5, 4]` by channel and audience;
            <= 0 is no bid.
        Returns: what the tick left behind; its arrays are the caller's own.
        Raises: ValueError for bids that cannot be; RuntimeError before reset, past the horizon, or after
          a tick that raised half-way; WorldBusy, WorldMoved or LeaseLost if somebody else writes.
        """
        bids = np.asarray(bids_cpm, np.float64)
        if bids.shape not in ((K,), (K, A)) or not np.isfinite(bids).all():
            raise ValueError(
                f"Bids are {K} finite CPM ({', '.join(CHANNELS)}), or {K} x {A} by audience, and these are "
                f"{bids_cpm!r}."
            )
        market = self.ready()
        if self.over:
            raise self._is_over()
        with self.whole():
            tick = market.advance(bids)
            if self._logs:
                touches, at_h = tick.raw()
                count = len(touches) if self._logged is not None else 0
                wins = int(tick.ledger["wins"].sum())
                self.log.note_tick(touches[:count], at_h[:count], tick.conversions, wins, tick.epoch)
            self._ticks += 1
        return tick

    def sit(self) -> int:
        """Before a tick together with those of other worlds, after `ready`: the address of its desk."""
        market = self.playing()
        if self._ticks >= self._horizon:
            raise self._is_over()
        self._half = self._stirred = True
        return market.sit()

    def _is_over(self) -> RuntimeError:
        return RuntimeError(
            f"The episode of world {self.name!r} is over after {self._ticks} ticks; call reset()."
        )

    def end_tick(self, came: list[int]) -> None:
        """After it: logs what the tick left behind, as far as the log asks for it.

        Args:
          came: of turns.play_together.
        """
        if self._logs:
            touched = self._logged is not None and came[self._logged] > 0
            if touched or came[ORDERS]:
                self._outbox.log.note_tick(*self.playing().kept_behind(came, touched))
            else:
                self._outbox.log.note_quiet(came[WINS])
        self._ticks += 1
        self._half = False

    def ready(self) -> Market:
        """The market, to be moved: no tick broke, and the lease is held. Raises as `step` does."""
        market = self.playing()
        if self._half:
            raise RuntimeError(
                f"A tick of world {self.name!r} raised half-way; reset() or rollback() goes back to the end "
                "of the last finished episode."
            )
        if self.mode == "write":
            self._hold()
        return market

    def stands(self, now: float, process: int) -> bool:
        """Whether `ready` has nothing to do, at that moment (time.monotonic) and in that process."""
        heard = self.terms.mode != "write" or self._place.heard(now, process)
        return heard and not self._half and self.market is not None

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Around each change of the market: if the body raises, the episode can only be rolled back."""
        self._half = self._stirred = True
        yield
        self._half = False

    def lend(self) -> Market:
        """The market, to be moved from outside by opportunities; until `take_back` the open episode can only
        be rolled back. Whoever borrows calls `hold` before anything is to count."""
        market = self.playing()
        market.copy_mark()
        self._half = self._stirred = self._lent = True
        return market

    def take_back(self, ticks: int, happened: Happened | None, conversions: Any, wins: int) -> None:
        """Counts whole ticks that were played on a market that was lent, with what happened in them."""
        self._half = self._lent = False
        if self._logs and happened is not None:
            self.log.note(happened, conversions, wins)
        self._ticks += ticks

    def hold(self) -> None:
        """Takes the lease of a world that is written, or tells the store that its holder lives.

        Raises: WorldBusy, WorldMoved or LeaseLost if somebody else writes.
        """
        if self.mode == "write":
            self._hold()

    def _hold(self) -> None:
        try:
            if self.birth is not None:
                self._place.hold(self.birth, None if self.sequence == UNBORN else self.sequence)
            self._place.say_alive()
        except WorldExists as error:
            self.let_go()
            raise WorldMoved(
                f"World {self.name!r} came into being in {self.url} after it was looked for here; "
                "reset() reads it as it is now."
            ) from error
        except (WorldMoved, LeaseLost):
            self.let_go()
            raise

    def let_go(self) -> None:
        """The world went on without us: memory is stale, and the next reset reads again."""
        self._forget()
        self._place.close()

    def end_episode(self) -> None:
        """Ends the open episode, if it has at least one tick, and commits as `commit_every` says.

        Raises: StoreError if the commit fails. The episode has ended all the same: it stays in memory,
          and goes with the next commit.
        """
        if self.finish_episode():
            self.commit()

    def finish_episode(self) -> bool:
        """Ends the open episode in memory, if it has at least one tick; whether a commit is due now."""
        if self._half:
            self.ready()
        if not self._ticks:
            return False
        market = self.playing()
        market.end_episode()
        if self._logs:
            self.log.finish(market.record, epoch_of(market.config), market.config.clock.tick_h)
        elif self.mode == "write":
            self.log.pass_over()
        self.names.keep()
        due = self.mode == "write" and self._outbox.waiting >= self.terms.commit_every
        if due and self._place.private:  # nothing is ever packed, so one copy for going back is enough
            self.sequence += self._outbox.discard(market)
        market.mark()
        self._begin("")
        return due and not self._place.private

    def _end_open(self) -> None:
        if self.finish_open():
            self.commit()

    def finish_open(self) -> bool:
        """Ends the open episode in memory; drops it if its last tick broke. One in which people were met
        and no tick was played lasts one tick without bids, so that they are kept.

        Returns: whether a commit is due now.
        """
        if self._half:
            self.rollback()
            return False
        if self._stirred and not self._ticks:
            self.step(NO_BIDS)
        return self.finish_episode()

    def rollback(self) -> None:
        """Drops the open episode: back to the end of the last finished one, committed or not."""
        self.playing().back()
        self.names.drop()
        self._begin("")

    def commit(self) -> int:
        """Commits all finished episodes that the store does not have; an open one stays open.

        Atomic, and exactly once: with nothing to commit it changes nothing. If it raises, nothing was
        written, and what was to be written goes with the next commit.

        Returns: the sequence of the last commit, -1 if there is none.
        Raises: LeaseLost if the lease was taken over: then what was not committed is gone. Other
          StoreErrors (StoreFull) leave everything in memory.
        """
        batches = self.packed()
        if batches:
            try:
                self._place.commit(batches)
            except LeaseLost:
                self.let_go()
                raise
            self.accepted()
        return self.sequence

    def fold(self) -> int:
        """Brings the public tables of the store up to the last commit; returns how many commits that took.

        Commits do not wait for it: they go to a journal, which is also folded when it outgrows the people,
        and with the last lease on the store.
        """
        return self._place.fold()

    def packed(self) -> list[Batch]:
        """All that waits for a commit, packed. Raises RuntimeError for a reading world."""
        if self.mode == "read":
            raise RuntimeError(f"World {self.name!r} is open for reading; it never writes.")
        if self._lent and self.log.finished:
            raise RuntimeError(
                f"A tick of world {self.name!r} is being played opportunity by opportunity; reset() or "
                "close() its environment, which ends the tick and commits."
            )
        if self.log.finished:
            self._pack()
        return self._outbox.batches

    def accepted(self) -> None:
        """Notes that the store has what was packed, and deletes there what is older than `retain_days`."""
        self.sequence = self._outbox.sent()
        if self.terms.retain_days is not None:
            market = self.playing()
            kept_h = market.hour - 24.0 * self.terms.retain_days
            self._place.prune(moments(kept_h, epoch_of(market.config)))

    def _pack(self) -> None:
        """Packs the world as of the end of the last finished episode; an open one is put back on top."""
        market = self.playing()
        opened = market.checkpoint() if self._stirred else None
        if opened is not None:
            market.back()
        if self._place.private:
            self.sequence += self._outbox.discard(market)
        else:
            self._outbox.pack(self.name, self._place.share, self.sequence, market, self.names)
        market.mark_taken()
        if opened is not None:
            market.rollback(opened)
            drop_archived(market)

    def close(self) -> None:
        """Ends the open episode as `reset()` does, commits what has finished, and lets go. Idempotent.

        A tick that raised half-way is rolled back with its episode. The next reset reads the world again.

        Raises: StoreFull with everything kept in memory, so that it can be called again; after any other
          StoreError the world is let go of all the same.
        """
        try:
            if self.held:
                self._end_open()
                self.commit()
        except StoreFull:
            raise
        except BaseException:
            self.let_go()
            raise
        self.let_go()

    def next_episode(self, label: str) -> None:
        """Ends the open episode as `reset()` does, and begins the next one under a name."""
        self._end_open()
        self._begin(label)

    def pass_tick(self) -> None:
        """Lets a tick pass without bids; ends the episode if that was its last one."""
        self.step(NO_BIDS)
        if self.over:
            self.end_episode()
