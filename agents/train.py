"""Trains an agent in worlds that persist, and shows what it came to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.baselines import Found, SearchPlan, make_baselines, save_found, search_baselines
from agents.evaluate_play import Start
from agents.evaluate_policies import EvaluationResult, evaluate_policies, seeds_for
from agents.evaluate_processes import cores, crew
from agents.evaluate_worlds import commits_of, population_of
from agents.manifest import Manifest, write_whole
from agents.report import Speaker, report_json, show_training
from agents.train_run import Run, open_run
from agents.train_settings import settings_of

POLICY = "trained"
RUN_OUT_DAYS = 30
VECS = ("native", "dummy", "subproc")
CHECKPOINTS = 10
"""Checkpoints, and looks at the policy in a read-only world, in a run."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What a training run is asked for.

    Attributes:
      store: URL of the store in which the worlds live.
      world: stem; the worlds are `world/0`, `world/1` …
      config: path or preset of the market, for new worlds; None is AdMarket-v1.
      algorithm: "ppo" or "sac".
      steps: env steps to learn for; None takes the algorithm's own default.
      worlds: how many to learn in side by side.
      seed: of births, learning, search and evaluation.
      out: folder of the run.
      vec: "native" (one call steps all worlds), "dummy" (one after the other) or "subproc" (a process each).
      evaluate: whether to compare with the baselines afterwards.
      replicates, days: of the evaluation.
      resume: whether to go on with the policy in `out`, if there is one.
      quiet: no progress.
      json: one JSON document on standard output instead of tables.
      search: how hard to look for the best baselines; None takes the default.
    """

    store: str = "sqlite:///gaelp.db"
    world: str = "demo"
    config: str | None = None
    algorithm: str = "ppo"
    steps: int | None = None
    worlds: int = 64
    seed: int = 0
    out: str = "runs/latest"
    vec: str = "native"
    evaluate: bool = True
    replicates: int = 20
    days: int = 30
    resume: bool = True
    quiet: bool = False
    json: bool = False
    search: SearchPlan | None = None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training run left behind.

    Attributes:
      out: folder with policy.zip, vecnormalize.pkl, manifest.json, report.json and report.png.
      manifest: of the run.
      evaluation: None if it was not asked for.
      report: what report.json holds.
    """

    out: Path
    manifest: Manifest
    evaluation: EvaluationResult | None
    report: dict[str, Any]


def run_training(options: TrainOptions) -> TrainResult:
    """Trains, evaluates and reports; run again, it goes on with the same people and the same policy.

    Raises: ValueError, ConfigError or StoreError in words; nothing that was committed is lost.
    """
    _check(options)
    speaker = Speaker(quiet=options.quiet, json=options.json)
    settings = settings_of(options.algorithm)
    began = time.monotonic()
    with ExitStack() as stack:
        run = open_run(options, settings, speaker)
        stack.callback(run.envs.close)
        before = commits_of(run.manifest.store, run.manifest.worlds) if run.before is None else run.before
        run.keep_before(before)
        population_before = population_of(run.config, before)
        starts = (
            Start("commit before training", run.config, tuple(before)),
            Start("fresh world", run.config),
        )
        found = _search_beside(options, starts, stack) if options.evaluate else None
        curve = _learn(run, options, speaker)
        run.finish()
        run.envs.close()
        after = commits_of(run.manifest.store, run.manifest.worlds)
        evaluation, baselines = None, None
        if found is not None:
            if not found.done():
                speaker.say("Waiting for the search of the best baselines …")
            baselines = found.result()
            save_found(baselines, run.config, run.out)
            evaluation = _evaluate(run, starts, baselines, options, speaker)
    report = report_json(
        manifest=run.manifest,
        population={"before": population_before, "after": population_of(run.config, after)},
        evaluation=evaluation,
        baselines=baselines,
        curve=curve,
        seconds=time.monotonic() - began,
    )
    result = TrainResult(run.out, run.manifest, evaluation, report)
    _publish(result, speaker)
    return result


