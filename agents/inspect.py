"""What a store holds, for people to look at: its worlds, the totals of their people, a user's journey.

Everything is read from one commit, the last by default (of a world of several shards the last one that all
have reached), through stores opened read-only; nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.commits import LATEST, as_of
from gaelp_env.config import CHANNELS
from gaelp_env.ledger import MICRO, RECORD
from gaelp_env.population import GONE, STAGES, fatigue_score
from gaelp_env.world_public import public_of
from gaelp_env.world_upgrade import present, readable
from storage.base import NotAStore, Snapshot, WorldInfo, WorldNotFound
from storage.names import named_number
from storage.shards import shard_url
from storage.siblings import all_worlds
from storage.urls import read_url
from storage.whole import WholeWorld, whole_world

Report = dict[str, Any]

NAMED_SHOWN = 20
"""How many of the users whom somebody named a world's report lists."""


def list_worlds(url: str) -> list[Report]:
    """The worlds of a store and of the files beside it, in the order of their birth.

    Returns: for each its name, store, commit, fingerprint of its configuration, parent, holder and summary.
    Raises: StoreError; WorldNotFound if there is none.
    """
    return [_line(place, info) for place, info in chosen_worlds(url, None)]


def inspect_world(url: str, world: str | None = None, at: str = LATEST) -> Report:
    """The totals of one world, of a stem's sub-worlds, or of all worlds of a store.

    Args:
      url: of the store.
      world: a world's name, a stem such as "demo" or "demo/*" for demo/0, demo/1 …; None for all.
      at: as of which commit, see `agents.commits.commit_asked`.
    Returns: {"store", "worlds": a report for each, "total": all of them together}, JSON-able. Means of
      scores are over the users in the market, as of each one's last visit; episodes_per_user is over all
      who were ever born.
    Raises: StoreError; WorldNotFound names the worlds that there are, CommitNotFound the commits.
    """
    reports = []
    for place, latest in chosen_worlds(url, world):
        with _reading(place, latest, at) as (whole, info):
            reports.append(_line(place, info) | _totals(whole, info))
    return {"store": url, "worlds": reports, "total": together(reports)}


def inspect_user(url: str, user_id: str, world: str | None = None, at: str = LATEST) -> Report:
    """A user's whole journey: state, time span, and every touchpoint and conversion on record.

    Args:
      url: of the store.
      user_id: as in `persistent_users`.
      world: as for `inspect_world`; needed if the user_id lives in more than one world.
      at: as for `inspect_world`.
    Returns: the user's state and "events", oldest first, JSON-able.
    Raises: StoreError; ValueError if no world, or more than one, has such a user.
    """
    chosen = chosen_worlds(url, world)
    homes = []
    for place, info in chosen:
        with _reading(place, info, at) as (whole, _):
            parts = enumerate(whole.parts())
            homes += [(place, info, number) for number, part in parts if part.knows(user_id)]
    names = [info.birth.world for _, info, _ in homes]
    if not homes:
        looked = ", ".join(info.birth.world for _, info in chosen)
        raise ValueError(
            f"There is no user {user_id!r} in {looked}. Users without a name of their own are called "
            "u000000000, u000000001 …; `gaelp inspect` lists the named ones."
        )
    if len(homes) > 1:
        raise ValueError(
            f"A user {user_id!r} lives in {len(names)} worlds ({_some(names)}); choose one with --world."
        )
    place, latest, number = homes[0]
    with _reading(place, latest, at) as (whole, info):
        return _journey(whole.parts()[number], place, info, user_id)


def together(reports: Sequence[Report]) -> Report:
    """Sums the totals of worlds, at least one; means of scores are weighted by their active users."""
    users, counts = _summed(reports, "users"), _summed(reports, "counts")
    ever = users["active"] + users["gone"]
    means = {
        name: sum(report["means"][name] * report["users"]["active"] for report in reports)
        / max(users["active"], 1)
        for name in ("awareness", "fatigue", "intent")
    }
    return {
        "worlds": len(reports),
        "episodes_finished": sum(report["episodes_finished"] for report in reports),
        "users": users,
        "stages": _summed(reports, "stages"),
        "means": means | {"episodes_per_user": counts["user_episodes"] / max(ever, 1)},
        "counts": counts,
        "logged": _summed(reports, "logged"),
    }


def _summed(reports: Sequence[Report], part: str) -> dict[str, Any]:
    return {name: sum(report[part][name] for report in reports) for name in reports[0][part]}


@contextmanager
def _reading(url: str, latest: WorldInfo, at: str) -> Iterator[tuple[WholeWorld, WorldInfo]]:
    with whole_world(url, latest, public_of) as whole:
        yield as_of(whole, latest, at)


