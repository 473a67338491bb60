"""The commands that look after a BigQuery store: `gaelp store init`, `check` and `drain`."""

from __future__ import annotations

import json as json_text
from typing import Annotated, Any

import typer

store_app = typer.Typer(help="Look after a BigQuery store: make it, look it over, send what waits.")

UrlArgument = Annotated[str, typer.Argument(help="The store: bigquery://PROJECT/DATASET.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of sentences.")]


@store_app.command()
def init(store: UrlArgument, json: JsonOption = False) -> None:
    """Make the dataset and its tables where they are missing; refuse tables that are otherwise."""
    from agents.warehouse import init_store

    report = init_store(store)
    if not _printed(report, json):
        typer.echo(f"{report['store']}: dataset {report['dataset']}; tables {', '.join(report['tables'])}.")


@store_app.command()
def check(store: UrlArgument, json: JsonOption = False) -> None:
    """Look over tables, worlds and the outbox of this machine; changes nothing. Status 1 if one is amiss."""
    from agents.warehouse import check_store

    report = check_store(store)
    if not _printed(report, json):
        where = f"in {report['location']}" if report["location"] else "no dataset yet"
        typer.echo(f"{report['store']}: {where}")
        for name, said in report["tables"].items():
            typer.echo(f"  {name}: {said}")
        for name, world in report["worlds"].items():
            held = f", held by {world['holder']}" if world["holder"] else ""
            typer.echo(f"  {name}: commit {world['commit']}, folded up to {world['folded']}{held}")
        outbox = report["outbox"]
        typer.echo(f"  outbox {outbox['file']}: {outbox['waiting']} waiting, {outbox['set_aside']} set aside")
        typer.echo(f"  {_drains(report['drains'])}")
    if not report["sound"]:
        raise typer.Exit(1)


@store_app.command()
def drain(store: UrlArgument, json: JsonOption = False) -> None:
    """Send what waits in the outbox of this machine, and give back the leases of processes that are gone."""
    from agents.warehouse import drain_store

    report = drain_store(store)
    if not _printed(report, json):
        typer.echo(
            f"{report['store']}: {report['sent']} commits sent, {report['given_back']} leases given back, "
            f"{report['set_aside']} commits set aside."
        )


def _drains(drains: dict[str, Any]) -> str:
    """How often this machine drains, and what the quota of load jobs says to that."""
    if drains["loads_a_day"] is None:
        return f"drains at every commit (GAELP_DRAIN_S is 0): {drains['of']:,} load jobs a day are allowed"
    machines = drains["machines"]
    said = (
        f"drains every {drains['every_s']:g} s, {machines} machine{'s' * (machines != 1)}: up to "
        f"{drains['loads_a_day']:,.0f} load jobs a day of {drains['of']:,}"
    )
    if drains["loads_a_day"] <= drains["of"]:
        return said
    return f"{said}, TOO MANY: set GAELP_DRAIN_S to {drains['least_s']:.0f} or more on each"


def _printed(report: dict[str, Any], json: bool) -> bool:
    if json:
        typer.echo(json_text.dumps(report, indent=2, ensure_ascii=False))
    return json