def _check(options: TrainOptions) -> None:
    if options.store == "memory:":
        raise ValueError(
            "A training run opens its worlds in several places, and memory: is private to one of them; "
            "give sqlite:///FILE, or memory:NAME for worlds that end with this process."
        )
    if options.vec not in VECS:
        raise ValueError(f"vec cannot be {options.vec!r}; known are {', '.join(VECS)}.")
    if options.vec == "subproc" and options.store.startswith("memory:"):
        raise ValueError("Processes cannot share memory:; give sqlite:///FILE, or --vec native.")
    for name in ("worlds", "steps", "days"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} is at least 1, and not {value}.")
    if options.evaluate and options.replicates < 2:
        raise ValueError(f"An interval needs at least 2 replicates, and not {options.replicates}.")


def _search_beside(options: TrainOptions, starts: Sequence[Start], stack: ExitStack) -> Future[Found]:
    """Searches the best baselines in a process of its own, while this one trains."""
    plan = options.search or SearchPlan(days=options.days, run_out_days=RUN_OUT_DAYS, seed=options.seed)
    pool = stack.enter_context(crew(1))
    return pool.submit(search_baselines, tuple(starts), plan)


def _learn(run: Run, options: TrainOptions, speaker: Speaker) -> list[tuple[int, float]]:
    """Lets the model learn up to the goal; the learning curve as (steps, mean return of an episode)."""
    from stable_baselines3.common.callbacks import CallbackList, EvalCallback
    from stable_baselines3.common.vec_env import VecNormalize

    from agents.sb3_callbacks import LearningCurve, WorldCheckpoints
    from agents.sb3_worlds import watched_env

    goal, done = run.manifest.steps_goal, run.manifest.steps_done
    if done >= goal:
        return []
    every = max(1, (goal - done) // CHECKPOINTS)
    normalizer: Any = run.model.get_vec_normalize_env()
    watched = VecNormalize(
        watched_env(run.manifest.store, run.manifest.worlds[0]),
        training=False,
        norm_obs=normalizer.norm_obs,
        norm_reward=False,
    )
    checkpoints = WorldCheckpoints(run.out, run.manifest, every)
    bar = speaker.bar_wanted
    curve = LearningCurve(goal, None if bar or options.quiet else speaker.say)
    watcher = EvalCallback(
        watched,
        n_eval_episodes=5,
        eval_freq=max(1, every // run.envs.num_envs),
        log_path=str(run.out / "watched"),
        verbose=0,
    )
    try:
        run.model.learn(
            goal - done,
            callback=CallbackList([curve, checkpoints, watcher]),
            reset_num_timesteps=False,
            tb_log_name=options.algorithm,
            progress_bar=bar,
        )
        checkpoints.save()
    finally:
        watched.close()
    return curve.thinned()


def _evaluate(
    run: Run, starts: Sequence[Start], found: Found, options: TrainOptions, speaker: Speaker
) -> EvaluationResult:
    from agents.sb3_policy import TrainedPolicy

    policies: dict[str, Any] = {POLICY: TrainedPolicy(run.out)}
    policies |= make_baselines(found, run.config, seeds_for("evaluation", options.seed, 1)[0])
    with speaker.progress("Evaluating") as progress:
        return evaluate_policies(
            policies,
            starts,
            replicates=options.replicates,
            days=options.days,
            run_out_days=RUN_OUT_DAYS,
            seed=options.seed,
            champion=POLICY,
            workers=min(2, cores()),
            progress=progress,
        )


def _publish(result: TrainResult, speaker: Speaker) -> None:
    import json

    from agents.report_picture import draw

    write_whole(result.out / "report.json", json.dumps(result.report, indent=2) + "\n")
    draw(result.report, result.out / "report.png")
    if speaker.json:
        print(json.dumps(result.report, indent=2))
        return
    show_training(result.report, result.out, speaker)
