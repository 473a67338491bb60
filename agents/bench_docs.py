"""Writes what was measured into a marked part of a page, so that the command keeps the page true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agents import marked_page
from agents.bench_report import HEADER, amount, disturbed, rows

BEGIN, END = MARKS = marked_page.marks("bench")


def checked_page(page: Path) -> str:
    """The page's text. Raises ValueError if the page is not there or has not both marks, in order."""
    return marked_page.checked_page(page, MARKS)


def write_page(page: Path, report: dict[str, Any], picture: str | None) -> None:
    """Replaces what stands between the marks of a page.

    Args:
      report: of `run_bench`.
      picture: file name of the picture beside the page, if one was drawn.
    """
    marked_page.write_part(page, MARKS, page_lines(report, picture))


def page_lines(report: dict[str, Any], picture: str | None) -> Iterator[str]:
    """The lines of the marked part."""
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    machine = report["machine"]
    yield f"Made by `{report['command']}` in {report['seconds']:.0f} s on {machine['cores']} shared cores"
    yield f"({machine['system']}, {machine['processor']}); {versions}."
    if words := disturbed(report):
        yield f"**{words}**"
    yield ""
    if picture is not None:
        yield f"![What an opportunity costs against the size of the population]({picture})"
        yield ""
    yield from _table(list(HEADER), [_row(figure, row) for figure, row in rows(report)])
    if report["aims"]:
        yield ""
        yield from _table(["aim", "measured", ""], list(_aim_rows(report)))
    if report["curve"]:
        yield ""
        yield "Where the time of a tick goes, medians in µs:"
        yield ""
        yield from _table(list(_PROFILE), [_profile_row(point) for point in report["curve"]])


def _row(figure: dict[str, Any], row: list[str]) -> list[str]:
    cells = [cell.replace("\n", ", ") for cell in row]
    return [f"*{cells[0]}*", *cells[1:]] if figure["reference"] else cells


def _aim_rows(report: dict[str, Any]) -> Iterator[list[str]]:
    units = {figure["name"]: figure["unit"] for figure in report["figures"]}
    for aim in report["aims"]:
        measured = amount(aim["measured"], units[aim["figure"]])
        yield [aim["text"], measured, "reached" if aim["met"] else "**not reached**"]


_PROFILE = (
    "users", "traffic", "opportunities a tick", "whole tick", "sweep", "tick with nobody in it",
    "meeting people", "ns a candidate met",
)  # fmt: skip


def _profile_row(point: dict[str, Any]) -> list[str]:
    figures = [point[name] for name in ("opportunities_a_tick", "tick_us", "sweep_us", "fixed_us", "meet_us")]
    traffic = "10 media a day" if point["dense"] else "default"
    return [
        f"{point['users']:,}",
        traffic,
        *(f"{f:,.0f}" for f in figures),
        f"{point['meet_ns_a_candidate']:.0f}",
    ]


def _table(header: list[str], body: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in body:
        yield "| " + " | ".join(row) + " |"
