"""The bench on a terminal: progress on stderr, one table on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agents.bench_bars import verdict

_SCALES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_SMALL = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"))
WIDTH = 150
"""Columns of a table that goes to a file or a pipe."""
BUSY = 0.9
"""Below this share of a core the machine was serving others, and figures are worse than they should be."""


@contextmanager
def progress(sections: int) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """A progress bar on stderr; gives (say what is being done, a section is done)."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("bench"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=sections)
        yield lambda words: bar.update(task, description=words), lambda: bar.advance(task)


def scale_of(value: float, unit: str) -> tuple[float, str]:
    """The scale in which a value has at most three digits before the point, and its unit then.

    Args:
      value: > 0.
      unit: of a Figure; rates and seconds are scaled, others are as they are.
    """
    if unit.endswith("/s"):
        what = unit[:-2].removeprefix("1")
        scale, letter = next(((s, w) for s, w in _SCALES if value >= s), (1.0, ""))
        return scale, f"{letter}{what}/s"
    if unit == "s":
        scale, letter = next(((s, w) for s, w in _SMALL if value >= s), _SMALL[-1])
        return scale, f"{letter}s"
    return 1.0, unit


def amount(value: float, unit: str) -> str:
    """A value with its unit in three digits: 6.02 M/s, 178 ns, 420 ms."""
    scale, spelled = scale_of(value, unit)
    return f"{_digits(value / scale)} {spelled}"


def _digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def spread(figure: dict[str, Any]) -> str:
    """The smallest and the largest repetition, in the median's unit; nothing for a single one."""
    if figure["repetitions"] < 2:
        return ""
    scale, _ = scale_of(figure["median"], figure["unit"])
    return f"{_digits(figure['min'] / scale)} – {_digits(figure['max'] / scale)}"


def ratios(figure: dict[str, Any]) -> str:
    """The ratios to the references, one a line."""
    return "\n".join(f"{_digits(value)}× {name}" for name, value in figure["ratios"].items())


def rows(report: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """The table's rows, with their figure: name, median, spread, repetitions, ratio, share of a core."""
    for figure in report["figures"]:
        core = "" if figure["core"] is None else f"{figure['core']:.2f}"
        median = amount(figure["median"], figure["unit"])
        count = str(figure["repetitions"])
        yield figure, [figure["text"], median, spread(figure), count, ratios(figure), core]


HEADER = ("what", "median", "spread", "n", "reference", "core")
LEGEND = (
    "Dense: 10 media candidates a user a day, not 3. Spread: smallest and largest of n repetitions. "
    "Reference: how many times that of a reference in the same run (dim here, italic in the page); for a "
    "cost, how many times its time. Core: the share of a core that the work had; where it stands, seconds "
    "are of processor time, else they are elapsed. Cores at work: processor time over elapsed time."
)


def disturbed(report: dict[str, Any]) -> str:
    """A sentence if the machine was busy with something else while it was measured, "" if not."""
    shares = [figure["core"] for figure in report["figures"] if figure["core"]]
    shares += [figure["median"] / 2.0 for figure in report["figures"] if figure["name"] == "hashing_gain_2"]
    low = min(shares, default=1.0)
    if low >= BUSY:
        return ""
    return (
        f"The machine was busy: the bench had at times only {low:.0%} of a core. Figures of elapsed time are "
        "worse than on a quiet machine, the others somewhat."
    )


def show(report: dict[str, Any]) -> None:
    """Prints the table, what was left out, the bars, and a warning if the machine was busy."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    table = Table(title="gaelp bench", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in HEADER:
        left = name in ("what", "reference")
        table.add_column(name, justify="left" if left else "right", no_wrap=name != "reference")
    last = ""
    for figure, row in rows(report):
        if last and figure["section"] != last:
            table.add_section()
        last = figure["section"]
        table.add_row(*row, style="dim" if figure["reference"] else None)
    console.print(table)
    console.print(LEGEND, highlight=False, style="dim")
    for name, lines in (("Left out", left_out_rows(report)), ("gaelp train", profile_rows(report))):
        for line in lines:
            console.print(f"{name}: {': '.join(line)}", highlight=False)
    bars = Table(title="bars", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in BAR_HEADER:
        bars.add_column(name, justify="right" if name == "measured" else "left", no_wrap=name == "measured")
    for line in bar_rows(report):
        bars.add_row(*line)
    console.print(bars)
    if words := disturbed(report):
        console.print(words, highlight=False)


BAR_HEADER = ("bar", "measured", "verdict")


def bar_rows(report: dict[str, Any]) -> Iterator[list[str]]:
    """The table of bars: each in words, what was measured, met or not; none is left out."""
    for line in report["bars"]:
        measured = "" if line["met"] is None else amount(line["measured"], line["unit"])
        yield [line["text"], measured, verdict(line)]


def left_out_rows(report: dict[str, Any]) -> Iterator[list[str]]:
    """What was not measured, and why."""
    for line in report["left_out"]:
        yield [line["text"], line["why"]]


def profile_rows(report: dict[str, Any]) -> Iterator[list[str]]:
    """Where the wall time of `gaelp train` goes: the part, and its seconds and share."""
    from agents.bench_train import PARTS

    seconds = report["profile"].get("seconds", {})
    whole = sum(seconds.values())
    for part in seconds:
        yield [PARTS[part], f"{seconds[part]:.2f} s, {seconds[part] / whole:.0%}"]
