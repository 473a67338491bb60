"""What a store tells of itself: commits, shards, erasures. `storage.base` has them too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Arrival:
    """Shards of a world that come into being by one act, though not at one moment.

    Attributes:
      act: "create" or "copy".
      shards: those that it brings.
    """

    act: str
    shards: tuple[int, ...]

    def text(self) -> str:
        """As a store keeps it."""
        return json.dumps([self.act, self.shards])

    @classmethod
    def read(cls, text: str | None) -> Arrival | None:
        """What `text` wrote; None for nothing."""
        if not text:
            return None
        act, shards = json.loads(text)
        return cls(act, tuple(shards))


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """Where one shard of a world stands, and who holds it ("" if nobody living).

    Attributes:
      arrival: with which others it came into being; None if it came alone.
    """

    shard: int
    sequence: int
    summary: Mapping[str, Any]
    holder: str
    arrival: Arrival | None = None


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure found and did.

    Attributes:
      searched: names of what was looked through.
      erased: what -> how many; 0 is told too.
      remains: sentences about what may still hold the person, and until when.
    """

    searched: tuple[str, ...]
    erased: Mapping[str, int]
    remains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """A line of `history()`: a commit of a shard that can be read.

    Attributes:
      committed_at: when, as its `updated_at` has it (text, UTC).
      summary: as the batch brought it.
    """

    sequence: int
    committed_at: str
    summary: Mapping[str, Any]
