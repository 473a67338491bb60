"""`gaelp torture`: kills, power cuts, failing writes, races and a soak; was every word kept?"""

from __future__ import annotations

import json
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agents.torture_child import COMMITS, STEPS
from agents.torture_look import Part, goes_on, url_of, whole
from agents.torture_shim import Told, after_power_cut

KILLS_A_FILE = 8
"""A file is killed so often before the next one begins."""


@dataclass(frozen=True, slots=True)
class TortureOptions:
    """How often what is done, 0 to leave it out; of the writes of a life at most `faults` fail in turn, and a
    soak takes `minutes`."""

    kills: int = 200
    cuts: int = 200
    faults: int = 200
    races: int = 100
    minutes: float = 4.0
    seed: int = 0


def run_torture(options: TortureOptions, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Tortures stores in folders of their own, which are gone afterwards.

    Args:
      say: is told what begins.
    Returns: {"parts": a report each, "kept": whether every promise was, "summary": one line}, JSON-able.
    """
    began = time.monotonic()
    asked = (
        (options.kills, "kill", kills),
        (options.cuts, "power cut", power_cuts),
        (options.faults, "failing write", failing_writes),
        (options.races, "race", races),
    )
    parts = []
    for times, name, torture in asked:
        if times:
            say(f"{name}, {times} times")
            with tempfile.TemporaryDirectory(prefix="gaelp-torture-") as folder:
                parts.append(torture(Path(folder), times, f"{options.seed} {name}"))
    if options.minutes:
        say(f"soak, {options.minutes:g} minutes")
        with tempfile.TemporaryDirectory(prefix="gaelp-torture-") as folder:
            parts.append(soak(Path(folder), options.minutes))
    faults = sum(len(part.faults) for part in parts)
    done = ", ".join(f"{part.times} {part.name}{'s' * (part.times != 1)}" for part in parts)
    commits = sum(part.commits for part in parts)
    verdict = "no promise broken" if not faults else f"{faults} PROMISES BROKEN"
    return {
        "parts": [asdict(part) for part in parts],
        "kept": not faults,
        "summary": f"torture: {done}, {commits} commits: {verdict} ({time.monotonic() - began:.0f} s)",
    }


def kills(folder: Path, times: int, seed: str) -> Part:
    """SIGKILL at random moments of a process that commits and folds."""
    part, chance = Part("kill"), random.Random(seed)
    for part.times in range(1, times + 1):
        path = folder / f"s{(part.times - 1) // KILLS_A_FILE}.db"
        with _child("commit", url_of(path)) as process:
            assert process.stdout is not None
            begun = int(process.stdout.readline().split()[1])
            time.sleep(chance.uniform(0.0, 0.12))
            process.send_signal(signal.SIGKILL)
            # Not by communicate(), which would miss what readline() has read ahead.
            said = [int(line) for line in process.stdout.read().split()]
        acknowledged = said[-1] if said else begun
        part.commits += len(said)
        part.found(whole, path, acknowledged, acknowledged + 1)
    return part


def power_cuts(folder: Path, times: int, seed: str, synchronous: str = "FULL") -> Part:
    """The power goes at random moments: what was not synced is lost, kept, or torn by the sector.

    Args:
      synchronous: SQLite's setting; anything but "FULL" is to show that this torture finds what it looks for.
    """
    part, chance = Part("power cut", commits=COMMITS), random.Random(seed)
    out = folder / "told"
    _said("power", url_of(folder / "s.db"), str(out), synchronous)
    told = [Told(*one) for one in pickle.loads(out.read_bytes())]
    for part.times in range(1, times + 1):
        end = chance.randrange(1, len(told) + 1)
        said = [int(one.name) for one in told[:end] if one.what == "said"]
        there = folder / f"cut{part.times}"
        there.mkdir()
        keep = chance.choice(("none", "all", "some", "some"))
        for name, octets in after_power_cut(told[:end], chance, keep).items():
            (there / name).write_bytes(octets)
        path, acknowledged = there / "s.db", said[-1] if said else -1
        at = part.found(whole, path, acknowledged, acknowledged + 1)
        if at > -2:
            part.found(goes_on, path, at + 1, at + 1)
        for file in there.iterdir():
            file.unlink()
    return part


def failing_writes(folder: Path, times: int, seed: str) -> Part:
    """See `torture_faults`; done in a process of its own, for SQLite's writes are tampered with there."""
    return Part(**json.loads(_said("faults", str(folder), str(times), seed)))


def races(folder: Path, times: int, seed: str) -> Part:
    """Two processes reach for a world at the same moment, again and again."""
    part, chance = Part("race"), random.Random(seed)
    path, at = folder / "s.db", -1
    with _child("race", url_of(path)) as one, _child("race", url_of(path)) as two:
        racers = [one, two]
        for racer in racers:
            _heard(racer)
        for part.times in range(1, times + 1):
            chance.shuffle(racers)
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write("go\n")
                racer.stdin.flush()
            answers = [_heard(racer).split() for racer in racers]
            made = sum(int(count) for count, _ in answers)
            if not {word for _, word in answers} <= {"done", "WorldBusy", "WorldMoved", "WorldExists"}:
                part.blame(f"the racers say {answers}")
            if made not in (STEPS, 2 * STEPS):
                part.blame(f"{made} commits were made by racers who say {answers}")
            part.commits += made
            at = part.found(whole, path, at + made, at + made)
    return part


def soak(folder: Path, minutes: float) -> Part:
    """See `torture_soak`; played in a process of its own, so that its memory is nobody else's."""
    return Part(**json.loads(_said("soak", url_of(folder / "s.db"), str(60.0 * minutes))))


@contextmanager
def _child(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "agents.torture_child", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _said(*arguments: str) -> str:
    command = [sys.executable, "-m", "agents.torture_child", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()
