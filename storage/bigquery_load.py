"""People out of a dataset: the base by the Storage Read API, and on top of it what is not in it yet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from storage import refusals
from storage.base import Snapshot, default_id
from storage.bigquery_client import Wire
from storage.bigquery_outbox import Outbox
from storage.bigquery_sql import BASE_MARKET, LIVING, NUMBERS, OF_WORLD, PEOPLE_OF
from storage.bigquery_stand import Stand, Stands, read_deltas
from storage.bigquery_tables import PEOPLE
from storage.bigquery_values import typed
from storage.deltas import Delta
from storage.names import named_number
from storage.records import dtype_from
from storage.sqlite_merge import Changes, Numbers, merged, octets_of, together
from storage.sqlite_roster import Roster

_NOBODY: Numbers = np.zeros(0, np.int64)
AT_ONCE = 10_000
"""So many numbers or names are asked for in one query."""


def found_world(stands: Stands, world: str, where: str) -> dict[int, Stand]:
    """The born shards of a world. Raises WorldNotFound."""
    shards = stands.of(world)
    if not shards:
        raise refusals.not_found(world, where, stands.born())
    return shards


def read_base(
    wire: Wire, world: str, shard: int, dtype: np.dtype[Any]
) -> tuple[Numbers, np.ndarray[Any, Any], dict[int, str]]:
    """The living people of a shard as of its base: numbers, records, names; only these columns are read."""
    found = wire.read(
        PEOPLE,
        ("number", "user_id", "record"),
        LIVING,
        {"world": world, "shard": shard},
    )
    numbers = found.column("number").to_numpy().astype(np.int64)
    flat = _flat(found.column("record"))
    if len(flat) != len(numbers) * dtype.itemsize:
        raise refusals.damaged_people(wire.where, world, shard)
    order = np.argsort(numbers, kind="stable")
    octets = flat.reshape(len(numbers), dtype.itemsize)[order]
    users = octets.reshape(-1).view(dtype)
    named = found.column("user_id").is_valid().to_numpy(zero_copy_only=False)
    places = np.flatnonzero(named)
    ids = found.column("user_id").take(places).to_pylist() if len(places) else []
    return numbers[order], users, dict(zip(numbers[places].tolist(), ids, strict=True))


def _flat(column: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bytes of a column of records, one after the other: no object is made for each."""
    parts = [np.zeros(0, np.uint8)]
    for chunk in column.chunks:
        _, offsets, values = chunk.buffers()
        ends = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        if len(chunk) and values is not None:
            parts.append(np.frombuffer(values, np.uint8)[ends[0] : ends[-1]])
    return np.concatenate(parts)


def load_shard(
    wire: Wire, outbox: Outbox, stands: Stands, world: str, shard: int, at: int | None
) -> Snapshot:
    """See Store.load."""
    shards = found_world(stands, world, wire.where)
    stand = shards.get(shard)
    if stand is None:
        raise refusals.no_shard(world, shard, wire.where)
    if at is not None:
        stand.check_commit(wire.where, at)
    upto = stand.sequence if at is None else at
    deltas = [d for d in read_deltas(wire, outbox, world, shards, shard) if d.sequence <= upto]
    dtype = deltas[0].users.dtype if deltas else dtype_from(stand.row["dtype"])
    numbers, users, names = _NOBODY, np.zeros(0, dtype), dict[int, str]()
    if stand.base >= 0:
        numbers, users, names = read_base(wire, world, shard, dtype)
    changes = together(deltas)
    if changes is not None:
        _, users = merged(numbers, users, changes.numbers, changes.users, changes.archived)
        names.update(changes.names)
    living = set(users["number"].tolist())
    if deltas:
        market, summary = deltas[-1].market, deltas[-1].summary
    else:
        found = wire.query(BASE_MARKET, {"world": world, "shard": shard})
        market, summary = found[0]["base_market"], stand.row["base_summary"]
    return Snapshot(
        stand.birth, shard, upto, users, {n: names[n] for n in sorted(living.intersection(names))}, market,
        json.loads(summary), upto < int(stand.row["erased_at"]),
    )  # fmt: skip


def read_roster(wire: Wire, world: str, shards: Mapping[int, Stand], deltas: Sequence[Delta]) -> Roster:
    """The people of a world as of its last commits."""
    living: dict[int, Numbers] = dict.fromkeys(shards, _NOBODY)
    gone = [_NOBODY]
    names: dict[int, str] = {}
    if any(stand.base >= 0 for stand in shards.values()):
        found = wire.read(PEOPLE, ("shard", "number", "user_id", "gone"), OF_WORLD, {"world": world})
        home = found.column("shard").to_numpy()
        numbers = found.column("number").to_numpy().astype(np.int64)
        left = found.column("gone").to_numpy(zero_copy_only=False).astype(np.bool_)
        for shard in living:
            living[shard] = np.sort(numbers[(home == shard) & ~left])
        gone.append(numbers[left])
        places = np.flatnonzero(found.column("user_id").is_valid().to_numpy(zero_copy_only=False))
        if len(places):
            names.update(
                zip(numbers[places].tolist(), found.column("user_id").take(places).to_pylist(), strict=True)
            )
    for delta in deltas:
        here = np.union1d(living.get(delta.shard, _NOBODY), delta.numbers)
        living[delta.shard] = here[~np.isin(here, delta.archived)]
        gone.append(delta.archived)
        names.update(delta.names)
    taken = {name: number for number, name in names.items()}
    return Roster(living, np.sort(np.concatenate(gone)), names, taken)


