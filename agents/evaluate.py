"""The command that compares policies: on the same people, with the same luck, without touching them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.baselines import (
    BASELINES,
    CONSTANT,
    PACED,
    REFERENCE,
    Found,
    SearchPlan,
    load_found,
    make_baselines,
    save_found,
    search_baselines,
)
from agents.commits import LATEST, named
from agents.evaluate_play import Start
from agents.evaluate_policies import EvaluationResult, evaluate_policies, seeds_for
from agents.evaluate_processes import cores
from agents.evaluate_worlds import commits_of, config_of_worlds, shards_of, worlds_named
from agents.manifest import Manifest, write_whole
from agents.report import Speaker, show_evaluation
from gaelp_env.config import MarketConfig

TRAINED = "trained"
SEARCHED = (CONSTANT, REFERENCE, PACED)


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What an evaluation is asked for.

    Attributes:
      store: URL of the store.
      world: a world, or a stem for all its sub-worlds; replicates begin at their commits in turn.
      at: which commits those are: "latest", "first" (that can still be read), or a number as text.
      policy: folders or files of trained policies, or names of baselines; with no name of a baseline
        among them, all baselines are played as well.
      replicates, days, run_out_days: as in `evaluate_policies`.
      seed: of the replicates' chance.
      out: folder for evaluation.json and evaluation.png; None writes nothing.
      json: JSON on standard output instead of tables.
      search: how hard to look for the best baselines where no run has found them; None takes the default.
    """

    store: str = "sqlite:///gaelp.db"
    world: str = "demo"
    at: str = LATEST
    policy: Sequence[str] | str | None = None
    replicates: int = 20
    days: int = 30
    run_out_days: int = 30
    seed: int = 0
    out: str | None = None
    json: bool = False
    search: SearchPlan | None = None


def run_evaluation(options: EvaluateOptions) -> EvaluationResult:
    """Plays the policies from commits of the worlds and from a fresh world, and shows the tables.

    Raises: ValueError or StoreError in words. The store is opened for reading only.
    """
    speaker = Speaker(json=options.json)
    given = [options.policy] if isinstance(options.policy, str) else list(options.policy or [])
    trained = [name for name in given if name not in BASELINES]
    wanted = [name for name in given if name in BASELINES] or list(BASELINES)
    worlds = worlds_named(options.store, options.world)
    config = config_of_worlds(options.store, worlds, None)
    starts = (
        Start(named(options.at), config, tuple(commits_of(options.store, worlds, options.at))),
        Start("fresh world", config, shards=shards_of(options.store, worlds)),
    )
    policies, algorithm = _trained_policies(trained)
    champion = next(iter(policies), None)
    policies |= _baselines(wanted, trained, config, starts, options, speaker)
    with speaker.progress("Evaluating") as progress:
        result = evaluate_policies(
            policies,
            starts,
            replicates=options.replicates,
            days=options.days,
            run_out_days=options.run_out_days,
            seed=options.seed,
            champion=champion,
            workers=min(2, cores()),
            progress=progress,
        )
    _publish(result, algorithm, options, speaker)
    return result


def _trained_policies(paths: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Name -> trained policy, and the algorithm of the first one, for titles."""
    if not paths:
        return {}, ""
    for path in paths:
        if not Path(path).exists():
            raise ValueError(
                f"{path!r} is neither a folder or file of a trained policy nor a baseline; the baselines are "
                f"{', '.join(BASELINES)}."
            )
    from agents.sb3_policy import TrainedPolicy

    manifest = Manifest.load(Path(paths[0])) if Path(paths[0]).is_dir() else None
    algorithm = manifest.algorithm if manifest is not None else "ppo"
    if len(paths) == 1:
        return {TRAINED: TrainedPolicy(paths[0])}, algorithm
    return {path: TrainedPolicy(path) for path in paths}, algorithm


def _baselines(
    wanted: Sequence[str],
    trained: Sequence[str],
    config: MarketConfig,
    starts: Sequence[Start],
    options: EvaluateOptions,
    speaker: Speaker,
) -> dict[str, Any]:
    found = Found.none()
    if any(name in SEARCHED for name in wanted):
        found = _found(trained, config, starts, options, speaker)
    made = make_baselines(found, config, seeds_for("evaluation", options.seed, 1)[0])
    return {name: made[name] for name in wanted}


def _found(
    trained: Sequence[str],
    config: MarketConfig,
    starts: Sequence[Start],
    options: EvaluateOptions,
    speaker: Speaker,
) -> Found:
    """The best baselines as a run found them, or searched now."""
    folders = [Path(path) if Path(path).is_dir() else Path(path).parent for path in trained]
    for folder in [*folders, *([Path(options.out)] if options.out else [])]:
        kept = load_found(folder, config)
        if kept is not None:
            speaker.say(f"The best baselines are those that were found for {folder}.")
            return kept
    speaker.say("Searching the best baselines; this takes minutes …")
    plan = options.search or SearchPlan(
        days=options.days, run_out_days=options.run_out_days, seed=options.seed
    )
    found = search_baselines(starts, plan, speaker.say)
    if options.out is not None:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        save_found(found, config, Path(options.out))
    return found


def _publish(result: EvaluationResult, algorithm: str, options: EvaluateOptions, speaker: Speaker) -> None:
    report = result.to_json()
    if options.out is not None:
        from agents.report_picture import draw

        folder = Path(options.out)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "evaluation.json", json.dumps(report, indent=2) + "\n")
        draw({"evaluation": report}, folder / "evaluation.png", algorithm=algorithm)
    if options.json:
        print(json.dumps(report, indent=2))
        return
    show_evaluation(report, algorithm, speaker)
