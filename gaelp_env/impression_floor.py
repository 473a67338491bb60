"""Any number of worlds whose opportunities are played together: what both impression environments share."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.constants import constant_record_of
from gaelp_env.impression_books import Books, Halls
from gaelp_env.impression_desk import ANY, BEGUN, CANDIDATE, DESK, GROW, OPEN
from gaelp_env.impression_kernel import REWARD_CODES, finish, play
from gaelp_env.impression_view import names
from gaelp_env.ledger import LEDGER, MICRO, RECORD
from gaelp_env.opportunities import CLICK, SEEN, WON
from gaelp_env.plan import plan_of
from gaelp_env.population import COLD, HOT
from gaelp_env.world import World

WORLDS_A_THREAD = 128
"""With fewer worlds a second thread costs more than it brings."""
ALIVE_S = 1.0
"""Seconds after which the stores are told that the worlds' holder lives."""


def shape_of(creatives: int) -> tuple[int]:
    """The shape of an action: the bid, and the creative where there are several."""
    return (2 if creatives > 1 else 1,)


class Workspace:
    """What one thread works in."""

    def __init__(self) -> None:
        self.kept = (np.zeros(1, HOT), np.zeros(1, COLD), np.zeros(1, LEDGER), np.zeros(1, RECORD))
        self.blank = np.zeros(1, LEDGER)
        self.grow(0, 0)

    def grow(self, users: int, candidates: int) -> None:
        """Makes room for a sweep over so many users, and for so many candidates."""
        index, counts = np.empty(users + 1, np.int64), np.empty(users + 1, np.int64)
        raw, starts = np.zeros(candidates + 1, CANDIDATE), np.zeros(candidates + 2, np.int64)
        self.arrays = (index, counts, raw, starts)

    def fits(self, users: int, candidates: int) -> bool:
        """Whether there is room for that."""
        return len(self.arrays[0]) > users and len(self.arrays[2]) > candidates


