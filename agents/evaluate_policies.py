"""Compares policies with the never-bidding twin and with each other, on the same people and luck."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluate_play import Outcome, Start, play
from agents.evaluate_processes import mapped
from agents.evaluate_statistics import Estimate, interval, ratio_interval
from agents.policies import Policy
from gaelp_env.config import CHANNELS

PURPOSES = {"training": 0, "evaluation": 1, "search": 2, "watch": 3}


def seeds_for(purpose: str, seed: int, count: int) -> list[int]:
    """Seeds for one purpose, so that no two purposes share any luck.

    Args:
      purpose: one of PURPOSES.
      seed: of the whole run.
      count: how many.
    """
    stream = np.random.SeedSequence([PURPOSES[purpose], seed])
    return [int(word) >> 1 for word in stream.generate_state(count, np.uint64)]


@dataclass(frozen=True, slots=True)
class Score:
    """A policy over all replicates of one start; every figure with its 95 % interval.

    Attributes:
      profit: incremental profit: margin above the twin's, less spend; currency.
      conversions: orders above the twin's.
      spend: currency.
      cpa: spend by incremental conversion, currency; unbounded where these may be zero.
      profit_by_replicate: `[R]` currency.
      spend_by_channel: mean spend, currency, by channel.
    """

    profit: Estimate
    conversions: Estimate
    spend: Estimate
    cpa: Estimate
    profit_by_replicate: tuple[float, ...]
    spend_by_channel: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The score as plain numbers."""
        return {
            "incremental_profit": self.profit.to_json(),
            "incremental_conversions": self.conversions.to_json(),
            "spend": self.spend.to_json(),
            "cpa": self.cpa.to_json(),
            "profit_by_replicate": list(self.profit_by_replicate),
            "spend_by_channel": self.spend_by_channel,
        }


@dataclass(frozen=True, slots=True)
class StartResult:
    """All policies from one start.

    Attributes:
      label: of the start.
      commits: world -> sequence; empty for newborn markets.
      seeds: of the replicates.
      scores: policy -> score, in the order given.
      differences: policy -> profit of the champion less that of the policy, paired by replicate.
    """

    label: str
    commits: dict[str, int]
    seeds: tuple[int, ...]
    scores: dict[str, Score]
    differences: dict[str, Estimate] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The results as plain numbers."""
        return {
            "label": self.label,
            "commits": self.commits,
            "seeds": list(self.seeds),
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "differences": {name: gap.to_json() for name, gap in self.differences.items()},
        }


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What an evaluation found.

    Attributes:
      champion: the policy that the others are compared with; None if there is none.
      days, run_out_days: simulated days with and without bids.
      starts: one result for each start.
    """

    champion: str | None
    days: int
    run_out_days: int
    starts: tuple[StartResult, ...]

    def beats_all(self) -> bool:
        """Whether the champion beats every other policy from every start beyond the 95 % interval."""
        gaps = [gap for start in self.starts for gap in start.differences.values()]
        return bool(gaps) and all(gap.above_zero() for gap in gaps)

    def to_json(self) -> dict[str, Any]:
        """The results as plain numbers."""
        return {
            "champion": self.champion,
            "days": self.days,
            "run_out_days": self.run_out_days,
            "beats_all": self.beats_all(),
            "starts": [start.to_json() for start in self.starts],
        }


def evaluate_policies(
    policies: Mapping[str, Policy],
    starts: Sequence[Start],
    *,
    replicates: int = 10,
    days: int = 30,
    run_out_days: int = 30,
    seed: int = 0,
    champion: str | None = None,
    observe: str = "advertiser",
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Plays every policy from every start, R times, and the never-bidding twin once a replicate.

    Args:
      policies: name -> anything with `predict`.
      starts: where replicates begin.
      replicates: R, >= 2.
      days: with bids.
      run_out_days: without bids afterwards; conversions take up to 30 days by default.
      seed: of the replicates' chance.
      champion: name of the policy to compare with the others.
      observe: what policies see.
      workers: processes; no number depends on it. With more than one, policies must pickle, and a script
        that calls this needs the usual `if __name__ == "__main__":`.
      progress: called with (plays done, plays in all).
    """
    if replicates < 2:
        raise ValueError(f"An interval needs at least 2 replicates, and {replicates} were asked for.")
    if days < 1 or run_out_days < 0:
        raise ValueError(
            f"An evaluation needs at least 1 day with bids and 0 without: not {days} and {run_out_days}."
        )
    seeds = seeds_for("evaluation", seed, replicates)
    jobs = [(start, policy) for start in starts for policy in (None, *policies.values())]

    run = partial(_run, seeds=seeds, days=days, run_out_days=run_out_days, observe=observe)
    outcomes = []
    for outcome in mapped(run, jobs, workers):
        outcomes.append(outcome)
        if progress is not None:
            progress(len(outcomes), len(jobs))
    size = 1 + len(policies)
    results = []
    for place, start in enumerate(starts):
        twin, *played = outcomes[place * size : (place + 1) * size]
        scores = {name: _score(outcome, twin) for name, outcome in zip(policies, played, strict=True)}
        results.append(
            StartResult(
                label=start.label,
                commits={commit.world: commit.sequence for commit in start.commits},
                seeds=tuple(seeds),
                scores=scores,
                differences=_differences(scores, champion),
            )
        )
    return EvaluationResult(champion, days, run_out_days, tuple(results))


def _run(
    job: tuple[Start, Policy | None], seeds: Sequence[int], days: int, run_out_days: int, observe: str
) -> Outcome:
    start, policy = job
    markets = [start.market(replicate, seed) for replicate, seed in enumerate(seeds)]
    return play(policy, markets, days=days, run_out_days=run_out_days, observe=observe)


def incremental_profit(outcome: Outcome, twin: Outcome) -> NDArray[np.float64]:
    """Margin above the twin's less spend above the twin's, by replicate `[R]`, currency."""
    return (outcome.margin - twin.margin) - (outcome.spend - twin.spend)


def _score(outcome: Outcome, twin: Outcome) -> Score:
    profit = incremental_profit(outcome, twin)
    conversions = outcome.conversions - twin.conversions
    return Score(
        profit=interval(profit),
        conversions=interval(conversions),
        spend=interval(outcome.spend),
        cpa=ratio_interval(outcome.spend, conversions),
        profit_by_replicate=tuple(profit.tolist()),
        spend_by_channel=dict(zip(CHANNELS, outcome.spend_by_channel.mean(axis=0).tolist(), strict=True)),
    )


def _differences(scores: Mapping[str, Score], champion: str | None) -> dict[str, Estimate]:
    if champion is None:
        return {}
    best = np.array(scores[champion].profit_by_replicate)
    return {
        name: interval(best - np.array(score.profit_by_replicate))
        for name, score in scores.items()
        if name != champion
    }
