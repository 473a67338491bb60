"""A process that plays a world in children of its own, for tests that kill them.

    python -m tests.crash URL

For every line "K" on its input it forks a child that plays the world with commit_every=K until it is
killed, and prints the child's number once that has taken its first step; an empty line waits for the
child's end and prints how it ended.
"""

from __future__ import annotations

import os
import sys

from gaelp_env.world import World
from tests.worlds import SMALL, play, step


def warm_up() -> None:
    """Loads the compiled tick, so that children play at once."""
    world = World.open(config=SMALL)
    world.reset(seed=1)
    play(world)


def play_until_killed(url: str, commit_every: int, started: int) -> None:
    world = World.open(url, commit_every=commit_every)
    world.reset()
    step(world)
    os.write(started, b".")
    while True:
        play(world)


def main(url: str) -> None:
    warm_up()
    child = 0
    for line in sys.stdin:
        if not line.strip():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            continue
        heard, started = os.pipe()
        child = os.fork()
        if child == 0:
            play_until_killed(url, int(line), started)
        os.close(started)
        first = os.read(heard, 1)
        os.close(heard)
        print(child if first else f"child {child} ended before its first step", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
