"""A measured figure, and how it is measured: repetitions, median, spread, and ratios to references."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from statistics import median
from typing import Any, TypeVar

Name = TypeVar("Name", bound=Hashable)


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
      compiles: how often to compile with an empty cache.
      large_users: the largest market, in a process of its own; 0 leaves it out.
      small_users: the market that the largest one is compared with.
      large_ticks: ticks of both that are timed.
      thread_users: users of the market that several threads play.
      thread_days: days of it, each a repetition.
      vector_worlds, vector_users: of the vector environment, and of the run of `gaelp train`.
      vector_episodes: of each world in one repetition.
      impression_worlds, impression_steps: sub-environments, and calls in one repetition.
      train_steps: env steps of the profiled run of `gaelp train`.
    """

    sizes: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    curve: tuple[int, ...] = (3_000, 30_000, 300_000)
    repetitions: int = 7
    slow_repetitions: int = 4
    busy_ticks: int = 1_000_000
    numpy_users: int = 1_000_000
    store_users: tuple[int, ...] = (10_000, 100_000)
    env_steps: int = 2_400
    ppo_steps: int = 7_680
    compiles: int = 2
    large_users: int = 10_000_000
    small_users: int = 10_000
    large_ticks: int = 8
    thread_users: int = 1_000_000
    thread_days: int = 4
    vector_worlds: int = 64
    vector_users: int = 1_000
    vector_episodes: int = 2
    impression_worlds: int = 1_024
    impression_steps: int = 400
    train_steps: int = 30_720


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
    compiles=0,
    large_users=0,
    thread_users=100_000,
    thread_days=3,
    vector_episodes=1,
    impression_steps=100,
    train_steps=15_360,
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
      core: the share of a core that the work had, if the seconds are of processor time; None if they are
        elapsed.
    """

    name: str
    text: str
    unit: str
    values: tuple[float, ...]
    ratios: Mapping[str, float] = field(default_factory=dict)
    reference: bool = False
    core: float | None = None

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
            "core": self.core,
        }


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A figure that this run could not take, or was asked not to take.

    Attributes:
      name, text: as of the Figure that it would be.
      why: the reason in words, with the remedy.
    """

    name: str
    text: str
    why: str

    def as_json(self) -> dict[str, Any]:
        """Its fields."""
        return {"name": self.name, "text": self.text, "why": self.why}


Row = Figure | LeftOut


@dataclass(slots=True)
class Timed:
    """Seconds of something that is done several times.

    Attributes:
      on_core: the clock: processor time of this process, which others on the machine hardly touch, for
        work that keeps one core busy; elapsed time for work that waits.
      elapsed, processor: seconds, by repetition.
    """

    on_core: bool = False
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
    def values(self) -> list[float]:
        """Seconds by the clock that counts, by repetition."""
        return self.processor if self.on_core else self.elapsed

    @property
    def seconds(self) -> float:
        """Median of the values."""
        return median(self.values)

    @property
    def at_work(self) -> float:
        """Cores at work on the average: processor time over elapsed time, of all repetitions."""
        return sum(self.processor) / sum(self.elapsed)

    @property
    def core(self) -> float | None:
        """The share of a core that the work had; None if elapsed time counts."""
        return self.at_work if self.on_core else None

    def rates(self, count: float) -> tuple[float, ...]:
        """How many of `count` a second, by repetition."""
        return tuple(count / s for s in self.values)

    def scaled(self, factor: float = 1.0) -> tuple[float, ...]:
        """Seconds times a factor, by repetition."""
        return tuple(factor * s for s in self.values)


@dataclass(frozen=True, slots=True)
class Work:
    """Something to time: `do` is on the clock, `prepare` before it is not."""

    do: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


def in_turn(works: Mapping[Name, Work], repetitions: int, *, on_core: bool = False) -> dict[Name, Timed]:
    """Does several things in turn, again and again, so that a disturbance meets all of them alike.

    Args:
      on_core: the clock, see `Timed`.
    """
    timed = {name: Timed(on_core) for name in works}
    for _ in range(repetitions):
        for name, work in works.items():
            work.prepare()
            timed[name].do(work.do)
    return timed


@contextmanager
def timing(owner: Any, name: str, clock: list[float]) -> Iterator[None]:
    """Adds up, in `clock[0]` and `clock[1]`, the elapsed seconds and the number of all calls of a function.

    Inside the context it stands in the place of `owner.name`, an attribute of a module or a class.
    Calls within a call of it count once.
    """
    function = getattr(owner, name)
    deep = 0

    @wraps(function)
    def timed(*given: Any, **named: Any) -> Any:
        nonlocal deep
        deep += 1
        began = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            deep -= 1
            if not deep:
                clock[0] += time.perf_counter() - began
                clock[1] += 1

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, function)


def spelled(users: int) -> str:
    """A population for names: 1k, 10k, 1m."""
    if users % 1_000_000 == 0:
        return f"{users // 1_000_000}m"
    return f"{users // 1_000}k" if users % 1_000 == 0 else str(users)