def chosen_worlds(url: str, world: str | None) -> list[tuple[str, WorldInfo]]:
    """The worlds that are meant, and where each lives. Raises WorldNotFound."""
    found = all_worlds(url)
    if not found and read_url(url).scheme == "memory":
        raise WorldNotFound(
            f"There is no world in {url} here: worlds in memory end with the process that played them. "
            "Give the file of a store, such as sqlite:///gaelp.db."
        )
    if not found:
        raise WorldNotFound(f"There is no world in {url} yet; `gaelp train --store {url}` makes some.")
    if world is None:
        return found
    stem = world.removesuffix("/*")
    exact = [(place, info) for place, info in found if info.birth.world == world]
    below = [(place, info) for place, info in found if info.birth.world.startswith(f"{stem}/")]
    if not (exact or below):
        names = [info.birth.world for _, info in found]
        raise WorldNotFound(f"There is no world {world!r} in {url}; it holds {_some(names)}.")
    return exact or below


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:9]) + (f" and {len(names) - 9} more" if len(names) > 9 else "")


def _line(place: str, info: WorldInfo) -> Report:
    return {
        "world": info.birth.world,
        "store": place,
        "commit": info.sequence,
        "config": info.birth.fingerprint,
        "parent": info.birth.parent,
        "holder": info.holder,
        "shards": [_shard(place, info, number) for number in range(info.birth.shards)],
        "summary": dict(info.summary),
    }


def _shard(place: str, info: WorldInfo, number: int) -> Report:
    """Where a shard stands; no commit while it is not born."""
    born = next((each for each in info.shards if each.shard == number), None)
    return {
        "shard": number,
        "store": shard_url(place, info.birth.world, number, info.birth.shards),
        "commit": None if born is None else born.sequence,
        "holder": "" if born is None else born.holder,
    }


def _totals(whole: WholeWorld, info: WorldInfo) -> Report:
    name = info.birth.world
    snapshots = [whole.load(name, shard) for shard in whole.shards]
    commits = [_present(snapshot, whole.url) for snapshot in snapshots]
    records = [record for _, record in commits]
    people = np.concatenate([users for users, _ in commits])
    people = people[people["flags"] & GONE == 0]
    ever = whole.count(name, "persistent_users")
    stages = np.bincount(people["stage"], minlength=len(STAGES)).tolist()
    total = {field: sum(int(record[field]) for record in records) for field in _COUNTED}
    named = [line for snapshot in snapshots for line in _named(snapshot)]
    return {
        "clock": _clock(snapshots[0], int(records[0]["tick"])),
        "episodes_finished": sum(int(record["episode"]) for record in records),
        "users": {
            "active": len(people),
            "met": int((people["episodes"] > 0).sum()),
            "reached": int((people["touches"] > 0).sum()),
            "gone": ever - len(people),
        },
        "stages": dict(zip(STAGES, stages, strict=True)),
        "means": {
            "awareness": _mean(people["awareness"]),
            "fatigue": _mean(fatigue_score(people["fatigue"].astype(np.float64).sum(axis=1))),
            "intent": _mean(people["intent"]),
            "episodes_per_user": total["met"] / max(ever, 1),
        },
        "counts": {
            "user_episodes": total["met"],
            "touchpoints": total["touches"],
            "clicks": total["clicks"],
            "visits": total["visits"],
            "conversions": total["conversions"],
            "attributed": total["attributed"],
            "spend": total["spend_micro"] / MICRO,
            "margin": total["margin_micro"] / MICRO,
        },
        "logged": {table: whole.count(name, table) for table in ("touchpoints", "conversions", "episodes")},
        "named": sorted(named, key=lambda line: str(line["user_id"])),
    }


_COUNTED = ("met", "touches", "clicks", "visits", "conversions", "attributed", "spend_micro", "margin_micro")


def _mean(values: NDArray[Any]) -> float:
    return float(values.astype(np.float64).mean()) if len(values) else 0.0


def _present(snapshot: Snapshot, url: str) -> tuple[NDArray[Any], Any]:
    """The people and the market record of a commit, whichever release wrote it."""
    readable(snapshot.birth, url)
    try:
        users, record = present(snapshot)
    except ValueError as error:
        raise NotAStore(f"World {snapshot.birth.world!r} in {url} cannot be read. {error}") from error
    return users, np.frombuffer(record, RECORD)[0]


def _clock(snapshot: Snapshot, tick: int) -> Report:
    clock = json.loads(snapshot.birth.config)["clock"]
    hours = tick * float(clock["tick_minutes"]) / 60.0
    now = datetime.fromisoformat(clock["epoch"]) + timedelta(hours=hours)
    return {"tick": tick, "days": hours / 24.0, "now": now.isoformat(sep=" ", timespec="seconds")}


