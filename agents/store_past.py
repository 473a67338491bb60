"""The past of worlds: which commits can be read, how many are kept, and worlds copied from one of them."""

from __future__ import annotations

from typing import Any

from agents.commits import commit_asked
from agents.inspect import chosen_worlds
from gaelp_env.world import World
from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import BadStoreURL
from storage.siblings import place_of
from storage.urls import read_url

Report = dict[str, Any]


def history_of(url: str, world: str | None = None) -> list[Report]:
    """The commits of worlds that can be read, oldest first.

    Args:
      url: of the store.
      world: a name, or a stem for its sub-worlds; None for all.
    Returns: for each world and shard its "store", "world", "shard" and "commits": "commit", "committed_at"
      (UTC), "summary".
    Raises: StoreError; WorldNotFound names the worlds that there are.
    """
    found = []
    for place, info in chosen_worlds(url, world):
        store = open_store(place, read_only=True, public=public_of)
        try:
            for shard in range(info.birth.shards):
                commits = [
                    {"commit": one.sequence, "committed_at": one.committed_at, "summary": dict(one.summary)}
                    for one in store.history(info.birth.world, shard)
                ]
                found.append({"store": place, "world": info.birth.world, "shard": shard, "commits": commits})
        finally:
            store.close()
    return found


def keep_in(url: str, world: str, commits: int | None, hours: float | None) -> list[Report]:
    """Sets how many commits of worlds stay readable; what is gone does not come back.

    Args:
      url, world: as `history_of`.
      commits, hours: as Store.keep; None leaves one as it is.
    Returns: "store" and "world" of each that was set.
    Raises: StoreError; WorldBusy if somebody writes one of them.
    """
    if commits is None and hours is None:
        raise ValueError("Nothing to keep was given; add --commits, --hours, or both.")
    done = []
    for place, info in chosen_worlds(url, world):
        store = open_store(place, public=public_of)
        try:
            for shard in range(info.birth.shards):
                there = store.load(info.birth.world, shard).sequence
                lease = store.acquire(info.birth, shard, expected=there)
                store.keep(lease, commits=commits, hours=hours)
                store.release(lease)
        finally:
            store.close()
        done.append({"store": place, "world": info.birth.world})
    return done


def fork_world(url: str, world: str, to: str, name: str | None = None, at: str = "latest") -> Report:
    """Copies a world from one of its commits into a world of its own, which then goes its own way.

    Args:
      url, world: the world.
      to: URL of a file for the copy.
      name: of the copy; None is that of the world.
      at: as `agents.commits.commit_asked`.
    Returns: "store", "world", "parent" ("name@commit") and "people" of the copy.
    Raises: ValueError; StoreError; WorldNotFound, CommitNotFound, WorldExists; BadStoreURL for a copy that
      would end with this command.
    """
    asked = commit_asked(at)
    if read_url(to).scheme == "memory":
        raise BadStoreURL(
            f"A fork into {to!r} would end with this command; name a file, such as sqlite:///fork.db."
        )
    with World.open(url, world, mode="read", pin="latest") as reading:
        fork = reading.fork(to, world if name is None else name, at=asked)
    try:
        assert fork.birth is not None
        store = place_of(to, fork.name, write=False)
        return {
            "store": store,
            "world": fork.name,
            "parent": fork.birth.parent,
            "people": _people_of(store, fork.name),
        }
    finally:
        fork.close()


def _people_of(url: str, world: str) -> int:
    store = open_store(url, read_only=True, public=public_of)
    try:
        return len(store.load(world).users)
    finally:
        store.close()
