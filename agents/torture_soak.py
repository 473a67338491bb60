"""A world that is played on and on: memory stays flat, and its file as small as its settings say."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from agents.torture_look import Part
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.population import USER
from gaelp_env.world import World
from storage import open_store, sqlite
from storage.sqlite_repair import examine

RETAIN_DAYS = 14.0
FOLD_EVERY = 10
"""Episodes between two folds; every fifth fold the world is closed and opened again."""
WARM_UP = 0.3
"""Share of the time after which memory counts: everything is compiled, the retained days are full."""
MEMORY_ROOM = 24 << 20
"""Bytes that memory may grow by from then on: what the allocator keeps, and 8 bytes for all who have left."""
SPARE = 1.3
"""Of a file: pages that are not full, and free ones."""
ROW, TOUCH, ORDER, EPISODE = 1_200, 200, 250, 350
"""Bytes of a public row with its histories, and of an event with its place in the index, at most."""


def soaked(url: str, seconds: float, config: MarketConfig | None = None) -> Part:
    """Plays a world with `touch_log="own"` and `retain_days` until the time is up.

    Returns: a report; its figures are megabytes of resident memory (after the warm-up, at the end) and of the
      file (the largest at any fold, and its bound), simulated days, folds and touchpoints that are kept.
    """
    part = Part("soaked episode")
    config = config or load_config({"people.users": 3_000})
    path = Path(url.removeprefix("sqlite:///"))
    world = _opened(url, config)
    began, folds, settled, largest = time.monotonic(), 0, 0, 0
    while time.monotonic() - began < seconds or folds < 2:
        for _ in range(FOLD_EVERY):
            while not world.over:
                world.step(np.full(5, 4.0))
            world.end_episode()
            part.times += 1
        world.fold()
        folds += 1
        if folds % 5 == 0:
            world.close()
            world = _opened(url, config)
        largest = max(largest, path.stat().st_size)
        if not settled and time.monotonic() - began > WARM_UP * seconds and _days(world) > RETAIN_DAYS:
            settled = resident()
    part.commits = world.sequence + 1
    ended, days = resident(), _days(world)
    bound = file_bound(world, config)
    memory = _state(world)
    world.close()
    largest = max(largest, path.stat().st_size)
    megabyte = float(1 << 20)
    part.figures = {
        "days": days, "folds": float(folds), "memory_mb_settled": (settled or ended) / megabyte,
        "memory_mb_end": ended / megabyte, "file_mb": largest / megabyte, "bound_mb": bound / megabyte,
    }  # fmt: skip
    if settled and ended - settled > MEMORY_ROOM:
        part.blame(f"memory grew from {settled:,} to {ended:,} bytes")
    if largest > bound:
        part.blame(f"the file grew to {largest:,} bytes, and {bound:,.0f} are its bound")
    _look(part, url, path, memory)
    return part


def file_bound(world: World, config: MarketConfig) -> float:
    """How large a file may be, in bytes, by the settings of its one world and what has happened in it.

        SPARE * (P * (R + J) + L * ROW + t * (D + F) * TOUCH + c * ORDER + e * EPISODE + 8 * l + room)

    P people live in the market (as many as `people.users`, more or less), with R bytes a record in the base
    and J = R in the journal before it is folded; L have public rows: P, and those who left within D + F days
    (P / `people.stay_days` a day, and half as many again); t touchpoints a day, and half as many again, stay
    for D = `retain_days` and F days between folds; c orders, e episodes and l people who left
    are kept for good. The journal may outgrow the people by `room`.
    """
    record = world.playing().record
    days = _days(world)
    people = float(record["active"])
    fold_days = FOLD_EVERY * config.clock.episode_ticks * config.clock.tick_h / 24.0
    kept_days = RETAIN_DAYS + fold_days
    rows = people * (1.0 + 1.5 * kept_days / config.people.stay_days)
    touches = float(record["touches"]) / days * min(kept_days, days) * 1.5
    left = float(record["next_number"]) - people
    return SPARE * (
        people * 2.0 * USER.itemsize + rows * ROW + touches * TOUCH + float(record["conversions"]) * ORDER
        + float(record["episode"]) * EPISODE + 8.0 * left + sqlite.ROOM_BYTES
    )  # fmt: skip


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _opened(url: str, config: MarketConfig) -> World:
    world = World.open(url, "soak", config=config, touch_log="own", retain_days=RETAIN_DAYS)
    world.reset(seed=1 if not Path(url.removeprefix("sqlite:///")).exists() else None)
    return world


def _days(world: World) -> float:
    return world.playing().hour / 24.0


def _state(world: World) -> bytes:
    market = world.playing()
    return market.population.rows(slice(None)).tobytes() + market.record_bytes()


def _look(part: Part, url: str, path: Path, memory: bytes) -> None:
    """Whether the file holds the world that was played, sound, and no touchpoint from before its time."""
    store = open_store(url, read_only=True)
    try:
        snapshot = store.load("soak")
        if snapshot.users.tobytes() + snapshot.market != memory:
            part.blame("the world that was played is not the one in the file")
        touches = [str(row["at"]) for row in store.rows("soak", "touchpoints")]
        episodes = list(store.rows("soak", "episodes"))
        part.figures["touchpoints"] = float(len(touches))
        kept = np.datetime64(episodes[-1]["ended"]) - np.timedelta64(round(24.0 * RETAIN_DAYS), "h")
        if touches and np.datetime64(min(touches)) < kept:
            part.blame(f"a touchpoint of {min(touches)} is kept, and {kept} is where they end")
        if len(episodes) != part.times:
            part.blame(f"{part.times} episodes were played, and {len(episodes)} are on record")
    finally:
        store.close()
    for damage in examine(str(path)):
        part.blame(damage.what)
