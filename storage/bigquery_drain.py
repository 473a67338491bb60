"""The drain: what waits in the outbox goes into `gaelp_deltas`, exactly once, now and then and at the end."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable

from storage.base import StoreError
from storage.bigquery_client import Wire
from storage.bigquery_entries import Entry
from storage.bigquery_lease import in_force
from storage.bigquery_outbox import Outbox
from storage.bigquery_stage import pieces
from storage.bigquery_tables import DELTAS

EVERY = "GAELP_DRAIN_S"
"""Seconds between two drains of one machine; 0: at every commit, which then waits for it."""
EVERY_S = 60.0
"""By default: 1,440 load jobs in a day, of the 1,500 that a table takes."""
LOOKS = 4
"""So often between two drains a process looks whether one is due, for another one may have ended."""


def drain_s() -> float:
    """Seconds between two drains, whichever process does them. Raises StoreError for no number of seconds."""
    given = os.environ.get(EVERY, "")
    try:
        seconds = float(given) if given else EVERY_S
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise StoreError(f"{EVERY} is a number of seconds from 0 on, and not {given!r}.")
    return seconds


def drain(wire: Wire, outbox: Outbox, loaded: Callable[[], None] = lambda: None) -> int:
    """Sends all that waits; returns how many commits the dataset has now that it had not.

    A job is named by the outbox and the places of what it brings, which were written down before: sent again,
    by whomever, it is the same job. Only then it is looked whether the leases are in force: a commit under
    one that was taken over is void in the dataset, and is set aside here, with a warning that says so.

    Args:
      loaded: called when commits are in the dataset, and still in the outbox.
    """
    sent = 0
    while entries := outbox.next_load():
        first, last = entries[0].position, entries[-1].position
        wire.load(DELTAS, pieces(entries), f"gaelp-deltas-{outbox.name()}-{first}-{last}", replace=False)
        loaded()
        now = in_force(wire)
        lost = {}
        for entry in entries:
            key = entry.world, entry.shard
            if now.get(key, (0, ""))[0] != entry.epoch:
                lost[key] = entry.epoch
        aside = outbox.sent(entries, lost)
        sent += len(entries) - len(aside)
        if aside:
            warnings.warn(forfeited(outbox, aside), UserWarning, stacklevel=2)
    return sent


def forfeited(outbox: Outbox, aside: list[Entry]) -> str:
    """What is said of commits that a takeover has made void."""
    named = ", ".join(f"{entry.sequence} of world {entry.world!r} (shard {entry.shard})" for entry in aside)
    return (
        f"Commits that were not drained in time are forfeited: {named}. Somebody else took the world over, "
        f"and goes on without them; they are set aside in {outbox.path!r}."
    )


class Drainer:
    """A thread that looks now and then whether a drain is due, and says every minute that the holder lives.

    It never stops a simulation: what goes wrong is kept, and told when the last lease is given back.
    """

    def __init__(
        self, look_s: float, drain: Callable[[], None], beat: Callable[[], None], beat_s: float
    ) -> None:
        self._look_s, self._drain, self._beat, self._beat_s = look_s, drain, beat, beat_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gaelp-drain", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread does nothing any more; what it is sending is finished first."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        step = min(self._look_s, self._beat_s)
        since_look = since_beat = 0.0
        while not self._stopped.wait(step):
            since_look, since_beat = since_look + step, since_beat + step
            if since_look >= self._look_s:
                since_look = 0.0
                self._drain()
            if since_beat >= self._beat_s:
                since_beat = 0.0
                self._beat()
