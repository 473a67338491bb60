"""A BigQuery store looked after: made, looked over, and drained of what waits on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from storage import BadStoreURL, open_store
from storage.base import StoreError
from storage.names import EVENT_TABLES
from storage.urls import read_url

if TYPE_CHECKING:
    from storage.bigquery import BigQueryPlace


@contextmanager
def _place_of(url: str) -> Iterator[BigQueryPlace]:
    address = read_url(url)
    if address.scheme != "bigquery":
        raise BadStoreURL(
            f"{url!r} is no BigQuery store, and only those are made, checked and drained: give a URL such as "
            "'bigquery://project/dataset'."
        )
    store = open_store(url)
    place: Any = store.home
    try:
        yield place
    finally:
        store.close()


def init_store(url: str) -> dict[str, Any]:
    """Makes the dataset and its tables where they are missing.

    Returns: {"store", "dataset": "made" or "there already", "tables": their names}.
    Raises: NotAStore for a table with other columns, StoreError without credentials or permission.
    """
    from storage.bigquery_tables import people_table, users_table

    with _place_of(url) as place:
        made = not place.wire.is_there()
        place.make()
        users = users_table("persistent_users")
        for table in (people_table, users):
            place.wire.need(table)
        return {
            "store": place.where, "dataset": "made" if made else "there already",
            "tables": ["gaelp_worlds", "gaelp_deltas", people_table.name, users.name],
        }  # fmt: skip


def check_store(url: str) -> dict[str, Any]:
    """Looks a store over without changing anything.

    Returns: {"store", "location", "tables": name -> "fits", "is missing" or what is wrong, "worlds": name ->
      {"commit", "folded", "holder"}, "outbox": {"file", "waiting", "set_aside"}, "drains": {"every_s",
      "machines": with a lease, at least 1, "loads_a_day": that so many drains are, "of": that a table takes,
      "least_s": between two drains so that it is enough}, "sound": whether all fits}.
    """
    from storage import bigquery_tables as tables
    from storage.bigquery_cost import DAY_S, LOADS_A_DAY, least_drain_s
    from storage.bigquery_drain import drain_s

    with _place_of(url) as place:
        wire, outbox = place.wire, place.outbox
        there = wire.is_there()
        found: dict[str, str] = {}
        stands = place._stands() if there and wire.found(tables.WORLDS) is not None else None
        wanted = [tables.worlds_table, tables.deltas_table, tables.people_table]
        wanted.append(tables.users_table("persistent_users"))
        kinds = stands.kinds if stands else {}
        wanted += [tables.event_table(name, kinds[name]) for name in EVENT_TABLES if name in kinds]
        for table in wanted:
            now = wire.found(table.name) if there else None
            try:
                if now is not None:
                    tables.check(place.where, table, now)
                found[table.name] = "is missing" if now is None else "fits"
            except StoreError as error:
                found[table.name] = str(error)
        worlds = {
            f"{world} (shard {shard})": {
                "commit": stand.sequence, "folded": stand.folded, "holder": stand.holder([], place._clock())
            }
            for (world, shard), stand in (stands.shards if stands else {}).items()
            if stand.born
        }  # fmt: skip
        hosts = {
            stand.row["lease_host"]
            for stand in (stands.shards.values() if stands else ())
            if stand.holder([], place._clock())
        }
        machines, every = max(len(hosts), 1), drain_s()
        return {
            "store": place.where, "location": wire.location if there else None, "tables": found,
            "drains": {
                "every_s": every, "machines": machines, "of": LOADS_A_DAY,
                "loads_a_day": DAY_S / every * machines if every else None,
                "least_s": least_drain_s(machines),
            },
            "worlds": worlds,
            "outbox": {
                "file": outbox.path, "waiting": outbox.waiting(), "set_aside": len(outbox.set_aside()),
            },
            "sound": all(said in ("fits", "is missing") for said in found.values()),
        }  # fmt: skip


def drain_store(url: str) -> dict[str, Any]:
    """Sends what waits in the outbox of this machine, under the leases that it was committed under.

    Returns: {"store", "sent", "given_back": leases of processes that are gone, "set_aside": commits that were
      forfeited, in all}.
    """
    with _place_of(url) as place:
        sent, given = place.drain_left()
        return {
            "store": place.where, "sent": sent, "given_back": given,
            "set_aside": len(place.outbox.set_aside()),
        }  # fmt: skip
