"""What a torture finds: a look at a store, and the promises that were not kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agents import torture_work as work
from storage import open_store
from storage.sqlite_open import open_reader


@dataclass(slots=True)
class Part:
    """What came of one kind of torture.

    Attributes:
      name, times: what was done, and how often.
      commits: that were acknowledged.
      faults: a sentence for each promise that was not kept.
      figures: what was measured, if anything was.
    """

    name: str
    times: int = 0
    commits: int = 0
    faults: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def blame(self, sentence: str) -> None:
        """Notes a promise that was not kept."""
        self.faults.append(f"{self.name} {self.times}: {sentence}")

    def found(self, look: Callable[[Path], int], path: Path, at_least: int, at_most: int) -> int:
        """Notes which commit a look at a store finds, if it is none of those that may be there.

        Returns: the commit; -2 if the store is not wholly what it was at any.
        """
        try:
            at = look(path)
        except Exception as error:
            self.blame(f"{type(error).__name__}: {error}")
            return -2
        if not at_least <= at <= at_most:
            self.blame(f"commit {at_least} was acknowledged, and {at} is there")
        return at


def url_of(path: Path) -> str:
    """The URL of a file."""
    return f"sqlite:///{path}"


def whole(path: Path) -> int:
    """Which commit a file holds, wholly, as our readers and SQLite itself see it; -1 for none."""
    if not path.exists():
        return -1
    connection = open_reader(str(path))
    if connection is None:
        return -1
    said = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    if said != [("ok",)]:
        raise work.Broken(f"SQLite finds {said[:3]}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return work.check(url_of(path))


def goes_on(path: Path) -> int:
    """Makes the next commit as if nothing had been; returns which one is there then."""
    at = whole(path)
    store = open_store(url_of(path), public=work.public_of)
    try:
        lease = store.acquire(work.birth(), expected=None if at < 0 else at)
        store.commit([(lease, work.batch(at + 1))])
        store.release(lease)
    finally:
        store.close()
    return whole(path)
