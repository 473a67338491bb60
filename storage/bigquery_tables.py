"""The tables of a dataset: their columns, how they are partitioned and clustered, and whether they are so.

`persistent_users` is for everybody: the 15 public columns and nothing else. Tables whose names begin with
`gaelp_` are the store's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage.base import NotAStore
from storage.columns import PUBLIC_KINDS
from storage.names import EVENT_TABLES

FORMAT = 1
"""Of the tables; a dataset of a newer one is refused."""
WORLDS = "gaelp_worlds"
DELTAS = "gaelp_deltas"
PEOPLE = "gaelp_people"
ANCHOR = ""
"""The world of the one row of `gaelp_worlds` that every lease writes to, so that two of them cannot pass."""

SQL_TYPES = {"integer": "INT64", "real": "FLOAT64", "text": "STRING", "time": "TIMESTAMP", "flag": "BOOL"}
"""Kind of a column -> its type in SQL."""
JSON_COLUMNS = ("touchpoint_history", "conversion_history")
_ALSO = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


@dataclass(frozen=True, slots=True)
class Table:
    """What a table must be.

    Attributes:
      columns: name -> type in SQL, in order.
      required: columns that are never NULL.
      by_day: the TIMESTAMP column by whose day it is partitioned; "" if it is not.
      clustered: the columns that it is clustered by.
    """

    name: str
    columns: Mapping[str, str]
    required: Sequence[str] = ()
    by_day: str = ""
    clustered: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What a table is.

    Attributes:
      partitioned: "DAY last_seen", or "" if it is not.
    """

    columns: Mapping[str, str]
    partitioned: str
    clustered: Sequence[str]


def users_table(name: str) -> Table:
    """The table of public rows: PARTITION BY DATE(last_seen) CLUSTER BY canonical_user_id, is_active."""
    columns = {column: SQL_TYPES[kind] for column, kind in PUBLIC_KINDS.items()}
    columns |= dict.fromkeys(JSON_COLUMNS, "JSON")
    required = ("user_id", "created_at", "updated_at")
    return Table(name, columns, required, "last_seen", ("canonical_user_id", "is_active"))


EVENT_KEYS = {
    "world": "STRING", "gaelp_shard": "INT64", "gaelp_sequence": "INT64", "gaelp_place": "INT64",
    "gaelp_stamp_us": "INT64",
}  # fmt: skip
"""Columns of an event table beside the fields: world, shard, commit and place in it name an event for ever;
then the stamp of the commit."""


def event_table(name: str, kinds: Mapping[str, str]) -> Table:
    """The table of events of all worlds, partitioned by the day of their moment (their first time)."""
    columns = EVENT_KEYS | {field: SQL_TYPES[kind] for field, kind in kinds.items()}
    moment = next((field for field, kind in kinds.items() if kind == "time"), "")
    clustered = ("world", "number") if "number" in kinds else ("world",)
    return Table(name, columns, tuple(EVENT_KEYS), moment, clustered)


worlds_table = Table(
    WORLDS,
    {
        "world": "STRING", "shard": "INT64", "format": "INT64", "kinds": "STRING",
        "config": "STRING", "fingerprint": "STRING", "schema": "INT64", "shards": "INT64", "parent": "STRING",
        "arrival": "STRING",
        "born_us": "INT64", "users_table": "STRING", "dtype": "STRING", "folded": "INT64",
        "base_sequence": "INT64", "base_stamp_us": "INT64", "base_market": "BYTES", "base_summary": "STRING",
        "keep_commits": "INT64", "keep_hours": "FLOAT64", "erased_at": "INT64", "version": "INT64",
        "lease_epoch": "INT64", "lease_settled": "INT64", "lease_from": "INT64", "lease_token": "STRING",
        "lease_host": "STRING", "lease_boot": "STRING", "lease_space": "STRING", "lease_pid": "INT64",
        "lease_started": "STRING", "lease_since_us": "INT64", "lease_heard_us": "INT64",
    },
    ("world", "shard"),
    clustered=("world", "shard"),
)  # fmt: skip
"""A row for each world and shard: its birth, where its base stands, what it keeps, and its lease.

`folded` is the commit that the public tables are of, `base_sequence` the one that `gaelp_people` is of.
`lease_settled` is the last epoch of which it is known with which commit it began (`lease_from`): a delta
is of the world if it is of that epoch, or not later than that commit. `version` changes with every fold.
"""
deltas_table = Table(
    DELTAS,
    {
        "world": "STRING", "shard": "INT64", "epoch": "INT64", "sequence": "INT64", "stamp_us": "INT64",
        "fresh": "INT64", "summary": "STRING", "crc": "INT64", "piece": "INT64", "pieces": "INT64",
        "body": "BYTES",
    },
    ("world", "shard", "epoch", "sequence", "piece"),
    clustered=("world", "shard", "sequence"),
)  # fmt: skip
"""A row for each piece of a commit that is not in the base yet; see `deltas` for what a body is."""
people_table = Table(
    PEOPLE,
    {
        "world": "STRING", "shard": "INT64", "number": "INT64", "user_id": "STRING", "gone": "BOOL",
        "created_us": "INT64", "updated_us": "INT64", "record": "BYTES",
    },
    ("world", "shard", "number", "gone"),
    clustered=("world", "shard", "number"),
)  # fmt: skip
"""The hidden records as of the base. `user_id` is NULL for who has the default one; who is gone has no
record."""

