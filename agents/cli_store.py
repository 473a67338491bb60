"""The commands that look after a store: `gaelp fold`, `copy`, `export`, `forget`, `repair` and `torture`."""

from __future__ import annotations

import json as json_text
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
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


def copy(
    source: Annotated[str, typer.Argument(help="The store to copy: sqlite:///FILE.")],
    target: Annotated[str, typer.Argument(help="Where to: sqlite:///OTHER.")],
    world: Annotated[str | None, typer.Option(help="This world only.")] = None,
    json: JsonOption = False,
) -> None:
    """Copy a store, or one world of it, as of its last commit, and compare the two."""
    from agents.store_care import copy_store
    from agents.store_resumed import WorldsDiffer, told

    differ = None
    try:
        with _progress("copy") as watch:
            worlds = copy_store(source, target, world, watch)
    except WorldsDiffer as error:
        worlds, differ = error.lines, error
    if json:
        typer.echo(json_text.dumps(worlds, indent=2))
    else:
        for line in worlds:
            typer.echo(told(line))
    if differ is not None:
        raise differ


def export(
    store: Annotated[str, typer.Argument(help="The store: sqlite:///FILE.")],
    world: Annotated[str, typer.Option(help="The world to export.")] = "demo",
    to: Annotated[Path, typer.Option(help="Folder of the files; made if need be.")] = Path("export"),
    json: JsonOption = False,
) -> None:
    """Write a world's users, touchpoints, conversions and episodes as Parquet files."""
    from agents.store_export import export_world

    with _progress("export") as watch:
        report = export_world(store, world, to, watch)
    if json:
        typer.echo(json_text.dumps(report, indent=2))
        return
    for file in report["files"].values():
        typer.echo(f"{file['file']}: {file['rows']:,} rows, {file['bytes']:,} bytes")
    typer.echo(f"World {world!r} as of commit {report['sequence']}.")


def forget(
    user: Annotated[str, typer.Argument(help="The person, by the user_id of any identity.")],
    store: StoreOption = DEFAULT_STORE,
    world: Annotated[str, typer.Option(help="The world to forget them in.")] = "demo",
    yes: Annotated[bool, typer.Option("--yes", help="Do it: erase the person for good.")] = False,
    json: JsonOption = False,
) -> None:
    """Erase a person from a world, and say what remains where; without --yes, only say. Status 1 then."""
    from agents.store_forget import forget_user

    report = forget_user(store, user, world, accept=yes)
    if json:
        typer.echo(json_text.dumps(report, indent=2, ensure_ascii=False))
    else:
        known = ", ".join(f"{name} (number {number})" for name, number in report["identities"].items())
        typer.echo(f"{report['store']} {world}: {known or 'nobody of that name'}")
        counts = report["erased"] if yes else report["found"]
        told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        typer.echo(f"{'Erased' if yes else 'Found'}: {told}.")
        typer.echo(f"Searched: {', '.join(report['searched'])}.")
        for sentence in report["remains"]:
            typer.echo(f"- {sentence}")
        if not yes:
            typer.echo("Nothing was erased. To erase the person for good, add --yes.")
    if not yes:
        raise typer.Exit(1)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, if that is a terminal; gives (world, how much of it, of how much)."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(f"{what} {{task.description}}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda world, passed, whole: bar.update(
            task, description=world, completed=passed, total=max(whole, 1)
        )


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


def torture(
    kills: Annotated[int, typer.Option(min=0, help="Processes killed in the midst of commits.")] = 200,
    cuts: Annotated[int, typer.Option(min=0, help="Simulated power cuts.")] = 200,
    faults: Annotated[int, typer.Option(min=0, help="Writes that fail, at most.")] = 200,
    races: Annotated[int, typer.Option(min=0, help="Races of two writers.")] = 100,
    minutes: Annotated[float, typer.Option(min=0.0, help="Minutes that a world is played on and on.")] = 4.0,
    only: Annotated[
        list[str] | None, typer.Option(help="kills, cuts, faults, races or soak; repeatable.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A twentieth of all.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")] = 0,
    json: JsonOption = False,
) -> None:
    """Kill, cut, starve, race and soak stores made for it; status 1 if a promise was broken."""
    from agents.torture import TortureOptions, run_torture

    asked = {"kills": kills, "cuts": cuts, "faults": faults, "races": races, "soak": minutes}
    unknown = [name for name in only or [] if name not in asked]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(asked)}.", param_hint="'--only'")
    share = 20 if quick else 1
    often = {name: value * (not only or name in only) for name, value in asked.items()}
    options = TortureOptions(
        kills=-(-int(often["kills"]) // share), cuts=-(-int(often["cuts"]) // share),
        faults=-(-int(often["faults"]) // share), races=-(-int(often["races"]) // share),
        minutes=often["soak"] / share, seed=seed,
    )  # fmt: skip
    report = run_torture(options, lambda what: typer.echo(f"{what} …", err=True))
    if json:
        typer.echo(json_text.dumps(report, indent=2, ensure_ascii=False))
    else:
        for part in report["parts"]:
            for fault in part["faults"]:
                typer.echo(fault)
            if part["figures"]:
                figures = (f"{name} {value:,.1f}" for name, value in part["figures"].items())
                typer.echo(f"{part['name']}: {', '.join(figures)}")
        typer.echo(report["summary"])
    if not report["kept"]:
        raise typer.Exit(1)
