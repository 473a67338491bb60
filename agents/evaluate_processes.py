"""Spreads plays over processes that die with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def pool_of(workers: int) -> ProcessPoolExecutor:
    """A pool of fresh processes (spawned: no lock or thread of this one is copied)."""
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_follow, initargs=(os.getpid(),)
    )


def mapped(run: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """The results of `run` over jobs, in their order.

    Args:
      run: a function that pickles, if there is more than one worker.
      jobs: what to run it on.
      workers: processes; with one, everything happens here.
    """
    if workers <= 1 or len(jobs) <= 1:
        yield from map(run, jobs)
        return
    with pool_of(min(workers, len(jobs))) as pool:
        yield from pool.map(run, jobs)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _follow(parent: int) -> None:
    """Ends this process when its parent is gone, even if that was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
