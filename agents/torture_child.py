"""The processes that a torture kills, and those that race: `python -m agents.torture_child MODE URL`.

"commit" commits until it is killed and prints each commit once it was made. "race" waits for lines and
tries at each to take the world, commit three times and let go; it prints what came of it. "power" plays
COMMITS commits under the shim and leaves what the disk was told in a file; "faults" lets writes fail;
"soak" plays a world for a while.
"""

from __future__ import annotations

import json
import pickle
import random
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from agents import torture_work as work
from storage import open_store, sqlite, sqlite_open
from storage.base import StoreError
from storage.shared import SharedStore

STEPS = 3
COMMITS = 40


def small_limits() -> None:
    """Folds and checkpoints come every few commits, so that every kind of write is met."""
    sqlite.ROOM_BYTES = 60_000
    sqlite_open.CHECKPOINT_BYTES = 400_000


def commit_until_killed(url: str) -> None:
    """Commits, and says so, until the process ends."""
    store = opened(url)
    at = work.check(url)
    lease = store.acquire(work.birth(), expected=None if at < 0 else at)
    print("begun", at, flush=True)
    while True:
        at += 1
        store.commit([(lease, work.batch(at))])
        print(at, flush=True)


def race(url: str) -> None:
    """At each line that is read: takes the world if it can, and prints how many commits it made."""
    print("ready", flush=True)
    for _ in sys.stdin:
        store = opened(url)
        made = 0
        try:
            lines = store.worlds()
            at = lines[0].sequence if lines else -1
            lease = store.acquire(work.birth(), expected=None if at < 0 else at)
            for step in range(1, STEPS + 1):
                store.commit([(lease, work.batch(at + step))])
                made += 1
            store.release(lease)
        except StoreError as error:
            print(made, type(error).__name__, flush=True)
        else:
            print(made, "done", flush=True)
        finally:
            store.close()


def play_under_shim(url: str, out: str, synchronous: str) -> None:
    """Commits under the shim, in two lives, and writes down what the disk was told and which were made."""
    from agents.torture_shim import Shim

    shim = Shim().install()
    for life in range(2):
        store = opened(url)
        lease = store.acquire(work.birth(), expected=None if life == 0 else COMMITS // 2 - 1)
        writer = store._place._writer  # type: ignore[attr-defined]
        writer.execute(f"PRAGMA synchronous = {synchronous}")
        for at in range(life * COMMITS // 2, (life + 1) * COMMITS // 2):
            store.commit([(lease, work.batch(at))])
            shim.say(str(at))
        store.close()
    told = [(one.what, one.name, one.at, one.octets) for one in shim.told]
    Path(out).write_bytes(pickle.dumps(told))


def faults(folder: str, times: str, seed: str) -> None:
    """See `torture_faults`; prints what came of it as JSON."""
    from agents.torture_faults import failing_writes

    print(json.dumps(asdict(failing_writes(Path(folder), int(times), random.Random(seed)))))


def opened(url: str) -> SharedStore:
    """A store of this torture's people."""
    return open_store(url, public=work.public_of)


def soak(url: str, seconds: str) -> None:
    """See `torture_soak`; prints what came of it as JSON."""
    from agents.torture_soak import soaked

    print(json.dumps(asdict(soaked(url, float(seconds)))))


MODES: dict[str, Callable[..., None]] = {
    "commit": commit_until_killed,
    "race": race,
    "power": play_under_shim,
    "faults": faults,
    "soak": soak,
}

if __name__ == "__main__":
    if sys.argv[1] != "soak":
        small_limits()
    MODES[sys.argv[1]](*sys.argv[2:])
