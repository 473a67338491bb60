"""The past of worlds: which commits can be read, how many are kept, and worlds copied from one of them."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from agents.commits import commit_asked
from agents.inspect import chosen_worlds
from gaelp_env.world import World
from gaelp_env.world_public import public_of
from storage import open_store
from storage.base import BadStoreURL
from storage.shards import shard_url
from storage.siblings import all_worlds
from storage.urls import read_url
from storage.whole import whole_world

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
        name = info.birth.world
        with whole_world(place, info, public_of) as whole:
            for shard in whole.shards:
                commits = [
                    {"commit": one.sequence, "committed_at": one.committed_at, "summary": dict(one.summary)}
                    for one in whole.history(name, shard)
                ]
                home = shard_url(place, name, shard, info.birth.shards)
                found.append({"store": home, "world": name, "shard": shard, "commits": commits})
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
        for born in info.shards:
            home = shard_url(place, info.birth.world, born.shard, info.birth.shards)
            with closing(open_store(home, public=public_of)) as store:
                lease = store.acquire(info.birth, born.shard, expected=born.sequence)
                store.keep(lease, commits=commits, hours=hours)
                store.release(lease)
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
    fork.close()
    place, line = next(found for found in all_worlds(to) if found[1].birth.world == fork.name)
    with whole_world(place, line, public_of) as whole:
        people = sum(len(whole.load(fork.name, shard).users) for shard in whole.shards)
    return {"store": place, "world": fork.name, "parent": line.birth.parent, "people": people}
