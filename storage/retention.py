"""How much of a shard's past stays readable."""

from __future__ import annotations

from dataclasses import dataclass

HOUR_US = 3_600_000_000
REACH = 16
"""So many commits behind its last one, at most, a shard keeps for the others to catch up with."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What a world keeps, see Store.keep."""

    commits: int = 1
    hours: float = 0.0

    def changed(self, commits: int | None, hours: float | None) -> Retention:
        """With what is given in place of what was."""
        return Retention(
            self.commits if commits is None else commits, self.hours if hours is None else float(hours)
        )

    def cut(self, last: int, last_us: int, floor: int) -> Cut:
        """Where the past of a shard ends.

        Args:
          last, last_us: sequence and stamp of the shard's last commit.
          floor: a commit that must stay, unless it is more than REACH back; the kept are counted back from
            it, or from the last one if that is lower.
        """
        floor = max(floor, last - REACH)
        since_us = last_us - round(self.hours * HOUR_US) if self.hours > 0.0 else last_us + 1
        return Cut(max(min(last, floor) - self.commits + 1, 0), since_us)


@dataclass(frozen=True, slots=True)
class Cut:
    """Commits from `low` on stay, and those that another one followed at `since_us` or later."""

    low: int
    since_us: int

    def keeps(self, sequence: int, followed_us: int) -> bool:
        """Whether a commit stays that another one followed at a moment."""
        return sequence >= self.low or followed_us >= self.since_us
