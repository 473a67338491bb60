"""What a world in BigQuery costs, and how near it comes to the quotas: formulae, from sizes of tables.

Nothing here asks anybody. The sizes are those of real tables (`bigquery_statistics`) or of the estimate
`tables_of`; the statements are those of `bigquery_sql`. docs/bigquery.md has the formulae in words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
DAY_S = 86_400.0

# ---- prices in US dollars, on demand, multi-region US, as third parties quoted Google's price page in 2025
# and 2026; not checked against the page (cloud.google.com/bigquery/pricing) or a bill. Loads are free.
QUERY_USD_A_TIB = 6.25
READ_USD_A_TIB = 1.1
"""Of the Storage Read API; from memory."""
STORAGE_USD_A_GIB_MONTH = 0.02
"""Logical bytes, active; half of it for partitions that nobody changed for 90 days."""
LEAST_BYTES = 10 * MIB
"""Billed for every table that a query names."""

# ---- quotas. Source: a copy of docs.cloud.google.com/bigquery/quotas, read in November 2026
LOADS_A_DAY = 1_500
"""Load jobs of a table, failed ones included."""
DML_A_TEN_S = 25
RUNNING, QUEUED = 2, 20
"""Statements that change rows of a table: at once, and waiting; the next one fails."""
PARTITIONS_A_TABLE = 10_000
PARTITIONS_A_JOB = 4_000
DML_S = 3.0
"""Seconds that a small UPDATE takes. Assumed: it sets how many processes' heartbeats a dataset can bear."""

# ---- bytes of a row. INT64, FLOAT64 and TIMESTAMP take 8, BOOL 1, STRING, JSON and BYTES 2 and their octets,
# NULL 0. Source: docs.cloud.google.com/bigquery/docs/reference/standard-sql/data-types#data_type_sizes
KEY_BYTES = 12.0 + 12.0 + 8.0 + 8.0
"""Of a public row, what the fold looks at: user_id, canonical_user_id, last_seen, updated_at."""
RECORD_COLUMNS_BYTES = 6.0 + 8.0 + 8.0 + 1.0 + 202.0
"""Of a hidden record, what a start reads: world, shard, number, gone, record."""
ROSTER_BYTES = 6.0 + 8.0 + 8.0 + 1.0
"""Of a hidden record, what a lease reads: world, shard, number, gone."""
PEOPLE_KEY_BYTES = 6.0 + 8.0 + 8.0 + 8.0
"""Of a hidden record, what the fold looks at: world, shard, number, updated_us."""
EVENT_KEY_BYTES = 6.0 + 8.0 + 8.0 + 8.0 + 8.0
"""Of an event, what the fold looks at: world, gaelp_shard, gaelp_sequence, gaelp_place, its moment."""


