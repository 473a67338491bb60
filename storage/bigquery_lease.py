"""Leases as rows of a dataset: taken by one statement that compares the epoch and sets the next one.

The epoch is raised first, and only then is it looked at where the shard stands: what an older epoch brings
after that moment is void, and whoever brought it finds so when they look at their lease afterwards.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from storage import leases, refusals
from storage.arrivals import Born, check_arrival
from storage.base import Arrival, Birth, Lease
from storage.bigquery_client import Wire
from storage.bigquery_outbox import Outbox
from storage.bigquery_sql import ACQUIRE, HEARTBEAT, LEASES, RELEASE, SETTLE
from storage.bigquery_stand import Stand, Stands, read_stands
from storage.identity import this_process
from storage.names import table_key

HEARTBEAT_S = 60.0
"""Seconds between two signs of life to a dataset: a table takes 25 changes in 10 seconds, from everybody."""


def take(
    wire: Wire,
    outbox: Outbox,
    birth: Birth,
    shard: int,
    expected: int | None,
    arrival: Arrival | None,
    mine: Sequence[str],
    wall_us: int,
) -> tuple[Lease, Stands]:
    """Takes the lease of a shard, with the next epoch; see Store.acquire.

    Args:
      mine: tokens of the leases that this process has.
    Returns: the lease, and how everything stands under it.
    """
    stands = read_stands(wire, outbox, None if expected is None else birth.world)
    known = stands.shards.get((birth.world, shard))
    _check(wire, stands, known, birth, shard, expected)
    if expected is None:
        check_arrival(birth, shard, arrival, _beside(stands, birth.world, shard, mine, wall_us), wire.where)
    holder = known.holder(mine, wall_us) if known else ""
    if holder:
        raise refusals.busy(birth.world, shard, holder)
    if known is not None and expected is not None and known.sequence != expected:
        raise refusals.moved(birth.world, shard, known.sequence, expected)
    epoch = int(known.row["lease_epoch"]) if known is not None else 0
    process = this_process()
    lease = leases.grant(birth.world, shard, epoch + 1, process.line(wall_us))
    named = dict(zip(("host", "boot", "space", "pid", "started"), astuple(process), strict=True))
    changed = wire.change(
        ACQUIRE,
        {
            "world": birth.world, "shard": shard, "before": epoch, "token": lease.token, "wall": wall_us,
            "reserve": expected is None, "config": birth.config, "fingerprint": birth.fingerprint,
            "schema": birth.schema, "shards": birth.shards, "parent": birth.parent,
            "arrival": arrival.text() if arrival is not None else "", **named,
        },
        f"gaelp-acquire-{lease.token}",
    )  # fmt: skip
    if changed != 2:
        again = read_stands(wire, outbox, birth.world).shards.get((birth.world, shard))
        winner = again.holder(mine, wall_us) if again else ""
        raise refusals.busy(birth.world, shard, winner or "somebody who was faster")
    if known is None:
        # It was reserved by the same statement, and settled with it: nothing of it can be there.
        return lease, stands
    stands = read_stands(wire, outbox, birth.world)
    stand = stands.shards[birth.world, shard]
    wire.change(SETTLE, _mine(lease) | {"stand": stand.sequence}, f"gaelp-settle-{lease.token}")
    if (stand.sequence if stand.born else None) != expected:
        give_back(wire, lease)
        if expected is None:
            raise refusals.exists(birth.world, wire.where)
        raise refusals.moved(birth.world, shard, stand.sequence, expected)
    return lease, stands


def _check(
    wire: Wire, stands: Stands, known: Stand | None, birth: Birth, shard: int, expected: int | None
) -> None:
    born = known is not None and known.born
    if expected is not None:
        if not born:
            raise refusals.not_found(birth.world, wire.where, read_names(wire))
        return
    if born:
        raise refusals.exists(birth.world, wire.where)
    others = stands.of(birth.world)
    if others:
        if next(iter(others.values())).birth != birth:
            raise refusals.born_otherwise(birth.world)
        return
    for (other, _), stand in stands.shards.items():
        taken = stand.born or stand.row["lease_token"]
        if taken and other != birth.world and table_key(other) == table_key(birth.world):
            raise refusals.same_table(birth.world, other)


def _beside(stands: Stands, world: str, shard: int, mine: Sequence[str], wall_us: int) -> Born:
    """The other shards of a world that are born, or about to be, and with which they come."""
    return {
        other: stand.arrival
        for (name, other), stand in stands.shards.items()
        if name == world and other != shard and (stand.born or stand.holder(mine, wall_us))
    }


def read_names(wire: Wire) -> list[str]:
    """The worlds that others can see in a dataset."""
    return read_stands(wire, Outbox("")).born()


def _mine(lease: Lease) -> dict[str, Any]:
    return {"world": lease.world, "shard": lease.shard, "epoch": lease.epoch, "token": lease.token}


def give_back(wire: Wire, lease: Lease) -> bool:
    """Gives a lease back; returns whether it was still in force."""
    return wire.change(RELEASE, _mine(lease), f"gaelp-release-{lease.token}") == 1


def beat(wire: Wire, tokens: Sequence[str], wall_us: int) -> bool:
    """Says that holders live; returns whether all their leases are in force."""
    values = {"wall": wall_us, "tokens": list(tokens)}
    return wire.change(HEARTBEAT, values, f"gaelp-beat-{uuid.uuid4().hex}") == len(tokens)


def in_force(wire: Wire) -> Mapping[tuple[str, int], tuple[int, str]]:
    """(world, shard) -> epoch and token of its lease, as the dataset has them."""
    return {
        (row["world"], row["shard"]): (row["lease_epoch"], row["lease_token"]) for row in wire.query(LEASES)
    }
