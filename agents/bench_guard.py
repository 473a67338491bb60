"""The ratio by which a test guards against a slower tick: it travels between machines, seconds do not."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from agents.bench_market import market_of
from gaelp_env.arrivals import sweep
from gaelp_env.constants import season_of

USERS = 10_000
TICKS = 24
"""Ticks of a turn, from noon to midnight."""
SWEEPS = 240


def measured_ratio(turns: int = 7) -> tuple[float, ...]:
    """What an opportunity costs over what sweeping one user costs, turn by turn.

    10,000 dense users: too few for a second thread. Thread time passes only while this thread has a core, and
    each turn does both, so that a busy machine slows both alike.
    """
    market, bids = market_of(USERS, 10.0)
    for _ in range(TICKS):
        market.advance(bids)
    start = market.checkpoint()
    begins = int(market.record["tick"])
    people, config = market.population, market.config
    tick_h = config.clock.tick_h
    weight = float(season_of(config).traffic[12]) * tick_h / 24.0
    index, luck = np.empty(len(people.number) + 1, np.int64), np.empty(len(people.number) + 1)
    key = np.uint64(market.record["key"])
    counted = [0]

    def ticks() -> None:
        counted[0] = sum(int(market.advance(bids).ledger["opportunities"].sum()) for _ in range(TICKS))

    def sweeps() -> None:
        for tick in range(begins, begins + SWEEPS):
            sweep(key, tick, people.number, people.rate, 0, people.size, weight, index, luck)

    found = []
    for _ in range(turns + 1):
        market.rollback(start)
        opportunity = thread_seconds(ticks) / counted[0]
        found.append(opportunity / (thread_seconds(sweeps) / (SWEEPS * people.size)))
    return tuple(found[1:])


def thread_seconds(work: Callable[[], object]) -> float:
    """Seconds that this thread was at work."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def complaint(ratios: tuple[float, ...], recorded: float, allowed: float) -> str:
    """What to say of a ratio whose median is more than `allowed` × the recorded one; "" if it is not."""
    found = median(ratios)
    if found <= allowed * recorded:
        return ""
    return (
        f"An opportunity costs {found:.0f} × the sweep of one user, and {recorded:.0f} × is on record: more "
        f"than {allowed:g} times as much (turns: {', '.join(f'{ratio:.0f}' for ratio in ratios)}). If that "
        "is meant, record it anew."
    )