@dataclass(frozen=True, slots=True)
class Size:
    """A table, or a part of it: its rows, its logical bytes, and of how many rows the people have left."""

    rows: float
    bytes: float
    gone: float = 0.0

    @property
    def row_bytes(self) -> float:
        """Bytes of a row; 0 of an empty table."""
        return self.bytes / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a world.

    Attributes:
      users: the partitions of `persistent_users`, newest first.
      people: `gaelp_people`.
      deltas: `gaelp_deltas`, as of the moment before a fold.
      events: touchpoints, conversions and episodes together.
      event_days: days of which there are events.
    """

    users: tuple[Size, ...]
    people: Size
    deltas: Size
    events: Size
    event_days: float = 30.0

    @property
    def public(self) -> Size:
        """All of `persistent_users`."""
        return Size(sum(part.rows for part in self.users), sum(part.bytes for part in self.users))


@dataclass(frozen=True, slots=True)
class Row:
    """Mean bytes of rows, and what a simulated day does, where no table tells it.

    Measured on thirty days of the default market at bids of 4 CPM; docs/bigquery.md says how.

    Attributes:
      public, record, event: bytes of a row of `persistent_users`, `gaelp_people`, of the event tables.
      changed: share of the people whom a simulated day changes.
      events_a_change: events that come with one of them.
      leaving: share of the people who leave for good in a simulated day, and are replaced.
    """

    public: float = 245.0
    record: float = 241.0
    event: float = 100.0
    changed: float = 0.6
    events_a_change: float = 0.25
    leaving: float = 0.022

    @property
    def delta(self) -> float:
        """Bytes of a changed person in a commit: the record, and the event with it."""
        return 200.0 + 30.0 * self.events_a_change


@dataclass(frozen=True, slots=True)
class Usage:
    """How a world is used in a day.

    Attributes:
      episodes: simulated days that are played; a commit each.
      starts: how often a process starts, loads the people and ends with a fold.
      drain_s: seconds between two drains of one machine, GAELP_DRAIN_S.
      processes: that write the dataset, each a shard of the world (or a world) of its own.
      machines: on which they run, each with an outbox.
      kept_days: simulated days of events, and of people who have left, that lie in the dataset.
    """

    episodes: float = 24.0
    starts: float = 1.0
    drain_s: float = 60.0
    processes: int = 1
    machines: int = 1
    kept_days: float = 30.0

    @property
    def drains(self) -> float:
        """Load jobs into `gaelp_deltas` in a day: one a drain that finds something, of each machine, and one
        at each end."""
        commits = self.episodes * self.processes
        if not self.drain_s:
            return commits
        ends = self.starts * self.processes
        return min(commits, DAY_S / self.drain_s * self.machines + ends)


def day_profile(rows: float, changed: float) -> list[float]:
    """How people lie over the days on which they were last seen, if each is met with the same chance.

        n_d = N f (1 - f)^d

    Args:
      rows: N.
      changed: f, share met in a day, in (0, 1].
    Returns: people by day, newest first, until less than one is left; their sum is N.
    """
    left, days = rows, list[float]()
    while left >= 1.0 and len(days) < PARTITIONS_A_TABLE:
        days.append(left * changed)
        left -= days[-1]
    if days:
        days[-1] += left
    return days


def tables_of(users: float, row: Row, usage: Usage) -> Tables:
    """The tables of a world of so many people, estimated from the bytes of its rows."""
    profile, left = day_profile(users, row.changed), users * row.leaving
    days = max(len(profile), math.ceil(usage.kept_days))
    living = profile + [0.0] * (days - len(profile))
    gone = [left if day < usage.kept_days else 0.0 for day in range(days)]
    parts = tuple(
        Size(here + away, (here + away) * row.public, away) for here, away in zip(living, gone, strict=True)
    )
    changes = users * row.changed * usage.episodes / max(usage.starts, 1.0)
    events = users * row.changed * row.events_a_change * usage.episodes * usage.kept_days
    return Tables(
        parts,
        Size(users, users * row.record),
        Size(changes, changes * row.delta),
        Size(events, events * row.event),
        max(usage.kept_days, 1.0),
    )


def scaled(tables: Tables, factor: float) -> Tables:
    """The same tables with `factor` times as many people."""

    def more(size: Size) -> Size:
        return Size(size.rows * factor, size.bytes * factor, size.gone * factor)

    return Tables(
        tuple(map(more, tables.users)), more(tables.people), more(tables.deltas), more(tables.events),
        tables.event_days,
    )  # fmt: skip


def changed_in(rows: float, share: float, episodes: float) -> float:
    """How many people are changed at least once in some episodes: N (1 - (1 - f)^k)."""
    return float(rows * (1.0 - (1.0 - share) ** episodes))


def touched(parts: Iterable[Size], dirty: float) -> Size:
    """The partitions that a MERGE changes, if `dirty` people are spread over them as the living are.

    A partition is left alone with the chance e^(-m), where m is how many of them are expected in it. On
    demand a MERGE is billed for the whole of every partition that it changes.
    Source: docs.cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax, "Partitioned tables".

    Returns: expected number of partitions (as `rows`) and their bytes.
    """
    listed = list(parts)
    living = [part.rows - part.gone for part in listed]
    whole = sum(living)
    chances = [-math.expm1(-dirty * here / whole) if whole else 0.0 for here in living]
    return Size(sum(chances), sum(c * part.bytes for c, part in zip(chances, listed, strict=True)))


def billed(*tables: float) -> float:
    """Bytes that a query is billed for that reads so much of each table: at least 10 MiB of each."""
    return sum(max(read, LEAST_BYTES) for read in tables)


@dataclass(frozen=True, slots=True)
class Bill:
    """Bytes that a step is billed for, pruned as it is; `unpruned`: if there were no partitions, no clusters.

    Attributes:
      queried: by queries and changes.
      read: by the Storage Read API.
    """

    queried: float = 0.0
    read: float = 0.0
    unpruned: float = 0.0

    def __add__(self, other: Bill) -> Bill:
        return Bill(self.queried + other.queried, self.read + other.read, self.unpruned + other.unpruned)

    def times(self, count: float) -> Bill:
        """The bill of so many steps."""
        return Bill(self.queried * count, self.read * count, self.unpruned * count)

    @property
    def usd(self) -> float:
        """What it costs, before the first TiB of a month that is free."""
        return self.queried / TIB * QUERY_USD_A_TIB + self.read / TIB * READ_USD_A_TIB


def load_bill(tables: Tables, usage: Usage) -> Bill:
    """A start of one process: the records and the roster by the Storage Read API.

    `gaelp_people` and `gaelp_deltas` are clustered by world and shard, so a process reads its own share of
    the records; the roster is the whole world's.
    """
    share = 1.0 / usage.processes
    records, roster = tables.people.rows * RECORD_COLUMNS_BYTES, tables.people.rows * ROSTER_BYTES
    # Where the world stands, twice, and the market record. After an end in good order no commits wait.
    queries = 2 * billed(0.0, 0.0) + billed(0.0)
    return Bill(queries, records * share + roster, queries + records + roster)


def fold_bill(tables: Tables, dirty: float, usage: Usage, row: Row) -> Bill:
    """The fold of one shard: public rows, records and events, each by a MERGE from what was staged.

    A MERGE is billed for what it looks at and, where it updates, for all that it updates: the touched
    partitions of `persistent_users`, and the whole of a table that has none.

    Args:
      dirty: people whom the commits have changed.
    """
    share = 1.0 / usage.processes
    staged = dirty * row.public
    keys = tables.public.rows * KEY_BYTES
    parts = touched(tables.users, dirty)
    # Bounds of the old partitions; the MERGE itself.
    users = billed(keys, staged) + billed(keys * share, staged, 0.0) + parts.bytes
    bare = billed(keys, staged) + billed(keys, staged, 0.0) + tables.public.bytes
    # gaelp_people has no partitions: clusters shorten what is looked at, not what is updated.
    records = dirty * row.record
    people_keys = tables.people.rows * PEOPLE_KEY_BYTES
    people = billed(people_keys * share, records, 0.0) + tables.people.bytes
    new = tables.deltas.rows * row.events_a_change * share
    # Events of a fold lie in its own days, and in one more that it begins or ends in.
    days = min((usage.episodes / max(usage.starts, 1.0) + 1.0) / max(tables.event_days, 1.0), 1.0)
    event_keys = tables.events.rows * EVENT_KEY_BYTES
    events = billed(event_keys * days, new * row.event, 0.0)
    bare_events = billed(event_keys, new * row.event, 0.0)
    # The commits are read by the Storage Read API, and deleted once they are in the base. Where all stands,
    # begin, end.
    read = tables.deltas.bytes * share
    other = people + billed(tables.deltas.bytes) + billed(0.0, 0.0) + 2 * billed(0.0)
    return Bill(users + events + other, read, bare + bare_events + other + tables.deltas.bytes)


def drain_bill() -> Bill:
    """A drain: the load is free; whether the leases are in force is asked of `gaelp_worlds`."""
    return Bill(billed(0.0), 0.0, billed(0.0))


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit of the service: what is used of it, of how much, and what is counted."""

    what: str
    used: float
    limit: float

    @property
    def kept(self) -> bool:
        return self.used <= self.limit


