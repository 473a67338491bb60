"""What a start costs: imports, and compiling with an empty and a warm cache, each in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import gaelp_env
from agents.bench_market import Say
from agents.bench_measure import Effort, Figure

_IMPORT = """
import json, time
start = time.perf_counter()
import {module}
print(json.dumps(time.perf_counter() - start))
"""
_FIRST_TICK = """
import json, time
import gaelp_env.market as m
from gaelp_env.config import MarketConfig
import numpy as np
start = time.perf_counter()
market = m.Market.born(MarketConfig(), 1)
market.begin_episode()
market.advance(np.ones(5))
print(json.dumps(time.perf_counter() - start))
"""
_CACHES = ("NUMBA_CACHE_DIR", "_GAELP_NUMBA_CACHE_DIR", "GAELP_NUMBA_CACHE_DIR")


def measure_start(effort: Effort, say: Say) -> Iterator[Figure]:
    """Yields seconds of imports and of the first tick; what a module imports is in its figure."""
    again = max(2, effort.slow_repetitions)
    say("imports")
    seconds: dict[str, list[float]] = {
        name: [] for name in ("numpy", "numba", "gaelp_env", "gaelp_env.market")
    }
    for _ in range(again):
        for module, found in seconds.items():
            found.append(_timed(_IMPORT.format(module=module), {}))
    middle = {module: median(found) for module, found in seconds.items()}
    yield Figure("import_numpy", "import numpy", "s", tuple(seconds["numpy"]), reference=True)
    yield Figure("import_numba", "import numba", "s", tuple(seconds["numba"]), reference=True)
    for module in ("gaelp_env", "gaelp_env.market"):
        reference = "numpy" if module == "gaelp_env" else "numba"
        yield Figure(
            f"import_{module.replace('.', '_')}", f"import {module}", "s", tuple(seconds[module]),
            {reference: middle[module] / middle[reference]},
        )  # fmt: skip
    yield from _first_ticks(effort.compiles, again, say)


def _first_ticks(compiles: int, again: int, say: Say) -> Iterator[Figure]:
    """The first tick with an empty cache, and with one that was filled, by it or by this process."""
    cold: list[float] = []
    warm: list[float] = []
    for number in range(compiles):
        say(f"compiling with an empty cache, {number + 1} of {compiles}")
        with tempfile.TemporaryDirectory(prefix="gaelp-bench-") as folder:
            place = {"GAELP_CACHE_DIR": folder}
            cold.append(_timed(_FIRST_TICK, place))
            warm.extend(_timed(_FIRST_TICK, place) for _ in range(again // compiles))
    if not compiles:
        say("the first tick")
        _timed(_FIRST_TICK, {})
        warm.extend(_timed(_FIRST_TICK, {}) for _ in range(again))
    if cold:
        ratio = {"warm": median(cold) / median(warm)}
        yield Figure("compile_cold", "first tick, cold cache", "s", tuple(cold), ratio)
    yield Figure("compile_warm", "first tick, warm cache", "s", tuple(warm))


def _timed(program: str, settings: dict[str, str]) -> float:
    """Seconds that a program told of itself."""
    return float(answer_of(program, settings))


def answer_of(program: str, settings: dict[str, str]) -> Any:
    """Runs a program in a fresh interpreter.

    Args:
      settings: of its environment, beside this process's.
    Returns: the last line that it prints, read as JSON.
    Raises: RuntimeError if it fails.
    """
    home = str(Path(next(iter(gaelp_env.__path__))).resolve().parent)
    environment = {name: value for name, value in os.environ.items() if name not in _CACHES}
    paths = [home, *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), **settings}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(
            f"A process of the bench ended with status {done.returncode}: {done.stderr.strip()}"
        )
    return json.loads(done.stdout.splitlines()[-1])
