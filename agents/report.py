"""What training and evaluation tell: lines, tables, and the same as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from agents.baselines import TITLES

if TYPE_CHECKING:
    from agents.baselines import Found
    from agents.evaluate_policies import EvaluationResult
    from agents.manifest import Manifest

Json = dict[str, Any]


class Speaker:
    """Where lines, bars and tables go.

    Args:
      quiet: no lines and no bars; tables all the same.
      json: standard output belongs to a JSON document; lines go to standard error.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.quiet, self.json = quiet, json
        self.console = Console(stderr=json, highlight=False, soft_wrap=True)

    @property
    def bar_wanted(self) -> bool:
        """Whether a moving bar makes sense: somebody watches a terminal."""
        return not self.quiet and not self.json and sys.stdout.isatty()

    def say(self, line: str) -> None:
        """Says a line, unless quiet."""
        if not self.quiet:
            self.console.print(line, markup=False)

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """A bar over a long piece of work; the callback takes (done, all)."""
        if not self.bar_wanted:
            self.say(f"{title} …")
            yield lambda done, total: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def report_json(
    *,
    manifest: Manifest,
    population: Json,
    evaluation: EvaluationResult | None,
    baselines: Found | None,
    curve: Sequence[tuple[int, float]],
    seconds: float,
) -> Json:
    """The report of a training run as one JSON-able document."""
    return {
        "training": {
            "algorithm": manifest.algorithm,
            "store": manifest.store,
            "worlds": manifest.worlds,
            "config_fingerprint": manifest.config_fingerprint,
            "seed": manifest.seed,
            "runs": manifest.runs,
            "steps": manifest.steps_done,
            "learning_seconds": round(manifest.wall_seconds, 1),
            "command_seconds": round(seconds, 1),
            "curve": [[steps, round(profit, 3)] for steps, profit in curve],
            "versions": manifest.versions,
            "checkpoint": asdict(manifest.checkpoints[-1]) if manifest.checkpoints else None,
        },
        "population": population,
        "baselines": None if baselines is None else baselines.to_json(),
        "evaluation": None if evaluation is None else evaluation.to_json(),
    }


def show_training(report: Json, out: Path, speaker: Speaker) -> None:
    """Prints the tables of a training run and where its files are."""
    if report["evaluation"] is not None:
        show_evaluation(report["evaluation"], report["training"]["algorithm"], speaker)
    speaker.console.print(population_table(report["population"]))
    training = report["training"]
    if training["runs"] > 1:
        speaker.console.print(f"Run {training['runs']} in this folder, on the same people.", markup=False)
    speaker.console.print(
        f"{training['steps']:,} steps in all; this command took {training['command_seconds']:,.0f} s. "
        f"Policy, report and picture are in {out}/ (report.png).",
        markup=False,
    )


def show_evaluation(evaluation: Json, algorithm: str, speaker: Speaker) -> None:
    """Prints a table for each start, and the paired differences."""
    for start in evaluation["starts"]:
        speaker.console.print(score_table(evaluation, start, algorithm))
    if evaluation["champion"] is not None:
        speaker.console.print(difference_table(evaluation, algorithm))
        speaker.console.print(verdict(evaluation, algorithm), markup=False)


def title_of(policy: str, algorithm: str) -> str:
    """A policy's name for people."""
    return f"trained ({algorithm.upper()})" if policy == "trained" else TITLES.get(policy, policy)


def score_table(evaluation: Json, start: Json, algorithm: str) -> Table:
    """Policies by incremental profit, conversions, spend and CPA from one start."""
    count = len(start["seeds"])
    table = _table(
        f"From {article(start['label'])} ({evaluation['days']} + {evaluation['run_out_days']} days, "
        f"{count} replicates, 95 % intervals)"
    )
    for column in ("incr. profit", "incr. orders", "spend", "CPA"):
        table.add_column(column, justify="right")
    for policy, score in start["scores"].items():
        table.add_row(
            title_of(policy, algorithm),
            plus_minus(score["incremental_profit"]),
            plus_minus(score["incremental_conversions"]),
            plus_minus(score["spend"]),
            from_to(score["cpa"]),
        )
    return table


def difference_table(evaluation: Json, algorithm: str) -> Table:
    """Profit of the champion less that of each other policy, from every start."""
    champion = title_of(evaluation["champion"], algorithm)
    table = _table(f"Profit of {champion} less that of …, 95 % intervals")
    for start in evaluation["starts"]:
        table.add_column(start["label"], justify="right")
    for policy in evaluation["starts"][0]["differences"]:
        gaps = [start["differences"][policy] for start in evaluation["starts"]]
        marked = [f"{plus_minus(gap)}{'' if gap['low'] > 0.0 else ' (not beyond)'}" for gap in gaps]
        table.add_row(title_of(policy, algorithm), *marked)
    return table


def verdict(evaluation: Json, algorithm: str) -> str:
    """One sentence: whom the champion beats."""
    champion = title_of(evaluation["champion"], algorithm)
    if evaluation["beats_all"]:
        return f"{champion} beats every other policy from every start, beyond its 95 % interval."
    short = [
        f"{title_of(policy, algorithm)} from {article(start['label'])}"
        for start in evaluation["starts"]
        for policy, gap in start["differences"].items()
        if gap["low"] <= 0.0
    ]
    return f"{champion} does not beat beyond its 95 % interval: {'; '.join(short)}."


def population_table(population: Json) -> Table:
    """The people of all worlds of a run, before and after."""
    before, after = population["before"], population["after"]
    table = _table(f"The people of {len(after['commits'])} worlds, before and after training", first="")
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    for stage in after["stages"]:
        table.add_row(f"last seen {stage}", f"{before['stages'][stage]:,}", f"{after['stages'][stage]:,}")
    for name in ("mean_awareness", "mean_fatigue", "mean_intent", "episodes_per_user"):
        table.add_row(name.replace("_", " "), f"{before[name]:.3f}", f"{after[name]:.3f}")
    for name in ("people", "people_ever", "episodes", "touchpoints", "clicks", "visits", "conversions"):
        table.add_row(name.replace("_", " "), f"{before[name]:,}", f"{after[name]:,}")
    table.add_row("simulated clock", before["clock"][:16], after["clock"][:16])
    return table


def whole(number: float) -> str:
    """A number without decimals, and without a negative zero."""
    return f"{round(number) + 0:,}"


def _table(title: str, first: str = "policy") -> Table:
    """A table that fits 80 columns with the figures of the default market."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    return table


def plus_minus(estimate: Json) -> str:
    """A mean and half its interval, to whole numbers."""
    if estimate["mean"] is None:
        return "–"
    if estimate["low"] is None:
        return whole(estimate["mean"])
    return f"{whole(estimate['mean'])} ±{0.5 * (estimate['high'] - estimate['low']):,.0f}"


def from_to(estimate: Json) -> str:
    """A ratio and its interval, which is not symmetric."""
    if estimate["mean"] is None:
        return "–"
    digits = 2 if abs(estimate["mean"]) < 10.0 else 1
    mean = f"{estimate['mean']:,.{digits}f}"
    if estimate["low"] is None:
        return f"{mean} (unbounded)"
    return f"{mean} ({estimate['low']:,.{digits}f}–{estimate['high']:,.{digits}f})"


def article(label: str) -> str:
    """A start's label with its article."""
    return f"a {label}" if label.startswith("fresh") else f"the {label}"
