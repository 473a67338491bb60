"""The sizes of a dataset's tables as BigQuery knows them, and what it says that a query would read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storage.bigquery_client import Wire
from storage.bigquery_cost import Row, Size, Tables
from storage.bigquery_errors import told
from storage.bigquery_tables import DELTAS, PEOPLE
from storage.names import EVENT_TABLES

PARTITIONS = (
    "SELECT partition_id AS day, SUM(total_rows) AS n FROM INFORMATION_SCHEMA.PARTITIONS"
    " WHERE table_name = @table GROUP BY partition_id"
)
LOOKED_AT = (
    "SELECT user_id, canonical_user_id, last_seen, updated_at FROM `{table}`"
    " WHERE last_seen >= @low OR last_seen IS NULL"
)
"""What the MERGE of a fold looks at, from the oldest day on that it changes."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What BigQuery says that a query would read, without asking it: bytes, and how it was restricted."""

    what: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """A world's tables as they are.

    Attributes:
      changed: share of its living people who were seen in the last simulated day.
      dry_runs: empty where the server does not tell (an emulator).
    """

    tables: Tables
    changed: float
    dry_runs: tuple[DryRun, ...]


def read_statistics(wire: Wire, table: str = "persistent_users") -> Statistics | None:
    """The sizes of a dataset's tables; None if it has no people. Reads no rows: metadata and dry runs only.

    Args:
      table: of the users that are looked at.
    """
    users = size_of(wire, table)
    if users is None or not users.rows:
        return None
    days = sorted(
        ((str(row["day"]), float(row["n"])) for row in wire.query(PARTITIONS, {"table": table}) if row["n"]),
        reverse=True,
    )
    parts = tuple(Size(rows, rows * users.row_bytes) for _, rows in days) or (users,)
    people = size_of(wire, PEOPLE) or Size(0, 0)
    if not people.rows:
        people = Size(users.rows, users.rows * Row().record)
    deltas = size_of(wire, DELTAS) or Size(0, 0)
    events = [size for name in EVENT_TABLES if (size := size_of(wire, name)) is not None]
    with_events = wire.query(PARTITIONS, {"table": "touchpoints"}) if events else []
    tables = Tables(
        parts, people, deltas,
        Size(sum(size.rows for size in events), sum(size.bytes for size in events)),
        float(max(sum(1 for row in with_events if row["n"]), 1)),
    )  # fmt: skip
    return Statistics(tables, parts[0].rows / users.rows, _dry_runs(wire, table, days[0][0] if days else ""))


def size_of(wire: Wire, name: str) -> Size | None:
    """Rows and logical bytes of a table; None if it is not there."""
    from google.api_core.exceptions import NotFound

    with told(wire.where):
        try:
            found = wire._google().get_table(f"{wire.project}.{wire.dataset}.{name}")
        except NotFound:
            return None
    return Size(float(found.num_rows or 0), float(found.num_bytes or 0))


def dry_run(wire: Wire, text: str, values: Mapping[str, Any]) -> int:
    """Bytes that a query would read, as the service says; 0 where the server does not tell. Costs nothing."""
    with told(wire.where):
        config = wire._config(values)
        config.dry_run, config.use_query_cache = True, False
        return int(wire._google().query(text, job_config=config).total_bytes_processed or 0)


def _dry_runs(wire: Wire, table: str, newest: str) -> tuple[DryRun, ...]:
    """What a fold looks at in the users' table: over all days, and if only the newest day had changed."""
    from datetime import UTC, datetime

    asked = [("all days", datetime(1, 1, 1, tzinfo=UTC))]
    if newest.isdigit():
        asked.append(("the newest day", datetime.strptime(newest, "%Y%m%d").replace(tzinfo=UTC)))
    runs = [DryRun(what, dry_run(wire, LOOKED_AT.format(table=table), {"low": low})) for what, low in asked]
    return tuple(runs) if any(run.bytes for run in runs) else ()
