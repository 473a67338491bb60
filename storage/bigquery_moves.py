"""Whole worlds out of a dataset and into one, and people erased from it."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from storage import bigquery_sql as sql
from storage import refusals
from storage.base import PUBLIC_COLUMNS, Erasure, Lease, Public, default_id
from storage.bigquery_client import Wire
from storage.bigquery_entries import Entry
from storage.bigquery_fold import key_of
from storage.bigquery_load import load_shard, read_roster
from storage.bigquery_outbox import Outbox
from storage.bigquery_rows import Reading
from storage.bigquery_stage import event_rows, people_rows, pieces, user_rows
from storage.bigquery_stand import Stands, read_deltas
from storage.bigquery_tables import PEOPLE, event_table, people_table, users_table
from storage.bigquery_values import typed
from storage.columns import PUBLIC_KINDS
from storage.deltas import Delta, checksum, in_one, recoded
from storage.moving import PEOPLE_AT_ONCE, ROWS_AT_ONCE, Head, Left, People, Portion, Rows, Stand, chunks
from storage.names import EVENT_TABLES
from storage.records import dtype_text, rows_of
from storage.retention import Retention
from storage.sqlite_merge import among, octets_of
from storage.sqlite_roster import Roster

SEARCHED = (
    "gaelp_people", "past", "names", "persistent_users", "touchpoints", "conversions",
    "staging tables", "outbox",
)  # fmt: skip


def unload(
    wire: Wire, outbox: Outbox, stands: Stands, world: str, public: Public | None, only: int | None,
    records: bool,
) -> Iterator[Portion]:  # fmt: skip
    """See Store.unload. All is read before the first portion goes out, so that it is of one commit.

    Args:
      only: the shard that is handed out; None for all.
    """
    reading = Reading(wire, outbox, stands, world, public, None)
    chosen = {shard: stand for shard, stand in reading.shards.items() if only in (None, shard)}
    apart = only if len(chosen) < len(reading.shards) else None
    users = [tuple(row.values()) for row in reading.users(None, None)]
    rows = {"persistent_users": users}
    for table in EVENT_TABLES:
        if reading.kinds.get(table):
            rows[table] = [tuple(row.values()) for row in reading.events(table, None, None, shard=apart)]
    people: list[Portion] = []
    left: list[Portion] = []
    deltas = read_deltas(wire, outbox, world, reading.shards)
    needed = records or apart is not None
    roster = read_roster(wire, world, reading.shards, deltas) if needed else None
    known = {}
    dtype = ""
    for shard, stand in chosen.items():
        found = load_shard(wire, outbox, stands, world, shard, None)
        dtype = dtype_text(found.users.dtype)
        known[shard] = Stand(stand.sequence, found.market, stand.summary, stand.stamp_us)
        if roster is None:
            continue
        gone = _gone_of(wire, world, shard, roster, deltas, stand.base >= 0)
        if apart is not None:
            here = np.concatenate([found.users["number"].astype(np.int64), gone]).tolist()
            ids = {roster.names.get(number) or default_id(number) for number in here}
            rows["persistent_users"] = [row for row in users if row[0] in ids]
        if not records:
            continue
        for part in chunks(len(found.users), PEOPLE_AT_ONCE):
            numbers = found.users["number"][part].tolist()
            people.append(
                People(shard, found.users[part], {n: found.names[n] for n in numbers if n in found.names})
            )
        for part in chunks(len(gone), PEOPLE_AT_ONCE):
            numbers = gone[part].tolist()
            left.append(Left(shard, gone[part], {n: roster.names[n] for n in numbers if n in roster.names}))
    row = next(iter(chosen.values())).row
    kinds = {"persistent_users": {name: PUBLIC_KINDS[name] for name in PUBLIC_COLUMNS}}
    kinds |= {table: reading.kinds[table] for table in rows if table != "persistent_users"}
    counts = {table: len(rows.get(table, ())) for table in ("persistent_users", *EVENT_TABLES)}
    stamp = max([outbox.last_stamp(), *(stand.stamp_us for stand in chosen.values())])
    retention = Retention(row["keep_commits"], row["keep_hours"])
    yield Head(next(iter(chosen.values())).birth, dtype, known, kinds, counts, retention, stamp)
    yield from people
    yield from left
    for table, found_rows in rows.items():
        for part in chunks(len(found_rows), ROWS_AT_ONCE):
            yield Rows(table, found_rows[part])


def _gone_of(wire: Wire, world: str, shard: int, roster: Roster, deltas: Sequence[Any], based: bool) -> Any:
    """Numbers of those of a shard who have left."""
    found = [roster.gone[:0]]
    if based:
        there = wire.read(PEOPLE, ("number",), sql.GONE, {"world": world, "shard": shard})
        found.append(there.column("number").to_numpy().astype(np.int64))
    found += [delta.archived for delta in deltas if delta.shard == shard]
    return np.intersect1d(np.concatenate(found), roster.gone)


def adopt(
    wire: Wire, leases: Sequence[Lease], head: Head, portions: Iterable[Portion], table: str,
    kinds: Mapping[str, Mapping[str, str]], others: bool,
) -> None:  # fmt: skip
    """See Store.adopt. Nobody sees the world before the last statements; what a try that was broken off has
    left is deleted first.

    Args:
      portions: those after the head.
      table: of its users; `others`: shards are there already, whose users are in it.
      kinds: event table -> column -> kind, of all tables of the dataset from now on.
    """
    world, token = head.birth.world, leases[0].token
    shards = sorted(head.stands)
    events = {name: event_table(name, head.kinds[name]) for name in EVENT_TABLES if name in head.kinds}
    for needed in (people_table, users_table(table), *events.values()):
        wire.need(needed)
    where = {"world": world, "shards": shards}
    again = uuid.uuid4().hex[:8]
    wire.change(sql.CLEAR_PEOPLE, where, f"gaelp-clear-{again}-people")
    if not others:
        wire.change(sql.CLEAR_USERS.format(table=table), {}, f"gaelp-clear-{again}-users")
    wire.change(sql.KNOW_KINDS, {"kinds": json.dumps(kinds)}, f"gaelp-adopt-{again}-kinds")
    for name in events:
        wire.change(sql.CLEAR_EVENTS.format(table=name), where, f"gaelp-clear-{again}-{name}")
    placed: dict[str, int] = defaultdict(int)
    last = min(stand.sequence for stand in head.stands.values())
    for k, portion in enumerate(portions):
        job = f"gaelp-adopt-{token[:12]}-{again}-{k}"
        if isinstance(portion, People):
            numbers = portion.users["number"].astype(np.int64)
            rows = people_rows(world, portion.shard, numbers, rows_of(portion.users), portion.names)
            wire.load(PEOPLE, rows, job, replace=False)
        elif isinstance(portion, Left):
            rows = people_rows(world, portion.shard, portion.numbers, None, portion.names)
            wire.load(PEOPLE, rows, job, replace=False)
        elif isinstance(portion, Rows) and portion.table == "persistent_users":
            wire.load(table, user_rows(portion.rows), job, replace=False)
        elif isinstance(portion, Rows):
            name = portion.table
            brought = event_rows(
                world, shards[0], last, placed[name], portion.rows, head.kinds[name], events[name].columns
            )
            wire.load(name, brought, job, replace=False)
            placed[name] += len(portion.rows)
        else:
            raise refusals.not_whole(world, "it has two heads")
    wire.change(sql.STAMPS_OF_ROWS.format(table=table), {"world": world}, f"gaelp-adopt-{again}-stamps")
    for lease in leases:
        stand = head.stands[lease.shard]
        values = {
            "world": world, "shard": lease.shard, "epoch": lease.epoch, "token": lease.token, "moved": True,
            "born": stand.committed_us, "users": table, "dtype": head.dtype, "folded": stand.sequence,
            "base": stand.sequence, "stamp": stand.committed_us, "market": stand.market,
            "summary": stand.summary,
        }  # fmt: skip
        if wire.change(sql.END_FOLD, values, f"gaelp-adopt-{again}-end{lease.shard}") != 1:
            raise refusals.lost(lease, "")
    keep = {"commits": head.retention.commits, "hours": float(head.retention.hours), "world": world}
    wire.change(sql.KEEP, keep, f"gaelp-adopt-{again}-keep")


def erase(
    wire: Wire,
    outbox: Outbox,
    lease: Lease,
    stands: Stands,
    roster: Roster,
    numbers: Sequence[int],
    table: str,
) -> Erasure:
    """Erases people of a shard whose commits are drained and folded; tombstones stay in `gaelp_people`.

    A commit that is kept for the past and brings one of them is written anew, without them.
    """
    world, shard = lease.world, lease.shard
    leaving = np.unique(np.array(numbers, np.int64))
    listed = leaving.tolist()
    names = [roster.names.get(number) or default_id(number) for number in listed]
    past = _out_of_deltas(wire, outbox, stands, lease, leaving)
    living = roster.living.get(shard, leaving[:0])
    job = f"gaelp-forget-{uuid.uuid4().hex}"
    erased = {
        "records": int(among(leaving, living).sum()),
        "past": past,
        "names": sum(number in roster.names for number in listed),
        "persistent_users": wire.change(
            sql.FORGET_USERS.format(table=table), {"names": typed("STRING", names)}, f"{job}-users"
        ),
    }
    values = {"world": world, "numbers": typed("INT64", listed)}
    for name in ("touchpoints", "conversions"):
        has = "number" in stands.kinds.get(name, {})
        text = sql.FORGET_EVENTS.format(table=name)
        erased[name] = wire.change(text, values, f"{job}-{name}") if has else 0
    wire.change(sql.ENTOMB, values | {"shard": shard}, f"{job}-people")
    wire.change(sql.ENTOMB_OTHERS, values | {"shard": shard}, f"{job}-others")
    for what in ("people", *EVENT_TABLES):
        wire.drop(f"gaelp_stage_{what}_{key_of(world)}_s{shard}")
    outbox.without(world, shard, listed)
    at = stands.shards[world, shard].sequence
    mine = {"world": world, "shard": shard, "epoch": lease.epoch, "token": lease.token, "at": at}
    wire.change(sql.ERASED, mine, f"{job}-noted")
    return Erasure(
        SEARCHED,
        erased,
        (
            f"BigQuery keeps what was deleted from {wire.where} for time travel (two to seven days, as the "
            "dataset is set), and for seven days more where only Google's support can reach it.",
        ),
    )


def _out_of_deltas(wire: Wire, outbox: Outbox, stands: Stands, lease: Lease, leaving: Any) -> int:
    """Writes kept commits anew without some people; returns in how many records of theirs there were."""
    shards, taken = stands.of(lease.world), 0
    epochs: Mapping[int, int] = {one.sequence: one.epoch for one in shards[lease.shard].waiting}
    valid = [f"{epoch}-{sequence}" for sequence, epoch in epochs.items()]
    where = {"world": lease.world, "shard": lease.shard}
    job = f"gaelp-forget-{uuid.uuid4().hex}"
    wire.change(sql.VOID_DELTAS, where | {"valid": typed("STRING", valid)}, f"{job}-void")
    anew = []
    for delta in read_deltas(wire, outbox, lease.world, shards, lease.shard):
        left = _without(delta, leaving)
        if left is None:
            continue
        taken += len(delta.numbers) - len(left.numbers)
        head, parts = recoded(left)
        anew.append(
            Entry(
                0, delta.world, delta.shard, epochs[delta.sequence], delta.sequence, delta.stamp_us,
                delta.fresh, delta.summary, checksum(head, parts), in_one(head, parts),
            )
        )  # fmt: skip
    if anew:
        stage = f"gaelp_stage_people_{key_of(lease.world)}_s{lease.shard}"
        wire.load(stage, pieces(anew), f"{job}-stage", replace=True, days=1)
        sequences = {"sequences": [entry.sequence for entry in anew]}
        wire.change(sql.replace_deltas(stage), where | sequences, f"{job}-anew")
    return taken


def _without(delta: Delta, leaving: Any) -> Delta | None:
    """A commit without some people; None if it has nothing of them."""
    stays, archived = ~among(delta.numbers, leaving), ~among(delta.archived, leaving)
    events = {}
    for name, brought in delta.events.items():
        rows = brought.rows
        if name != "episodes" and "number" in brought.kinds:
            rows = rows[~among(rows["number"].astype(np.int64), leaving)]
        events[name] = replace(brought, rows=rows)
    fewer = any(len(events[name].rows) < len(brought.rows) for name, brought in delta.events.items())
    if stays.all() and archived.all() and not fewer:
        return None
    names = {
        number: name for number, name in delta.names.items() if not among(np.array([number]), leaving)[0]
    }
    users = octets_of(delta.users)[stays].reshape(-1).view(delta.users.dtype)
    return replace(
        delta, numbers=delta.numbers[stays], users=users, archived=delta.archived[archived], names=names,
        events=events,
    )  # fmt: skip
