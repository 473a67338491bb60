"""The door: what a batch must be before a store looks at where it belongs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from storage.base import PUBLIC_COLUMNS, STORE_STAMPED, Batch, Birth, Lease, StoreError, default_id
from storage.columns import PUBLIC_KINDS, event_kinds, stored
from storage.names import EVENT_TABLES, checked_world, named_number
from storage.records import dtype_text, rows_of

BROUGHT: tuple[str, ...] = tuple(name for name in PUBLIC_COLUMNS if name not in STORE_STAMPED)
_USER_ID = PUBLIC_COLUMNS.index("user_id")


@dataclass(frozen=True, slots=True)
class Events:
    """Event rows of one table in stored values: kinds and columns are in the same order."""

    kinds: Mapping[str, str]
    columns: Sequence[list[Any]]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch that passed the door, in plain stored values, users sorted by number.

    Attributes:
      numbers, rows, names: of each changed user; a name is None where it is the default one.
      public: columns in the order of `BROUGHT`, each of the same length as `numbers`.
    """

    world: str
    shard: int
    sequence: int
    dtype: str
    numbers: list[int]
    rows: list[bytes]
    names: list[str | None]
    public: Sequence[list[Any]]
    archived: list[int]
    events: Mapping[str, Events]
    market: bytes
    summary: str


def checked_birth(birth: Birth, shard: int) -> None:
    """Raises BadWorldName or StoreError if a world cannot be born so."""
    checked_world(birth.world)
    if not 0 <= shard < birth.shards:
        raise StoreError(
            f"World {birth.world!r} has shards 0 to {birth.shards - 1}; there is no shard {shard}."
        )


def checked_batch(lease: Lease, batch: Batch) -> Parcel:
    """Reads a batch. Raises StoreError with a sentence about the first thing that is wrong."""
    if (lease.world, lease.shard) != (batch.world, batch.shard):
        raise StoreError(
            f"The batch is for shard {batch.shard} of world {batch.world!r}, but the lease for shard "
            f"{lease.shard} of {lease.world!r}; commit each batch under its own lease."
        )
    order, numbers = _numbers(batch)
    public = _public(batch, order)
    return Parcel(
        world=batch.world,
        shard=batch.shard,
        sequence=int(batch.sequence),
        dtype=dtype_text(batch.users.dtype),
        numbers=numbers,
        rows=rows_of(batch.users[order]),
        names=_names(numbers, public[_USER_ID]),
        public=public,
        archived=_archived(batch),
        events=_events(batch),
        market=bytes(batch.market),
        summary=_summary(batch),
    )


def _numbers(batch: Batch) -> tuple[Any, list[int]]:
    users = batch.users
    if users.ndim != 1 or "number" not in (users.dtype.names or ()):
        raise StoreError(
            f"The users of a batch are a one-dimensional structured array with a field 'number', not "
            f"{users.dtype} of shape {users.shape}."
        )
    order = np.argsort(users["number"], kind="stable")
    numbers = stored("number", "integer", users["number"][order])
    if numbers and numbers[0] < 0:
        raise StoreError(f"User number {numbers[0]} is negative; numbers count from 0.")
    for before, after in itertools.pairwise(numbers):
        if before == after:
            raise StoreError(f"User {before} is in the batch twice; bring the last state only.")
    return order, numbers


def _public(batch: Batch, order: Any) -> list[list[Any]]:
    missing = [name for name in BROUGHT if name not in batch.public]
    extra = [name for name in batch.public if name not in BROUGHT]
    if missing or extra:
        raise StoreError(
            "The public columns of a batch are " + ", ".join(BROUGHT) + "; "
            f"missing: {', '.join(missing) or 'none'}; not wanted: {', '.join(extra) or 'none'}."
        )
    places = order.tolist()
    columns = []
    for name in BROUGHT:
        values = stored(name, PUBLIC_KINDS[name], batch.public[name])
        if len(values) != len(places):
            raise StoreError(f"Column {name!r} has {len(values)} values for {len(places)} users.")
        columns.append([values[place] for place in places])
    return columns


def _names(numbers: list[int], user_ids: list[Any]) -> list[str | None]:
    names: list[str | None] = []
    for number, user_id in zip(numbers, user_ids, strict=True):
        if user_id == default_id(number):
            names.append(None)
            continue
        if not user_id:
            raise StoreError(
                f"User {number} has no user_id; use default_id(number) for a user whom nobody named."
            )
        if named_number(user_id) is not None:
            raise StoreError(
                f"User {number} is called {user_id!r}, the default name of another user; choose another."
            )
        names.append(user_id)
    given = [name for name in names if name is not None]
    if len(given) != len(set(given)):
        twice = next(name for name in given if given.count(name) > 1)
        raise StoreError(f"Two users of the batch are called {twice!r}; a user_id belongs to one user.")
    return names


def _archived(batch: Batch) -> list[int]:
    archived = stored("archived", "integer", np.asarray(batch.archived))
    if len(archived) != len(set(archived)):
        raise StoreError("A user is archived twice in one batch; name each once.")
    return archived


def _events(batch: Batch) -> dict[str, Events]:
    events = {}
    for table in EVENT_TABLES:
        rows = getattr(batch, table)
        if len(rows) or rows.dtype.names:
            kinds = event_kinds(rows.dtype)
            columns = [stored(f"{table}.{name}", kind, rows[name]) for name, kind in kinds.items()]
            events[table] = Events(kinds, columns)
    return events


def _summary(batch: Batch) -> str:
    try:
        return json.dumps(dict(batch.summary), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StoreError(f"The summary of a batch must be plain JSON: {error}.") from error


def checked_limit(limit: int | None) -> int | None:
    """How many rows at most. Raises StoreError for a negative number."""
    if limit is not None and limit < 0:
        raise StoreError(f"A limit of {limit} rows makes no sense; use None for all rows, or 0 and more.")
    return limit


def same_events(table: str, known: Mapping[str, str], brought: Mapping[str, str]) -> None:
    """Raises StoreError if a table's events changed their columns."""
    if list(known.items()) != list(brought.items()):
        raise StoreError(
            f"The events of {table} bring the columns {_listed(brought)}, but this store keeps "
            f"{_listed(known)}. "
            "Use another store for another format."
        )


def same_users(world: str, known: str | None, brought: str) -> None:
    """Raises StoreError if a world's user records changed their dtype."""
    if known is not None and known != brought:
        raise StoreError(
            f"The user records of world {world!r} are {brought}, but it was born with {known}. "
            "Fork it into a new world in the new format."
        )


def _listed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
