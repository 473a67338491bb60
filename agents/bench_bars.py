"""The bars: what the figures of the bench must reach, and whether they do. None is passed in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that a figure must reach.

    Attributes:
      section: of the bench, in which the figure is taken.
      figure: its name.
      text: the bar in words.
      value: the bar, in the figure's unit.
      least: whether it is a lower bound; an upper one else.
      aim: what is aimed for beyond it; None if nothing is.
    """

    section: str
    figure: str
    text: str
    value: float
    least: bool
    aim: float | None = None

    def met(self, median: float) -> bool:
        """Whether a median meets it."""
        return _reaches(median, self.value, self.least)

    def aim_met(self, median: float) -> bool | None:
        """Whether a median meets the aim; None if there is none."""
        return None if self.aim is None else _reaches(median, self.aim, self.least)


def _reaches(median: float, value: float, least: bool) -> bool:
    return median >= value if least else median <= value


BARS = (
    Bar("market", "opportunities_1m_dense",
        "1 M users, 10 media a day, one core: at least 6 M opportunities/s (aim: 12 M/s)", 6e6, True, 12e6),
    Bar("market", "opportunities_1m",
        "1 M users, default traffic, one core: at least 6 M opportunities/s (aim: 12 M/s)", 6e6, True, 12e6),
    Bar("threads", "threads_gain_1m_2", "two threads: at least 1.6 × the opportunities/s of one, 1 M users",
        1.6, True),
    Bar("large", "growth_10m_dense", "an opportunity at 10 M users costs at most 2 × one at 10,000", 2.0,
        False),
    Bar("threads", "day_1m_2", "a day of 1 M users on two cores: at most 1.2 s (aim: 0.6 s)", 1.2, False,
        0.6),
    Bar("threads", "numpy_over_1m_2",
        "a day of 1 M users, first model on both sides: at least 15 × as fast on two cores as in NumPy", 15.0,
        True),
    Bar("vector", "vector_steps", "64 worlds × 1,000 users: at least 70,000 env-steps/s (aim: 150,000)", 7e4,
        True, 1.5e5),
    Bar("vector", "vector_shell", "the shell of a vector step: at most 10 µs a call beyond the loop", 10.0,
        False),
    Bar("vector", "impression_steps", "1,024 worlds: at least 5 M impression steps/s", 5e6, True),
    Bar("train", "train_share", "gaelp train, 64 worlds: env and store take at most 40 % of the wall time",
        0.4, False),
    Bar("large", "resident_10m", "10 M users, rollback included: at most 3 GB resident", 3.0, False),
    Bar("memory", "hot_bytes", "at most 128 bytes a user hot", 128.0, False),
    Bar("memory", "memory_bytes",
        "at most 200 bytes a user in all: record, the sweep's columns, the mark of change", 200.0, False),
    Bar("market", "full_over_first_100k",
        "one opportunity of the full model costs at most 2 × one of the first (v0), 100,000 users", 2.0,
        False),
    Bar("market", "full_over_first_1m",
        "one opportunity of the full model costs at most 2 × one of the first (v0), 1 M users", 2.0, False),
)  # fmt: skip


def judge(
    figures: Sequence[Mapping[str, Any]], left_out: Sequence[Mapping[str, Any]], sections: Sequence[str]
) -> list[dict[str, Any]]:
    """Holds what was measured against every bar.

    Args:
      figures: of the report.
      left_out: what could not be taken: name and why.
      sections: that were run.
    Returns: one entry a bar: figure, text, bar, aim, unit, measured (None if it was not), met and aim_met
      (True, False or None), why (not measured; "" if it was).
    """
    known = {figure["name"]: figure for figure in figures}
    reasons = {line["name"]: line["why"] for line in left_out}
    return [_judged(bar, known.get(bar.figure), reasons, sections) for bar in BARS]


def _judged(
    bar: Bar, figure: Mapping[str, Any] | None, reasons: Mapping[str, str], sections: Sequence[str]
) -> dict[str, Any]:
    line = {"section": bar.section, "figure": bar.figure, "text": bar.text, "bar": bar.value, "aim": bar.aim}
    if figure is not None:
        median = figure["median"]
        told = {"met": bar.met(median), "aim_met": bar.aim_met(median), "why": ""}
        return line | {"unit": figure["unit"], "measured": median} | told
    if bar.section not in sections:
        why = f"the section {bar.section} was left out; add --only {bar.section}"
    else:
        why = reasons.get(bar.figure, "not of the sizes of this run; run gaelp bench without --quick")
    return line | {"unit": None, "measured": None, "met": None, "aim_met": None, "why": why}


def verdict(line: Mapping[str, Any]) -> str:
    """An entry of `judge` in words."""
    if line["met"] is None:
        return f"not measured: {line['why']}"
    if not line["met"]:
        return "not met"
    return {None: "met", True: "met, and the aim", False: "met, the aim not"}[line["aim_met"]]