class Floor:
    """Desks of some worlds of one configuration. Not for several Python threads at once.

    Attributes:
      config: of all worlds.
      desks: `[N]` of DESK.
      books: of each world.
    """

    def __init__(self, worlds: list[World], reward: str, observe: str, *, keep: bool, threads: int) -> None:
        """For worlds that have been reset; `keep`: see Books. Raises ValueError if they are unlike."""
        self.config = worlds[0].playing().config
        for world in worlds:
            other = world.playing().config
            if other.fingerprint() != self.config.fingerprint():
                raise ValueError(
                    f"Worlds that are played together have one configuration, and that of {world.name!r} is "
                    f"another one than that of {worlds[0].name!r}; give config, or other worlds."
                )
        self._code = REWARD_CODES[reward]
        count = len(worlds)
        self.desks = np.zeros(count, DESK)
        halls = Halls(self.config, count)
        self.books = [Books(world, self.desks[e : e + 1], halls, e, keep) for e, world in enumerate(worlds)]
        self._constants, self._plan = constant_record_of(self.config), plan_of(self.config)
        threads = max(1, min(threads, count // WORLDS_A_THREAD))
        cuts = [count * k // threads for k in range(threads + 1)]
        self._blocks = list(itertools.pairwise(cuts))
        self._work = [Workspace() for _ in self._blocks]
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        self._entries, self._no_action = len(names(observe)), np.zeros((count, 1), np.float32)
        self._alive = time.monotonic()

    def begin(self, which: Iterable[int], views: NDArray[np.float32]) -> None:
        """Begins the open episode of some worlds, and looks for their first opportunity.

        Args:
          views: `[N, entries]`, written for these worlds.
        """
        for e in which:
            self.books[e].lend()
        for k in range(len(self._blocks)):
            self._grow(k)
        nothing = np.zeros(0), np.zeros(0, np.bool_)
        self._play(self._no_action, False, BEGUN, views, *nothing)

    def told(self, e: int) -> dict[str, Any]:
        """What came of the last bid at a desk, and the opportunity that is waiting, as Python scalars."""
        desk = self.desks[e]
        came, waits = int(desk["came"]), bool(desk["asks"])
        return {
            "win": came & WON != 0,
            "view": came & SEEN != 0,
            "click": came & CLICK != 0,
            "price": int(desk["cost_micro"]) / MICRO,
            "channel": int(desk["channel"]) if waits else -1,
            "user": int(desk["user"]) if waits else -1,
            "tick": int(desk["tick"]),
        }

    def all_told(self) -> dict[str, NDArray[Any]]:
        """The same of all desks, an array each."""
        desks = self.desks
        came, waits = desks["came"], desks["asks"] != 0
        return {
            "win": came & WON != 0,
            "view": came & SEEN != 0,
            "click": came & CLICK != 0,
            "price": desks["cost_micro"] / MICRO,
            "channel": np.where(waits, desks["channel"], -1),
            "user": np.where(waits, desks["user"], -1),
            "tick": desks["tick"].copy(),
        }

    def hold(self, which: Iterable[int]) -> None:
        """Takes the right to write some worlds. Raises StoreError."""
        for e in which:
            self.books[e].world.hold()

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]]:
        """Answers each opportunity, and goes on to the next ones; worlds whose episode is over are left out.

        Returns: what is seen `[N, entries]`, rewards `[N]`, whether the episode is over `[N]`.
        """
        count = len(self.desks)
        views = np.zeros((count, self._entries), np.float32)
        rewards, overs = np.zeros(count), np.zeros(count, np.bool_)
        self._play(actions, True, ANY, views, rewards, overs)
        now = time.monotonic()
        if now - self._alive > ALIVE_S:
            self._alive = now
            self.hold(e for e, books in enumerate(self.books) if books.lent)
        return views, rewards, overs

    def _play(self, actions: Any, told: bool, pick: int, views: Any, rewards: Any, overs: Any) -> None:
        while True:

            def block(k: int, pick: int = pick) -> int:
                work = self._work[k]
                return int(
                    play(
                        *self._blocks[k], self._constants, self._plan, self.desks, work.arrays,
                        work.kept, work.blank, actions, self._code, told, pick, views, rewards, overs,
                    )
                )  # fmt: skip

            if not sum(self._all(block)):
                return
            for k in range(len(self._blocks)):
                self._grow(k)
            pick = GROW

    def _all(self, block: Callable[[int], int]) -> list[int]:
        if self._pool is None:
            return [block(0)]
        others = [self._pool.submit(block, k) for k in range(1, len(self._blocks))]
        return [block(0), *(other.result() for other in others)]

    def _grow(self, k: int) -> None:
        desks = self.desks[slice(*self._blocks[k])]
        for e in np.flatnonzero(desks["status"] == GROW):
            self.books[self._blocks[k][0] + int(e)].grow()
        users, candidates = int(desks["capacity"].max()), int(desks["room"].max())
        if not self._work[k].fits(users, candidates):
            self._work[k].grow(users, candidates)

    def end(self, e: int) -> None:
        """Ends what is open at a desk: the rest of a tick passes without bids, and the world is given back.

        If no bid was asked for and answered, nothing has happened: the world is as it was.
        """
        books = self.books[e]
        if not books.lent:
            return
        if int(self.desks["phase"][e]) == OPEN:
            k = next(k for k, (first, last) in enumerate(self._blocks) if first <= e < last)
            finish(self._constants, self._plan, self.desks, e, self._work[k].kept)
        books.take_back()

    def drop(self, e: int) -> None:
        """Forgets what is open at a desk: the world goes back to the end of its last finished episode."""
        if self.books[e].lent:
            self.books[e].world.rollback()

    def close(self) -> None:
        """Lets the threads go."""
        if self._pool is not None:
            self._pool.shutdown()


def usual_threads() -> int:
    """As many threads as this process may have cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
