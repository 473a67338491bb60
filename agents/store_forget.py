"""Forgetting a person: what is found, what is erased, and what remains where and until when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.store_moves import chosen_worlds, homes_of
from gaelp_env.world import World
from gaelp_env.world_identities import identities_of
from gaelp_env.world_public import public_of
from gaelp_env.world_shards import Share
from storage.base import WorldInfo
from storage.names import named_number
from storage.siblings import all_worlds
from storage.whole import WholeWorld, whole_world

_EVENTS = ("touchpoints", "conversions")


def forget_user(url: str, user_id: str, world: str, *, accept: bool) -> dict[str, Any]:
    """Erases a person from a world, or says what an erasure would find.

    Args:
      url: of the store.
      user_id: of any identity of the person.
      accept: do it; else nothing is written.
    Returns: {"user_id", "world", "store", "identities": user_id -> number, "found": what -> how many,
      "done", "searched", "erased": what -> how many, "remains": sentences}, JSON-able.
    Raises: WorldNotFound; WorldBusy if somebody writes the world; ValueError if there is no such person and
      nothing was to be finished.
    """
    ((place, line),) = chosen_worlds(url, world)
    with whole_world(place, line, public_of) as whole:
        who = identities_of(whole, world, user_id)
        found = _counted(whole, world, who)
        labels = _labels(whole, world, who)
    if not who and not accept:
        raise ValueError(
            f"There is no user {user_id!r} in world {world!r}; nothing was erased. `gaelp inspect` lists the "
            "named ones. If an erasure of that name was broken off, add --yes to finish it."
        )
    remains = _elsewhere(url, world, who) + labels
    report = {
        "user_id": user_id, "world": world, "store": place, "found": found, "done": accept,
        "identities": {name: number for number, name in who.items()},
    }  # fmt: skip
    if not accept:
        return report | {"searched": list(found), "erased": {}, "remains": remains + _beyond(who)}
    erasures = []
    shards = [shard for shard in homes_of(place, line) if not who or _lives_in(shard, line, who)]
    for shard in shards:
        writing = World.open(url, world, shard=shard)
        try:
            erasures.append(writing.forget(user_id, *who.values()))
        finally:
            writing.close()
    told = {sentence: None for erasure in erasures for sentence in erasure.remains}
    return report | {
        "searched": list(erasures[0].searched),
        "erased": {what: sum(one.erased[what] for one in erasures) for what in erasures[0].erased},
        "remains": [*told, *remains, *_beyond(who)],
    }


def _lives_in(shard: int, line: WorldInfo, who: Mapping[int, str]) -> bool:
    share = Share(shard, line.birth.shards)
    return any(share.has_number(number) for number in who)


def _counted(store: WholeWorld, world: str, who: Mapping[int, str]) -> dict[str, int]:
    found = {"persistent_users": 0, **dict.fromkeys(_EVENTS, 0)}
    for number, name in who.items():
        found["persistent_users"] += len(list(store.rows(world, "persistent_users", where={"user_id": name})))
        for table in _EVENTS:
            found[table] += len(list(store.rows(world, table, where={"number": number})))
    return found


def _labels(store: WholeWorld, world: str, who: Mapping[int, str]) -> list[str]:
    """A sentence if names of episodes, which are the caller's own words, hold a name of the person."""
    given = [name for name in who.values() if named_number(name) is None]
    labels = [str(row["label"]) for row in store.rows(world, "episodes")] if given else []
    hits = sum(any(name in label for name in given) for label in labels)
    if not hits:
        return []
    return [f"{hits} episodes of the world are labelled with the name; labels are your own words, and stay."]


def _elsewhere(url: str, world: str, who: Mapping[int, str]) -> list[str]:
    """Sentences about the worlds of the same store, and of the files beside it, that hold the person too."""
    found = all_worlds(url)
    forks = _forks({line.birth.world: line.birth.parent for _, line in found}, world)
    sentences = []
    for place, line in found:
        birth = line.birth
        if birth.world == world:
            continue
        # Who has no name of their own is somebody else in a world that is no fork.
        asked = [name for name in who.values() if birth.world in forks or named_number(name) is None]
        with whole_world(place, line, public_of) as whole:
            rows = [name for name in asked if whole.knows(name)]
        if rows:
            what = f"is a fork ({birth.parent})" if birth.world in forks else "has a user of that name"
            sentences.append(
                f"World {birth.world!r} in {place} {what} and holds {', '.join(rows)} for as long as it is "
                f"kept: run `gaelp forget {rows[0]} --store {place} --world {birth.world}`."
            )
    return sentences


def _forks(parents: Mapping[str, str], world: str) -> set[str]:
    """The worlds that come from a world, by one fork or by several."""
    found: set[str] = set()
    while True:
        known = {world, *found}
        more = {name for name, parent in parents.items() if parent.rpartition("@")[0] in known} - known
        if not more:
            return found
        found |= more


def _beyond(who: Mapping[int, str]) -> list[str]:
    numbers = ", ".join(str(number) for number in who) or "none"
    return [
        f"The number alone stays ({numbers}), for as long as the world is kept, so that nobody is born with "
        "it again; and totals in which nobody can be told apart (market record, episodes).",
        "Copies, exports, forks in other stores, backups, and what the disk itself keeps are not seen from "
        "here: delete them, or forget the person there.",
        "A process that reads the world keeps what it has read until its next reset.",
    ]
