"""Reads worlds from their store as private copies, and says how their people stand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.commits import LATEST, first_or_number
from agents.evaluate_play import Commit
from agents.manifest import part_of
from gaelp_env.config import MarketConfig
from gaelp_env.market import Market
from gaelp_env.world import World
from gaelp_env.world_shards import Share
from gaelp_env.world_words import config_of, totals_of
from storage.base import WorldNotFound
from storage.siblings import all_worlds

COUNTS = (
    "people",
    "people_ever",
    "met",
    "reached",
    "touchpoints",
    "clicks",
    "visits",
    "conversions",
    "attributed",
    "spend",
    "margin",
)
MEANS = ("mean_awareness", "mean_fatigue", "mean_intent")


def read_world(
    store: str, world: str, at: str = LATEST, shard: int | None = None
) -> tuple[MarketConfig, Commit]:
    """The configuration of a world, or of one of its shards, and a private copy of a commit of it.

    Args:
      at: as `agents.commits.commit_asked`.
    Raises: WorldNotFound, CommitNotFound.
    """
    pin = LATEST if at == LATEST else first_or_number(store, world, at)
    with World.open(store, world, mode="read", pin=pin, shard=shard) as reading:
        reading.reset()
        market = reading.playing()
        users = market.population.rows(slice(None))
        share = Share(reading.shard or 0, reading.shards or 1)
        name = world if share.shards == 1 else f"{world} (shard {share.shard})"
        return market.config, Commit(name, reading.sequence, users, market.record_bytes(), share)


def commits_of(store: str, worlds: Sequence[str], at: str = LATEST) -> list[Commit]:
    """Private copies of the worlds as of a commit of each, their last ones by default; one for each shard of
    a world of several."""
    return [
        read_world(store, world, at, shard if shards > 1 else None)[1]
        for world in worlds
        for shards in (shards_of(store, [world]),)
        for shard in range(shards)
    ]


def shards_of(store: str, worlds: Sequence[str]) -> int:
    """How many shards some worlds have; 1 unless all of them have the same number of several."""
    found = {line.birth.shards for _, line in all_worlds(store) if line.birth.world in worlds}
    return found.pop() if len(found) == 1 else 1


def standing(store: str, worlds: Sequence[str]) -> dict[str, int]:
    """World -> sequence of its last commit, for those of the worlds that exist."""
    there = {line.birth.world: line.sequence for _, line in all_worlds(store)}
    return {world: there[world] for world in worlds if world in there}


def worlds_named(store: str, world: str) -> list[str]:
    """The world of that name, or else all sub-worlds of that stem, "demo" or "demo/*".

    Raises: WorldNotFound, naming the worlds that there are.
    """
    there = [line.birth.world for _, line in all_worlds(store)]
    below = f"{world.removesuffix('/*')}/"
    found = [world] if world in there else [name for name in there if name.startswith(below)]
    if not found:
        known = (
            f"its worlds are {', '.join(there)}" if there else "it has no worlds yet; gaelp train begins some"
        )
        raise WorldNotFound(f"There is no world {world!r} in {store}: {known}.")
    return found


def config_of_worlds(store: str, worlds: Sequence[str], asked: MarketConfig | None) -> MarketConfig:
    """The configuration that worlds have or will be born with.

    Args:
      asked: what the user asked for; None takes that of the worlds that exist, or the defaults.
    Raises: ConfigError if a world that exists has another one.
    """
    births = {line.birth.world: (url, line.birth) for url, line in all_worlds(store)}
    for world in worlds:
        if world in births:
            url, birth = births[world]
            asked = config_of(birth, asked, url)
    return asked or MarketConfig()


def population_of(config: MarketConfig, commits: Sequence[Commit]) -> dict[str, Any]:
    """How the people of several worlds stand together, as of last visits.

    Counts are sums over the worlds; scores are means over people; the clock is the latest.
    """
    totals = [
        totals_of(
            Market.restored(commit.share.of(config), commit.users, commit.record), commit.share.first_number
        )
        for commit in commits
    ]
    people = sum(each["people"] for each in totals)
    together: dict[str, Any] = {name: sum(each[name] for each in totals) for name in COUNTS}
    for name in MEANS:
        together[name] = sum(each[name] * each["people"] for each in totals) / max(1, people)
    together["stages"] = {
        stage: sum(each["stages"][stage] for each in totals) for stage in totals[0]["stages"]
    }
    together["episodes"] = sum(each["episodes"] for each in totals)
    together["episodes_per_user"] = together["met"] / max(1, together["people_ever"])
    together["clock"] = max(each["clock"] for each in totals)
    together["commits"] = {commit.world: commit.sequence for commit in commits}
    return together


def write_commits(path: Path, commits: Sequence[Commit]) -> None:
    """Keeps private copies in a file, whole or not at all."""
    arrays: dict[str, Any] = {
        "worlds": np.array(
            [
                [commit.world, str(commit.sequence), str(commit.share.shard), str(commit.share.shards)]
                for commit in commits
            ]
        )
    }
    for place, commit in enumerate(commits):
        arrays[f"users_{place}"] = commit.users
        arrays[f"record_{place}"] = np.frombuffer(commit.record, np.uint8)
    with part_of(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
        stream.flush()
        os.fsync(stream.fileno())


def read_commits(path: Path) -> list[Commit]:
    """Reads what `write_commits` wrote. Raises ValueError if the file is not there."""
    if not path.exists():
        raise ValueError(
            f"{path}, the worlds as they were before this run began, is gone; begin anew with --no-resume."
        )
    with np.load(path) as arrays:
        return [
            Commit(
                str(world),
                int(sequence),
                arrays[f"users_{place}"],
                arrays[f"record_{place}"].tobytes(),
                Share(*map(int, share)),
            )
            for place, (world, sequence, *share) in enumerate(arrays["worlds"])
        ]
