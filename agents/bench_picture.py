"""The picture of the bench: what an opportunity costs against the size of the population."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

_STYLES = {False: ("#1f6f8b", "default traffic"), True: ("#c8553d", "10 media a day")}


def draw(curve: list[dict[str, Any]], file: Path) -> bool:
    """Draws the cost of an opportunity in both models, the sweep's share, and NumPy's cost of the first.

    Args:
      curve: one entry a market, as `bench_market` makes them.
      file: of the PNG.
    Returns: whether there was a curve and Matplotlib to draw it with.
    """
    if len({point["users"] for point in curve}) < 2 or find_spec("matplotlib") is None:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for dense, (colour, words) in _STYLES.items():
        points = sorted((p for p in curve if p["dense"] is dense), key=lambda p: p["users"])
        users = [p["users"] for p in points]
        axes.plot(users, [p["cost_ns"] for p in points], "o-", color=colour, label=f"tick, {words}")
        axes.plot(
            users, [p["first_ns"] for p in points], "s-", color=colour, alpha=0.6, markerfacecolor="white",
            label=f"first model (v0), {words}",
        )  # fmt: skip
        axes.plot(users, [p["sweep_ns"] for p in points], ":", color=colour, label=f"bare sweep, {words}")
        plain = [p for p in points if p["numpy_ns"] is not None]
        axes.plot(
            [p["users"] for p in plain], [p["numpy_ns"] for p in plain], "--", color=colour, alpha=0.6,
            label=f"NumPy of the first, {words}",
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="users", ylabel="ns an opportunity, one core")
    axes.set_title("What an opportunity costs", loc="left")
    axes.grid(alpha=0.3, which="major")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    figure.savefig(file)
    return True
