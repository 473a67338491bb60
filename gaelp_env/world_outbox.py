"""Finished episodes on their way to the store."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.births import born
from gaelp_env.chance import key_of
from gaelp_env.market import Market
from gaelp_env.population import USER
from gaelp_env.world_log import EpisodeLog, Events, no_events
from gaelp_env.world_people import Names
from gaelp_env.world_shards import Share
from gaelp_env.world_words import totals_of
from storage.base import Batch


class Outbox:
    """What waits for a commit: the birth of a new world, finished episodes, batches that were refused.

    Attributes:
      log: events by episode.
      batches: made and not yet accepted; they stay until the store has them.
    """

    def __init__(self, touch_log: str) -> None:
        self.log = EpisodeLog(touch_log)
        self.batches: list[Batch] = []
        self._newborn: tuple[int, bytes, dict[str, Any]] | None = None

    @property
    def waiting(self) -> int:
        """Finished episodes that the store does not have yet."""
        return self.log.finished + sum(len(batch.episodes) for batch in self.batches)

    def bear(self, market: Market, share: Share, seed: int) -> None:
        """Notes the birth of a new world, or shard; its people, whom the seed tells, go with the first
        commit."""
        market.forget_changes()
        self._newborn = share.seed(seed), market.record_bytes(), totals_of(market, share.first_number)

    def pack(self, world: str, share: Share, sequence: int, market: Market, names: Names) -> None:
        """Makes batches of the birth and of all finished episodes, as of now.

        Args:
          world, share: its name, and which part of it.
          sequence: of the last commit that the store has; -1 if it has none.
          market: as of the end of the last finished episode; its marks of change are cleared.
          names: of its people.
        Raises: StoreError if a shard has used up its numbers.
        """
        share.check_numbers(int(market.record["next_number"]))
        if self._newborn is not None:
            seed, record, totals = self._newborn
            config, first = market.config, share.first_number
            users = born(config, key_of("people", seed), first, config.people.users, 0, 0.0)
            none = np.zeros(0, np.uint32)
            self.batches.append(_batch(world, share, 0, names, users, none, no_events(), record, totals))
            self._newborn = None
        users, archived = market.take_changes()
        number, record = sequence + len(self.batches) + 1, market.record_bytes()
        events, totals = self.log.take(), totals_of(market, share.first_number)
        self.batches.append(_batch(world, share, number, names, users, archived, events, record, totals))

    def discard(self, market: Market) -> int:
        """Forgets the finished episodes of a world that nobody else can read; returns how many commits
        their birth and they would have been."""
        commits = 1 if self._newborn is None else 2
        self._newborn = None
        self.log.forget()
        market.forget_changes()
        return commits

    def pack_birth(self, world: str, share: Share, market: Market, names: Names) -> None:
        """Makes a batch of the birth alone: all the people of `market` as of now, and who had left before."""
        users, archived = market.take_changes()
        record, totals = market.record_bytes(), totals_of(market, share.first_number)
        self.batches.append(_batch(world, share, 0, names, users, archived, no_events(), record, totals))

    def pack_farewell(
        self, world: str, share: Share, sequence: int, market: Market, gone: NDArray[np.uint32]
    ) -> None:
        """Makes a batch that says who is no longer in the market, and nothing else; as `pack`."""
        users, record, totals = (
            np.zeros(0, USER),
            market.record_bytes(),
            totals_of(market, share.first_number),
        )
        self.batches.append(
            _batch(world, share, sequence + 1, Names({}), users, gone, no_events(), record, totals)
        )

    def sent(self) -> int:
        """Forgets the batches that the store has accepted; returns the sequence of the last one."""
        last = self.batches[-1].sequence
        self.batches = []
        return last


def drop_archived(market: Market) -> None:
    """Drops the people who are archived by now from memory; the marks of change of the others stay."""
    changed = market.take_changes()[0]["number"]
    people = market.population
    people.note_changed(np.isin(people.number[: people.size], changed))


def _batch(
    world: str,
    share: Share,
    sequence: int,
    names: Names,
    users: NDArray[Any],
    archived: NDArray[np.uint32],
    events: Events,
    record: bytes,
    totals: dict[str, Any],
) -> Batch:
    return Batch(
        world, share.shard, sequence, users, names.by_number, archived, events.touchpoints,
        events.conversions, events.episodes, record, totals,
    )  # fmt: skip
