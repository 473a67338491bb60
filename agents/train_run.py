"""The folder of a training run: begun, or gone on with, as its manifest says."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.evaluate_play import Commit
from agents.evaluate_policies import seeds_for
from agents.evaluate_worlds import config_of_worlds, read_commits, standing, write_commits
from agents.manifest import Manifest
from agents.report import Speaker
from agents.train_settings import CURVE_EPISODES, Settings
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

    from agents.train import TrainOptions

BEFORE_FILE = "before.npz"


@dataclass(slots=True)
class Run:
    """A run that is ready to learn.

    Attributes:
      out: its folder.
      manifest: how far it is.
      config: of its worlds.
      envs: one environment a world, under the model's VecNormalize.
      model: the learner.
      before: the worlds' commits before the training that was broken off; None for training that begins now.
    """

    out: Path
    manifest: Manifest
    config: MarketConfig
    envs: VecEnv
    model: BaseAlgorithm
    before: list[Commit] | None

    def keep_before(self, commits: list[Commit]) -> None:
        """Keeps the commits before training, so that a broken run can still be compared with them."""
        if self.before is None:
            write_commits(self.out / BEFORE_FILE, commits)
            self.manifest.save(self.out)

    def finish(self) -> None:
        """Marks the goal as reached and puts the final policy in its place."""
        from agents.sb3_callbacks import save_whole
        from agents.sb3_policy import POLICY_FILE, STATISTICS_FILE

        save_whole(self.model, self.out / POLICY_FILE, self.out / STATISTICS_FILE)
        self.manifest.finished = True
        self.manifest.runs += 1
        self.manifest.save(self.out)


def open_run(options: TrainOptions, settings: Settings, speaker: Speaker) -> Run:
    """Makes worlds, model and manifest ready.

    Raises: ValueError if the folder holds a run that was asked for otherwise, with the remedy.
    """
    from agents.sb3_worlds import Learning, learning_envs

    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    worlds = [f"{options.world}/{k}" for k in range(options.worlds)]
    standing_before = standing(options.store, worlds)
    config = config_of_worlds(
        options.store, worlds, None if options.config is None else load_config(options.config)
    )
    seeds = dict(zip(worlds, seeds_for("training", options.seed, len(worlds)), strict=True))
    fresh = Manifest(
        algorithm=options.algorithm,
        settings=json.loads(json.dumps(asdict(settings))),
        store=options.store,
        worlds=worlds,
        config_fingerprint=config.fingerprint(),
        config=json.loads(config.to_json()),
        seed=options.seed,
        chance_seeds=seeds,
    )
    kept = Manifest.load(out) if options.resume else None
    manifest = kept or fresh
    _check_same(manifest, fresh, out)
    _tell_people(worlds, standing_before, options, config, speaker)
    steps = options.steps or settings.steps
    broken = kept is not None and not kept.finished
    if not broken:
        manifest.steps_goal = manifest.steps_done + steps
        manifest.finished = False
    before = read_commits(out / BEFORE_FILE) if broken else None
    envs = learning_envs(
        [Learning(options.store, world, config, seeds[world]) for world in worlds], options.vec
    )
    try:
        normalized, model = _model(manifest, out, envs, settings)
        _tell_distance(manifest, broken, standing(options.store, worlds), speaker)
    except BaseException:
        envs.close()
        raise
    return Run(out, manifest, config, normalized, model, before)


def _check_same(manifest: Manifest, asked: Manifest, out: Path) -> None:
    for name in ("algorithm", "store", "worlds", "config_fingerprint", "settings"):
        found, wanted = getattr(manifest, name), getattr(asked, name)
        if found != wanted:
            raise ValueError(
                f"{out} holds a run whose {name.replace('_', ' ')} is {found}, and {wanted} is asked for; "
                f"give another folder with --out, or begin a new policy in it with --no-resume."
            )


def _tell_people(
    worlds: list[str],
    standing_before: dict[str, int],
    options: TrainOptions,
    config: MarketConfig,
    speaker: Speaker,
) -> None:
    there, new = len(standing_before), len(worlds) - len(standing_before)
    if there:
        commits = ", ".join(f"{world} at commit {at}" for world, at in standing_before.items())
        speaker.say(f"The same people go on in {options.store}: {commits}.")
    if new:
        speaker.say(f"{new} worlds are born in {options.store}, with {config.people.users:,} people each.")


def _tell_distance(manifest: Manifest, broken: bool, now: dict[str, int], speaker: Speaker) -> None:
    if not manifest.checkpoints:
        if broken:
            speaker.say(
                "The last run in this folder was broken off before its first checkpoint: a new policy begins."
            )
        return
    last = manifest.checkpoints[-1]
    apart = manifest.distance(now)
    gone_on = (
        "the worlds stand where it left them"
        if not apart
        else "since then " + ", ".join(f"{world} has gone on by {n} commits" for world, n in apart.items())
    )
    how = "was broken off; it goes on" if broken else "goes on learning"
    speaker.say(f"The policy in this folder {how} from step {last.steps:,}, saved {last.saved}; {gone_on}.")


def _model(manifest: Manifest, out: Path, envs: VecEnv, settings: Settings) -> tuple[VecEnv, BaseAlgorithm]:
    import torch
    from stable_baselines3.common.utils import LinearSchedule
    from stable_baselines3.common.vec_env import VecNormalize

    from agents.sb3_policy import ALGORITHMS

    torch.set_num_threads(1)
    kind = ALGORITHMS[manifest.algorithm]
    tensorboard = str(out / "tensorboard")
    if manifest.checkpoints:
        last = manifest.checkpoints[-1]
        normalized = VecNormalize.load(str(out / last.statistics), envs)
        normalized.training = True
        return normalized, kind.load(
            out / last.policy, env=normalized, tensorboard_log=tensorboard, device="cpu"
        )
    arguments = settings.arguments_for(envs.num_envs)
    rate = float(arguments["learning_rate"])
    if settings.anneal:
        arguments["learning_rate"] = LinearSchedule(rate, 0.1 * rate, 1.0)
    shape: dict[str, Any] = {"net_arch": list(settings.hidden)}
    if settings.log_std is not None:
        shape["log_std_init"] = settings.log_std
    normalized = VecNormalize(envs, gamma=float(arguments["gamma"]), **settings.normalize)
    model = kind(
        "MlpPolicy",
        normalized,
        policy_kwargs=shape,
        seed=manifest.seed,
        tensorboard_log=tensorboard,
        device="cpu",
        stats_window_size=CURVE_EPISODES * envs.num_envs,
        **arguments,
    )
    return normalized, model