def _named(snapshot: Snapshot) -> Iterator[Report]:

    if not snapshot.names:
        return
    rows = snapshot.users[np.isin(snapshot.users["number"], list(snapshot.names))]
    for row in rows:
        yield {
            "user_id": snapshot.names[int(row["number"])],
            "stage": STAGES[int(row["stage"])],
            "awareness": float(row["awareness"]),
            "episodes": int(row["episodes"]),
            "touchpoints": int(row["touches"]),
            "conversions": int(row["conversions"]),
        }


def _journey(store: WholeWorld, place: str, info: WorldInfo, user_id: str) -> Report:
    name = info.birth.world
    row = next(iter(store.rows(name, "persistent_users", where={"user_id": user_id}, limit=1)))
    number, shard, record = _found(store, info, user_id)
    touches = _rows(store, name, "touchpoints", number)
    orders = _rows(store, name, "conversions", number)
    met = _rows_of_episodes(store, name, {event["episode"] for event in (*touches, *orders)})
    events = sorted([*map(_touch, touches), *map(_order, orders)], key=lambda event: str(event["at"]))
    span = _moment(row["last_seen"]) - _moment(row["first_seen"])
    return {
        "user_id": user_id,
        "canonical_user_id": row["canonical_user_id"],
        "world": name,
        "store": place,
        "commit": info.sequence,
        "shard": shard,
        "active": bool(row["is_active"]),
        "stage": row["current_journey_state"],
        "awareness": row["awareness_level"],
        "fatigue": row["fatigue_score"],
        "intent": row["intent_score"],
        "first_seen": row["first_seen"],
        "last_seen": row["last_seen"],
        "span_days": span.total_seconds() / 86_400.0,
        "episodes": row["episode_count"],
        "last_episode": row["last_episode"],
        "counts": _counts(record, touches, orders),
        "logged": {"touchpoints": len(touches), "conversions": len(orders)},
        "events": events,
        "episodes_with_events": met,
        "last_touches": json.loads(row["touchpoint_history"]),
        "last_orders": json.loads(row["conversion_history"]),
    }


def _found(store: WholeWorld, info: WorldInfo, user_id: str) -> tuple[int | None, int | None, Any]:
    """A user's number, shard and record; no shard and record if archived, no number if it is not known."""
    number = named_number(user_id)
    for shard in store.shards:
        snapshot = store.load(info.birth.world, shard)
        mine = next((key for key, value in snapshot.names.items() if value == user_id), number)
        if mine is None:
            continue
        rows = snapshot.users[snapshot.users["number"] == mine]
        if len(rows):
            return mine, shard, rows[0]
    return number, None, None


def _rows(store: WholeWorld, world: str, table: str, number: int | None) -> list[dict[str, Any]]:
    if number is None:
        return []
    return list(store.rows(world, table, where={"number": number}))


def _rows_of_episodes(store: WholeWorld, world: str, numbers: set[int]) -> list[Report]:
    """Episodes by number, asked for in one go: a store far away is slow to ask."""
    if not numbers:
        return []
    found: dict[int, Report] = {}
    for row in store.rows(world, "episodes"):
        if row["episode"] in numbers:
            line = {key: row[key] for key in ("episode", "label", "started", "ended")}
            found.setdefault(row["episode"], line)
    return [found[number] for number in sorted(found)]


def _counts(record: Any, touches: Sequence[Mapping[str, Any]], orders: Sequence[Mapping[str, Any]]) -> Report:
    if record is None:
        clicks = sum(bool(touch["clicked"]) for touch in touches)
        return {"touchpoints": len(touches), "clicks": clicks, "visits": None, "conversions": len(orders)}
    return {
        "touchpoints": int(record["touches"]),
        "clicks": int(record["clicks"]),
        "visits": int(record["visits"]),
        "conversions": int(record["conversions"]),
    }


def _touch(row: Mapping[str, Any]) -> Report:

    return {
        "kind": "touchpoint",
        "at": row["at"],
        "episode": row["episode"],
        "channel": CHANNELS[row["channel"]],
        "ours": bool(row["own"]),
        "clicked": bool(row["clicked"]),
        "price": row["price_micro"] / MICRO,
    }


def _order(row: Mapping[str, Any]) -> Report:

    credited = row["attributed_channel"]
    return {
        "kind": "conversion",
        "at": row["at"],
        "episode": row["episode"],
        "decided": row["decided"],
        "value": row["value_micro"] / MICRO,
        "margin": row["margin_micro"] / MICRO,
        "attributed": CHANNELS[credited] if credited >= 0 else None,
    }


def _moment(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))
