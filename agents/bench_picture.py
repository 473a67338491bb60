"""The picture of the bench: what an opportunity costs, by the size of the population and by threads."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agents.bench_measure import spelled

_STYLES = {False: ("#1f6f8b", "default traffic"), True: ("#c8553d", "10 media a day")}
_LINES = {
    "cost_ns": ("o-", 1.0, "tick"),
    "first_ns": ("s-", 0.6, "first model (v0)"),
    "sweep_ns": (":", 1.0, "bare sweep"),
    "numpy_ns": ("--", 0.6, "NumPy of the first"),
}
"""Entry of a curve's point -> style, opacity and name of its line."""


def draw(curve: list[dict[str, Any]], threads: list[dict[str, Any]], file: Path) -> bool:
    """Draws two panels: cost of an opportunity against users, and against threads.

    Args:
      curve: one entry a market, as `bench_market` and `bench_large` make them.
      threads: one entry a model and number of threads, as `bench_threads` makes them; without any the
        second panel is left out.
      file: of the PNG.
    Returns: whether there was a curve and Matplotlib to draw it with.
    """
    if len({point["users"] for point in curve}) < 2 or find_spec("matplotlib") is None:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    widths = [1.9, 1.0] if threads else [1.0]
    figure = Figure(figsize=(10.4 if threads else 7.2, 4.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)
    _by_users(panels[0, 0], curve)
    if threads:
        _by_threads(panels[0, 1], threads)
    for axes in panels[0]:
        axes.grid(alpha=0.3, which="major")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(file)
    return True


def _by_users(axes: Any, curve: list[dict[str, Any]]) -> None:
    for dense, (colour, traffic) in _STYLES.items():
        points = sorted((p for p in curve if p["dense"] is dense), key=lambda p: p["users"])
        for entry, (style, alpha, words) in _LINES.items():
            known = [p for p in points if p[entry] is not None]
            axes.plot(
                [p["users"] for p in known], [p[entry] for p in known], style, color=colour, alpha=alpha,
                markerfacecolor="white" if entry == "first_ns" else colour, label=f"{words}, {traffic}",
            )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="users", ylabel="ns an opportunity")
    axes.set_title("What an opportunity costs on one core", loc="left")


def _by_threads(axes: Any, threads: list[dict[str, Any]]) -> None:
    colour = _STYLES[True][0]
    for first, style, words in ((False, "o-", "tick"), (True, "s-", "first model (v0)")):
        points = sorted((p for p in threads if p["first"] is first), key=lambda p: p["threads"])
        counts, costs = [p["threads"] for p in points], [p["cost_ns"] for p in points]
        axes.plot(
            counts, costs, style, color=colour, alpha=0.6 if first else 1.0,
            markerfacecolor="white" if first else colour, label=f"{words}, 10 media a day",
        )  # fmt: skip
        axes.plot(counts, [costs[0] / n for n in counts], ":", color="grey", alpha=0.6,
                  label=None if first else "one thread's cost, shared evenly")  # fmt: skip
    counts = sorted({p["threads"] for p in threads})
    axes.set(xlabel="threads", ylabel="elapsed ns an opportunity", ylim=(0.0, None), xticks=counts)
    axes.set_title(f"by threads, {spelled(threads[0]['users'])} users", loc="left")
