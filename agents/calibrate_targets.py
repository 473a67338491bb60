"""What a figure of the market is held to: a target, how far off it may be, and what a comparison says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["emergent", "echo"]
Unit = Literal["share", "ratio", "1", "channels", "impressions", "sessions", "currency", "distance"]

LIMITS: dict[str, tuple[float, float]] = {
    "share": (0.0, 1.0),
    "ratio": (0.0, 100.0),
    "1": (-100.0, 100.0),
    "channels": (0.0, 100.0),
    "impressions": (0.0, 1e6),
    "sessions": (0.0, 1e6),
    "currency": (0.0, 1e9),
    "distance": (0.0, 2.0),
}
"""Unit -> the least and the most that a target in it can be."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from its target a figure may be.

    Attributes:
      kind: "relative" to the target, "absolute" in its unit, or "range": anything within the absolute
        size is as good as the target itself, because sources differ by as much.
      size: > 0.
    """

    kind: Literal["relative", "absolute", "range"]
    size: float

    def half(self, value: float) -> float:
        """The greatest difference that is accepted, in the unit of the target."""
        return self.size * abs(value) if self.kind == "relative" else self.size


@dataclass(frozen=True, slots=True)
class Target:
    """A published or a user's own figure that the market should come to.

    Attributes:
      name: as in a file of targets.
      words: what it is.
      value: in `unit`; the middle of a range.
      tolerance: how far off is accepted.
      unit: a key of LIMITS. Shares and lifts are plain numbers, 0.0129 and not 1.29.
      source: where the value is from.
      window: over which time it is taken.
      kind: "emergent" if it comes of people and auctions, "echo" if a constant of the config is the figure.
      held_out: not shown to the fit.
      constants: of the config, which decide it most.
      weight: in the distance, >= 0.
    """

    name: str
    words: str
    value: float
    tolerance: Tolerance
    unit: Unit
    source: str
    window: str
    kind: Kind
    held_out: bool
    constants: tuple[str, ...]
    weight: float = 1.0

    @property
    def half(self) -> float:
        """The greatest difference that is accepted, in the target's unit."""
        return self.tolerance.half(self.value)

    @property
    def fitted(self) -> bool:
        """Whether the fit may look at it."""
        return self.kind == "emergent" and not self.held_out

    def miss(self, simulated: float) -> float:
        """How many tolerances a figure is off, with its sign.

            m = (simulated - value) / half;  for a range 0 inside, else the way to its nearer end / half

        Returns: in [-1, 1] (range: 0) if and only if the target is met; nan if there is no figure.
        """
        off = (simulated - self.value) / self.half
        if self.tolerance.kind != "range" or math.isnan(off):
            return off
        return math.copysign(max(0.0, abs(off) - 1.0), off)

    def met(self, simulated: float) -> bool:
        """Whether a figure is within tolerance; no figure (nan) never is."""
        room = 0.0 if self.tolerance.kind == "range" else 1.0
        return abs(self.miss(simulated)) <= room + 1e-9


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the scorecard: a target and what the market came to.

    Attributes:
      simulated: nan if it came to nothing.
      se: standard error of `simulated`, >= 0; nan where there is none.
    """

    target: Target
    simulated: float
    se: float = math.nan

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.target.met(self.simulated)

    def to_json(self) -> dict[str, Any]:
        """The row as JSON-able words and numbers; None where there is no figure."""
        target, there = self.target, math.isfinite(self.simulated)
        return {
            "target": target.name,
            "words": target.words,
            "value": target.value,
            "unit": target.unit,
            "tolerance": {"kind": target.tolerance.kind, "size": target.tolerance.size},
            "simulated": self.simulated if there else None,
            "se": self.se if there and math.isfinite(self.se) else None,
            "difference": self.simulated - target.value if there else None,
            "met": self.met,
            "kind": target.kind,
            "held_out": target.held_out,
            "constants": list(target.constants),
            "window": target.window,
            "source": target.source,
        }


def score(
    targets: Iterable[Target], moments: Mapping[str, float], errors: Mapping[str, float] | None = None
) -> list[Row]:
    """Sets every target against its figure; a figure that is missing counts as nan, so as not met.

    Args:
      errors: standard errors of the figures that have one; they decide nothing.
    """
    errors = errors or {}
    return [
        Row(target, float(moments.get(target.name, math.nan)), float(errors.get(target.name, math.nan)))
        for target in targets
    ]


def part(rows: Iterable[Row], what: Literal["fitted", "held out", "echo"]) -> list[Row]:
    """The rows of one table of the scorecard."""
    if what == "echo":
        return [row for row in rows if row.target.kind == "echo"]
    return [
        row for row in rows if row.target.kind == "emergent" and row.target.held_out is (what == "held out")
    ]


def met_share(rows: Sequence[Row]) -> float:
    """The share of rows within tolerance; nan of none."""
    return sum(row.met for row in rows) / len(rows) if rows else math.nan


def distance(rows: Iterable[Row], missing: float = 100.0) -> float:
    """What the fit makes small: the weighted mean of squared misses of the fitted targets.

        d = sum(w m^2) / sum(w),   m = difference / tolerance

    A d of 1 is an average miss of one tolerance.

    Args:
      missing: the miss of a figure that is not there.
    """
    total = weight = 0.0
    for row in rows:
        if row.target.fitted:
            miss = row.target.miss(row.simulated)
            total += row.target.weight * (miss if math.isfinite(miss) else missing) ** 2
            weight += row.target.weight
    return total / weight if weight else math.nan
