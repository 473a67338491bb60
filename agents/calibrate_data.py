"""A user's own marginals: a CSV of targets that takes the place of the published ones."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from agents.calibrate_published import PUBLISHED
from agents.calibrate_targets import LIMITS, Target, Tolerance

COLUMNS = ("target", "value", "tolerance")
"""Columns that a file must have; `weight` may follow."""


def read_targets(path: str | Path, known: Sequence[Target] = PUBLISHED) -> list[Target]:
    """Reads a file of targets: columns target, value, tolerance and, if wanted, weight.

    A row gives a known target another value. `tolerance` is in the target's unit ("0.002") or, with a
    per-cent sign, relative to the value ("5%"). `weight` >= 0 is 1 where it is left out. Lines that begin
    with # are skipped. Targets that are not in the file are not looked at.

    Returns: the targets of the file in its order, none of them held out: who gives a figure wants it met.
    Raises: ValueError, a sentence with the file and the row, for a file that is not there, is no UTF-8
      text or is empty, missing columns, unknown or repeated targets, and values that are no number or
      outside their range.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"There is no file {path}; --data wants a CSV with the columns {', '.join(COLUMNS)}."
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason}); save it as a UTF-8 CSV.") from error
    kept = [
        (n, line) for n, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")
    ]
    if not kept:
        raise ValueError(f"{path} is empty; it wants a header {','.join(COLUMNS)} and a row a target.")
    header = [name.strip().lower() for name in next(csv.reader([kept[0][1]]))]
    for name in COLUMNS:
        if name not in header:
            raise ValueError(
                f"{path}, row {kept[0][0]}: the column {name!r} is missing, it has {', '.join(header)}; "
                f"the header must name {', '.join(COLUMNS)} and may name weight."
            )
    if strange := [name for name in header if name not in (*COLUMNS, "weight")]:
        raise ValueError(
            f"{path}, row {kept[0][0]}: the column {strange[0]!r} is unknown; leave it out, the columns are "
            f"{', '.join(COLUMNS)} and weight."
        )
    found: dict[str, Target] = {}
    for number, line in kept[1:]:
        where = f"{path}, row {number}"
        target = _row(header, next(csv.reader([line])), {t.name: t for t in known}, where)
        if target.name in found:
            raise ValueError(f"{where}: the target {target.name!r} stands there twice; keep one.")
        found[target.name] = target
    if not found:
        raise ValueError(f"{path} has a header and no targets; give at least one row.")
    if not any(target.fitted and target.weight > 0.0 for target in found.values()):
        raise ValueError(
            f"{path} has nothing to fit: its targets are echoes of the configuration or weigh nothing; add "
            "an emergent one such as orders_per_session."
        )
    return list(found.values())


def _row(header: list[str], cells: list[str], known: dict[str, Target], where: str) -> Target:
    if len(cells) != len(header):
        raise ValueError(f"{where}: it has {len(cells)} cells and the header {len(header)}; fill it up.")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    name = row["target"]
    if name not in known:
        near = get_close_matches(name, known, 1, 0.4)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}."
        raise ValueError(f"{where}: there is no target {name!r}{hint}")
    target = known[name]
    value = _number(row["value"], "value", where)
    low, high = LIMITS[target.unit]
    if not low <= value <= high:
        percent = " (a share is 0.0129, not 1.29)" if target.unit == "share" else ""
        raise ValueError(
            f"{where}: the value of {name!r} is {value:g} and must lie in [{low:g}, {high:g}]{percent}."
        )
    return replace(
        target,
        value=value,
        tolerance=_tolerance(row["tolerance"], value, where),
        weight=_weight(row.get("weight", ""), where),
        source=where.split(", row")[0],
        held_out=False,
    )


def _number(cell: str, column: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where}: the {column} {cell!r} is no number; write one such as 0.0129.")
    return value


def _tolerance(cell: str, value: float, where: str) -> Tolerance:
    relative = cell.endswith("%")
    size = _number(cell.removesuffix("%").strip(), "tolerance", where)
    if size <= 0.0:
        raise ValueError(f"{where}: the tolerance {cell!r} must be above 0, such as 5% or 0.002.")
    if relative and value == 0.0:
        raise ValueError(f"{where}: a tolerance of {cell} of a value of 0 is 0; give it in the value's unit.")
    return Tolerance("relative", size / 100.0) if relative else Tolerance("absolute", size)


def _weight(cell: str, where: str) -> float:
    if cell == "":
        return 1.0
    weight = _number(cell, "weight", where)
    if weight < 0.0:
        raise ValueError(f"{where}: the weight {cell!r} must be 0 or more.")
    return weight
