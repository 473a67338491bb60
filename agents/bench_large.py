"""The largest market, in a process of its own: what its opportunities cost, and the memory it holds.

The cost is compared with that of a small market in the same process: the same ticks of the same afternoon,
one thread, processor time. The bytes are what the operating system counts as resident.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agents.bench_market import NO_LIMIT, Say, reference_bids
from agents.bench_measure import Effort, Figure, LeftOut, Row, spelled
from agents.bench_start import answer_of
from gaelp_env.config_load import load_config

NEED_BYTES = 350
"""Bytes a user that a world takes at its height, with something to spare."""
TRIES = 25
"""How often the small market plays each tick."""
_PROGRAM = "from agents.bench_large import main; main({large}, {small}, {ticks})"
_MEMINFO = Path("/proc/meminfo")
_STATUS = Path("/proc/self/status")
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_USED = Path("/sys/fs/cgroup/memory.current")


def measure_large(effort: Effort, say: Say, curve: list[dict[str, Any]]) -> Iterator[Row]:
    """Yields cost and memory of the largest market, or why they were left out.

    Args:
      curve: takes one entry for the picture.
    """
    users, few = effort.large_users, effort.small_users
    name = spelled(users or 10_000_000)
    texts = {
        f"cost_{name}_dense": f"one opportunity, {name} dense",
        f"growth_{name}_dense": f"one opportunity, {name} : {spelled(few)} dense",
        f"resident_{name}": f"resident memory of a world of {name} users, rollback included",
        f"peak_{name}": f"the most that it took, birth and copies included, {name} users",
    }
    why = why_not(users)
    if why:
        for left, text in texts.items():
            yield LeftOut(left, text, why)
        return
    say(f"{users:,} users, in a process of its own")
    told = answer_of(_PROGRAM.format(large=users, small=few, ticks=effort.large_ticks), {})
    cost, growth, resident, peak = texts
    large, small = told["large_ns"], told["small_ns"]
    curve.append({"users": users, "dense": True, "cost_ns": sum(large) / len(large), "first_ns": None,
                  "sweep_ns": None, "numpy_ns": None})  # fmt: skip
    yield Figure(cost, texts[cost], "ns", tuple(large), core=told["core"])
    yield Figure(
        growth, texts[growth], "×", tuple(b / a for a, b in zip(small, large, strict=True)),
    )  # fmt: skip
    yield Figure(resident, texts[resident], "GB", tuple(b / 1e9 for b in told["resident"]))
    yield Figure(peak, texts[peak], "GB", (told["peak"] / 1e9,))


def why_not(users: int) -> str:
    """Why a market of so many users cannot be played here; "" if it can."""
    if not users:
        return "a quick run plays small markets only; run gaelp bench without --quick"
    free = free_bytes()
    if free is None:
        return "this system does not tell how much memory is resident; a Linux machine does"
    if free < users * NEED_BYTES:
        return (
            f"{free / 1e9:.1f} GB of memory are free, and the birth of {users:,} users takes "
            f"{users * NEED_BYTES / 1e9:.1f} GB at its height"
        )
    return ""


def free_bytes() -> int | None:
    """Bytes that this process may still take; None where the system does not tell."""
    if not _MEMINFO.exists() or not _STATUS.exists():
        return None
    free = _lines(_MEMINFO)["MemAvailable"]
    limit = _LIMIT.read_text().strip() if _LIMIT.exists() and _USED.exists() else "max"
    return free if limit == "max" else min(free, int(limit) - int(_USED.read_text()))


def _lines(file: Path) -> dict[str, int]:
    """The lines "Name:  number kB" of a file of the kernel, in bytes."""
    pairs = (line.split(":") for line in file.read_text().splitlines() if line.endswith(" kB"))
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


def main(large: int, small: int, ticks: int) -> None:
    """What the child does: prints one JSON line."""
    from gaelp_env.threads import set_threads
    from gaelp_env.world import World

    set_threads(1)
    few = _world(World, small)
    for _ in range(2):
        few.step(_bids(small))
    many = _world(World, large)
    bids = _bids(large)
    for _ in range(2):
        many.step(bids)
    told: dict[str, Any] = {"large_ns": [], "small_ns": [], "resident": []}
    processor = elapsed = 0.0
    for _ in range(ticks):
        told["small_ns"].append(_small_tick(few, bids))
        began, moment = time.process_time(), time.perf_counter()
        ledger = many.step(bids).ledger
        took = time.process_time() - began
        processor, elapsed = processor + took, elapsed + time.perf_counter() - moment
        told["large_ns"].append(took * 1e9 / int(ledger["opportunities"].sum()))
        told["resident"].append(float(_lines(_STATUS)["VmRSS"]))
    many.rollback()
    told["peak"] = float(_lines(_STATUS)["VmHWM"])
    told["core"] = processor / elapsed
    print(json.dumps(told))
    sys.stdout.flush()


def _world(world_class: Any, users: int) -> Any:
    """A world in memory at noon, its episode open."""
    config = load_config(
        {"people.users": users, "people.media_per_day": 10.0, "budget.per_episode": NO_LIMIT,
         "clock.epoch": "2026-01-05T12:00:00"}
    )  # fmt: skip
    world = world_class.open(None, "bench", config=config)
    world.reset(1)
    return world


def _bids(users: int) -> Any:
    return reference_bids(load_config({"people.users": users}))


def _small_tick(world: Any, bids: Any) -> float:
    """Nanoseconds an opportunity of the world's next tick, by several tries; the last one stands."""
    market = world.playing()
    before = market.checkpoint()
    seconds = 0.0
    count = 0
    for number in range(TRIES):
        if number:
            market.rollback(before)
        began = time.process_time()
        count += int(market.advance(bids).ledger["opportunities"].sum())
        seconds += time.process_time() - began
    return seconds * 1e9 / count
