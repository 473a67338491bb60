"""`gaelp store cost`: what a world in BigQuery costs, from its real tables or from an estimate of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from storage import bigquery_cost as cost
from storage.base import BadStoreURL, WorldNotFound
from storage.urls import read_url

SIZES = (10_000_000, 100_000_000)
"""Numbers of people that are shown if none is asked for."""


def cost_report(
    store: str | None, users: Sequence[int] = (), usage: cost.Usage | None = None
) -> dict[str, Any]:
    """A cost and quota sheet for each number of people.

    Args:
      store: URL of a dataset, whose own tables are measured and scaled; None: they are estimated.
      users: how many people; none: those of the store, and SIZES.
      usage: how the world is used in a day.
    Returns: {"store", "measured": whether from real tables, "dry_runs", "sheets"}, JSON-able.
    Raises: BadStoreURL for a store of another kind; WorldNotFound for a dataset without people; StoreError.
    """
    usage = usage or cost.Usage()
    row, found = cost.Row(), None
    if store is not None:
        found = _statistics(store)
        public, people, events = found.tables.public, found.tables.people, found.tables.events
        row = replace(
            row, public=public.row_bytes, record=people.row_bytes or row.record,
            event=events.row_bytes or row.event, changed=found.changed,
        )  # fmt: skip
    counts = [float(count) for count in users] or [float(size) for size in SIZES]
    sheets = []
    if found is not None and not users:
        sheets.append(cost.sheet(found.tables, usage, row))
    for count in counts:
        tables = cost.tables_of(count, row, usage)
        if found is not None:
            real = found.tables
            parts = cost.scaled(real, count / real.public.rows).users
            tables = replace(tables, users=parts)
        sheets.append(cost.sheet(tables, usage, row))
    return {
        "store": store,
        "measured": found is not None,
        "dry_runs": [asdict(run) for run in found.dry_runs] if found is not None else [],
        "sheets": sheets,
    }


def _statistics(store: str) -> Any:
    from storage.bigquery_client import Wire
    from storage.bigquery_statistics import read_statistics

    address = read_url(store)
    if address.scheme != "bigquery":
        raise BadStoreURL(
            f"{store!r} costs nothing to ask; `gaelp store cost` is for bigquery://project/dataset, or, with "
            "--users alone, for no store at all."
        )
    project, _, dataset = address.name.rpartition("/")
    wire = Wire(project, dataset)
    try:
        found = read_statistics(wire) if wire.is_there() else None
    finally:
        wire.close()
    if found is None:
        raise WorldNotFound(
            f"There are no people in {store} to measure; for an estimate leave the store out."
        )
    return found


def lines_of(report: dict[str, Any]) -> list[str]:
    """The sheets as lines of text, a column for each."""
    sheets = report["sheets"]

    def line(what: str, *values: str) -> str:
        return f"{what:<54}" + "".join(f"{value:>13}" for value in values)

    def bill(name: str, key: str) -> str:
        return line(
            f"{name}: {'read' if key == 'read' else 'queried' if key == 'queried' else 'unpruned'}",
            *(amount(sheet[name][key]) for sheet in sheets),
        )

    usage = sheets[0]["usage"]
    out = [
        f"A day of {usage['episodes']:g} simulated days, {usage['starts']:g} starts and a drain every "
        f"{usage['drain_s']:g} s, {usage['processes']} process{'es' * (usage['processes'] != 1)} on "
        f"{usage['machines']} machine{'s' * (usage['machines'] != 1)}; "
        + (f"rows as in {report['store']}" if report["measured"] else "rows as estimated"),
        line("people", *(f"{sheet['users']:,.0f}" for sheet in sheets)),
    ]
    for table in sheets[0]["stored_bytes"]:
        out.append(line(f"stored: {table}", *(amount(sheet["stored_bytes"][table]) for sheet in sheets)))
    out.append(line("storage, a month", *(dollars(sheet["storage_usd_a_month"]) for sheet in sheets)))
    for name in ("load", "fold", "drain", "day"):
        out += [bill(name, key) for key in ("queried", "read", "unpruned") if _any(sheets, name, key)]
        out.append(line(f"{name}: price", *(dollars(sheet[name]["usd"]) for sheet in sheets)))
    for k, quota in enumerate(sheets[0]["quotas"]):
        used = [sheet["quotas"][k] for sheet in sheets]
        out.append(
            line(
                f"{quota['what']} (of {quota['limit']:,.0f})",
                *(f"{one['used']:,.1f}{'' if one['kept'] else ' TOO MANY'}" for one in used),
            )
        )
    out.append(line("processes a dataset can bear", *(f"{sheet['most_processes']:,}" for sheet in sheets)))
    out.append(line("machines, if all drain all day", *(f"{sheet['most_machines']:,}" for sheet in sheets)))
    out.append(
        line(
            "GAELP_DRAIN_S, at least, for drains all day",
            *(f"{sheet['least_drain_s']:.0f} s" for sheet in sheets),
        )
    )
    for run in report["dry_runs"]:
        out.append(f"dry run, what a fold looks at over {run['what']}: {amount(run['bytes'])}")
    return out


def _any(sheets: Sequence[dict[str, Any]], name: str, key: str) -> bool:
    return any(sheet[name][key] for sheet in sheets)


def amount(octets: float) -> str:
    """Bytes in the largest unit of which there is at least one: 2.5 GiB."""
    for unit, size in (("TiB", cost.TIB), ("GiB", cost.GIB), ("MiB", cost.MIB), ("KiB", 1 << 10)):
        if octets >= size:
            return f"{octets / size:.1f} {unit}"
    return f"{octets:.0f} B"


def dollars(usd: float) -> str:
    """Dollars with as many digits as a small sum needs."""
    return f"${usd:,.2f}" if usd >= 0.1 else f"${usd:.4f}"
