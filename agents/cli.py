"""The command `gaelp`: thin shells, each over one function of another module."""

from __future__ import annotations

import json as json_text
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.main import get_command

from agents.cli_calibrate import calibrate
from agents.cli_check import check
from agents.cli_errors import BAD_INPUT, INTERRUPTED, INTERRUPTED_WORDS, debugging, told
from agents.cli_past import AtOption, fork, history, keep
from agents.cli_store import copy, export, fold, forget, repair, torture
from agents.cli_store_bigquery import store_app
from agents.cli_warehouse import adopt, cost

app = typer.Typer(
    name="gaelp",
    help="The ad-market gym in which users remember.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StoreOption = Annotated[str, typer.Option(help="Where the worlds live: sqlite:///FILE.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")]
ReplicatesOption = Annotated[int, typer.Option(min=2, help="Replicates of chance for every policy.")]
DaysOption = Annotated[int, typer.Option(min=1, help="Simulated days in which policies bid.")]

DEFAULT_STORE = "sqlite:///gaelp.db"


@app.command()
def train(
    store: StoreOption = DEFAULT_STORE,
    world: Annotated[str, typer.Option(help="Stem of the worlds: WORLD/0, WORLD/1 …")] = "demo",
    config: Annotated[
        str | None, typer.Option(help="A YAML file or a preset, such as first_price; for new worlds.")
    ] = None,
    algorithm: Annotated[Literal["ppo", "sac"], typer.Option(help="The learner.")] = "ppo",
    steps: Annotated[int | None, typer.Option(min=1, help="Env steps; the learner's own default.")] = None,
    worlds: Annotated[int, typer.Option(min=1, help="Worlds to learn in side by side.")] = 64,
    seed: SeedOption = 0,
    out: Annotated[Path, typer.Option(help="Folder of the policy, the report and the picture.")] = Path(
        "runs/latest"
    ),
    vec: Annotated[
        Literal["native", "dummy", "subproc"],
        typer.Option(help="Worlds stepped by one call, one after the other, or in a process each."),
    ] = "native",
    evaluate: Annotated[bool, typer.Option(help="Compare with the baselines afterwards.")] = True,
    replicates: ReplicatesOption = 20,
    days: DaysOption = 30,
    resume: Annotated[bool, typer.Option(help="Go on with the policy in OUT, if there is one.")] = True,
    quiet: Annotated[bool, typer.Option(help="No progress bar.")] = False,
    json: JsonOption = False,
) -> None:
    """Train an agent on AdMarket-v1 in worlds that persist, and compare it with the baselines."""
    from agents.train import TrainOptions, run_training

    run_training(
        TrainOptions(
            store=store, world=world, config=config, algorithm=algorithm, steps=steps, worlds=worlds,
            seed=seed, out=str(out), vec=vec, evaluate=evaluate, replicates=replicates, days=days,
            resume=resume, quiet=quiet, json=json,
        )
    )  # fmt: skip


@app.command()
def evaluate(
    policy: Annotated[
        list[str] | None, typer.Argument(help="Folders or files of trained policies, or names of baselines.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    world: Annotated[
        str, typer.Option(help="A world, or a stem for all its sub-worlds: where to start.")
    ] = "demo",
    at: AtOption = "latest",
    replicates: ReplicatesOption = 20,
    days: DaysOption = 30,
    run_out_days: Annotated[int, typer.Option(min=0, help="Days without bids that follow.")] = 30,
    seed: SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the report; nowhere by default.")] = None,
    json: JsonOption = False,
) -> None:
    """Compare policies on the same people with the same luck; the store is not touched."""
    from agents.evaluate import EvaluateOptions, run_evaluation

    run_evaluation(
        EvaluateOptions(
            store=store, world=world, at=at, policy=policy or None, replicates=replicates, days=days,
            run_out_days=run_out_days, seed=seed, out=None if out is None else str(out), json=json,
        )
    )  # fmt: skip


@app.command()
def inspect(
    store: StoreOption = DEFAULT_STORE,
    world: Annotated[
        str | None, typer.Option(help="A world, or a stem for all its sub-worlds; all by default.")
    ] = None,
    at: AtOption = "latest",
    user: Annotated[str | None, typer.Option(help="Show this user's journey.")] = None,
    last: Annotated[int, typer.Option(min=1, help="Events of a journey to show, the latest ones.")] = 20,
    json: JsonOption = False,
) -> None:
    """Show the people of a store: totals of its worlds, or any user's journey."""
    from agents.inspect import inspect_user, inspect_world
    from agents.inspect_tables import show_journey, show_worlds

    if user is None:
        report = inspect_world(store, world, at)
        _print_json(report) if json else show_worlds(report)
    else:
        journey = inspect_user(store, user, world, at)
        _print_json(journey) if json else show_journey(journey, last)


@app.command()
def worlds(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """List the worlds of a store: where each stands, and who holds it."""
    from agents.inspect import list_worlds
    from agents.inspect_tables import show_list

    found = list_worlds(store)
    _print_json(found) if json else show_list(store, found)


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes only, for a first look.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="A section: market, threads, large, env, vector, ppo, train, store, memory or start; "
            "repeatable."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for bench.json and the picture.")] = None,
    write_docs: Annotated[Path | None, typer.Option(help="Page to bring up to date.")] = None,
    json: JsonOption = False,
) -> None:
    """Measure the speeds of docs/benchmarks.md on this machine."""
    from agents.bench import BenchOptions, run_bench

    run_bench(BenchOptions(quick=quick, json=json, out=out, only=only or [], write_docs=write_docs))


app.command()(history)
app.command()(keep)
app.command()(fork)
app.command()(fold)
app.command()(copy)
app.command()(export)
app.command()(forget)
app.command()(repair)
app.command()(torture)
app.command()(adopt)
app.command()(check)
app.command()(calibrate)
store_app.command()(cost)
app.add_typer(store_app, name="store")


@app.command()
def version(json: JsonOption = False) -> None:
    """Print the versions of gaelp and of what its results depend on."""
    from agents.manifest import versions

    found = versions()
    if json:
        _print_json(found)
        return
    for name, number in found.items():
        typer.echo(f"{name} {number}")


def _print_json(report: object) -> None:
    typer.echo(json_text.dumps(report, indent=2, ensure_ascii=False))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line.

    Args:
      arguments: without the program's name; those of the process if not given.
    Returns: exit status: 0, 1 (a fault), 2 (what was given cannot be used), 130 (Ctrl-C).
    """
    command = get_command(app)
    given = None if arguments is None else list(arguments)
    try:
        status = command.main(args=given, prog_name="gaelp", standalone_mode=False)
    except typer.TyperException as error:
        if not (sys.argv[1:] if given is None else given):
            typer.echo(_words(error))
            return 0
        _say(_usage(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Exception as error:
        if debugging():
            raise
        sentence, status = told(error)
        _say(sentence)
        return status
    if status == INTERRUPTED:
        _say(INTERRUPTED_WORDS)
    return status if isinstance(status, int) else 0


def _words(error: typer.TyperException) -> str:
    return str(getattr(error, "format_message", lambda: str(error))()).strip()


def _usage(error: typer.TyperException) -> str:
    words = _words(error).rstrip(".").replace("Input should be", "it must be").replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "gaelp"
    return f"{words}; see {path} --help."


def _say(sentence: str) -> None:
    print(f"gaelp: {sentence}", file=sys.stderr)
