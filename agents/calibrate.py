"""`gaelp calibrate`: how close the market comes to published figures, and the fit that brings it there."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.calibrate_config import NEW_PAGE, config_text
from agents.calibrate_data import read_targets
from agents.calibrate_fit import Fitted, fit
from agents.calibrate_free import FREE, Free, with_constants
from agents.calibrate_page import checked_page, scorecard, write_page
from agents.calibrate_play import Size, figures_of, measured
from agents.calibrate_published import CAMPAIGN_DAYS, PAIRED, PUBLISHED
from agents.calibrate_real import REAL_DATA
from agents.calibrate_targets import Target, score
from agents.manifest import part_of, utc_now, write_whole
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config

USERS, DAYS = 200_000, 90
QUICK_USERS, QUICK_DAYS = 4_000, 49
FIT_USERS = 30_000


@dataclass(frozen=True, slots=True)
class CalibrateOptions:
    """What to play, what to fit, and where it goes.

    Attributes:
      config: preset or YAML file that is measured, or that a fit starts from.
      seed: of people and chance in a fit; what is measured has the next seed, so other people and chance.
      users, days: of the run that is measured; None is the full or the quick size.
      quick: a small run.
      fit: whether to fit the free constants to the published figures first.
      data: a CSV of targets to fit to instead.
      out: file for the fitted configuration; a scorecard and a picture go beside it.
      fit_users: of each run of the fit; None is the full or the quick size.
      steps: how often the fit tries constants, at most.
      workers: processes of the fit; None is one for each processor.
      write_docs: page whose marked part is written afresh, with the picture beside it.
      json: print JSON instead of tables.
      free: the constants that a fit may move.
    """

    config: str = "calibrated"
    seed: int = 0
    users: int | None = None
    days: int | None = None
    quick: bool = False
    fit: bool = False
    data: str | Path | None = None
    out: str | Path | None = None
    fit_users: int | None = None
    steps: int = 20
    workers: int | None = None
    write_docs: str | Path | None = None
    json: bool = False
    free: Sequence[Free] = field(default=FREE, repr=False)


@dataclass(frozen=True, slots=True)
class FitPlay:
    """Plays a configuration for a fit; pickles.

    Attributes:
      seed, size: the same in every run.
    """

    seed: int
    size: Size

    def __call__(self, config: MarketConfig) -> dict[str, float]:
        return figures_of(config, self.seed, self.size)


def run_calibration(options: CalibrateOptions | None = None) -> dict[str, Any]:
    """Fits if that was asked for, plays, prints the scorecard, and writes what was asked for.

    Returns: the scorecard, JSON-able (calibrate_page.scorecard).
    Raises: ValueError for a file of targets, a configuration, a page or a size that cannot be used;
      RuntimeError if the fit does not converge. Nothing is written then.
    """
    options = options or CalibrateOptions()
    targets = PUBLISHED if options.data is None else read_targets(options.data)
    fits = options.fit or options.data is not None
    size = _size(options, targets)
    _check_places(options, fits)
    began = time.perf_counter()
    config, fitted, moved = load_config(options.config), None, None
    if fits:
        fitted = _fit(config, targets, options)
        config = fitted.config
        moved = _told(fitted, _fit_size(options, targets), options.seed)
    from agents.calibrate_report import progress, show

    with progress("scorecard", 1.0) as (advance, _):
        found = measured(config, options.seed + 1, size, advance)
    run = {
        "command": _command(options), "date": utc_now()[:10], "seed": options.seed + 1,
        "fit_seed": options.seed, "users": size.users, "days": size.days,
        "config": "fitted" if fits else options.config, "seconds": time.perf_counter() - began,
    }  # fmt: skip
    card = scorecard(score(targets, found.figures, found.errors), run, found.curves, moved)
    if options.json:
        print(json.dumps(card, indent=2, ensure_ascii=False))
    else:
        show(card)
    _write(card, config, options)
    return card


def _size(options: CalibrateOptions, targets: Sequence[Target]) -> Size:
    users = options.users or (QUICK_USERS if options.quick else USERS)
    days = options.days or (QUICK_DAYS if options.quick else DAYS)
    if days < CAMPAIGN_DAYS:
        raise ValueError(
            f"A run of {days} days is shorter than the campaign of {CAMPAIGN_DAYS}; give more --days."
        )
    return Size(users, days, _paired(targets))


def _paired(targets: Sequence[Target]) -> bool:
    return any(target.name in PAIRED for target in targets)


def _check_places(options: CalibrateOptions, fits: bool) -> None:
    if options.out is not None:
        if not fits:
            raise ValueError("--out is for the fitted configuration; add --fit, or --data with your targets.")
        folder = Path(options.out).resolve().parent
        if not folder.is_dir():
            raise ValueError(f"There is no folder {folder} for {Path(options.out).name}; make it first.")
        if Path(options.out).suffix not in (".yaml", ".yml"):
            raise ValueError(f"{options.out} must end in .yaml: a configuration is written there.")
    if options.write_docs is not None:
        if options.data is not None:
            raise ValueError("--write-docs writes the published scorecard; leave --data out, or use --out.")
        checked_page(Path(options.write_docs))


def _fit(config: MarketConfig, targets: Sequence[Target], options: CalibrateOptions) -> Fitted:
    from agents.calibrate_report import progress
    from agents.evaluate_processes import cores

    if options.data is None:
        config = with_constants(config, {one.name: one.start for one in options.free})
    played = FitPlay(options.seed, _fit_size(options, targets))
    with progress("fit", None) as (_, say):
        return fit(
            config, targets, options.free, played, options.steps, options.workers or cores(),
            lambda runs, apart: say(f"{runs} runs of the market, distance {apart:.3g}"),
        )  # fmt: skip


def _fit_size(options: CalibrateOptions, targets: Sequence[Target]) -> Size:
    users = options.fit_users or (QUICK_USERS if options.quick else FIT_USERS)
    return Size(users, QUICK_DAYS if options.quick else DAYS, _paired(targets))


def _told(fitted: Fitted, size: Size, seed: int) -> dict[str, Any]:
    return {
        "date": utc_now()[:10],
        "users": size.users,
        "seed": seed,
        "distance_before": fitted.before,
        "distance": fitted.after,
        "evaluations": fitted.runs,
        "constants": {name: list(pair) for name, pair in fitted.constants.items()},
    }


def _command(options: CalibrateOptions) -> str:
    words = ["gaelp calibrate"]
    words += [f"--config {options.config}"] if options.config != "calibrated" else []
    words += ["--quick"] if options.quick else []
    words += ["--fit"] if options.fit and options.data is None else []
    words += [f"--data {Path(options.data).name}"] if options.data is not None else []
    words += [f"--users {options.users}"] if options.users else []
    words += [f"--days {options.days}"] if options.days else []
    words += [f"--seed {options.seed}"] if options.seed else []
    words += [f"--write-docs {options.write_docs}"] if options.write_docs is not None else []
    return " ".join(words)


def _write(card: dict[str, Any], config: MarketConfig, options: CalibrateOptions) -> None:
    written: list[Path] = []
    if options.out is not None:
        out = Path(options.out)
        page, picture = out.with_suffix(".md"), _drawn(card, out.with_suffix(".png"))
        with part_of(page) as part:
            part.write_text(NEW_PAGE, encoding="utf-8")
            write_page(part, card, picture.name if picture else None)
        write_whole(out, config_text(config, card, [one.name for one in options.free]))
        written += [out, page, *([picture] if picture else [])]
    if options.write_docs is not None:
        page = Path(options.write_docs)
        picture = _drawn(card, page.with_suffix(".png"))
        write_page(page, card, picture.name if picture else None)
        written += [page, *([picture] if picture else [])]
    if written and not options.json:
        print("Written: " + ", ".join(str(path) for path in written), file=sys.stderr)


def _drawn(card: dict[str, Any], file: Path) -> Path | None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        return None
    from agents.calibrate_picture import draw

    draw(card, file, REAL_DATA)
    return file
