"""`gaelp check`: plays every market with a closed form, and holds what comes out to the formula."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agents.closed_forms_play import Figure

FULL, QUICK = 240, 32
"""Ticks of the last look in a search; all other counts follow."""
MOST = {FULL: 0.01, QUICK: 0.05}
"""The standard error that is allowed, as a share of the value."""


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What to check, and where it goes.

    Attributes:
      only: names of special cases; empty is all.
      quick: less play, so larger standard errors (up to 5 % instead of 1 %).
      seed: of people and luck.
      json: print JSON instead of a table.
      write_docs: page whose marked part is written afresh.
    """

    only: tuple[str, ...] | list[str] = ()
    quick: bool = False
    seed: int = 0
    json: bool = False
    write_docs: str | Path | None = None


def forms() -> dict[str, Callable[[int, int], list[Figure]]]:
    """Name of a special case -> function of (seed, ticks) that plays it and gives its figures."""
    from agents import closed_forms_bids as bids
    from agents import closed_forms_journey as journey
    from agents import closed_forms_people as people

    return {
        "truthful-lognormal": bids.truthful_lognormal,
        "truthful-uniform": bids.truthful_uniform,
        "truthful-exponential": bids.truthful_exponential,
        "shading-uniform": bids.shading_uniform,
        "shading-rivals": bids.shading_rivals,
        "shading-exponential": bids.shading_exponential,
        "shading-loglogistic": bids.shading_loglogistic,
        "shading-lognormal": bids.shading_lognormal,
        "shading-ipinyou": bids.shading_ipinyou,
        "ortb1": bids.ortb_one,
        "ortb2": bids.ortb_two,
        "equilibrium-first": bids.equilibrium_first,
        "equilibrium-second": bids.equilibrium_second,
        "reserve": bids.reserve,
        "budget": bids.budget,
        "budget-even": bids.budget_even,
        "two-state-cap": people.two_state_cap,
        "lasting-cap-social": people.lasting_cap_social,
        "lasting-cap-display": people.lasting_cap_display,
        "occupancy": people.stage_occupancy,
        "time-to-convert": journey.time_to_convert,
        "adstock": people.adstock,
    }


def run_check(options: CheckOptions | None = None) -> dict[str, Any]:
    """Plays the special cases, prints a table (or JSON), and writes the page if asked.

    Returns: the report, JSON-able: `cases` (name, sentence, seconds, figures), `met`, versions, machine.
    Raises: ValueError for a case that is not known, or a page that is not there or has no marks.
    """
    from agents.closed_forms_report import checked_page, progress, show, write_page

    options = options or CheckOptions()
    names = _chosen(options.only)
    if options.write_docs is not None:
        if options.only or options.quick:
            raise ValueError(
                "--write-docs writes a page of all cases at full effort; leave --only and --quick out."
            )
        checked_page(Path(options.write_docs))
    ticks = QUICK if options.quick else FULL
    start = time.perf_counter()
    with progress(len(names)) as (say, done):
        cases = []
        for name in names:
            say(name)
            cases.append(checked(name, options.seed, ticks))
            done()
    report = {
        "command": _command(options),
        "seed": options.seed,
        "most_relative_error": MOST[ticks],
        "seconds": time.perf_counter() - start,
        "versions": {
            "python": platform.python_version(),
            **{n: version(n) for n in ("gaelp", "numpy", "scipy")},
        },
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "processor": platform.machine()},
        "cases": cases,
        "met": all(figure["met"] for case in cases for figure in case["figures"]),
    }
    if options.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        show(report)
    if options.write_docs is not None:
        write_page(Path(options.write_docs), report)
    return report


def checked(name: str, seed: int, ticks: int) -> dict[str, Any]:
    """Plays one special case; returns its part of the report."""
    from gaelp_env.special_cases import CASES

    start = time.perf_counter()
    figures = [figure.as_json(MOST.get(ticks, MOST[QUICK])) for figure in forms()[name](seed, ticks)]
    return {
        "name": name, "sentence": CASES[name].sentence, "seconds": time.perf_counter() - start,
        "figures": figures,
    }  # fmt: skip


def _chosen(only: tuple[str, ...] | list[str]) -> list[str]:
    known = forms()
    for name in only:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"There is no special case {name!r}{hint}; there are {', '.join(known)}.")
    return [name for name in known if not only or name in only]


def _command(options: CheckOptions) -> str:
    words = ["gaelp check", f"--seed {options.seed}"]
    words += ["--quick"] if options.quick else []
    words += [f"--only {name}" for name in options.only]
    words += [f"--write-docs {options.write_docs}"] if options.write_docs is not None else []
    return " ".join(words)
