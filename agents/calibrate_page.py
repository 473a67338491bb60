"""The scorecard as JSON, and as the marked part of docs/scorecard.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agents import marked_page
from agents.calibrate_errors import GROUPS
from agents.calibrate_targets import Row, distance, met_share, part

BEGIN, END = MARKS = marked_page.marks("calibrate")
AIM = 0.85
"""The share of emergent targets that is aimed for."""
PARTS = ("fitted", "held out", "echo")
TITLES = {
    "fitted": "Emergent targets that the fit saw",
    "held out": "Emergent targets held out of the fit",
    "echo": "Echoes: constants of the configuration, seen in its own output",
}

Json = dict[str, Any]


def scorecard(rows: Sequence[Row], run: Json, curves: Json, fit: Json | None = None) -> Json:
    """The scorecard as one JSON-able document.

    Args:
      rows: all of them.
      run: command, date, seed, fit_seed, users, days, config (name), seconds.
      curves: of `calibrate_measure.curves`.
      fit: what a fit changed: date, users, seed, distance before and after, evaluations, constants with both
        values.
    """
    emergent = [row for row in rows if row.target.kind == "emergent"]
    counts = {name: _count(part(rows, name)) for name in PARTS}  # type: ignore[arg-type]
    counts["emergent"] = _count(emergent)
    apart = distance(rows)
    return {
        **run,
        "distance": apart if math.isfinite(apart) else None,
        "counts": counts,
        "aim": AIM,
        "aim_met": bool(emergent) and met_share(emergent) >= AIM,
        "rows": [row.to_json() for row in rows],
        "fit": fit,
        "curves": curves,
    }


def _count(rows: Sequence[Row]) -> Json:
    return {"met": sum(row.met for row in rows), "of": len(rows)}


def summary(card: Json) -> str:
    """The one sentence that says how well the market does."""
    told = {name: _of(card["counts"][name]) for name in ("emergent", "fitted", "held out", "echo")}
    verdict = "reached" if card["aim_met"] else "not reached"
    return (
        f"{told['emergent']} emergent targets are within tolerance (the aim of {card['aim']:.0%} is "
        f"{verdict}): {told['fitted']} of those that the fit saw, {told['held out']} of those held out. "
        f"{told['echo']} echoes are."
    )


def _of(count: Json) -> str:
    if not count["of"]:
        return "0 of 0"
    return f"{count['met']} of {count['of']} ({count['met'] / count['of']:.0%})"


def amount(value: float | None, unit: str) -> str:
    """A figure in its unit with three digits: 1.29 %, 24.8; "no figure" of None."""
    if value is None:
        return "no figure"
    return f"{_digits(100.0 * value)} %" if unit == "share" else _digits(value)


def gap(value: float | None, unit: str) -> str:
    """A difference with its sign, shares in percentage points; nothing of None."""
    if value is None:
        return ""
    number = 100.0 * value if unit == "share" else value
    sign = "−" if number < 0.0 else "+"
    return f"{sign}{_digits(abs(number), 2)}{' pp' if unit == 'share' else ''}"


def error(value: float | None, unit: str) -> str:
    """A standard error, of shares in percentage points; nothing of None."""
    if value is None:
        return ""
    return f"± {_digits(100.0 * value, 2)} pp" if unit == "share" else f"± {_digits(value, 2)}"


def allowed(row: Json) -> str:
    """The tolerance of a row in words: ± 5 %, ± 3 pp, or a range of values."""
    kind, size, unit = row["tolerance"]["kind"], row["tolerance"]["size"], row["unit"]
    if kind == "relative":
        return f"± {_digits(100.0 * size)} %"
    if kind == "range":
        return f"{amount(row['value'] - size, unit)} to {amount(row['value'] + size, unit)}"
    return f"± {_digits(100.0 * size)} pp" if unit == "share" else f"± {_digits(size)}"


def wanted(row: Json) -> str:
    """The target of a row in words; a range has no other value than its ends."""
    return allowed(row) if row["tolerance"]["kind"] == "range" else amount(row["value"], row["unit"])


def table_of(card: Json, name: str) -> list[Json]:
    """The rows of one of PARTS."""
    return [
        row
        for row in card["rows"]
        if name == ("echo" if row["kind"] == "echo" else "held out" if row["held_out"] else "fitted")
    ]


def cells(row: Json) -> list[str]:
    """A row of a table: what, target, simulated, its s.e., difference, tolerance, met or not."""
    unit = row["unit"]
    tolerance = "range" if row["tolerance"]["kind"] == "range" else allowed(row)
    verdict = "met" if row["met"] else "not met"
    simulated, se = amount(row["simulated"], unit), error(row["se"], unit)
    return [row["words"], wanted(row), simulated, se, gap(row["difference"], unit), tolerance, verdict]


HEADER = ("what", "target", "simulated", "± s.e.", "difference", "tolerance", "")


def page_lines(card: Json, picture: str | None) -> Iterator[str]:
    """The lines of the marked part.

    Args:
      picture: file name of the picture beside the page, if one was drawn.
    """
    yield f"**{summary(card)}**"
    yield ""
    apart = "none" if card["distance"] is None else f"{card['distance']:.3f}"
    yield (
        f"Made by `{card['command']}` on {card['date']}: configuration {card['config']}, "
        f"{card['users']:,} users, {card['days']} days, {card['seconds']:.0f} s. Measured on seed "
        f"{card['seed']}, with other people and chance than a fit, which plays seed {card['fit_seed']}. "
        f"Distance of the fitted targets (mean squared miss in tolerances): {apart}. Standard errors (s.e.) "
        f"are those over {GROUPS} groups of people; figures that are not taken of people have none."
    )
    if picture is not None:
        yield ""
        yield f"![The market against real data in six panels]({picture})"
    for name in PARTS:
        rows = table_of(card, name)
        if rows:
            yield ""
            yield f"### {TITLES[name]}: {_of(card['counts'][name])}"
            yield ""
            yield from _table([*HEADER, "constants responsible"], [_page_row(row) for row in rows])
    if card["fit"] is not None:
        yield from _fit_lines(card["fit"])
    yield ""
    yield "### Where the targets come from"
    yield ""
    body = [[f"`{row['target']}`", row["words"], row["source"], row["window"]] for row in card["rows"]]
    yield from _table(["target", "what", "source", "window"], body)


def _page_row(row: Json) -> list[str]:
    line = cells(row)
    line[-1] = line[-1] if row["met"] else f"**{line[-1]}**"
    return [*line, ", ".join(f"`{name}`" for name in row["constants"])]


def _fit_lines(fit: Json) -> Iterator[str]:
    yield ""
    yield f"### Constants that were fitted on {fit['date']}"
    yield ""
    yield (
        f"The fit converged: the distance fell from {fit['distance_before']:.3f} to {fit['distance']:.3f} "
        f"in {fit['evaluations']} runs of the market with {fit['users']:,} users on seed {fit['seed']}."
    )
    yield ""
    body = [
        [f"`{name}`", f"{before:.4g}", f"{after:.4g}"] for name, (before, after) in fit["constants"].items()
    ]
    yield from _table(["constant", "before", "fitted"], body)


def checked_page(page: Path) -> str:
    """The page's text. Raises ValueError if the page is not there or has not both marks, in order."""
    return marked_page.checked_page(page, MARKS)


def write_page(page: Path, card: Json, picture: str | None) -> None:
    """Replaces what stands between the marks of a page, whole or not at all."""
    marked_page.write_part(page, MARKS, page_lines(card, picture))


def _table(header: Sequence[str], body: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in body:
        yield "| " + " | ".join(row) + " |"


def _digits(value: float, figures: int = 3) -> str:
    if value == 0.0:
        return "0"
    places = max(0, min(6, figures - 1 - math.floor(math.log10(abs(value)))))
    return f"{value:,.{places}f}"
