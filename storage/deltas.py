"""A commit of one shard as bytes, and read back: what the journals of all stores are written in.

A delta holds absolute values of what changed. Its checksum covers all of it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.checks import Events, Parcel
from storage.columns import event_kinds
from storage.names import EVENT_TABLES
from storage.records import dtype_from, dtype_text

HEAD = ("world", "shard", "sequence", "stamp_us", "fresh", "layout", "names", "summary")
"""Plain values of a delta, in the order in which the checksum takes them."""
PARTS = ("market", "archived", *EVENT_TABLES, "users")
"""Parts of a delta that are bytes, in that order, after the plain ones."""


@dataclass(frozen=True, slots=True)
class Delta:
    """One commit of one shard, as read back. Arrays share memory with nobody.

    Attributes:
      stamp_us: the commit's `updated_at`; deltas of one commit share it.
      fresh: how many of its users were new.
      names: of its users whom somebody named.
      numbers: of `users`, ascending, int64.
    """

    world: str
    shard: int
    sequence: int
    stamp_us: int
    fresh: int
    names: Mapping[int, str]
    summary: str
    market: bytes
    numbers: NDArray[np.int64]
    users: NDArray[Any]
    archived: NDArray[np.int64]
    events: Mapping[str, Events]


def encoded(parcel: Parcel, stamp_us: int, fresh: int) -> tuple[tuple[Any, ...], list[Any]]:
    """The values of HEAD and of PARTS of a commit."""
    tables = {table: dtype_text(events.rows.dtype) for table, events in parcel.events.items()}
    layout = json.dumps(tables | {"users": parcel.dtype})
    names = json.dumps({str(number): name for number, name in parcel.names.items()})
    head = (
        parcel.world, parcel.shard, parcel.sequence, stamp_us, fresh, layout, names, parcel.summary,
    )  # fmt: skip
    none = np.zeros(0, np.uint8)
    parts: list[Any] = [parcel.market, octets(parcel.archived.astype("<i8"))]
    parts += [octets(parcel.events[t].rows) if t in parcel.events else none for t in EVENT_TABLES]
    parts.append(octets(parcel.users))
    return head, parts


def decoded(head: Sequence[Any], parts: Sequence[Any]) -> Delta:
    """A commit from its values of HEAD and PARTS."""
    world, shard, sequence, stamp_us, fresh, layout, names, summary = head
    market, archived, *rest = parts
    layouts = json.loads(layout)
    records = np.frombuffer(bytearray(rest[len(EVENT_TABLES)]), dtype_from(layouts["users"]))
    events = {}
    for table, part in zip(EVENT_TABLES, rest, strict=False):
        if table in layouts:
            rows = np.frombuffer(part, dtype_from(layouts[table]))
            events[table] = Events(event_kinds(rows.dtype), rows)
    return Delta(
        world=world,
        shard=shard,
        sequence=sequence,
        stamp_us=stamp_us,
        fresh=fresh,
        names={int(number): name for number, name in json.loads(names).items()},
        summary=summary,
        market=market,
        numbers=records["number"].astype(np.int64),
        users=records,
        archived=np.frombuffer(archived, "<i8").astype(np.int64),
        events=events,
    )


def recoded(delta: Delta) -> tuple[tuple[Any, ...], list[Any]]:
    """The values of HEAD and PARTS of a commit that was read back, and perhaps changed since."""
    dtype = dtype_text(delta.users.dtype)
    parcel = Parcel(
        delta.world, delta.shard, delta.sequence, dtype, delta.numbers, delta.users, delta.names,
        delta.archived, delta.events, delta.market, delta.summary,
    )  # fmt: skip
    return encoded(parcel, delta.stamp_us, delta.fresh)


def in_one(head: Sequence[Any], parts: Sequence[Any]) -> bytes:
    """All values of a commit in one piece of bytes: the length of the first line, that line, the parts."""
    line = json.dumps([*head, [len(part) for part in parts]]).encode()
    return b"".join([len(line).to_bytes(8, "little"), line, *(bytes(part) for part in parts)])


def from_one(body: bytes) -> tuple[list[Any], list[bytes]]:
    """The values of HEAD and PARTS that `in_one` put together."""
    end = 8 + int.from_bytes(body[:8], "little")
    *head, lengths = json.loads(body[8:end])
    parts = []
    for length in lengths:
        parts.append(body[end : end + length])
        end += length
    return head, parts


def octets(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Records as bytes that databases and the checksum read without a copy, if the rows lie together."""
    return np.ascontiguousarray(rows).view(np.uint8)


def checksum(head: Sequence[Any], parts: Sequence[Any]) -> int:
    """Over plain values, and over parts as bytes with their lengths."""
    crc = zlib.crc32(json.dumps([*head, *(len(part) for part in parts)]).encode())
    for part in parts:
        crc = zlib.crc32(part, crc)
    return crc
