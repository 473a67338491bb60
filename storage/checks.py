"""The door: what a batch must be before a store looks at where it belongs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base import (
    PUBLIC_COLUMNS,
    STORE_STAMPED,
    Batch,
    Birth,
    Lease,
    Public,
    StoreError,
    default_id,
)
from storage.columns import PUBLIC_KINDS, check_event, event_kinds, stored, stored_scalar
from storage.names import EVENT_TABLES, checked_world, named_number
from storage.records import dtype_text

BROUGHT: tuple[str, ...] = tuple(name for name in PUBLIC_COLUMNS if name not in STORE_STAMPED)


@dataclass(frozen=True, slots=True)
class Events:
    """Event rows of one table as they were brought, every field a column of that kind."""

    kinds: Mapping[str, str]
    rows: NDArray[Any]

    def columns(self) -> list[list[Any]]:
        """The fields in stored values, in the order of `kinds`."""
        return [stored(name, kind, self.rows[name]) for name, kind in self.kinds.items()]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch that passed the door. Its arrays may still be the caller's own.

    Attributes:
      numbers: `[U]` int64, ascending; `users` are in the same order, contiguous.
      names: of those of `numbers` whom somebody named.
      archived: `[A]` int64.
    """

    world: str
    shard: int
    sequence: int
    dtype: str
    numbers: NDArray[np.int64]
    users: NDArray[Any]
    names: Mapping[int, str]
    archived: NDArray[np.int64]
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
    numbers, users = _users(batch)
    return Parcel(
        world=batch.world,
        shard=batch.shard,
        sequence=int(batch.sequence),
        dtype=dtype_text(batch.users.dtype),
        numbers=numbers,
        users=users,
        names=_names(batch.names, numbers),
        archived=_archived(batch),
        events=_events(batch),
        market=bytes(batch.market),
        summary=_summary(batch),
    )


def _users(batch: Batch) -> tuple[NDArray[np.int64], NDArray[Any]]:
    users = batch.users
    if users.ndim != 1 or "number" not in (users.dtype.names or ()):
        raise StoreError(
            f"The users of a batch are a structured array with a field 'number', not {users.dtype} of shape "
            f"{users.shape}."
        )
    numbers = _whole_numbers("number", users["number"])
    # As plain bytes, so that padding is copied too.
    octets = users.view(np.dtype((np.void, users.dtype.itemsize)))
    gaps = np.diff(numbers)
    if (gaps <= 0).any():
        order = np.argsort(numbers, kind="stable")
        numbers, octets = numbers[order], octets[order]
        gaps = np.diff(numbers)
    if len(numbers) and numbers[0] < 0:
        raise StoreError(f"User number {numbers[0]} is negative; numbers count from 0.")
    if (gaps == 0).any():
        twice = numbers[int(np.argmin(gaps))]
        raise StoreError(f"User {twice} is in the batch twice; bring the last state only.")
    return numbers, np.ascontiguousarray(octets).view(users.dtype)


def _whole_numbers(name: str, values: NDArray[Any]) -> NDArray[np.int64]:
    if values.dtype.kind == "O" or values.dtype.kind not in "iu":
        return np.array(stored(name, "integer", values), np.int64)
    check_event(name, "integer", values)
    return values.astype(np.int64)


def _names(given: Mapping[int, str], numbers: NDArray[np.int64]) -> dict[int, str]:
    if not given:
        return {}
    asked = np.fromiter(given, np.int64, len(given))
    there = asked[np.isin(asked, numbers)].tolist()
    names: dict[int, str] = {}
    for number in sorted(there):
        name = stored_scalar("user_id", "text", given[number])
        if not name:
            raise StoreError(
                f"User {number} has no user_id; leave users whom nobody named out of the batch's names."
            )
        if name == default_id(number):
            continue
        if named_number(name) is not None:
            raise StoreError(
                f"User {number} is called {name!r}, the default name of another user; choose another."
            )
        names[number] = name
    called = list(names.values())
    if len(called) != len(set(called)):
        twice = next(name for name in called if called.count(name) > 1)
        raise StoreError(f"Two users of the batch are called {twice!r}; a user_id belongs to one user.")
    return names


def _archived(batch: Batch) -> NDArray[np.int64]:
    archived = _whole_numbers("archived", np.asarray(batch.archived))
    if len(archived) != len(np.unique(archived)):
        raise StoreError("A user is archived twice in one batch; name each once.")
    return archived


def _events(batch: Batch) -> dict[str, Events]:
    events = {}
    for table in EVENT_TABLES:
        rows = getattr(batch, table)
        if len(rows) or rows.dtype.names:
            kinds = event_kinds(rows.dtype)
            for name, kind in kinds.items():
                check_event(f"{table}.{name}", kind, rows[name])
            events[table] = Events(kinds, rows)
    return events


def _summary(batch: Batch) -> str:
    try:
        return json.dumps(dict(batch.summary), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StoreError(f"The summary of a batch must be plain JSON: {error}.") from error


def public_values(
    public: Public, birth: Birth, users: NDArray[Any], numbers: Sequence[int], names: Mapping[int, str]
) -> list[list[Any]]:
    """The public columns of users in stored values, in the order of `BROUGHT`.

    Args:
      users, numbers: records `[U]` and their numbers.
      names: of those of them whom somebody named.
    Raises: StoreError if `public` brings something else than a row of public columns for each.
    """
    made = public(birth, users, names)
    missing = [name for name in BROUGHT if name not in made]
    extra = [name for name in made if name not in BROUGHT]
    if missing or extra:
        raise StoreError(
            "The public columns of users are " + ", ".join(BROUGHT) + "; "
            f"missing: {', '.join(missing) or 'none'}; not wanted: {', '.join(extra) or 'none'}."
        )
    columns = []
    for name in BROUGHT:
        values = stored(name, PUBLIC_KINDS[name], made[name])
        if len(values) != len(users):
            raise StoreError(f"Column {name!r} has {len(values)} values for {len(users)} users.")
        columns.append(values)
    called = [names.get(number) or default_id(number) for number in numbers]
    if columns[0] != called:
        wrong = next(k for k, name in enumerate(called) if columns[0][k] != name)
        raise StoreError(
            f"User {numbers[wrong]} is called {called[wrong]!r} in world {birth.world!r}, but its public row "
            f"says {columns[0][wrong]!r}; the column user_id is made of the names."
        )
    return columns


def checked_limit(limit: int | None) -> int | None:
    """How many rows at most. Raises StoreError for a negative number."""
    if limit is not None and limit < 0:
        raise StoreError(f"A limit of {limit} rows makes no sense; use None for all rows, or 0 and more.")
    return limit


def checked_keep(commits: int | None, hours: float | None) -> None:
    """Raises StoreError for a retention that makes no sense."""
    if commits is not None and (isinstance(commits, bool) or not isinstance(commits, int) or commits < 1):
        raise StoreError(
            f"A world keeps a whole number of commits, at least 1 (the last), and not {commits!r}."
        )
    usable = not isinstance(hours, bool) and isinstance(hours, int | float | None)
    if not usable or (hours is not None and not 0.0 <= hours < float("inf")):
        raise StoreError(f"A world keeps its commits for a number of hours from 0 on, and not {hours!r}.")


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
