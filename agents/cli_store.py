"""The commands that look after a store: `gaelp fold` and `gaelp repair`."""

from __future__ import annotations

import json as json_text
from typing import Annotated

import typer

StoreOption = Annotated[str, typer.Option(help="Where the worlds live: sqlite:///FILE.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
DEFAULT_STORE = "sqlite:///gaelp.db"


def fold(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """Bring the public tables of a store, and of the files beside it, up to the last commit."""
    from agents.store_care import fold_store

    folded = fold_store(store)
    if json:
        typer.echo(json_text.dumps(folded, indent=2))
        return
    for place, commits in folded.items():
        what = f"{commits} commit{'s' * (commits != 1)} folded" if commits else "up to date"
        typer.echo(f"{place}: {what}")


def repair(
    store: StoreOption = DEFAULT_STORE,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: give up what is damaged.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what is damaged in a store and what a repair gives up; with --yes, do it. Status 1 if damaged."""
    from agents.store_care import repair_store

    found = repair_store(store, accept=yes)
    if json:
        typer.echo(json_text.dumps(found, indent=2))
    elif not found:
        typer.echo(f"{store}: nothing is damaged.")
    else:
        for line in found:
            typer.echo(f"{line['store']}: {line['what']}\n  {line['cost']}")
        typer.echo("Given up; the store can be written again." if yes else "To give this up, add --yes.")
    if found and not yes:
        raise typer.Exit(1)
