"""The command `gaelp calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    config: Annotated[str, typer.Option(help="A preset or a YAML file to measure, or to start from.")] = (
        "calibrated"
    ),
    fit: Annotated[bool, typer.Option("--fit", help="Fit the free constants first.")] = False,
    data: Annotated[Path | None, typer.Option(help="CSV of your own targets to fit to.")] = None,
    out: Annotated[Path | None, typer.Option(help="YAML file for the fitted configuration.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small run, for a first look.")] = False,
    users: Annotated[int | None, typer.Option(min=100, help="People to measure; 200,000 by default.")] = None,
    days: Annotated[int | None, typer.Option(min=28, help="Days to measure; 90 by default.")] = None,
    fit_users: Annotated[int | None, typer.Option(min=100, help="People in each run of the fit.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the fit, at most.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of a fit; what is measured has the next one.")] = 0,
    write_docs: Annotated[Path | None, typer.Option(help="Page to bring up to date.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Hold the market to published figures, or fit it to them or to your own."""
    from agents.calibrate import CalibrateOptions, run_calibration

    run_calibration(
        CalibrateOptions(
            config=config, fit=fit, data=data, out=out, quick=quick, users=users, days=days,
            fit_users=fit_users, steps=steps, seed=seed, write_docs=write_docs, json=json,
        )
    )  # fmt: skip
