"""The manifest of a training run: what it was made from, how far it is, and where its worlds stood."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FILE = "manifest.json"
FORMAT = 1
PACKAGES = ("gaelp", "gymnasium", "numpy", "numba", "stable-baselines3", "torch")


@dataclass(slots=True)
class Checkpoint:
    """A policy on disk and the commits that its worlds stood at when it was saved.

    Attributes:
      steps: env steps that the policy had seen.
      policy, statistics: file names in the run's folder.
      commits: world -> sequence.
      saved: UTC moment, ISO 8601.
    """

    steps: int
    policy: str
    statistics: str
    commits: dict[str, int]
    saved: str


@dataclass(slots=True)
class Manifest:
    """Everything needed to say what a policy is, and to go on with it.

    Attributes:
      algorithm, settings: of the learner.
      store, worlds, config_fingerprint, config: where it learns.
      seed: of the run; `chance_seeds` world -> seed of its birth.
      steps_done, steps_goal: env steps over all runs so far, and where this run ends.
      runs: how often the command was run on this folder to its end.
      finished: whether the last run reached its goal.
      checkpoints: oldest first; the last one is where a broken run goes on.
      wall_seconds: of training, over all runs.
      versions: of Python and the packages that matter.
    """

    algorithm: str
    settings: dict[str, Any]
    store: str
    worlds: list[str]
    config_fingerprint: str
    config: dict[str, Any]
    seed: int
    chance_seeds: dict[str, int]
    steps_done: int = 0
    steps_goal: int = 0
    runs: int = 0
    finished: bool = False
    checkpoints: list[Checkpoint] = field(default_factory=list)
    wall_seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=lambda: versions())
    format: int = FORMAT

    def save(self, folder: Path) -> None:
        """Writes the manifest whole or not at all."""
        write_whole(folder / FILE, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest | None:
        """Reads the manifest of a run's folder; None if there is none.

        Raises: ValueError if the file is no manifest of this format.
        """
        path = folder / FILE
        if not path.exists():
            return None
        try:
            found = json.loads(path.read_text())
            if found["format"] != FORMAT:
                raise ValueError(f"format {found['format']}")
            checkpoints = [Checkpoint(**entry) for entry in found.pop("checkpoints")]
            return cls(checkpoints=checkpoints, **found)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is no manifest of this release ({error}); choose another folder for the run, "
                f"or move this one away."
            ) from error

    def distance(self, now: dict[str, int]) -> dict[str, int]:
        """How many commits each world has gone on since the last checkpoint; only worlds that have.

        Args:
          now: world -> sequence at present.
        """
        if not self.checkpoints:
            return {}
        then = self.checkpoints[-1].commits
        return {world: at - then[world] for world, at in now.items() if world in then and at != then[world]}


def versions() -> dict[str, str]:
    """Python and the packages that decide what a run comes to."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def utc_now() -> str:
    """The present moment, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_whole(path: Path, text: str) -> None:
    """Writes a text file so that a reader, or a crash, sees the old one or the new one."""
    with part_of(path) as part, part.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def part_of(path: Path, ending: str = ".part") -> Iterator[Path]:
    """A file beside `path` to write to. It takes its place at the end, and goes if the body raises."""
    part = path.with_name(path.name + ending)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