STAGED: dict[str, str] = {
    "part": "STRING",
    **{name: "STRING" if name in JSON_COLUMNS else kind for name, kind in users_table("").columns.items()},
    "only_left": "BOOL", "number": "INT64", "name": "STRING", "gone": "BOOL", "created_us": "INT64",
    "updated_us": "INT64", "record": "BYTES",
}  # fmt: skip
"""Columns of the staging table of a fold: rows of part "public" go to the users, of part "people"
to the records."""


def create(table: Table) -> str:
    """CREATE TABLE IF NOT EXISTS."""
    columns = ", ".join(
        f"`{name}` {kind}{' NOT NULL' if name in table.required else ''}"
        for name, kind in table.columns.items()
    )
    by_day = f" PARTITION BY DATE(`{table.by_day}`)" if table.by_day else ""
    clustered = f" CLUSTER BY {', '.join(f'`{name}`' for name in table.clustered)}" if table.clustered else ""
    return f"CREATE TABLE IF NOT EXISTS `{table.name}` ({columns}){by_day}{clustered}"


def found_of(table: object) -> Found:
    """What google's client says of a table, in our words."""
    schema = getattr(table, "schema", ())
    part = getattr(table, "time_partitioning", None)
    return Found(
        {field.name: _ALSO.get(field.field_type, field.field_type) for field in schema},
        f"{part.type_} {part.field or '_PARTITIONTIME'}" if part is not None else "",
        tuple(getattr(table, "clustering_fields", None) or ()),
    )


def check(where: str, table: Table, found: Found) -> None:
    """Raises NotAStore, naming every difference, unless a table is what it must be."""
    wrong = []
    missing = [f"{name} {kind}" for name, kind in table.columns.items() if name not in found.columns]
    extra = [name for name in found.columns if name not in table.columns]
    other = [
        f"{name} is {found.columns[name]} where {kind} is needed"
        for name, kind in table.columns.items()
        if found.columns.get(name, kind) != kind
    ]
    if missing:
        wrong.append(f"it lacks {', '.join(missing)}")
    if extra:
        wrong.append(f"it also has {', '.join(extra)}")
    wrong += other
    wanted = f"DAY {table.by_day}" if table.by_day else ""
    if found.partitioned != wanted:
        wrong.append(
            f"it is partitioned by {found.partitioned or 'nothing'} where {wanted or 'nothing'} is needed"
        )
    if tuple(found.clustered) != tuple(table.clustered):
        by = ", ".join(found.clustered) or "nothing"
        wrong.append(f"it is clustered by {by} where {', '.join(table.clustered) or 'nothing'} is needed")
    if wrong:
        raise NotAStore(
            f"The table {table.name} in {where} is not as a store needs it: {'; '.join(wrong)}. Use another "
            "dataset, or adopt the table with `gaelp adopt`."
        )


def is_public(name: str) -> bool:
    """Whether a table is for everybody to read."""
    return name in EVENT_TABLES or name == "persistent_users" or name.startswith("persistent_users__")
