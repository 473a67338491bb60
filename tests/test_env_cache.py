"""Compiled code never outlives the sources that it was made from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gaelp_env
from gaelp_env import _cache

PACKAGE = Path(gaelp_env.__file__).resolve().parent
BORN = (
    "import os, gaelp_env\n"
    "from gaelp_env.births import born\n"
    "from gaelp_env.config import MarketConfig\n"
    "print(os.environ['NUMBA_CACHE_DIR'])\n"
    "print(float(born(MarketConfig(), 1, 0, 1, 0, 0.0)['propensity'][0]))\n"
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package's sources."""
    folder = tmp_path / "copy" / "gaelp_env"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__", "configs"))
    return folder


def run(copy: Path, cache: Path, **environment: str) -> tuple[str, float]:
    """The cache folder that a process chose, and a number that compiled code of two files made."""
    kept = {name: value for name, value in os.environ.items() if "NUMBA_CACHE" not in name}
    environment = kept | {"GAELP_CACHE_DIR": str(cache), "PYTHONPATH": str(copy.parent)} | environment
    done = subprocess.run(
        [sys.executable, "-c", BORN],
        env=environment,
        cwd=copy.parent,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    folder, number = done.stdout.split()
    return folder, float(number)


def test_an_edit_in_an_inlined_dependency_is_seen(copy: Path, tmp_path: Path) -> None:
    first_folder, first = run(copy, tmp_path / "cache")
    chance = copy / "chance.py"
    chance.write_text(chance.read_text().replace("_TO_UNIT = 2.0**-32", "_TO_UNIT = 2.0**-33"))
    folder, number = run(
        copy, tmp_path / "cache", NUMBA_CACHE_DIR=first_folder, GAELP_NUMBA_CACHE_DIR=first_folder
    )
    assert folder != first_folder
    assert number != first


def test_the_hash_is_of_all_sources_and_of_numba(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _cache.source_hash(copy)
    assert before == _cache.source_hash(PACKAGE)
    monkeypatch.setattr(_cache, "version", lambda _: "0.0.1")
    other_numba = _cache.source_hash(copy)
    monkeypatch.undo()
    (copy / "reward.py").rename(copy / "rewards.py")
    renamed = _cache.source_hash(copy)
    assert len({before, other_numba, renamed}) == 3


def test_a_folder_that_the_user_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    assert _cache.settle() == "mine"
    assert os.environ["NUMBA_CACHE_DIR"] == "mine"


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own for the test, with nothing chosen by the user."""
    numba = sys.modules.get("numba")
    if numba is not None:
        monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)
    for name in ("NUMBA_CACHE_DIR", "GAELP_NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("GAELP_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_child_process_chooses_for_itself(ours: Path) -> None:
    chosen = _cache.settle()
    assert Path(chosen).parent == ours
    os.environ["NUMBA_CACHE_DIR"] = os.environ["GAELP_NUMBA_CACHE_DIR"] = "of another version"
    assert _cache.settle() == chosen


def test_old_folders_are_removed_beyond_the_newest_five(ours: Path) -> None:
    ours.mkdir()
    for age in range(8):
        folder = ours / f"numba-{age}"
        folder.mkdir()
        used = time.time() - 86_400.0 * (age + 1)
        os.utime(folder, (used, used))
    (ours / "numba-recent").mkdir()
    current = Path(_cache.settle())
    left = sorted(path.name for path in ours.iterdir())
    assert left == sorted([current.name, "numba-recent", "numba-0", "numba-1", "numba-2"])


def test_a_place_that_cannot_be_written_gives_way(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.write_text("a file stands where the folder would be")
    (tmp_path / "spare").mkdir()
    monkeypatch.setattr(_cache.tempfile, "gettempdir", lambda: str(tmp_path / "spare"))
    chosen = Path(_cache.settle())
    assert chosen.is_dir()
    assert (tmp_path / "spare") in chosen.parents
    assert chosen.stat().st_mode & 0o077 == 0
