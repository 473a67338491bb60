"""Writes what was measured into a marked part of a page, so that the command keeps the page true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agents import marked_page
from agents.bench_report import (
    BAR_HEADER,
    HEADER,
    bar_rows,
    disturbed,
    left_out_rows,
    profile_rows,
    rows,
)

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
        yield f"![What an opportunity costs, by size of the population and by threads]({picture})"
        yield ""
    yield from _table(list(HEADER), [_row(figure, row) for figure, row in rows(report)])
    if left := list(left_out_rows(report)):
        yield ""
        yield from _table(["left out", "why"], left)
    yield ""
    yield "The bars, by the medians above:"
    yield ""
    yield from _table(list(BAR_HEADER), [_bar(row) for row in bar_rows(report)])
    if parts := list(profile_rows(report)):
        profile = report["profile"]
        yield ""
        yield (
            f"Where the wall time of `gaelp train` goes, {profile['worlds']} worlds, {profile['steps']:,.0f} "
            f"env steps, mean of {profile['runs']}:"
        )
        yield ""
        yield from _table(["part", "seconds, share"], parts)
    if points := [point for point in report["curve"] if "tick_us" in point]:
        yield ""
        yield "Where the time of a tick goes, medians in µs:"
        yield ""
        yield from _table(list(_PROFILE), [_profile_row(point) for point in points])


def _row(figure: dict[str, Any], row: list[str]) -> list[str]:
    cells = [cell.replace("\n", ", ") for cell in row]
    return [f"*{cells[0]}*", *cells[1:]] if figure["reference"] else cells


def _bar(row: list[str]) -> list[str]:
    return [*row[:2], row[2] if row[2].startswith("met") else f"**{row[2]}**"]


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
