"""Which commit of a world is meant, and a store as of it."""

from __future__ import annotations

from dataclasses import replace

from storage.base import WorldInfo, WorldNotFound
from storage.siblings import all_worlds
from storage.whole import WholeWorld, whole_world

FIRST, LATEST = "first", "latest"


def commit_asked(at: str) -> str | int:
    """A commit as it was typed: "first" (that can still be read), "latest", or a number.

    Raises: ValueError for anything else.
    """
    if at in (FIRST, LATEST):
        return at
    if at.isascii() and at.isdigit():
        return int(at)
    raise ValueError(f"A commit is a number from 0 on, {FIRST} or {LATEST}, and not {at!r}.")


def named(at: str) -> str:
    """What a report calls it."""
    asked = commit_asked(at)
    return {FIRST: "first commit kept", LATEST: "last commit"}.get(str(asked), f"commit {asked}")


def as_of(whole: WholeWorld, latest: WorldInfo, at: str) -> tuple[WholeWorld, WorldInfo]:
    """A world as of a commit, and its line then; the latest of several shards is what all have reached.

    Raises: ValueError, CommitNotFound.
    """
    asked = commit_asked(at)
    if asked == LATEST:
        return whole, latest
    sequence = asked if isinstance(asked, int) else whole.first_commit()
    then = whole.as_of(sequence)
    summary = then.load(latest.birth.world, whole.shards[0]).summary
    return then, replace(latest, sequence=sequence, summary=summary)


def first_or_number(url: str, world: str, at: str) -> int:
    """The number of a commit that is not asked for as the latest. Raises ValueError, StoreError."""
    asked = commit_asked(at)
    if isinstance(asked, int):
        return asked
    found = next(((place, line) for place, line in all_worlds(url) if line.birth.world == world), None)
    if found is None:
        raise WorldNotFound(
            f"There is no world {world!r} in {url}; `gaelp worlds` lists those that there are."
        )
    with whole_world(*found) as whole:
        return whole.first_commit()