def quotas(tables: Tables, dirty: float, usage: Usage) -> list[Quota]:
    """What a day uses of each limit."""
    folds = usage.starts * usage.processes
    beats = usage.processes * 10.0 / 60.0
    parts = touched(tables.users, dirty)
    return [
        Quota("load jobs a day into gaelp_deltas", usage.drains, LOADS_A_DAY),
        Quota("load jobs a day into a staging table", usage.starts, LOADS_A_DAY),
        Quota("DML in 10 s on gaelp_worlds", beats + folds * 5.0 * 10.0 / DAY_S, DML_A_TEN_S),
        Quota("DML on gaelp_worlds if all come at once", float(usage.processes), RUNNING + QUEUED),
        Quota("MERGE on persistent_users if all fold at once", float(usage.processes), RUNNING + QUEUED),
        Quota("partitions that a fold changes", parts.rows, PARTITIONS_A_JOB),
        Quota("partitions of persistent_users", float(len(tables.users)), PARTITIONS_A_TABLE),
    ]


def most_processes(usage: Usage) -> int:
    """How many processes may write one dataset.

        W <= min( 2 * 60 s / t,  2 + 20 ),  and the drains of W are at most 1500 in a day

    By heartbeats, one a minute of t seconds each, two at a time; by a moment at which all of them end, and
    fold, together; and by load jobs into `gaelp_deltas`.
    """
    most = int(min(RUNNING * 60.0 / DML_S, RUNNING + QUEUED))
    few = [n for n in range(1, most + 1) if replace(usage, processes=n).drains <= LOADS_A_DAY]
    return max(few, default=0)


