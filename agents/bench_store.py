"""Seconds to commit and to load people on SQLite, and the bytes that they take."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agents.bench_market import NO_LIMIT, Say, reference_bids
from agents.bench_measure import Effort, Figure, Work, in_turn, spelled
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.constants import epoch_of
from gaelp_env.market import Market
from gaelp_env.population import COLD, HOT, USER, Population, public_columns
from gaelp_env.world import World
from storage.base import PUBLIC_COLUMNS, STORE_STAMPED

NEVER = 1_000_000
"""Episodes a commit, so that only the bench commits."""
FEW = 8
"""Commits timed at least."""


def measure_store(effort: Effort, say: Say) -> Iterator[Figure]:
    """Yields, for each size, the seconds of a commit and of a load beside plain SQL, and the file's size."""
    for users in effort.store_users:
        say(f"commit and load of {users:,} users")
        with tempfile.TemporaryDirectory(prefix="gaelp-bench-") as folder:
            yield from _one_size(Path(folder), users, effort.slow_repetitions)


def _one_size(folder: Path, users: int, repetitions: int) -> Iterator[Figure]:
    config = load_config({"people.users": users, "budget.per_episode": NO_LIMIT})
    file = folder / "world.db"
    url = f"sqlite:///{file}"
    World.create(url, "demo", config=config, seed=1).close()
    born = file.stat().st_size / users
    world = World.open(url, "demo", commit_every=NEVER)
    bids = reference_bids(config)

    def day() -> None:
        world.reset()
        for _ in range(config.clock.episode_ticks):
            world.step(bids)
        people = world.playing().population
        people.note_changed()
        world.end_episode()

    def folded_day() -> None:
        world.fold()
        day()

    def committed_day() -> None:
        folded_day()
        world.commit()

    day()
    world.commit()
    table = PlainTable(folder / "plain.db", world.playing(), config)
    works = {
        "commit": Work(world.commit, folded_day),
        "upsert": Work(table.upsert),
    }
    timed = in_turn(works, max(repetitions, FEW))
    timed |= in_turn({"fold": Work(world.fold, committed_day)}, repetitions)
    slowest = sorted(timed["commit"].values)[-1 - len(timed["commit"].values) // 100]
    active = world.playing().population.size
    world.close()
    grown, days = file.stat().st_size / active, 1 + max(repetitions, FEW) + repetitions
    reader = World.open(url, "demo", mode="read", pin="latest")
    timed |= in_turn({"load": Work(lambda: reader.reset(seed=1)), "select": Work(table.select)}, repetitions)
    reader.close()
    plain = table.bytes / users
    table.close()
    commit, upsert, fold, load, select = (
        timed[name] for name in ("commit", "upsert", "fold", "load", "select")
    )
    name = spelled(users)
    who = f"{name} users"
    yield Figure(
        f"commit_{name}", f"commit of a day, {who}", "s", commit.scaled(),
        {"upsert": commit.seconds / upsert.seconds}
    )  # fmt: skip
    yield Figure(
        f"commit_p99_{name}", f"commit of a day, {who}, 99th percentile of {len(commit.values)}", "s",
        (slowest,), {"upsert": slowest / upsert.seconds}
    )  # fmt: skip
    yield Figure(
        f"fold_{name}", f"fold of a day, {who}", "s", fold.scaled(),
        {"upsert": fold.seconds / upsert.seconds}
    )  # fmt: skip
    yield Figure(
        f"upsert_{name}", f"plain upsert, {who}", "s", upsert.scaled(), reference=True
    )  # fmt: skip
    yield Figure(
        f"load_{name}", f"load, {who}", "s", load.scaled(),
        {"select": load.seconds / select.seconds}
    )  # fmt: skip
    yield Figure(
        f"select_{name}", f"plain select, {who}", "s", select.scaled(), reference=True
    )  # fmt: skip
    yield Figure(f"disk_{name}", f"on disk a user, {name}, day 0", "B", (born,), {"table": born / plain})
    yield Figure(
        f"disk_days_{name}", f"on disk a user, {name}, day {days}", "B",
        (grown,), {"table": grown / plain},
    )  # fmt: skip


class PlainTable:
    """The 15 public columns in a plain SQLite table with a text key: what one would write first.

    The rows are prepared beforehand, so only SQLite is on the clock.
    """

    def __init__(self, file: Path, market: Market, config: MarketConfig) -> None:
        self._file = file
        self._rows = _rows_of(market, config)
        self._connection = sqlite3.connect(file, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._connection.execute(f"PRAGMA {pragma}")
        names = ", ".join(PUBLIC_COLUMNS)
        self._connection.execute(f"CREATE TABLE people ({names}, PRIMARY KEY (user_id))")
        fresh = ", ".join(f"{name}=excluded.{name}" for name in PUBLIC_COLUMNS[1:])
        places = ", ".join("?" * len(PUBLIC_COLUMNS))
        self._sql = f"INSERT INTO people VALUES ({places}) ON CONFLICT (user_id) DO UPDATE SET {fresh}"
        self.upsert()

    def upsert(self) -> None:
        """Writes all rows in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(self._sql, self._rows)
        self._connection.execute("COMMIT")

    def select(self) -> list[Any]:
        """Reads all rows."""
        return self._connection.execute("SELECT * FROM people").fetchall()

    @property
    def bytes(self) -> int:
        """Size of the file, everything written to it."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self._file.stat().st_size

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()


def _rows_of(market: Market, config: MarketConfig) -> list[tuple[Any, ...]]:
    columns = public_columns(market.population.rows(slice(None)), {}, epoch_of(config), CHANNELS)
    plain: list[list[Any]] = []
    for name in PUBLIC_COLUMNS:
        if name in STORE_STAMPED:
            plain.append(["2026-01-05 00:00:00.000000"] * market.population.size)
            continue
        column = columns[name]
        if isinstance(column, np.ndarray):
            column = np.datetime_as_string(column) if column.dtype.kind == "M" else column
            plain.append(column.tolist())
        else:
            plain.append(list(column))
    return list(zip(*plain, strict=True))


def measure_memory(effort: Effort, say: Say) -> Iterator[Figure]:
    """Yields the bytes of a user in memory."""
    say("bytes in memory")
    people = Population(np.zeros(1, USER))
    yield Figure("hot_bytes", "bytes a user, hot half", "B", (float(HOT.itemsize),))
    yield Figure("cold_bytes", "bytes a user, cold half", "B", (float(COLD.itemsize),))
    yield Figure(
        "memory_bytes", "bytes a user: record and sweep columns", "B", (float(people.bytes_a_user),),
        {"limit": people.bytes_a_user / 200.0},
    )  # fmt: skip
    yield Figure(
        "held_bytes", "bytes a user that a world holds, rollback and room to grow included", "B", (_held(),)
    )


def _held(users: int = 20_000) -> float:
    """Bytes a user in the arrays of a market and of the copy that a world of this size keeps beside it."""
    config = MarketConfig()
    config = config.model_copy(update={"people": config.people.model_copy(update={"users": users})})
    market = Market.born(config, 0)
    market.advance(np.zeros(len(CHANNELS)))
    columns = [*market.population.columns(), *market.checkpoint().columns]
    return (sum(column.nbytes for column in columns) + market.workspace_bytes) / market.population.size
