"""Rows on their way into a dataset, as Arrow tables: commits in pieces, staged users and records, events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.base import Birth, Public, default_id
from storage.bigquery_entries import Entry
from storage.bigquery_tables import EVENT_KEYS, STAGED, deltas_table, people_table, users_table
from storage.checks import BROUGHT, public_values
from storage.columns import PUBLIC_KINDS
from storage.deltas import Delta
from storage.records import rows_of
from storage.sqlite_merge import Changes

if TYPE_CHECKING:
    import pyarrow as pa

PIECE_BYTES = 8 << 20
"""A row of a load may have 100 MB; a commit of a million people has more."""


def arrow_type(kind: str) -> Any:
    """The Arrow type of a type in SQL. JSON travels as text."""
    import pyarrow as pa

    types = {
        "INT64": pa.int64(), "FLOAT64": pa.float64(), "STRING": pa.string(), "JSON": pa.string(),
        "BYTES": pa.binary(), "BOOL": pa.bool_(), "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    return types[kind]


def table_of(columns: Mapping[str, str], values: Mapping[str, Any], count: int) -> pa.Table:
    """Columns of `count` values as a table; a column that is not given is NULL throughout."""
    import pyarrow as pa

    arrays = {}
    for name, kind in columns.items():
        given = values.get(name)
        if given is None:
            arrays[name] = pa.nulls(count, arrow_type(kind))
        elif isinstance(given, np.ndarray):
            arrays[name] = pa.array(given, arrow_type(kind))
        else:
            arrays[name] = pa.array(sql_values(kind, given), arrow_type(kind))
    return pa.table(arrays)


def sql_values(kind: str, values: Sequence[Any]) -> Any:
    """Stored values (see `columns`) as Arrow takes them."""
    if kind == "TIMESTAMP":
        return np.array(values, "M8[us]")
    if kind == "BOOL":
        return [None if value is None else bool(value) for value in values]
    return values


def pieces(entries: Iterable[Entry]) -> pa.Table:
    """Commits as rows of `gaelp_deltas`."""
    columns: dict[str, list[Any]] = {name: [] for name in deltas_table.columns}
    for one in entries:
        parts = [one.body[k : k + PIECE_BYTES] for k in range(0, len(one.body), PIECE_BYTES)]
        for k, part in enumerate(parts):
            row = (
                one.world, one.shard, one.epoch, one.sequence, one.stamp_us, one.fresh, one.summary, one.crc,
                k, len(parts), part,
            )  # fmt: skip
            for name, value in zip(columns, row, strict=True):
                columns[name].append(value)
    return table_of(deltas_table.columns, columns, len(columns["body"]))


def users_staged(public: Public, birth: Birth, changes: Changes, names: Mapping[int, str]) -> pa.Table:
    """Public rows of changes: whole ones, and, of those who only left, what changes in theirs."""
    import pyarrow as pa

    numbers = changes.numbers.tolist()
    named = {number: names[number] for number in numbers if number in names} if names else {}
    columns = dict(zip(BROUGHT, public_values(public, birth, changes.users, numbers, named), strict=True))
    updated = changes.updated_us.copy()
    left = np.isin(changes.numbers, changes.archived)
    if left.any():
        place = np.searchsorted(changes.archived, changes.numbers[left])
        updated[left] = changes.archived_us[place]
        flags = np.array([bool(flag) for flag in columns["is_active"]])
        flags[left] = False
        columns["is_active"] = flags.tolist()
    values: dict[str, Any] = {
        **columns,
        "created_at": changes.created_us.astype("M8[us]"),
        "updated_at": updated.astype("M8[us]"),
        "part": ["public"] * len(numbers),
        "only_left": np.zeros(len(numbers), np.bool_),
    }
    whole = table_of(STAGED, values, len(numbers))
    only = ~np.isin(changes.archived, changes.numbers)
    if not only.any():
        return whole
    ids = [names.get(number) or default_id(number) for number in changes.archived[only].tolist()]
    count = len(ids)
    partial: dict[str, Any] = {
        "part": ["public"] * count, "user_id": ids, "only_left": np.ones(count, np.bool_),
        "updated_at": changes.archived_us[only].astype("M8[us]"),
    }  # fmt: skip
    return pa.concat_tables([whole, table_of(STAGED, partial, count)])


def people_staged(changes: Changes, names: Mapping[int, str]) -> pa.Table:
    """Hidden records of changes; who has left goes without."""
    import pyarrow as pa

    left = np.isin(changes.numbers, changes.archived)
    records = [None if gone else row for gone, row in zip(left, rows_of(changes.users), strict=True)]
    values: dict[str, Any] = {
        "part": ["people"] * len(left), "number": changes.numbers,
        "name": [names.get(number) for number in changes.numbers.tolist()], "gone": left,
        "created_us": changes.created_us, "updated_us": changes.updated_us, "record": records,
    }  # fmt: skip
    place = np.searchsorted(changes.archived, changes.numbers[left])
    stamps = changes.updated_us.copy()
    stamps[left] = changes.archived_us[place]
    values["updated_us"] = stamps
    whole = table_of(STAGED, values, len(left))
    only = ~np.isin(changes.archived, changes.numbers)
    if not only.any():
        return whole
    numbers, count = changes.archived[only], int(only.sum())
    partial: dict[str, Any] = {
        "part": ["people"] * count, "number": numbers, "gone": np.ones(count, np.bool_),
        "name": [names.get(number) for number in numbers.tolist()],
        "created_us": changes.archived_us[only], "updated_us": changes.archived_us[only],
    }  # fmt: skip
    return pa.concat_tables([whole, table_of(STAGED, partial, count)])


def events_staged(
    table: str, deltas: Sequence[Delta], kinds: Mapping[str, str], columns: Mapping[str, str]
) -> Any:
    """Events of commits as rows of their table; None if there are none."""
    import pyarrow as pa

    parts = []
    for delta in deltas:
        events = delta.events.get(table)
        if events is None or not len(events.rows):
            continue
        count = len(events.rows)
        keys = (delta.world, delta.shard, delta.sequence, None, delta.stamp_us)
        values: dict[str, Any] = {
            name: [key] * count for name, key in zip(EVENT_KEYS, keys, strict=True) if key is not None
        }
        values["gaelp_place"] = np.arange(count)
        values |= dict(zip(kinds, events.columns(), strict=True))
        parts.append(table_of(columns, values, count))
    return pa.concat_tables(parts) if parts else None


def user_rows(rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Public rows in stored values, JSON as text."""
    columns = {name: [row[k] for row in rows] for k, name in enumerate(PUBLIC_KINDS)}
    return table_of(users_table("").columns, columns, len(rows))


