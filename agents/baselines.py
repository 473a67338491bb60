"""The baselines, and the search that makes each as strong as its form allows.

The search maximises the same figure that the evaluation reports (incremental profit over the days of
bidding and the run-out), with common random numbers, on luck that no evaluation uses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluate_play import Outcome, Start, play
from agents.evaluate_policies import incremental_profit, seeds_for
from agents.manifest import write_whole
from agents.policies import ConstantBids, NeverBid, PacedBids, Policy, RandomBids, ReferencePriceBids
from gaelp_env.actions import bids_cpm
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.observation import names as observation_names

NEVER, RANDOM, CONSTANT, REFERENCE, PACED = "never", "random", "constant", "reference", "pid"
BASELINES = (NEVER, RANDOM, CONSTANT, REFERENCE, PACED)
TITLES = {
    NEVER: "never bid",
    RANDOM: "random",
    CONSTANT: "best constant bid",
    REFERENCE: "c × reference price",
    PACED: "PID budget pacing",
}
FOUND_FILE = "baselines.json"
Progress = Callable[[str], None]
Point = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How hard the search looks.

    Candidates are first screened by the profit that they accrue over a few days (expected margin of the ads
    seen, less spend: little noise, no run-out), then refined by the figure that the evaluation reports.

    Attributes:
      population, generations, elite: of the cross-entropy search for the constant vector.
      screen_days, screen_replicates: of the screening.
      days, run_out_days: as in the evaluation.
      replicates: markets that a candidate is refined on, in turn from each start.
      steps: of the refinement, in action space, one pass over the channels each.
      seed: of the whole run; the search's luck is derived from it.
    """

    population: int = 16
    generations: int = 7
    elite: int = 4
    screen_days: int = 12
    screen_replicates: int = 2
    days: int = 30
    run_out_days: int = 30
    replicates: int = 6
    steps: tuple[float, ...] = (0.2, 0.1, 0.1, 0.05)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What the search found; profits are in-sample means on the search's own luck, currency.

    Attributes:
      bids_cpm: best constant vector, by channel, CPM.
      multiplier: best c of the bid linear in the reference price.
      paced_scale, paced_share: the pacing rule's base bid as a multiple of the best constant vector, and
        the share of the budget that its plan spends.
      profits: baseline -> in-sample profit.
      plays: candidates played.
    """

    bids_cpm: tuple[float, ...]
    multiplier: float
    paced_scale: float
    paced_share: float
    profits: dict[str, float]
    plays: int

    @classmethod
    def none(cls) -> Found:
        """What is found without a search: the constant vector bids nowhere."""
        return cls((0.0,) * len(CHANNELS), 1.0, 1.0, 1.0, {}, 0)

    def to_json(self) -> dict[str, Any]:
        """The findings as plain numbers."""
        return asdict(self) | {"bids_cpm": list(self.bids_cpm)}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Found:
        """Reads what `to_json` wrote."""
        return cls(**{**found, "bids_cpm": tuple(found["bids_cpm"])})


class _Trials:
    """Plays candidates from the starts on the search's luck, against twins played once."""

    def __init__(self, starts: Sequence[Start], plan: SearchPlan) -> None:
        self._starts = starts
        self._plan = plan
        self._seeds = seeds_for("search", plan.seed, max(plan.replicates, plan.screen_replicates))
        self._twin = self._play(None, plan.replicates, plan.days, plan.run_out_days)
        self.count = 0

    def _play(self, policy: Policy | None, replicates: int, days: int, run_out_days: int) -> Outcome:
        markets = [
            self._starts[i % len(self._starts)].market(i // len(self._starts), seed)
            for i, seed in enumerate(self._seeds[:replicates])
        ]
        return play(policy, markets, days=days, run_out_days=run_out_days)

    def screened(self, policy: Policy) -> float:
        """Mean profit that a candidate accrues over the screening's days, currency."""
        self.count += 1
        outcome = self._play(policy, self._plan.screen_replicates, self._plan.screen_days, 0)
        return float((outcome.accrued - outcome.spend).mean())

    def profit(self, policy: Policy) -> float:
        """Mean incremental profit of a candidate, currency."""
        self.count += 1
        plan = self._plan
        outcome = self._play(policy, plan.replicates, plan.days, plan.run_out_days)
        return float(incremental_profit(outcome, self._twin).mean())


def search_baselines(starts: Sequence[Start], plan: SearchPlan, say: Progress | None = None) -> Found:
    """Finds the best constant vector, the best multiplier and the best pacing rule.

    Args:
      starts: where the evaluation will begin; all of one config.
      plan: how hard to look.
      say: called with a line now and then.
    """
    say = say or (lambda line: None)
    config, names = starts[0].config, observation_names("advertiser")
    trials = _Trials(starts, plan)

    def constant(action: NDArray[np.float64]) -> Policy:
        return ConstantBids(bids_cpm(action, config), config)

    def reference(at: NDArray[np.float64]) -> Policy:
        return ReferencePriceBids(float(2.0 ** at[0]), config, names)

    screened = _cross_entropy(lambda a: trials.screened(constant(a)), plan)
    say("best constant bid: screened")
    action = _best_of(screened, lambda a: trials.profit(constant(a)))
    action, constant_profit = _refined(action, lambda a: trials.profit(constant(a)), plan.steps)
    bids = bids_cpm(action, config)
    say(f"best constant bid: {np.round(bids, 2).tolist()} CPM, profit {constant_profit:,.0f}")
    doubled = _best_of(
        (np.array([k]) for k in (-2.0, -1.0, 0.0, 1.0, 2.0)), lambda at: trials.screened(reference(at))
    )
    doubled, reference_profit = _refined(doubled, lambda at: trials.profit(reference(at)), (0.5, 0.25))
    multiplier = float(2.0 ** doubled[0])
    say(f"linear in the reference price: {multiplier:.3g} x, profit {reference_profit:,.0f}")

    def paced(at: NDArray[np.float64]) -> Policy:
        return PacedBids(bids * 2.0 ** at[0], config, names, share=float(np.clip(at[1], 0.05, 1.0)))

    grid = (np.array([k, share]) for share in (0.2, 0.4, 0.6, 0.8, 1.0) for k in (-1.0, 0.0, 1.0))
    pace = _best_of(grid, lambda at: trials.screened(paced(at)))
    pace, paced_profit = _refined(pace, lambda at: trials.profit(paced(at)), (0.3, 0.1))
    share = float(np.clip(pace[1], 0.05, 1.0))
    say(f"pacing by PID: {2.0 ** pace[0]:.3g} x, {share:.0%} of the budget, profit {paced_profit:,.0f}")
    return Found(
        bids_cpm=tuple(bids.tolist()),
        multiplier=multiplier,
        paced_scale=float(2.0 ** pace[0]),
        paced_share=share,
        profits={CONSTANT: constant_profit, REFERENCE: reference_profit, PACED: paced_profit},
        plays=trials.count,
    )


def make_baselines(found: Found, config: MarketConfig, seed: int = 0) -> dict[str, Policy]:
    """The five baselines, ready to play.

    Args:
      found: of the search.
      config: of the market.
      seed: of the random bids.
    """
    names = observation_names("advertiser")
    bids = np.array(found.bids_cpm)
    return {
        NEVER: NeverBid(),
        RANDOM: RandomBids(seed),
        CONSTANT: ConstantBids(bids, config),
        REFERENCE: ReferencePriceBids(found.multiplier, config, names),
        PACED: PacedBids(bids * found.paced_scale, config, names, share=found.paced_share),
    }


def save_found(found: Found, config: MarketConfig, folder: Path) -> None:
    """Keeps the findings in a run's folder, with the configuration that they hold for."""
    kept = {"config_fingerprint": config.fingerprint(), "found": found.to_json()}
    write_whole(folder / FOUND_FILE, json.dumps(kept, indent=2) + "\n")


def load_found(folder: Path, config: MarketConfig) -> Found | None:
    """Findings kept in a folder; None if there are none for this configuration."""
    path = folder / FOUND_FILE
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    return Found.from_json(kept["found"]) if kept["config_fingerprint"] == config.fingerprint() else None


def _cross_entropy(profit: Callable[[Point], float], plan: SearchPlan) -> tuple[Point, Point]:
    """The best action seen and the last mean of the cross-entropy method (Rubinstein and Kroese, 2004)."""
    channels = len(CHANNELS)
    generator = np.random.default_rng(np.random.SeedSequence([4, plan.seed]))
    mean, spread = np.zeros(channels), np.full(channels, 0.45)
    best, best_profit = mean, profit(mean)
    for _ in range(plan.generations):
        drawn = generator.normal(mean, spread, (plan.population, channels)).clip(-1.0, 1.0)
        drawn[0] = mean
        profits = np.array([profit(action) for action in drawn])
        order = np.argsort(-profits)
        if profits[order[0]] > best_profit:
            best, best_profit = drawn[order[0]], float(profits[order[0]])
        elite = drawn[order[: plan.elite]]
        mean, spread = elite.mean(axis=0), elite.std(axis=0) + 0.03
    return best, mean


def _refined(point: Point, profit: Callable[[Point], float], steps: Sequence[float]) -> tuple[Point, float]:
    """Climbs from a point: all coordinates together, then one at a time, a pass for each step size."""
    best, best_profit = point, profit(point)
    for step in steps:
        moves = [np.full(len(point), step), *np.diag(np.full(len(point), step))]
        for move in moves:
            for direction in (1.0, -1.0):
                found = best + direction * move
                if (gained := profit(found)) > best_profit:
                    best, best_profit = found, gained
                    break
    return best, best_profit


def _best_of(points: Iterable[Point], profit: Callable[[Point], float]) -> Point:
    return max(points, key=profit)
