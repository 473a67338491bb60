"""What a store tells of itself: commits, shards, erasures. `storage.base` has them too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """Where one shard of a world stands, and who holds it ("" if nobody living)."""

    shard: int
    sequence: int
    summary: Mapping[str, Any]
    holder: str


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
