"""The scorecard on a terminal: tables of what is held to what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from agents.calibrate_page import HEADER, PARTS, TITLES, Json, cells, summary, table_of


def card_table(card: Json, name: str) -> Table:
    """The table of one of PARTS; what is not met stands out."""
    count = card["counts"][name]
    title = f"{TITLES[name]}: {count['met']} of {count['of']}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in HEADER:
        words = heading in ("what", "")
        table.add_column(heading, justify="left" if words else "right", no_wrap=heading != "what")
    for row in table_of(card, name):
        table.add_row(*cells(row), style=None if row["met"] else "bold red")
    return table


def show(card: Json, console: Console | None = None) -> None:
    """Prints the tables that have rows, and the summary."""
    console = console or Console()
    for name in PARTS:
        if table_of(card, name):
            console.print(card_table(card, name))
    console.print(summary(card), highlight=False)


@contextmanager
def progress(
    what: str, total: float | None
) -> Iterator[tuple[Callable[[float], None], Callable[[str], None]]]:
    """A progress bar on stderr; gives (go on by a part of the total, say how far it is).

    Where stderr is no terminal, what is said comes in lines.

    Args:
      total: None where nobody knows how long it takes.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)

        def say(words: str) -> None:
            bar.update(task, description=words)
            if not console.is_terminal:
                console.print(f"{what}: {words}", highlight=False)

        yield lambda part: bar.advance(task, part), say
