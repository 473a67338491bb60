"""What the fault proxy shall do, and to which exchange."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from tests.bigquery.exchanges import Exchange
from tests.bigquery.service import REFUSALS

CUTS = ("drop", "reset", "torn")
"""Ends of the connection: closed in silence, by a reset, or in the middle of the answer (only after)."""
KINDS = (*CUTS, "delay", "duplicate", "kill", "job fails", *REFUSALS)
BEFORE_ONLY = ("job fails",)
AFTER_ONLY = ("torn",)


@dataclass
class Plan:
    """One fault and where it strikes.

    kind: one of KINDS. "drop", "reset", "torn": the client is cut off. "delay": it waits `seconds`.
      "duplicate": the emulator gets the request twice, and the client the second answer. "kill": the process
      `pid` dies by SIGKILL. "job fails": the job is accepted and found failed when it is looked up, with the
      refusal named `reason`; nothing of it was applied. All others: the client is answered so.
    when: "before" the emulator was asked, so nothing was applied, or "after", so all of it was.
    at: the number of the first exchange that it may strike; 0 is any.
    matching: which exchanges it strikes; all by default.
    times: how many of them in a row.
    """

    kind: str
    when: str = "before"
    at: int = 0
    matching: Callable[[Exchange], bool] | None = None
    times: float = 1
    seconds: float = 1.0
    reason: str = "503"
    pid: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"There is no fault {self.kind!r}; the faults are: {', '.join(KINDS)}.")
        if self.when not in ("before", "after"):
            raise ValueError(f"A fault strikes before or after the emulator was asked, not {self.when!r}.")
        if self.kind in BEFORE_ONLY:
            self.when = "before"
        if self.kind in AFTER_ONLY:
            self.when = "after"

    @property
    def spent(self) -> bool:
        return self.struck >= self.times

    def strikes(self, exchange: Exchange, when: str) -> bool:
        """Whether it is for this exchange, at this moment; counts if so."""
        meant = (
            not self.spent
            and when == self.when
            and exchange.number >= self.at
            and (self.kind != "job fails" or exchange.submits)
            and (self.matching is None or self.matching(exchange))
        )
        self.struck += meant
        return meant

    def kill(self) -> None:
        """Ends the process as `kill -9` does; one that is gone already is left alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
