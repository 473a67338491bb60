"""Work over blocks of users on a pool of threads: compiled loops release the interpreter while they run.

The blocks depend on the number of users alone, and their results are put together in the order of the
blocks, so any number of threads gives the same bits.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

_VARIABLE = "GAELP_THREADS"
_wanted = 0
_pool: tuple[int, ThreadPoolExecutor] | None = None


def threads() -> int:
    """How many threads a large tick is played by: `set_threads`, else GAELP_THREADS, else the processors.

    Raises: ValueError if the variable is no whole number from 1 on.
    """
    if _wanted:
        return _wanted
    text = os.environ.get(_VARIABLE, "")
    if not text:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdigit() or int(text) < 1:
        raise ValueError(
            f"{_VARIABLE} is the number of threads of a large tick, from 1 on, and not {text!r}."
        )
    return int(text)


def set_threads(count: int | None) -> None:
    """Sets how many threads play a large tick in this process; None goes back to what `threads` says.

    Raises: ValueError for less than one.
    """
    global _wanted
    if count is not None and count < 1:
        raise ValueError(f"A tick is played by one thread or more, and not by {count}.")
    _wanted = count or 0


def for_all(work: Callable[[int], None], blocks: Iterable[int]) -> None:
    """Calls `work` with every block's number; by several threads, this one among them, if there are several
    blocks.

    An exception of a block is raised when all of them are through.
    """
    left = deque(blocks)
    count = min(threads(), len(left))
    if count <= 1:
        for block in left:
            work(block)
        return
    failed: list[BaseException] = []

    def share() -> None:
        while left:
            try:
                block = left.popleft()
            except IndexError:  # another thread was faster with the last one
                return
            try:
                work(block)
            except BaseException as error:
                failed.append(error)

    others = [_pool_of(count - 1).submit(share) for _ in range(count - 1)]
    share()
    for other in others:
        other.result()
    if failed:
        raise failed[0]


def _pool_of(count: int) -> ThreadPoolExecutor:
    global _pool
    if _pool is None or _pool[0] < count:
        if _pool is not None:
            _pool[1].shutdown(wait=False)
        _pool = count, ThreadPoolExecutor(count, "gaelp")
    return _pool[1]


def _forget_pool() -> None:
    """A forked child has none of its parent's threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
