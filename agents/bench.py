"""`gaelp bench`: the speeds of this machine, with references taken in the same run."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agents.bench_bars import judge
from agents.bench_measure import FULL, QUICK, Effort, Figure, Row
from gaelp_env.threads import set_threads

SECTIONS: dict[str, str] = {
    "market": "opportunities a second on one core",
    "threads": "a simulated day by threads",
    "large": "cost and memory of the largest market",
    "env": "steps a second",
    "vector": "steps a second of the vector environments",
    "ppo": "PPO steps a second",
    "train": "where the time of gaelp train goes",
    "store": "commit and load on SQLite",
    "memory": "bytes in memory",
    "start": "imports and compiling",
}
"""Parts of the bench, in their order, and what each is about."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(slots=True)
class Curves:
    """What the picture and the profiles are made of, beside the figures.

    Attributes:
      users: one entry a market, as `bench_market` and `bench_large` make them.
      threads: one a model and number of threads, as `bench_threads` makes them.
      profile: of `gaelp train`, as `bench_train` makes it; empty if it was not run.
    """

    users: list[dict[str, Any]] = field(default_factory=list)
    threads: list[dict[str, Any]] = field(default_factory=list)
    profile: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure, and where it goes.

    Attributes:
      quick: small sizes and few repetitions, a minute or two.
      json: print JSON instead of tables.
      out: folder for bench.json and bench.png; None writes nothing.
      only: names of SECTIONS; empty is all.
      write_docs: page whose marked part is written afresh, with the picture beside it.
      effort: how much work; None is the full or the quick one.
    """

    quick: bool = False
    json: bool = False
    out: str | Path | None = None
    only: tuple[str, ...] | list[str] = ()
    write_docs: str | Path | None = None
    effort: Effort | None = field(default=None, repr=False)


def run_bench(options: BenchOptions | None = None) -> dict[str, Any]:
    """Measures, prints a table (or JSON), and writes what was asked for.

    Returns: the report, JSON-able: versions, machine, `figures` (name, text, unit, median, min, max,
      repetitions, values, ratios, core), `left_out` (name, text, why), `curve` (one entry a market),
      `threads` (one entry a model and number of threads), `profile` (of gaelp train), `bars` (as `judge`).
    Raises: ValueError for a section that is not known, or a page that is not there or has no marks.
    """
    options = options or BenchOptions()
    sections = _sections(options.only)
    if options.write_docs is not None:
        from agents.bench_docs import checked_page

        if options.only:
            raise ValueError("--write-docs writes a page of all sections; leave --only out.")
        checked_page(Path(options.write_docs))
    report = measured(sections, options.effort or (QUICK if options.quick else FULL))
    report["command"] = _command(options)
    if options.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        from agents.bench_report import show

        show(report)
    _write(report, options)
    return report


def measured(sections: list[str], effort: Effort) -> dict[str, Any]:
    """Measures some sections, one after the other, saying on stderr what is being done."""
    from agents.bench_report import progress

    start = time.perf_counter()
    figures: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    curves = Curves()
    took: dict[str, float] = {}
    kept = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    set_threads(1)
    try:
        with progress(len(sections)) as (say, done):
            for section in sections:
                began = time.perf_counter()
                for row in _measure(section, effort, say, curves):
                    told = figures if isinstance(row, Figure) else left_out
                    told.append({"section": section, **row.as_json()})
                done()
                took[section] = time.perf_counter() - began
    finally:
        set_threads(None)
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    return {
        "versions": _versions(),
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "processor": platform.machine()},
        "seconds": time.perf_counter() - start,
        "section_seconds": took,
        "figures": figures,
        "left_out": left_out,
        "curve": curves.users,
        "threads": curves.threads,
        "profile": curves.profile,
        "bars": judge(figures, left_out, sections),
    }


def _measure(section: str, effort: Effort, say: Callable[[str], None], curves: Curves) -> Iterator[Row]:
    if section == "market":
        from agents.bench_market import measure_market

        return measure_market(effort, say, curves.users)
    if section == "threads":
        from agents.bench_threads import measure_threads

        return measure_threads(effort, say, curves.threads)
    if section == "large":
        from agents.bench_large import measure_large

        return measure_large(effort, say, curves.users)
    if section == "train":
        from agents.bench_train import measure_train

        return measure_train(effort, say, curves.profile)
    return _plain(section)(effort, say)


def _plain(section: str) -> Callable[[Effort, Callable[[str], None]], Iterator[Row]]:
    """The sections that yield figures and nothing else."""
    from agents import bench_env, bench_start, bench_store, bench_vector

    return {
        "env": bench_env.measure_env,
        "vector": bench_vector.measure_vector,
        "ppo": bench_env.measure_ppo,
        "store": bench_store.measure_store,
        "memory": bench_store.measure_memory,
        "start": bench_start.measure_start,
    }[section]


def _sections(only: tuple[str, ...] | list[str]) -> list[str]:
    for name in only:
        if name not in SECTIONS:
            near = get_close_matches(name, SECTIONS, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"The bench has no section {name!r}{hint}; it has {', '.join(SECTIONS)}.")
    return [name for name in SECTIONS if not only or name in only]


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("gaelp", "numpy", "numba")},
    }


def _command(options: BenchOptions) -> str:
    words = ["gaelp bench"]
    words += ["--quick"] if options.quick else []
    words += [f"--only {name}" for name in options.only]
    words += [f"--write-docs {options.write_docs}"] if options.write_docs is not None else []
    return " ".join(words)


def _write(report: dict[str, Any], options: BenchOptions) -> None:
    written: list[Path] = []
    if options.out is not None:
        folder = Path(options.out)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bench.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        written += [folder / "bench.json", *_drawn(report, folder / "bench.png")]
    if options.write_docs is not None:
        from agents.bench_docs import write_page

        page = Path(options.write_docs)
        pictures = _drawn(report, page.with_suffix(".png"))
        write_page(page, report, pictures[0].name if pictures else None)
        written += [page, *pictures]
    if written and not options.json:
        print("Written: " + ", ".join(str(path) for path in written), file=sys.stderr)


def _drawn(report: dict[str, Any], file: Path) -> list[Path]:
    from agents.bench_picture import draw

    return [file] if draw(report["curve"], report["threads"], file) else []