def most_machines(usage: Usage) -> int:
    """Of how many machines the drains, all day long, stay within the load jobs of a table."""
    return int(LOADS_A_DAY * usage.drain_s // DAY_S)


def least_drain_s(machines: int) -> float:
    """The shortest GAELP_DRAIN_S at which drains all day long stay within the load jobs of a table."""
    return DAY_S * machines / LOADS_A_DAY


def sheet(tables: Tables, usage: Usage, row: Row) -> dict[str, Any]:
    """The sheet of one world, JSON-able: bytes, dollars and quotas."""
    users = sum(part.rows - part.gone for part in tables.users)
    dirty = changed_in(users, row.changed, usage.episodes / max(usage.starts, 1.0)) / usage.processes
    load, fold = load_bill(tables, usage), fold_bill(tables, dirty, usage, row)
    beats = drain_bill().times(usage.processes * DAY_S / 60.0)
    each = usage.starts * usage.processes
    day = load.times(each) + fold.times(each) + drain_bill().times(usage.drains) + beats
    stored = {
        "persistent_users": tables.public.bytes, "gaelp_people": tables.people.bytes,
        "gaelp_deltas": tables.deltas.bytes, "events": tables.events.bytes,
    }  # fmt: skip
    limits = quotas(tables, dirty, usage)
    return {
        "users": users,
        "usage": asdict(usage),
        "rows": asdict(row),
        "stored_bytes": stored,
        "storage_usd_a_month": sum(stored.values()) / GIB * STORAGE_USD_A_GIB_MONTH,
        "changed_before_a_fold": dirty,
        "load": _told(load),
        "fold": _told(fold),
        "drain": _told(drain_bill()),
        "day": _told(day),
        "jobs_a_day": {
            "loads": usage.drains + 5 * each,
            "changes": each * 12 + usage.processes * DAY_S / 60.0,
        },
        "quotas": [asdict(one) | {"kept": one.kept} for one in limits],
        "most_processes": most_processes(usage),
        "most_machines": most_machines(usage),
        "least_drain_s": least_drain_s(usage.machines),
    }


def _told(bill: Bill) -> Mapping[str, float]:
    return asdict(bill) | {"usd": bill.usd}
