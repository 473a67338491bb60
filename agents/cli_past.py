"""The commands for the past of worlds: `gaelp history`, `gaelp keep` and `gaelp fork`."""

from __future__ import annotations

import json as json_text
from typing import Annotated

import typer

StoreOption = Annotated[str, typer.Option(help="Where the worlds live: sqlite:///FILE.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
AtOption = Annotated[
    str, typer.Option(metavar="N|first|latest", help="As of which commit; `gaelp history` lists them.")
]
DEFAULT_STORE = "sqlite:///gaelp.db"


def history(
    store: StoreOption = DEFAULT_STORE,
    world: Annotated[
        str | None, typer.Option(help="A world, or a stem for all its sub-worlds; all by default.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the commits of worlds that can be read, with when and where each stood."""
    from agents.inspect_tables import show_history
    from agents.store_past import history_of

    found = history_of(store, world)
    if json:
        typer.echo(json_text.dumps(found, indent=2, ensure_ascii=False))
    else:
        show_history(found)


def keep(
    store: StoreOption = DEFAULT_STORE,
    world: Annotated[str, typer.Option(help="A world, or a stem for all its sub-worlds.")] = "demo",
    commits: Annotated[
        int | None, typer.Option(min=1, help="The last so many; 1 is the last one only.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0.0, help="And those of the last so many hours before it.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say how many commits of worlds stay readable from now on; each world remembers it."""
    from agents.store_past import keep_in

    done = keep_in(store, world, commits, hours)
    if json:
        typer.echo(json_text.dumps(done, indent=2, ensure_ascii=False))
        return
    what = [f"{commits} commit{'s' * (commits != 1)}"] * (commits is not None)
    what += [f"those of {hours:g} hours"] * (hours is not None)
    for line in done:
        typer.echo(f"{line['store']} {line['world']}: keeps {' and '.join(what)}")


def fork(
    to: Annotated[str, typer.Option(help="Where the copy is to live: sqlite:///OTHER.")],
    store: StoreOption = DEFAULT_STORE,
    world: Annotated[str, typer.Option(help="The world to copy.")] = "demo",
    name: Annotated[
        str | None, typer.Option("--as", help="What the copy is called; as the world by default.")
    ] = None,
    at: AtOption = "latest",
    json: JsonOption = False,
) -> None:
    """Copy a world from one of its commits; the copy plays on as the world did, or otherwise."""
    from agents.store_past import fork_world

    made = fork_world(store, world, to, name, at)
    if json:
        typer.echo(json_text.dumps(made, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{made['store']} {made['world']}: forked from {made['parent']}, {made['people']:,} people")
