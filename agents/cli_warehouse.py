"""The commands for a warehouse: `gaelp store cost` and `gaelp adopt`."""

from __future__ import annotations

import json as json_text
from typing import Annotated

import typer

StoreArgument = Annotated[
    str | None, typer.Argument(help="The store: bigquery://PROJECT/DATASET; none: the sheet is an estimate.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def cost(
    store: StoreArgument = None,
    users: Annotated[
        list[int] | None,
        typer.Option(min=1, help="For so many people; repeatable. 10 M and 100 M if not given."),
    ] = None,
    episodes: Annotated[float, typer.Option(min=0, help="Simulated days played in a day.")] = 24.0,
    starts: Annotated[float, typer.Option(min=1, help="Starts in a day, each with a load and a fold.")] = 1.0,
    processes: Annotated[int, typer.Option(min=1, help="Processes that write, a shard each.")] = 1,
    machines: Annotated[int, typer.Option(min=1, help="Machines that they run on, an outbox each.")] = 1,
    drain_s: Annotated[float, typer.Option(min=1, help="Seconds between two drains, GAELP_DRAIN_S.")] = 60.0,
    json: JsonOption = False,
) -> None:
    """What a world in BigQuery costs: bytes, dollars and quotas, from its tables or for so many people."""
    from agents.store_cost import cost_report, lines_of
    from storage.bigquery_cost import Usage

    usage = Usage(episodes=episodes, starts=starts, drain_s=drain_s, processes=processes, machines=machines)
    report = cost_report(store, users or (), usage)
    typer.echo(json_text.dumps(report, indent=2) if json else "\n".join(lines_of(report)))


def adopt(
    store: Annotated[str, typer.Option(help="The dataset: bigquery://PROJECT/DATASET.")],
    world: Annotated[str, typer.Option(help="Name of the world to come.")] = "demo",
    config: Annotated[str | None, typer.Option(help="A YAML file or a preset, such as first_price.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is drawn.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report only; change nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Make a world of the people in a persistent_users table that is there already; say what was guessed."""
    from agents.store_adopt import adopt_table

    report = adopt_table(store, world, config, seed, write=not dry_run)
    if json:
        typer.echo(json_text.dumps(report, indent=2))
        return
    done = "is a world now" if report["written"] else "can be a world"
    typer.echo(
        f"{store}: {report['people']:,} people, {report['active']:,} active; {world!r} {done}, its clock at "
        f"{report['clock']}."
    )
    for what, count in report["guesses"].items():
        typer.echo(f"  {count:,}: {what}")
