"""How long a world of many people takes in a dataset on the emulator, and how much memory.

    python -m tests.bigquery.scale                       # 100,000 and 1,000,000 people
    python -m tests.bigquery.scale --users 10000

A world of the default market is born and committed, drained and folded; then another process opens it,
loads everybody, commits a change of a tenth of them, drains, loads, folds, loads. Each size has a server of
its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.bigquery.emulator import PROJECT, ROOT, Emulator, interpreter

SIZES = (100_000, 1_000_000)
CHANGED = 10
"""One in so many is changed by the second commit."""
STEPS = (
    "birth", "drain of the birth", "fold of the birth", "reopen: lease", "reopen: load", "commit of a tenth",
    "drain of a tenth", "load with it waiting", "fold of a tenth", "load",
)  # fmt: skip


def played(url: str, users: int, part: str, tell: Callable[[str, Any], None]) -> None:
    """What one process does, timed step by step."""
    from gaelp_env.config_load import load_config
    from gaelp_env.world import World
    from gaelp_env.world_public import public_of
    from storage import open_store
    from storage.base import Batch

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        tell(step, time.perf_counter() - begun)

    store = open_store(url, public=public_of)
    place: Any = store.home
    place.wire.is_there()
    if part == "first":
        config = load_config({"people.users": users})
        with timed("birth"):
            world = World.create(url, "demo", config=config, seed=1)
        with timed("drain of the birth"):
            place.drain()
        with timed("fold of the birth"):
            store.fold()
        world.close()
    else:
        (line,) = store.worlds()
        with timed("reopen: lease"):
            lease = store.acquire(line.birth, expected=line.sequence)
        with timed("reopen: load"):
            snapshot = store.load("demo")
        tell("people", len(snapshot.users))
        changed = snapshot.users[::CHANGED].copy()
        nothing = np.zeros(0)
        brought = Batch(
            world="demo", shard=0, sequence=line.sequence + 1, users=changed, names={},
            archived=np.zeros(0, np.uint32), touchpoints=nothing, conversions=nothing, episodes=nothing,
            market=snapshot.market, summary=snapshot.summary,
        )  # fmt: skip
        del snapshot
        with timed("commit of a tenth"):
            store.commit([(lease, brought)])
        with timed("drain of a tenth"):
            place.drain()
        with timed("load with it waiting"):
            store.load("demo")
        with timed("fold of a tenth"):
            store.fold()
        with timed("load"):
            store.load("demo")
    store.close()
    tell(f"memory_mb of the {part} process", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(users: int, say: Callable[[str], None]) -> dict[str, float]:
    """Seconds of each step, and the largest memory of each process, of a world of so many people."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="gaelp-scale-") as folder:
        emulator = Emulator(Path(folder) / "server", interpreter())
        emulator.start()
        places = {"GAELP_OUTBOX": f"{folder}/outbox", "GAELP_DRAIN_S": "86400"}
        try:
            for part in ("first", "second"):
                words = [sys.executable, "-m", "tests.bigquery.scale", "--users", str(users), "--part", part]
                with subprocess.Popen(
                    words, cwd=ROOT, env=os.environ | emulator.variables | places, stdout=subprocess.PIPE,
                    text=True,
                ) as process:  # fmt: skip
                    for line in process.stdout or ():
                        found |= json.loads(line)
                        say(f"{users:,}: {line.strip()}")
                if process.returncode:
                    raise RuntimeError(f"The {part} process ended with status {process.returncode}.")
        finally:
            emulator.stop()
    return found


def main() -> int:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", nargs="+", type=int, default=list(SIZES), help="how many people")
    parser.add_argument("--part", choices=("first", "second"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        url = f"bigquery://{PROJECT}/scale"
        played(
            url, given.users[0], given.part, lambda step, value: print(json.dumps({step: value}), flush=True)
        )
        return 0
    found = [
        measured(users, lambda words: print(words, file=sys.stderr, flush=True)) for users in given.users
    ]
    print(f"{'':<34}" + "".join(f"{users:>12,}" for users in given.users))
    for step in STEPS:
        print(f"{step + ', s':<34}" + "".join(f"{sheet[step]:>12.2f}" for sheet in found))
    for part in ("first", "second"):
        name = f"memory_mb of the {part} process"
        print(
            f"{f'memory of the {part} process, MB':<34}" + "".join(f"{sheet[name]:>12.0f}" for sheet in found)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
