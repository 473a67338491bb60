"""The picture of the scorecard: six panels, the market against published figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.calibrate_measure import DELAY_H, LONGEST_PATH, PRICE_EDGES
from agents.calibrate_page import Json, summary
from agents.calibrate_published import PUBLISHED
from agents.calibrate_real import real_paths, real_prices
from agents.manifest import part_of
from gaelp_env.published import HOUR_SHARES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MARKET, REAL = "#20242c", "#1f6feb", "#c8553d"
ABSENT = "the real data are not here; see the README of the project's data"


def draw(card: Json, path: Path, data: Path | None) -> None:
    """Draws hours, prices, click rate by exposure, delays, returns by week and paths to a PNG.

    Args:
      card: of `calibrate_page.scorecard`.
      path: of the PNG, replaced whole.
      data: folder of the real data; where it or a file is absent, the panel says so and goes without.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = card["curves"]
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(13.0, 7.4), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(summary(card), color=INK, fontsize=9)
        panels = figure.subplots(2, 3).flat
        for panel, axes in zip((_hours, _prices, _clicks, _delays, _weeks, _path), panels, strict=True):
            panel(axes, curves, data)
            axes.grid(alpha=0.25)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(frameon=False, fontsize=8)
        with part_of(path) as part:
            figure.savefig(part, format="png")


def _hours(axes: Axes, curves: Json, data: Path | None) -> None:
    axes.set_title("Media opportunities by hour of day", loc="left", color=INK)
    axes.set(xlabel="hour", ylabel="share of the day")
    real = HOUR_SHARES[curves["traffic"]]
    axes.step(range(24), real, where="mid", color=REAL, label=f"published: {curves['traffic']}")
    _line(axes, range(24), curves["hours"], "o")


def _prices(axes: Axes, curves: Json, data: Path | None) -> None:
    axes.set_title("Price of a display ad won", loc="left", color=INK)
    axes.set(xlabel="price in medians", ylabel="density")
    real = None if data is None else real_prices(data, PRICE_EDGES)
    if real is None:
        _say(axes, ABSENT)
    else:
        axes.stairs(real, PRICE_EDGES, fill=True, alpha=0.35, color=REAL, label="iPinYou, 15.4 M prices")
    if curves["prices"]:
        axes.stairs(curves["prices"], PRICE_EDGES, color=MARKET, linewidth=1.6, label="market")
    else:
        _say(axes, "no display ad had a price", 0.4)


def _clicks(axes: Axes, curves: Json, data: Path | None) -> None:
    axes.set_title("Click rate by exposure, same users", loc="left", color=INK)
    axes.set(xlabel="a user's display ad number", ylabel="over that of the first")
    places, values = (1, 2, 3, 5), [1.0, *(_published(f"ctr_exposure_{n}") for n in (2, 3, 5))]
    axes.plot(places, values, "s", color=REAL, label="Criteo, within users")
    _line(axes, range(1, len(curves["clicks"]) + 1), curves["clicks"], "o-")


def _delays(axes: Axes, curves: Json, data: Path | None) -> None:
    axes.set_title("From decision to order", loc="left", color=INK)
    axes.set(xlabel="hours", ylabel="orders that fell due", xscale="log")
    real = [_published(f"delay_{name}") for name in ("1h", "24h", "14d")]
    axes.plot((1.0, 24.0, 336.0), real, "s", color=REAL, label="Chapelle 2014")
    _line(axes, DELAY_H, curves["delays"], "-")


def _weeks(axes: Axes, curves: Json, data: Path | None) -> None:
    axes.set_title("New visitors who are back", loc="left", color=INK)
    axes.set(xlabel="weeks after the first visit", ylabel="share with a visit in that week")
    real = [_published(f"weekly_active_{week}") for week in range(1, 5)]
    axes.plot(range(1, 5), real, "s", color=REAL, label="GA4 sample, November")
    _line(axes, range(1, len(curves["weeks"]) + 1), curves["weeks"], "o-")
    axes.set_ylim(bottom=0.0)


def _path(axes: Axes, curves: Json, data: Path | None) -> None:
    axes.set_title("Sessions of a converting path", loc="left", color=INK)
    axes.set(xlabel="at most so many sessions", ylabel="share of orders", ylim=(0.0, 1.05))
    real = None if data is None else real_paths(data, LONGEST_PATH)
    if real is None:
        places = (1, 3, 5, 10)
        values = [_published(f"path_at_most_{n}") for n in places]
        axes.plot(places, values, "s", color=REAL, label="PathData, published shares")
        _say(axes, ABSENT)
    else:
        axes.step(range(1, LONGEST_PATH + 1), real, where="post", color=REAL, label="PathData, 19,785 orders")
    _line(axes, range(1, len(curves["path"]) + 1), curves["path"], "o-")


def _line(axes: Axes, places: Any, values: list[float | None], style: str) -> None:
    if not any(value is not None for value in values):
        _say(axes, "the run is too short for a figure", 0.4)
        return
    numbers = [np.nan if value is None else value for value in values]
    axes.plot(places, numbers, style, color=MARKET, markersize=4, linewidth=1.6, label="market")


def _say(axes: Axes, words: str, height: float = 0.5) -> None:
    axes.annotate(words, (0.5, height), xycoords="axes fraction", ha="center", color=INK, fontsize=7.5)


def _published(name: str) -> float:
    return next(target.value for target in PUBLISHED if target.name == name)
