"""The check on a terminal and on its page: the market's value beside the exact one, in standard errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents import marked_page

BEGIN, END = MARKS = marked_page.marks("check")
HEADER = ("what", "market", "exact", "s.e.", "off, in s.e.", "met")


@contextmanager
def progress(cases: int) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """A progress bar on stderr; gives (say which case is played, a case is done)."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("check"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=cases)
        yield lambda words: bar.update(task, description=words), lambda: bar.advance(task)


def row(figure: dict[str, Any]) -> list[str]:
    """A figure's cells; one without chance in it shows no standard error."""
    exact = figure["standard_error"] == 0.0
    return [
        figure["what"],
        f"{figure['value']:.6g}",
        f"{figure['exact']:.6g}",
        "none" if exact else f"{figure['standard_error']:.2g}",
        "" if exact else f"{figure['off']:+.2f}",
        "yes" if figure["met"] else "no",
    ]


def summary(report: dict[str, Any]) -> str:
    """How many figures are met, and how many of all would be missed by chance."""
    figures = [figure for case in report["cases"] for figure in case["figures"]]
    drawn = sum(figure["standard_error"] > 0.0 for figure in figures)
    met = sum(figure["met"] for figure in figures)
    return (
        f"{met} of {len(figures)} figures are met: within 3 standard errors, and those at most "
        f"{report['most_relative_error']:.0%} of the value. {drawn} have chance in them; were each "
        f"normal and on "
        f"its own, {0.0027 * drawn:.2f} of them would be beyond 3 by chance alone."
    )


def show(report: dict[str, Any]) -> None:
    """Prints the table and the summary."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title="gaelp check", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("case", *HEADER):
        table.add_column(name, justify="left" if name in ("case", "what", "met") else "right")
    for case in report["cases"]:
        for k, figure in enumerate(case["figures"]):
            style = None if figure["met"] else "bold red"
            table.add_row("" if k else case["name"], *row(figure), style=style)
        table.add_section()
    console.print(table)
    console.print(summary(report), highlight=False)


def checked_page(page: Path) -> str:
    """The page's text. Raises ValueError if the page is not there or has not both marks, in order."""
    return marked_page.checked_page(page, MARKS)


def write_page(page: Path, report: dict[str, Any]) -> None:
    """Replaces what stands between the marks of a page, whole or not at all."""
    marked_page.write_part(page, MARKS, page_lines(report))


def page_lines(report: dict[str, Any]) -> Iterator[str]:
    """The lines of the marked part."""
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    machine = report["machine"]
    yield f"Made by `{report['command']}` in {report['seconds']:.0f} s on {machine['cores']} shared cores"
    yield f"({machine['system']}, {machine['processor']}); {versions}."
    yield ""
    yield summary(report)
    for case in report["cases"]:
        yield ""
        yield f"**AdMarket-case-{case['name']}-v1** ({case['seconds']:.0f} s). {case['sentence']}"
        yield ""
        yield "| " + " | ".join(HEADER) + " |"
        yield "|" + "---|" * len(HEADER)
        for figure in case["figures"]:
            cells = row(figure)
            yield "| " + " | ".join([*cells[:-1], cells[-1] if figure["met"] else "**no**"]) + " |"
