"""The fit: free constants by simulated moments, on a fixed seed, with scipy.

The same people with the same chance are played for every set of constants (common random numbers), and
probabilities stand for outcomes where they have the same mean, so that the misses are nearly smooth. Steps
of the derivative are wide enough to see over what unevenness is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.calibrate_free import Free, value_of, with_constants
from agents.calibrate_targets import Target, score
from agents.evaluate_processes import crew
from gaelp_env.config import MarketConfig

Floats = NDArray[np.float64]
Figures = Mapping[str, float]
Play = Callable[[MarketConfig], Figures]

STEP = 0.04
"""Step of the derivative, as a share of a constant's range."""
MISSING = 20.0
"""The miss of a figure that a run does not give, and the most that any figure counts for."""
ENOUGH = 5e-3
"""The fit has converged when a step lowers what it minimises by less than this share, or moves the
constants by less than this share of their ranges."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit came to.

    Attributes:
      config: with the fitted constants.
      constants: name -> (before, after).
      before, after: distances on the fit's own runs.
      runs: of the market.
    """

    config: MarketConfig
    constants: dict[str, tuple[float, float]]
    before: float
    after: float
    runs: int


def fit(
    config: MarketConfig, targets: Sequence[Target], free: Sequence[Free], play: Play, steps: int = 20,
    workers: int = 1, say: Callable[[int, float], None] | None = None,
) -> Fitted:  # fmt: skip
    """Fits free constants to the fitted ones among the targets.

        least  sum of ln(1 + w m^2),   m = miss in tolerances

    The logarithm lets targets that cannot be met at once stay unmet without pulling at all others. Method:
    trust-region least squares of scipy within bounds; derivatives by differences, played side by side. Where
    a configuration refuses constants together, every target misses by MISSING, and the fit turns back.

    Args:
      config: where it starts.
      targets: held-out ones and echoes are not looked at.
      free: constants that may move, inside their bounds.
      play: gives the figures of a configuration; pickles if there are several workers.
      steps: how often constants are tried, at most.
      workers: processes that play at once; one is this process.
      say: told (runs of the market, distance) after each.
    Raises: ValueError if there is nothing to fit, or a constant starts outside its bounds or where the
      configuration refuses it. RuntimeError, a sentence, if it has not converged after so many steps.
    """
    from scipy.optimize import least_squares  # type: ignore[import-untyped]

    wanted = [target for target in targets if target.fitted and target.weight > 0.0]
    if not wanted:
        raise ValueError("There is nothing to fit: give an emergent target, such as orders_per_session.")
    start = np.array([one.to_unit(value_of(config, one.name)) for one in free])
    moved(config, free, start)
    with crew(workers) if workers > 1 else nullcontext() as pool:
        over = map if pool is None else pool.map
        trials = _Trials(config, free, wanted, lambda configs: list(over(play, configs)), say)
        found = least_squares(
            trials.at, start, trials.slope, bounds=(0.0, 1.0), loss="cauchy", ftol=ENOUGH, xtol=ENOUGH,
            gtol=1e-6, max_nfev=steps,
        )  # fmt: skip
    if found.status == 0:
        raise RuntimeError(
            f"The fit has not converged in {steps} steps ({trials.runs} runs of the market, distance "
            f"{trials.distances[0]:.3g} to {min(trials.distances):.3g}), so nothing was written; allow more "
            "with --steps, or steady its runs with more --fit-users."
        )
    fitted = moved(config, free, found.x)
    return Fitted(
        fitted,
        {one.name: (value_of(config, one.name), value_of(fitted, one.name)) for one in free},
        trials.distances[0], trials.distance(np.asarray(found.fun)), trials.runs,
    )  # fmt: skip


def moved(config: MarketConfig, free: Sequence[Free], point: Floats) -> MarketConfig:
    """The configuration at a point of the unit cube that the fit moves in."""
    return with_constants(
        config, {one.name: one.from_unit(float(x)) for one, x in zip(free, point, strict=True)}
    )


def misses(targets: Sequence[Target], figures: Figures) -> Floats:
    """The weighted misses of targets, in tolerances: sqrt(w) m, |m| at most MISSING."""
    found = []
    for row in score(targets, figures):
        miss = row.target.miss(row.simulated)
        kept = MISSING if math.isnan(miss) else max(-MISSING, min(MISSING, miss))
        found.append(math.sqrt(row.target.weight) * kept)
    return np.array(found)


class _Trials:
    """Plays configurations, and remembers the last one that was played alone."""

    def __init__(
        self, config: MarketConfig, free: Sequence[Free], wanted: Sequence[Target],
        play: Callable[[list[MarketConfig]], list[Figures]], say: Callable[[int, float], None] | None,
    ) -> None:  # fmt: skip
        self.config, self.free, self.wanted, self.play, self.say = config, free, wanted, play, say
        self.runs = 0
        self.distances: list[float] = []
        self._last: tuple[Floats, Floats] | None = None

    def distance(self, found: Floats) -> float:
        return float(np.square(found).sum() / sum(target.weight for target in self.wanted))

    def at(self, point: Floats) -> Floats:
        found = self._played([point])[0]
        self.distances.append(self.distance(found))
        self._last = point.copy(), found
        self._tell()
        return found

    def slope(self, point: Floats) -> Floats:
        here = self._last[1] if self._last and np.array_equal(self._last[0], point) else self.at(point)
        steps = np.array([self._step(point, place) for place in range(len(point))])
        there = self._played([point + row for row in np.diag(steps)])
        self._tell()
        return np.array([(one - here) / step for one, step in zip(there, steps, strict=True)]).T

    def _played(self, points: Sequence[Floats]) -> list[Floats]:
        configs = [self._config(point) for point in points]
        played = [config for config in configs if config is not None]
        found = iter(self.play(played))
        self.runs += len(played)
        return [misses(self.wanted, {} if config is None else next(found)) for config in configs]

    def _config(self, point: Floats) -> MarketConfig | None:
        """The configuration at a point; None where its constants do not go together."""
        try:
            return moved(self.config, self.free, point)
        except ValueError:
            return None

    def _step(self, point: Floats, place: int) -> float:
        """Up, where that leads to a configuration; else down, where that does."""
        inside = [step for step in (STEP, -STEP) if 0.0 <= point[place] + step <= 1.0]
        there = np.eye(len(point))[place]
        return next((step for step in inside if self._config(point + step * there) is not None), inside[0])

    def _tell(self) -> None:
        if self.say is not None:
            self.say(self.runs, min(self.distances))
