"""Limits of the real service that no emulator keeps, kept by the fault proxy: DML and loads of each table."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bigquery.exchanges import Exchange
from tests.bigquery.service import REFUSALS, Refusal

MUTATING = frozenset({"MERGE", "UPDATE", "DELETE"})
DAY_S = 86_400.0


@dataclass
class Limits:
    """Counts what is asked of each table, and refuses what the service would refuse.

    Source: cloud.google.com/bigquery/quotas. Lower figures make a test short. None is no limit.

    dml_per_10_s: DML statements of a table in any ten seconds.
    running, queued: mutating DML statements (MERGE, UPDATE, DELETE) of a table that run, and that wait.
    loads_per_day: load jobs of a table in any 24 hours, those that fail included.
    now: a clock in seconds; a test may let a day pass.
    """

    dml_per_10_s: int | None = 25
    running: int | None = 2
    queued: int = 20
    loads_per_day: int | None = 1500
    now: Callable[[], float] = time.monotonic
    _dml: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque), repr=False)
    _loads: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque), repr=False)
    _outstanding: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list), repr=False)
    _lock: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def refuses(self, exchange: Exchange) -> Refusal | None:
        """Why the service would let this job fail, or None; the job is counted either way."""
        with self._lock:
            if exchange.what == "load":
                return self._counted(self._loads, exchange.table, DAY_S, self.loads_per_day, "quota")
            for _ in exchange.verbs:
                refusal = self._counted(self._dml, exchange.table, 10.0, self.dml_per_10_s, "rate limit")
                if refusal is not None:
                    return refusal
            waiting = self._outstanding[exchange.table]
            full = self.running is not None and len(waiting) >= self.running + self.queued
            return REFUSALS["dml queue"] if self.mutates(exchange) and full else None

    def mutates(self, exchange: Exchange) -> bool:
        """Whether a job changes rows that are there, so that it has to queue."""
        return exchange.submits and bool(MUTATING & set(exchange.verbs))

    def enter(self, exchange: Exchange, ended: Callable[[str], bool]) -> None:
        """Waits in the table's queue until the job may run. `ended` tells whether a job is over."""
        if self.running is None or not exchange.job_id or not self.mutates(exchange):
            return
        with self._lock:
            self._outstanding[exchange.table].append(exchange.job_id)
        while True:
            self.tidy(exchange.table, ended)
            with self._lock:
                if exchange.job_id not in self._outstanding[exchange.table][self.running :]:
                    return
            time.sleep(0.01)

    def leave(self, exchange: Exchange) -> None:
        """Takes a job out of the queue that was refused and so will never end."""
        with self._lock:
            table = self._outstanding[exchange.table]
            table[:] = [job for job in table if job != exchange.job_id]

    def tidy(self, table: str, ended: Callable[[str], bool]) -> None:
        """Forgets the jobs of a table that are over."""
        with self._lock:
            jobs = list(self._outstanding[table])
        over = {job for job in jobs if ended(job)}
        with self._lock:
            self._outstanding[table][:] = [job for job in self._outstanding[table] if job not in over]

    def _counted(
        self, counts: dict[str, deque[float]], table: str, window_s: float, most: int | None, name: str
    ) -> Refusal | None:
        if most is None:
            return None
        moments, now = counts[table], self.now()
        while moments and moments[0] <= now - window_s:
            moments.popleft()
        moments.append(now)
        return REFUSALS[name] if len(moments) > most else None
