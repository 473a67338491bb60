"""One simulated day of many people, played by one thread, by two, and so on up to the cores.

The seconds are elapsed ones: that is what a training run waits for. Every number of threads plays the same
day from the same checkpoint, in turn. The day is dense, 10 media candidates a user: some ten million
opportunities at a million users. The first model (preset `v0`) plays it too, beside its NumPy version.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from agents.bench_market import Say, market_of, numpy_work
from agents.bench_measure import Effort, Figure, LeftOut, Row, Timed, Work, in_turn, spelled
from gaelp_env.market import Market
from gaelp_env.threads import for_all, set_threads

MEDIA_PER_DAY = 10.0
HASHES = 32
"""Texts that are hashed in one repetition, each some ten milliseconds of one core."""
_TEXT = bytes(10_000_000)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_counts(available: int) -> list[int]:
    """1, 2, 4, … up to the cores, and the number of cores itself."""
    return sorted({available, *(2**k for k in range(16) if 2**k <= available)})


def measure_threads(effort: Effort, say: Say, curve: list[dict[str, Any]]) -> Iterator[Row]:
    """Yields seconds of a day by threads, what a second thread brings, and NumPy's day.

    Args:
      curve: takes one entry for each model and number of threads, for the picture.
    """
    users, counts = effort.thread_users, thread_counts(cores())
    models = {first: _Day(users, first=first) for first in (False, True)}
    works: dict[tuple[bool | None, int], Work] = {
        (first, count): Work(day.play, day.ready(count)) for first, day in models.items() for count in counts
    }
    works |= {(None, count): Work(_hashes, _by_threads(count)) for count in counts}
    try:
        say(f"a day of {users:,} users by {', '.join(map(str, counts))} threads")
        timed = in_turn(works, effort.thread_days)
        say(f"the same day in NumPy, {users:,} users")
        plain = in_turn({"numpy": models[True].numpy()}, min(2, effort.thread_days))["numpy"]
    finally:
        set_threads(1)
    for (first, count), one in timed.items():
        if first is not None:
            cost = one.seconds * 1e9 / models[first].opportunities
            curve.append({"threads": count, "first": first, "users": users, "cost_ns": cost})
    for count in counts:
        yield from _by(count, spelled(users), models, timed, plain)
    yield Figure(
        f"numpy_day_{spelled(users)}", f"a day in NumPy, first model (v0), {spelled(users)} users", "s",
        plain.scaled(), {"cores at work": plain.at_work}, reference=True,
    )  # fmt: skip
    if 2 not in counts:
        why = "this process may use one core, and two threads need two"
        for figure in ("day", "threads_gain", "numpy_over"):
            yield LeftOut(f"{figure}_{spelled(users)}_2", f"{figure.replace('_', ' ')}, two threads", why)


def _hashes() -> None:
    """Work that has nothing in common but the machine: what a second thread can bring at best."""

    def one(_: int) -> None:
        hashlib.sha256(_TEXT)

    for_all(one, range(HASHES))


def _by_threads(count: int) -> Callable[[], None]:
    return lambda: set_threads(count)


class _Day:
    """A market and its day to come, again and again."""

    def __init__(self, users: int, *, first: bool) -> None:
        self._market, self._bids = market_of(users, MEDIA_PER_DAY, first=first)
        self._ticks = round(24.0 / self._market.config.clock.tick_h)
        self.play()
        self._start = self._market.checkpoint()
        self._begins = int(self._market.record["tick"])
        self.opportunities = 0
        for _ in range(self._ticks):
            self.opportunities += int(self._market.advance(self._bids).ledger["opportunities"].sum())

    def play(self) -> None:
        """Plays a day."""
        for _ in range(self._ticks):
            self._market.advance(self._bids)

    def ready(self, threads: int) -> Callable[[], None]:
        """What goes back to the day's morning, for so many threads."""

        def prepare() -> None:
            set_threads(threads)
            self._market.rollback(self._start)

        return prepare

    def numpy(self) -> Work:
        """The day in NumPy, from the same people; its generator is NumPy's own Philox."""
        market: Market = self._market
        market.rollback(self._start)
        return numpy_work(market, range(self._begins, self._begins + self._ticks), self._bids)


def _by(
    count: int, name: str, models: dict[bool, _Day], timed: dict[tuple[bool | None, int], Timed], plain: Timed
) -> Iterator[Row]:
    many = "1 thread" if count == 1 else f"{count} threads"
    for first, words in ((False, f"a day of {name} users"), (True, "the same, first model (v0)")):
        one, million = timed[first, count], models[first].opportunities / 1e6
        yield Figure(
            f"{'first_' if first else ''}day_{name}_{count}",
            f"{words}, {million:.2g} M opportunities, {many}", "s", one.scaled(),
            {"cores at work": one.at_work},
        )  # fmt: skip
    faster = tuple(median(plain.elapsed) / seconds for seconds in timed[True, count].elapsed)
    words = f"NumPy's day : ours, both first model (v0), {many}"
    yield Figure(f"numpy_over_{name}_{count}", words, "×", faster)
    if count > 1:
        gain, machine = (_gain(timed[kind, 1], timed[kind, count]) for kind in (False, None))
        yield Figure(
            f"threads_gain_{name}_{count}", f"opportunities a second, {many} : 1, {name} users", "×", gain,
            {"hashing": median(gain) / median(machine)},
        )  # fmt: skip
        yield Figure(
            f"hashing_gain_{count}", f"hashing, {many} : 1", "×", machine, reference=True
        )  # fmt: skip


def _gain(alone: Timed, together: Timed) -> tuple[float, ...]:
    """How many times as fast, repetition by repetition."""
    return tuple(a / b for a, b in zip(alone.elapsed, together.elapsed, strict=True))
