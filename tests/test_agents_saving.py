"""Files of a run are there whole or not at all, and a save that fails leaves nothing half-written."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from agents.manifest import write_whole

callbacks = pytest.importorskip("agents.sb3_callbacks")


class Model:
    """Saves four bytes, and its statistics as many; the disk is full in the middle of one of them."""

    def __init__(self, full: str = "") -> None:
        self.full = full

    def save(self, path: str | Path) -> None:
        self._write(Path(path), "policy")

    def get_vec_normalize_env(self) -> Any:
        outer = self

        class Normalizer:
            def save(self, path: str) -> None:
                outer._write(Path(path), "statistics")

        return Normalizer()

    def _write(self, path: Path, what: str) -> None:
        path.write_bytes(b"half")
        if self.full == what:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("full", ["", "policy", "statistics"])
def test_a_save_leaves_whole_files_only(tmp_path: Path, full: str) -> None:
    policy, statistics = tmp_path / "policy.zip", tmp_path / "vecnormalize.pkl"
    for path in (policy, statistics):
        path.write_bytes(b"before")
    if full:
        with pytest.raises(OSError, match="No space left"):
            callbacks.save_whole(Model(full), policy, statistics)
    else:
        callbacks.save_whole(Model(), policy, statistics)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["policy.zip", "vecnormalize.pkl"]
    assert policy.read_bytes() == (b"before" if full == "policy" else b"half")
    assert statistics.read_bytes() == (b"before" if full else b"half")


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_whole(path, "before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.json"]
    assert path.read_text() == "before"
