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

from agents.bench_measure import FULL, QUICK, Effort, Figure

Curve = list[dict[str, Any]]

SECTIONS: dict[str, str] = {
    "market": "opportunities a second on one core",
    "env": "steps a second",
    "ppo": "PPO steps a second",
    "store": "commit and load on SQLite",
    "memory": "bytes in memory",
    "start": "imports and compiling",
}
"""Parts of the bench, in their order, and what each is about."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Aim:
    """Something that was aimed for.

    Attributes:
      figure: name of the figure.
      text: the aim in words.
      least: whether `value` is a lower bound; an upper one else.
    """

    figure: str
    text: str
    value: float
    least: bool

    def met(self, median: float) -> bool:
        """Whether a median meets it."""
        return median >= self.value if self.least else median <= self.value


AIMS = (
    Aim("opportunities_1m_dense", "1,000,000 users, 10 media a day, one core: at least 6 M opportunities/s",
        6e6, True),
    Aim("opportunities_1m", "1,000,000 users, default traffic, one core: at least 6 M opportunities/s",
        6e6, True),
    Aim("full_over_first_100k", "one of the full model costs at most 2 × one of the first (v0), 100k users",
        2.0, False),
    Aim("full_over_first_1m", "one of the full model costs at most 2 × one of the first (v0), 1m users",
        2.0, False),
    Aim("growth_dense", "an opportunity at 1,000,000 users costs at most 2 × one at 10,000", 2.0, False),
    Aim("memory_bytes", "at most 200 bytes a user: the record, the sweep's columns, the mark of change",
        200.0, False),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure, and where it goes.

    Attributes:
      quick: small sizes and few repetitions, about half a minute.
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
      repetitions, values, ratios, cores), `curve` (one entry a market), `aims`.
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
    curve: Curve = []
    took: dict[str, float] = {}
    kept = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        with progress(len(sections)) as (say, done):
            for section in sections:
                began = time.perf_counter()
                for figure in _measure(section, effort, say, curve):
                    figures.append({"section": section, **figure.as_json()})
                done()
                took[section] = time.perf_counter() - began
    finally:
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
        "curve": curve,
        "aims": _aims(figures),
    }


def _measure(section: str, effort: Effort, say: Callable[[str], None], curve: Curve) -> Iterator[Figure]:
    if section == "market":
        from agents.bench_market import measure_market

        return measure_market(effort, say, curve)
    if section in ("env", "ppo"):
        from agents.bench_env import measure_env, measure_ppo

        return (measure_env if section == "env" else measure_ppo)(effort, say)
    if section in ("store", "memory"):
        from agents.bench_store import measure_memory, measure_store

        return (measure_store if section == "store" else measure_memory)(effort, say)
    from agents.bench_start import measure_start

    return measure_start(effort, say)


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


def _aims(figures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    medians = {figure["name"]: figure["median"] for figure in figures}
    return [
        {"figure": aim.figure, "text": aim.text, "aim": aim.value, "measured": medians[aim.figure],
         "met": aim.met(medians[aim.figure])}
        for aim in AIMS
        if aim.figure in medians
    ]  # fmt: skip


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

    return [file] if draw(report["curve"], file) else []
