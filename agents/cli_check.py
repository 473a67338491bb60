"""The command `gaelp check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    only: Annotated[list[str] | None, typer.Option(help="A special case, such as ortb1; repeatable.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Less play, larger standard errors.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")] = 0,
    write_docs: Annotated[Path | None, typer.Option(help="Page to bring up to date.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Hold the market to closed forms; status 1 if a figure is missed."""
    from agents.closed_forms import CheckOptions, run_check

    options = CheckOptions(only=only or [], quick=quick, seed=seed, json=json, write_docs=write_docs)
    if not run_check(options)["met"]:
        raise typer.Exit(1)
