"""A measured figure, and how it is measured: repetitions, median, spread, and ratios to references."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a bench does.

    Attributes:
      sizes: users of the markets whose opportunities are counted.
      curve: users of the markets between them, for the picture only.
      repetitions: of a measurement that takes well under a second.
      slow_repetitions: of one that takes seconds.
      busy_ticks: user-ticks swept in one repetition, at least; small markets play many days.
      numpy_users: the largest market that the NumPy version plays.
      store_users: users of the worlds that are committed and loaded.
      env_steps: steps of the environment in one repetition.
      ppo_steps: env steps of one short `learn`.
      again: whether disturbed repetitions are made up for, see `in_turn`.
    """

    sizes: tuple[int, ...] = (1_000, 10_000, 1_000_000)
    curve: tuple[int, ...] = (3_000, 30_000, 100_000, 300_000)
    repetitions: int = 7
    slow_repetitions: int = 4
    busy_ticks: int = 1_000_000
    numpy_users: int = 1_000_000
    store_users: tuple[int, ...] = (10_000, 100_000)
    env_steps: int = 4_800
    ppo_steps: int = 15_360
    again: bool = True


FULL = Effort()
QUICK = Effort(
    sizes=(1_000, 10_000, 100_000),
    curve=(),
    repetitions=3,
    slow_repetitions=1,
    busy_ticks=100_000,
    numpy_users=10_000,
    store_users=(10_000,),
    env_steps=480,
    ppo_steps=1_920,
    again=False,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the bench.

    Attributes:
      name: unique; letters, digits, underscores.
      text: what it is, for the table.
      unit: of the values.
      values: one a repetition, in the order of measuring; all finite and positive.
      ratios: name of a reference in the same run -> median here / median there.
      reference: whether it is there only to be compared with.
      cores: processor time over elapsed time of the repetitions; None where it means nothing.
    """

    name: str
    text: str
    unit: str
    values: tuple[float, ...]
    ratios: Mapping[str, float] = field(default_factory=dict)
    reference: bool = False
    cores: float | None = None

    def __post_init__(self) -> None:
        if not self.values or not all(math.isfinite(v) and v > 0.0 for v in self.values):
            raise ValueError(
                f"The figure {self.name} must be finite and positive, and was measured as {self.values}; "
                "the clock is too coarse for so little work."
            )

    @property
    def median(self) -> float:
        """The middle of the repetitions."""
        return median(self.values)

    def as_json(self) -> dict[str, Any]:
        """The figure as plain values, median and spread included."""
        return {
            "name": self.name,
            "text": self.text,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "repetitions": len(self.values),
            "values": list(self.values),
            "ratios": dict(self.ratios),
            "reference": self.reference,
            "cores": self.cores,
        }


@dataclass(slots=True)
class Timed:
    """Elapsed and processor seconds of something that is done several times."""

    elapsed: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def do(self, work: Callable[[], object]) -> None:
        """Does the work once more, with the garbage collector off, as timeit has it."""
        gc.collect()
        gc.disable()
        try:
            processor, elapsed = time.process_time(), time.perf_counter()
            work()
            self.elapsed.append(time.perf_counter() - elapsed)
            self.processor.append(time.process_time() - processor)
        finally:
            gc.enable()

    @property
    def seconds(self) -> float:
        """Median of the elapsed seconds."""
        return median(self.elapsed)

    @property
    def shares(self) -> list[float]:
        """Processor time over elapsed time, by repetition."""
        return [p / e for p, e in zip(self.processor, self.elapsed, strict=True)]

    def keep_undisturbed(self, count: int) -> None:
        """Keeps the `count` repetitions that had the most of a core, in their order."""
        best = sorted(sorted(range(len(self.elapsed)), key=lambda k: -self.shares[k])[:count])
        self.elapsed = [self.elapsed[k] for k in best]
        self.processor = [self.processor[k] for k in best]

    @property
    def cores(self) -> float:
        """Processor time over elapsed time: one for a busy core, less if others were served."""
        return sum(self.processor) / sum(self.elapsed)

    def rates(self, count: float) -> tuple[float, ...]:
        """How many of `count` a second, by repetition."""
        return tuple(count / s for s in self.elapsed)

    def scaled(self, factor: float) -> tuple[float, ...]:
        """Elapsed seconds times a factor, by repetition."""
        return tuple(factor * s for s in self.elapsed)


@dataclass(frozen=True, slots=True)
class Work:
    """Something to time: `do` is on the clock, `prepare` before it is not."""

    do: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


UNDISTURBED = 0.95
"""Share of a core above which a repetition counts as undisturbed."""


def in_turn(works: Mapping[str, Work], repetitions: int, *, alone: bool = False) -> dict[str, Timed]:
    """Does several things in turn, again and again, so that a disturbance meets all of them alike.

    Args:
      alone: the works keep one core busy. If they were kept from it in some repetition, all is done as
        often again, and the repetitions with the most of a core count, whatever their time.
    """
    timed = {name: Timed() for name in works}

    def rounds() -> None:
        for _ in range(repetitions):
            for name, work in works.items():
                work.prepare()
                timed[name].do(work.do)

    rounds()
    if alone and any(min(one.shares) < UNDISTURBED for one in timed.values()):
        rounds()
        for one in timed.values():
            one.keep_undisturbed(repetitions)
    return timed


def spelled(users: int) -> str:
    """A population for names: 1k, 10k, 1m."""
    if users % 1_000_000 == 0:
        return f"{users // 1_000_000}m"
    return f"{users // 1_000}k" if users % 1_000 == 0 else str(users)