def event_rows(
    world: str, shard: int, sequence: int, first: int, rows: Sequence[Sequence[Any]],
    kinds: Mapping[str, str], columns: Mapping[str, str],
) -> pa.Table:  # fmt: skip
    """Events in stored values that another store brings; they count as of one commit, from `first` on."""
    count = len(rows)
    values: dict[str, Any] = {name: [row[k] for row in rows] for k, name in enumerate(kinds)}
    keys = {"world": world, "gaelp_shard": shard, "gaelp_sequence": sequence, "gaelp_stamp_us": 0}
    values |= {name: [key] * count for name, key in keys.items()}
    values["gaelp_place"] = np.arange(first, first + count)
    return table_of(columns, values, count)


def people_rows(
    world: str, shard: int, numbers: Any, records: Sequence[bytes] | None, names: Mapping[int, str]
) -> pa.Table:
    """Rows of `gaelp_people` of people whom another store brings; without records they have left."""
    count = len(numbers)
    values: dict[str, Any] = {
        "world": [world] * count, "shard": [shard] * count, "number": numbers,
        "user_id": [names.get(number) for number in numbers.tolist()],
        "gone": np.full(count, records is None), "created_us": np.zeros(count, np.int64),
        "updated_us": np.zeros(count, np.int64), "record": records,
    }  # fmt: skip
    return table_of(people_table.columns, values, count)
