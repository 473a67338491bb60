"""The baselines, and the search that makes each as strong as its form allows.

The search maximises the same figure that the evaluation reports (incremental profit over the days of
bidding and the run-out), with common random numbers, on luck that no evaluation uses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluate_play import Start, play
from agents.evaluate_policies import incremental_profit, seeds_for
from agents.manifest import write_whole
from agents.policies import ConstantBids, NeverBid, PacedBids, Policy, RandomBids, ReferencePriceBids
from gaelp_env.actions import NO_BID_BELOW, bids_cpm
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.observation import names as observation_names

NEVER, RANDOM, CONSTANT, REFERENCE, PACED = "never", "random", "constant", "reference", "pid"
BASELINES = (NEVER, RANDOM, CONSTANT, REFERENCE, PACED)
TITLES = {
    NEVER: "never bid",
    RANDOM: "random",
    CONSTANT: "best constant bid",
    REFERENCE: "linear in reference price",
    PACED: "budget pacing by PID",
}
FOUND_FILE = "baselines.json"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How hard the search looks.

    Attributes:
      population, generations, elite: of the cross-entropy search for the constant vector.
      replicates: markets that a candidate is played on, half of them from each start.
      days, run_out_days: as in the evaluation.
      seed: of the whole run; the search's luck is derived from it.
    """

    population: int = 16
    generations: int = 6
    elite: int = 4
    replicates: int = 4
    days: int = 30
    run_out_days: int = 30
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
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Found:
        """Reads what `to_json` wrote."""
        return cls(**{**found, "bids_cpm": tuple(found["bids_cpm"])})


class _Trials:
    """Plays candidates from the starts on the search's luck, against twins played once."""

    def __init__(self, starts: Sequence[Start], plan: SearchPlan) -> None:
        self._starts = starts
        self._plan = plan
        self._seeds = seeds_for("search", plan.seed, plan.replicates)
        self._twin = self._play(None)
        self.count = 0

    def _play(self, policy: Policy | None) -> Any:
        markets = [
            self._starts[i % len(self._starts)].market(i // len(self._starts), seed)
            for i, seed in enumerate(self._seeds)
        ]
        return play(policy, markets, days=self._plan.days, run_out_days=self._plan.run_out_days)

    def profit(self, policy: Policy) -> float:
        """Mean incremental profit of a candidate, currency."""
        self.count += 1
        return float(incremental_profit(self._play(policy), self._twin).mean())


def search_baselines(starts: Sequence[Start], plan: SearchPlan, say: Progress | None = None) -> Found:
    """Finds the best constant vector, the best multiplier and the best pacing rule.

    Args:
      starts: where the evaluation will begin; all of one config.
      plan: how hard to look.
      say: called with a line now and then.
    """
    say = say or (lambda line: None)
    config = starts[0].config
    trials = _Trials(starts, plan)
    constant, constant_profit = _best_constant(trials, config, plan, say)
    names = observation_names("advertiser")
    multiplier, reference_profit = _best_on_line(
        lambda c: trials.profit(ReferencePriceBids(c, config, names)), 0.5, 2.0, steps=5, finer=2
    )
    say(f"bid linear in the reference price: {multiplier:.3g} x, profit {reference_profit:,.0f}")
    scale, share, paced_profit = _best_pacing(trials, config, constant, names)
    say(f"pacing by PID: {scale:.3g} x, {share:.0%} of the budget, profit {paced_profit:,.0f}")
    return Found(
        bids_cpm=tuple(constant.tolist()),
        multiplier=multiplier,
        paced_scale=scale,
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


def _best_constant(
    trials: _Trials, config: MarketConfig, plan: SearchPlan, say: Progress
) -> tuple[NDArray[np.float64], float]:
    """Cross-entropy search in action space, then one pass over the channels, one at a time.

    Source: Rubinstein and Kroese, The Cross-Entropy Method, 2004.
    """

    def profit(action: NDArray[np.float64]) -> float:
        return trials.profit(ConstantBids(bids_cpm(action, config), config))

    generator = np.random.default_rng(np.random.SeedSequence([4, plan.seed]))
    mean, spread = np.zeros(len(CHANNELS)), np.full(len(CHANNELS), 0.5)
    best, best_profit = mean, profit(mean)
    for generation in range(plan.generations):
        drawn = generator.normal(mean, spread, (plan.population, len(CHANNELS))).clip(-1.0, 1.0)
        drawn[0] = mean
        profits = np.array([profit(action) for action in drawn])
        order = np.argsort(-profits)
        if profits[order[0]] > best_profit:
            best, best_profit = drawn[order[0]], float(profits[order[0]])
        elite = drawn[order[: plan.elite]]
        mean, spread = elite.mean(axis=0), elite.std(axis=0) + 0.03
        say(f"best constant bid, generation {generation + 1}/{plan.generations}: profit {best_profit:,.0f}")
    for channel in range(len(CHANNELS)):
        for change in (-1.0, -0.15, 0.15):
            action = best.copy()
            action[channel] = -1.0 if change == -1.0 else np.clip(best[channel] + change, NO_BID_BELOW, 1.0)
            found = profit(action)
            if found > best_profit:
                best, best_profit = action, found
    return bids_cpm(best, config), best_profit


def _best_on_line(
    profit: Callable[[float], float], start: float, factor: float, *, steps: int, finer: int
) -> tuple[float, float]:
    """Maximises over a positive number: a geometric grid around `start`, then halved steps about the best."""
    tried = {start * factor**k: 0.0 for k in range(-(steps // 2), steps - steps // 2)}
    for value in tried:
        tried[value] = profit(value)
    for _ in range(finer):
        factor = factor**0.5
        best = max(tried, key=lambda value: tried[value])
        for value in (best / factor, best * factor):
            tried[value] = profit(value)
    best = max(tried, key=lambda value: tried[value])
    return best, tried[best]


def _best_pacing(
    trials: _Trials, config: MarketConfig, constant: NDArray[np.float64], names: tuple[str, ...]
) -> tuple[float, float, float]:
    """Searches the base bid's scale for several shares of the budget."""
    best = (1.0, 1.0, -np.inf)
    for share in (0.25, 0.5, 0.75, 1.0):

        def profit(scale: float, share: float = share) -> float:
            return trials.profit(PacedBids(constant * scale, config, names, share=share))

        scale, found = _best_on_line(profit, 1.0, 2.0, steps=3, finer=1)
        if found > best[2]:
            best = (scale, share, found)
    return best