def people_at(
    wire: Wire, world: str, shards: Mapping[int, Stand], deltas: Sequence[Delta], concerned: Numbers
) -> tuple[list[Changes], dict[int, str]]:
    """Some people as of the commits up to which deltas are given, whatever the public tables say.

    Args:
      deltas: after the base, up to the commits that are wanted.
      concerned: numbers, ascending.
    Returns: those who were there, by shard, with who had left, and their names.
    """
    if not len(concerned):
        return [], {}
    base: dict[int, list[dict[str, Any]]] = {shard: [] for shard in shards}
    names: dict[int, str] = {}
    if any(stand.base >= 0 for stand in shards.values()):
        for start in range(0, len(concerned), AT_ONCE):
            asked = concerned[start : start + AT_ONCE].tolist()
            for row in wire.query(PEOPLE_OF, {"world": world, "numbers": typed("INT64", asked)}):
                if row["user_id"] is not None:
                    names[row["number"]] = row["user_id"]
                if row["record"] is not None and row["shard"] in base:
                    base[row["shard"]].append(row)
    found = []
    for shard, stand in shards.items():
        mine = [delta for delta in deltas if delta.shard == shard]
        for delta in mine:
            names.update(delta.names)
        rows = sorted(base[shard], key=lambda row: int(row["number"]))
        if not rows and not mine:
            continue
        dtype = mine[0].users.dtype if mine else dtype_from(stand.row["dtype"])
        start_numbers = np.array([row["number"] for row in rows], np.int64)
        users = np.frombuffer(bytearray().join(row["record"] for row in rows), dtype)
        created = np.array([row["created_us"] for row in rows], np.int64)
        updated = np.array([row["updated_us"] for row in rows], np.int64)
        first = Changes(start_numbers, users, created, updated, _NOBODY, _NOBODY, {})
        found.append(_after(first, together(mine), concerned))
    return found, names


def _after(first: Changes, then: Changes | None, concerned: Numbers) -> Changes:
    """People changed by commits: stamps of creation stay, the others are the newer ones."""
    if then is None:
        return first
    new = np.isin(then.numbers, concerned)
    numbers = then.numbers[new]
    records = octets_of(then.users)[new].reshape(-1).view(then.users.dtype)
    both, users = merged(first.numbers, first.users.copy(), numbers, records, _NOBODY)
    created, updated = np.zeros(len(both), np.int64), np.zeros(len(both), np.int64)
    place = np.searchsorted(both, numbers)
    created[place], updated[place] = then.created_us[new], then.updated_us[new]
    old = np.searchsorted(both, first.numbers)
    created[old] = first.created_us
    updated[old] = np.maximum(updated[old], first.updated_us)
    left = np.isin(then.archived, both)
    return Changes(both, users, created, updated, then.archived[left], then.archived_us[left], {})


def numbers_of(
    wire: Wire, outbox: Outbox, stands: Stands, world: str, user_ids: Sequence[str]
) -> dict[str, int]:
    """See Store.numbers."""
    shards = found_world(stands, world, wire.where)
    names: dict[int, str] = {}
    there: set[int] = set()
    if any(stand.base >= 0 for stand in shards.values()):
        for start in range(0, len(user_ids), AT_ONCE):
            part = list(user_ids[start : start + AT_ONCE])
            numbers = [number for name in part if (number := named_number(name)) is not None]
            values = {"world": world, "names": typed("STRING", part), "numbers": typed("INT64", numbers)}
            for row in wire.query(NUMBERS, values):
                there.add(row["number"])
                if row["user_id"] is not None:
                    names[row["number"]] = row["user_id"]
    for delta in read_deltas(wire, outbox, world, shards):
        names.update(delta.names)
        there.update(delta.numbers.tolist())
    taken = {name: number for number, name in names.items()}
    found = {name: taken.get(name, named_number(name)) for name in user_ids}
    return {
        name: number
        for name, number in found.items()
        if number is not None and number in there and names.get(number, default_id(number)) == name
    }


def check_known(roster: Roster, world: str, shard: int, numbers: Sequence[int]) -> None:
    """Raises StoreError for a number that was never a user of the shard."""
    here = roster.living.get(shard, _NOBODY)
    for number in numbers:
        if not (np.isin(number, here) or np.isin(number, roster.gone)):
            raise refusals.nobody(world, shard, number)
