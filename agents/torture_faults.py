"""Each write of a store's life in turn fails, as on a full disk or in a read-only file; then it goes well."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from agents import torture_work as work
from agents.torture_look import Part, goes_on, url_of, whole
from agents.torture_shim import FULL, READ_ONLY, Shim
from storage import open_store
from storage.base import StoreError, StoreFull

T = TypeVar("T")
_STEPS = 6
_FOLDED = 3
_NEVER = 1 << 30


def failing_writes(folder: Path, times: int, chance: random.Random) -> Part:
    """Plays a short life again and again, with another write failing each time; at most `times` of them."""
    part = Part("failing write")
    shim = Shim(recording=False).install()
    count = _NEVER - _life(folder / "count.db", shim, _NEVER, part)
    chosen = range(count) if count <= times else sorted(chance.sample(range(count), times))
    for part.times, which in enumerate(chosen, 1):
        shim.fail_with = READ_ONLY if which % 2 else FULL
        path = folder / f"s{which}.db"
        _life(path, shim, which, part)
        path.unlink()
    return part


def _life(path: Path, shim: Shim, fail_at: int, part: Part) -> int:
    """Commits and folds; what fails is done again. Returns how many writes were left until the failure."""
    shim.fail_at, shim.failed = fail_at, 0
    store = open_store(url_of(path), public=work.public_of)
    life = _Life(path, shim, part)
    lease = life.twice(lambda: store.acquire(work.birth(), expected=None))
    for step in range(_STEPS):
        brought = work.batch(step)
        life.twice(lambda brought=brought: store.commit([(lease, brought)]))  # type: ignore[misc]
        life.at = step
        part.commits += 1
        if step == _FOLDED:
            life.twice(store.fold)
    life.twice(lambda: store.release(lease))
    life.twice(store.close)
    left, shim.fail_at = shim.fail_at, None
    part.found(whole, path, life.at, life.at)
    part.found(goes_on, path, life.at + 1, life.at + 1)
    return left if left is not None else 0


class _Life:
    """A store's life in which a write fails: what was acknowledged, and whether it stays."""

    def __init__(self, path: Path, shim: Shim, part: Part) -> None:
        self._path, self._shim, self._part = path, shim, part
        self.at = -1

    def twice(self, act: Callable[[], T]) -> T:
        """Does something; if a write fails, looks whether nothing was lost, makes room, and does it again."""
        with warnings.catch_warnings():
            # A fold that finds no room warns: that is how it is told.
            warnings.simplefilter("ignore", UserWarning)
            try:
                return act()
            except StoreError as error:
                if not self._shim.failed or not isinstance(error, StoreFull):
                    self._part.blame(f"{type(error).__name__}: {error}")
                self._part.found(whole, self._path, self.at, self.at)
                self._shim.fail_at, self._shim.failed = None, 0
                return act()
