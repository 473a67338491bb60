"""Public rows of a dataset as of a commit: what the tables say, but for people whom other commits concern.

Those are left out of the answer, and made anew from their records as of the wanted commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from storage import refusals
from storage.base import PUBLIC_COLUMNS, At, Public, commit_of, default_id
from storage.bigquery_client import Wire
from storage.bigquery_load import found_world, people_at
from storage.bigquery_outbox import Outbox
from storage.bigquery_sql import count_events, count_users, events, users
from storage.bigquery_stand import Stands, read_deltas
from storage.bigquery_tables import SQL_TYPES
from storage.bigquery_values import typed
from storage.checks import checked_limit, public_values
from storage.clock import time_text
from storage.columns import PUBLIC_KINDS, wanted
from storage.deltas import Delta
from storage.names import EVENT_TABLES
from storage.sqlite_merge import Numbers

_ACTIVE = PUBLIC_COLUMNS.index("is_active")
_TOO_MANY = 5_000
"""More people than this are left out here, and not in SQL."""
Row = tuple[Any, ...]


class Reading:
    """One look at a world as of a commit of every shard, the last ones if `at` is None."""

    def __init__(
        self, wire: Wire, outbox: Outbox, stands: Stands, world: str, public: Public | None, at: At
    ) -> None:
        self.wire, self.world, self.public, self.at = wire, world, public, at
        self.shards = found_world(stands, world, wire.where)
        for shard, stand in self.shards.items():
            asked = commit_of(at, shard)
            if asked is not None:
                stand.check_commit(wire.where, asked)
        self._all = read_deltas(wire, outbox, world, self.shards)
        self.kinds = kinds_of(stands, self._all)
        self.deltas = [delta for delta in self._all if delta.sequence <= self._last(delta.shard)]
        tables = [stand.row["users_table"] for stand in self.shards.values()]
        self.users_table = next((table for table in tables if table), None)

    # ---- users

    def users(self, where: Mapping[str, Any] | None, limit: int | None) -> list[dict[str, Any]]:
        """See Store.rows, of `persistent_users`."""
        chosen = wanted(where, PUBLIC_KINDS, "persistent_users")
        checked_limit(limit)
        concerned = self._concerned()
        made, ids = self._made(concerned)
        rows = self._folded(chosen, sorted(ids), limit)
        places = [(PUBLIC_COLUMNS.index(name), value) for name, value in chosen.items()]
        rows += [row for row in made if all(row[place] == value for place, value in places)]
        rows.sort(key=lambda row: str(row[0]))
        return [dict(zip(PUBLIC_COLUMNS, row, strict=True)) for row in rows[:limit]]

    def count_users(self) -> int:
        """See Store.count, of `persistent_users`: no row is made for it."""
        folded = 0
        later = [d for d in self._all if self.shards[d.shard].folded >= d.sequence > self._last(d.shard)]
        if not later:
            newborn = sum(d.fresh for d in self.deltas if d.sequence > self.shards[d.shard].folded)
            if self.users_table is not None:
                folded = self.wire.query(count_users(self.users_table, others=False))[0]["n"]
            return int(folded + newborn)
        rows = self._made(self._concerned())
        others = {"others": typed("STRING", sorted(rows[1]))}
        assert self.users_table is not None
        return int(self.wire.query(count_users(self.users_table, others=True), others)[0]["n"] + len(rows[0]))

    def _concerned(self) -> Numbers:
        """Numbers of those whom the public tables do not show as of the commit."""
        found = [np.zeros(0, np.int64)]
        for delta in self._all:
            folded = self.shards[delta.shard].folded
            at = self._last(delta.shard)
            if min(at, folded) < delta.sequence <= max(at, folded):
                found += [delta.numbers, delta.archived]
        return np.unique(np.concatenate(found))

    def _made(self, concerned: Numbers) -> tuple[list[Row], set[str]]:
        """Rows of people as of the commit, and the user_ids of all who were asked for."""
        if not len(concerned):
            return [], set()
        if self.public is None:
            raise refusals.no_public(self.world, self.wire.where)
        found, names = people_at(self.wire, self.world, self.shards, self.deltas, concerned)
        for delta in self._all:
            names.update(delta.names)
        birth = next(iter(self.shards.values())).birth
        rows: list[Row] = []
        for part in found:
            numbers = part.numbers.tolist()
            named = {number: names[number] for number in numbers if number in names}
            columns = public_values(self.public, birth, part.users, numbers, named)
            left = dict(zip(part.archived.tolist(), part.archived_us.tolist(), strict=True))
            columns[_ACTIVE] = [
                0 if n in left else flag for n, flag in zip(numbers, columns[_ACTIVE], strict=True)
            ]
            created = [time_text(stamp) for stamp in part.created_us.tolist()]
            updated = [
                time_text(left.get(number, stamp))
                for number, stamp in zip(numbers, part.updated_us.tolist(), strict=True)
            ]
            rows += zip(*columns, created, updated, strict=True)
        return rows, {names.get(number) or default_id(number) for number in concerned.tolist()}

    def _folded(self, chosen: Mapping[str, Any], others: Sequence[str], limit: int | None) -> list[Row]:
        if self.users_table is None or limit == 0:
            return []
        few = len(others) <= _TOO_MANY
        text = users(self.users_table, list(chosen), bool(others) and few, limit is not None and few)
        values: dict[str, Any] = {
            f"w{k}": _asked("JSON" if name.endswith("_history") else PUBLIC_KINDS[name], value)
            for k, (name, value) in enumerate(chosen.items())
        }
        if others and few:
            values["others"] = list(others)
        if limit is not None and few:
            values["limit"] = limit
        rows = [tuple(plain(row[name]) for name in PUBLIC_COLUMNS) for row in self.wire.query(text, values)]
        out = set(others)
        return rows if few else [row for row in rows if row[0] not in out]

    # ---- events

    def events(
        self, table: str, where: Mapping[str, Any] | None, limit: int | None, shard: int | None = None
    ) -> list[dict[str, Any]]:
        """See Store.rows, of an event table; of one shard only, if one is named."""
        if table not in EVENT_TABLES:
            raise refusals.wrong_table(table)
        kinds = self.kinds.get(table, {})
        chosen = wanted(where, kinds, table)
        checked_limit(limit)
        if not kinds or limit == 0:
            return []
        found: list[Row] = []
        if self._has_folded():
            values: dict[str, Any] = {
                f"w{k}": _asked(kinds[name], value) for k, (name, value) in enumerate(chosen.items())
            }
            values |= self._ends()
            values["shard"] = typed("INT64", shard)
            if limit is not None:
                values["limit"] = limit
            text = events(table, list(kinds), list(chosen), limit is not None, self._apart())
            asked = self.wire.query(text, values)
            found = [tuple(plain(row[name]) for name in kinds) for row in asked]
        places = [(list(kinds).index(name), value) for name, value in chosen.items()]
        for delta in self._waiting(table):
            if shard not in (None, delta.shard):
                continue
            rows = zip(*delta.events[table].columns(), strict=True)
            found += [row for row in rows if all(row[place] == value for place, value in places)]
        return [dict(zip(kinds, row, strict=True)) for row in found[:limit]]

    def count_events(self, table: str) -> int:
        """See Store.count, of an event table."""
        if table not in EVENT_TABLES:
            raise refusals.wrong_table(table)
        if not self.kinds.get(table):
            return 0
        folded = 0
        if self._has_folded():
            folded = self.wire.query(count_events(table, self._apart()), self._ends())[0]["n"]
        return int(folded + sum(len(delta.events[table].rows) for delta in self._waiting(table)))

    def _last(self, shard: int) -> int:
        """The commit as of which a shard is read."""
        asked = commit_of(self.at, shard)
        return self.shards[shard].sequence if asked is None else asked

    def _apart(self) -> list[int]:
        """The shards, if each is read as of a commit of its own."""
        return list(self.shards) if isinstance(self.at, Mapping) else []

    def _ends(self) -> dict[str, Any]:
        """The parameters that say where the events of the shards end."""
        ends = {f"at{shard}": typed("INT64", self._last(shard)) for shard in self._apart()}
        return {"world": self.world} | (ends or {"at": typed("INT64", self.at)})

    def _has_folded(self) -> bool:
        return any(stand.folded >= 0 for stand in self.shards.values())

    def _waiting(self, table: str) -> list[Delta]:
        return [
            delta
            for delta in self.deltas
            if delta.sequence > self.shards[delta.shard].folded and table in delta.events
        ]


def kinds_of(stands: Stands, deltas: Sequence[Delta]) -> dict[str, dict[str, str]]:
    """Event table -> column -> kind, of the tables and of what waits for them."""
    kinds = dict(stands.kinds)
    for delta in deltas:
        for table, brought in delta.events.items():
            kinds.setdefault(table, dict(brought.kinds))
    return kinds


def plain(value: Any) -> Any:
    """A value of BigQuery's as stores hand it out."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return f"{value.year:04d}{value.strftime('-%m-%d %H:%M:%S.%f')}"
    return value


def _asked(kind: str, value: Any) -> Any:
    """A stored value as a parameter."""
    if kind == "JSON":
        return typed("STRING", value)
    if value is not None and kind == "flag":
        value = bool(value)
    if value is not None and kind == "time":
        value = datetime.fromisoformat(f"{value}+00:00")
    return typed(SQL_TYPES[kind], value)
