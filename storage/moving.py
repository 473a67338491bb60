"""A world on its way from one store to another: whole, in portions that fit in memory.

The order is: one `Head`, `People` by shard and number, `Left` by shard and number, then `Rows` table by
table. What is public travels as it stands in the public tables, so neither side needs to know how rows are
made of records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage import refusals
from storage.base import Birth, Lease
from storage.records import dtype_from, records_of, rows_of
from storage.retention import Retention

PEOPLE_AT_ONCE = 1 << 16
"""Users in a portion, at most."""
ROWS_AT_ONCE = 1 << 14
"""Public rows in a portion, at most."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a shard stands: its last commit, its stamp, the market record and the summary (JSON) as of it."""

    sequence: int
    market: bytes
    summary: str
    committed_us: int


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a world before its people come.

    Attributes:
      dtype: of the records, as `records.dtype_text` writes it.
      stands: shard -> where it stands, of the shards that this store has.
      kinds: public table -> column -> kind (see `columns`); of an event table that nothing was ever
        brought for, nothing.
      counts: public table -> rows.
      retention: of the world; earlier commits themselves do not travel.
      stamp_us: no commit of the store was stamped later, microseconds since 1970.
    """

    birth: Birth
    dtype: str
    stands: Mapping[int, Stand]
    kinds: Mapping[str, Mapping[str, str]]
    counts: Mapping[str, int]
    retention: Retention
    stamp_us: int


@dataclass(frozen=True, slots=True)
class People:
    """Living users of a shard.

    Attributes:
      users: records `[U]`, by number.
      names: number -> user_id of those whom somebody named.
    """

    shard: int
    users: NDArray[Any]
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Left:
    """Users of a shard who have left for good, were pruned, or were erased; their numbers stay taken.

    Attributes:
      numbers: `[A]` int64, ascending.
      names: as of `People`; an erased user has none.
    """

    shard: int
    numbers: NDArray[np.int64]
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a public table in stored values, columns in the order of `Head.kinds`: users by user_id, events
    in the order in which they were committed."""

    table: str
    rows: Sequence[tuple[Any, ...]]


Portion = Head | People | Left | Rows


class Digest:
    """A checksum of a world as its portions pass: equal for equal worlds, however they were cut up.

    Stamps of the store, the retention and the holder of the world are left out.
    """

    def __init__(self) -> None:
        self._head = b""
        self._sums: dict[str, Any] = {}

    def passing(self, portions: Iterable[Portion]) -> Iterator[Portion]:
        """Hands the portions on, and takes note of each."""
        for portion in portions:
            self.note(portion)
            yield portion

    def note(self, portion: Portion) -> None:
        """Takes note of one portion."""
        if isinstance(portion, Head):
            stands = [
                (s, portion.stands[s].sequence, portion.stands[s].summary) for s in sorted(portion.stands)
            ]
            self._head = repr((portion.birth, portion.dtype, stands, sorted(portion.counts.items()))).encode()
            for shard in sorted(portion.stands):
                self._sum("market").update(portion.stands[shard].market)
        elif isinstance(portion, People):
            self._sum(f"users {portion.shard}").update(np.ascontiguousarray(portion.users).view(np.uint8))
            self._names(portion.shard, portion.names)
        elif isinstance(portion, Left):
            self._sum(f"left {portion.shard}").update(portion.numbers.astype("<i8"))
            self._names(portion.shard, portion.names)
        else:
            self._sum(portion.table).update(
                "\n".join(map(repr, portion.rows)).encode() + b"\n" * bool(portion.rows)
            )

    def _names(self, shard: int, names: Mapping[int, str]) -> None:
        for number in sorted(names):
            self._sum(f"names {shard}").update(repr((number, names[number])).encode())

    def _sum(self, what: str) -> Any:
        return self._sums.setdefault(what, hashlib.sha256())

    def hexdigest(self) -> str:
        """SHA-256 over everything that passed, hexadecimal."""
        whole = hashlib.sha256(self._head)
        for what in sorted(self._sums):
            whole.update(what.encode() + self._sums[what].digest())
        return whole.hexdigest()


def chunks(count: int, at_once: int) -> Iterator[slice]:
    """Slices that cover `count` things in order, of `at_once` each."""
    return (slice(start, start + at_once) for start in range(0, count, at_once))


def beheaded(leases: Sequence[Lease], portions: Iterable[Portion]) -> tuple[Head, Iterator[Portion]]:
    """The head of a world and what follows. Raises StoreError unless the leases are those of its shards."""
    rest = iter(portions)
    head = next(rest, None)
    world = leases[0].world if leases else ""
    if not isinstance(head, Head):
        raise refusals.not_whole(world, "its portions do not begin with a head")
    if {(lease.world, lease.shard) for lease in leases} != {
        (head.birth.world, shard) for shard in head.stands
    }:
        raise refusals.not_whole(head.birth.world, f"it brings the shards {sorted(head.stands)}")
    return head, rest


@dataclass(slots=True)
class Gathered:
    """A world that was small enough to be put together again.

    Attributes:
      shard_of: number -> shard of everybody who ever was.
      living: number -> bytes of the record.
      names: number -> user_id of those whom somebody named.
      rows: public table -> rows.
    """

    head: Head
    shard_of: dict[int, int]
    living: dict[int, bytes]
    names: dict[int, str]
    rows: dict[str, list[tuple[Any, ...]]]


def gathered(head: Head, portions: Iterable[Portion]) -> Gathered:
    """Puts a world together in memory. Raises StoreError for portions that are none."""
    whole = Gathered(head, {}, {}, {}, {table: [] for table in head.kinds})
    for portion in portions:
        if isinstance(portion, Rows):
            whole.rows[portion.table].extend(portion.rows)
        elif isinstance(portion, People | Left):
            if isinstance(portion, People):
                numbers = portion.users["number"].tolist()
                whole.living.update(zip(numbers, rows_of(portion.users), strict=True))
            else:
                numbers = portion.numbers.tolist()
            whole.shard_of.update(dict.fromkeys(numbers, portion.shard))
            whole.names.update(portion.names)
        else:
            raise refusals.not_whole(head.birth.world, "it has two heads")
    return whole


def portions_of(whole: Gathered) -> Iterator[Portion]:
    """A world in memory as it travels."""
    yield whole.head
    dtype = dtype_from(whole.head.dtype)
    for kind in (People, Left):
        for shard in sorted(whole.head.stands):
            found = sorted(
                number
                for number, home in whole.shard_of.items()
                if home == shard and (number in whole.living) == (kind is People)
            )
            for part in chunks(len(found), PEOPLE_AT_ONCE):
                numbers = found[part]
                names = {number: whole.names[number] for number in numbers if number in whole.names}
                if kind is People:
                    yield People(shard, records_of([whole.living[n] for n in numbers], dtype), names)
                else:
                    yield Left(shard, np.array(numbers, np.int64), names)
    for table, rows in whole.rows.items():
        for part in chunks(len(rows), ROWS_AT_ONCE):
            yield Rows(table, rows[part])
