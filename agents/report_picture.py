"""The picture of a training run: policies from both starts, the learning curve, the people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.manifest import part_of
from agents.report import Json, article, title_of, whole
from agents.train_settings import CURVE_EPISODES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, CHAMPION, OTHER, BEFORE, AFTER = "#20242c", "#1f6feb", "#9aa7b8", "#c9d1dc", "#1f6feb"


def draw(report: Json, path: Path, *, algorithm: str = "ppo") -> None:
    """Draws what a report holds (evaluation, training, or both) into a PNG.

    Args:
      report: with "evaluation", or "training" and "population", or all of them.
      path: of the PNG, replaced whole.
      algorithm: for titles, where the report does not name it.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    evaluation, training = report.get("evaluation"), report.get("training")
    rows = [1.15] * (evaluation is not None) + [1.0] * (training is not None)
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11.0, 0.8 + 3.7 * sum(rows)), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(len(rows), 2, height_ratios=rows)
        if training is not None:
            algorithm = training["algorithm"]
            title = (
                f"{algorithm.upper()} on AdMarket, {training['steps']:,} steps in "
                f"{len(training['worlds'])} persistent worlds"
            )
            figure.suptitle(title, color=INK, fontsize=12, fontweight="bold")
            _curve(figure.add_subplot(grid[-1, 0]), training["curve"])
            _people(figure.add_subplot(grid[-1, 1]), report["population"])
        if evaluation is not None:
            shared: Any = None
            for place, start in enumerate(evaluation["starts"][:2]):
                shared = figure.add_subplot(grid[0, place], sharex=shared)
                _bars(shared, evaluation, start, algorithm, named=place == 0)
        with part_of(path) as part:
            figure.savefig(part, format="png")


def _bars(axes: Axes, evaluation: Json, start: Json, algorithm: str, *, named: bool) -> None:
    policies = list(start["scores"])
    profits = [start["scores"][policy]["incremental_profit"] for policy in policies]
    places = range(len(policies))
    means = [profit["mean"] for profit in profits]
    axes.barh(
        places,
        means,
        xerr=[0.5 * (profit["high"] - profit["low"]) for profit in profits],
        color=[CHAMPION if policy == evaluation["champion"] else OTHER for policy in policies],
        error_kw={"ecolor": INK, "capsize": 3, "elinewidth": 1.1},
        height=0.66,
    )
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_yticks(
        places, [title_of(policy, algorithm) for policy in policies] if named else [""] * len(policies)
    )
    axes.invert_yaxis()
    axes.set_title(f"From {article(start['label'])}", loc="left", color=INK)
    axes.set_xlabel(
        f"incremental profit over {evaluation['days']} + {evaluation['run_out_days']} days, "
        f"95 % intervals of {len(start['seeds'])} replicates"
    )
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    for place, policy, profit in zip(places, policies, profits, strict=True):
        room = max(profit["high"], 0.0)
        axes.annotate(
            whole(profit["mean"]) + _behind(start.get("differences", {}).get(policy)),
            (room, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=INK,
        )
    axes.margins(x=0.38)


def _behind(difference: Json | None) -> str:
    """How far a policy is behind the champion, paired by replicate; bars alone would hide how surely."""
    if difference is None:
        return ""
    half = 0.5 * (difference["high"] - difference["low"])
    return f"\npaired: {-difference['mean']:+,.0f} ± {half:,.0f}"


def _curve(axes: Axes, curve: list[list[float]]) -> None:
    axes.set_title("Learning: accrued profit of an episode", loc="left", color=INK)
    axes.set_xlabel("env steps")
    axes.set_ylabel(f"currency, mean of each world's last {CURVE_EPISODES} episodes")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000.0:,.4g}k" if x else "0")
    if curve:
        axes.plot(
            [steps for steps, _ in curve], [profit for _, profit in curve], color=CHAMPION, linewidth=1.6
        )
        axes.margins(x=0.02)
    else:
        axes.annotate(
            "no new steps in this run", (0.5, 0.5), xycoords="axes fraction", ha="center", color=INK
        )


def _people(axes: Axes, population: Json) -> None:
    before, after = population["before"], population["after"]
    stages = list(after["stages"])
    labels = [*(stage.lower() for stage in stages), "awareness", "fatigue", "intent"]

    def shares(of: Json) -> list[float]:
        people = max(1, sum(of["stages"].values()))
        scores = [of["mean_awareness"], of["mean_fatigue"], of["mean_intent"]]
        return [*(of["stages"][stage] / people for stage in stages), *scores]

    for offset, (of, color, name) in enumerate(((before, BEFORE, "before"), (after, AFTER, "after"))):
        places = [k + 0.4 * (offset - 0.5) + (0.5 if k >= len(stages) else 0.0) for k in range(len(labels))]
        axes.bar(places, shares(of), width=0.38, color=color, label=f"{name} training ({of['clock'][:10]})")
        for place, share in zip(places, shares(of), strict=True):
            axes.annotate(
                f"{share:.2f}",
                (place, share),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=6.5,
            )
    ticks = [k + (0.5 if k >= len(stages) else 0.0) for k in range(len(labels))]
    axes.set_xticks(ticks, labels, rotation=30, ha="right")
    axes.set_title("People: share by last-seen stage, and mean scores", loc="left", color=INK)
    axes.legend(frameon=False)
    axes.margins(y=0.12)
