"""Spreads plays over processes that die with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


@contextmanager
def crew(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes (spawned: no lock or thread of this one is copied).

    At the end their work is waited for; after an error, Ctrl-C included, they stop within a second.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_follow, initargs=(os.getpid(), stop))
    try:
        yield pool
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


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
    with crew(min(workers, len(jobs))) as pool:
        yield from pool.map(run, jobs)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _follow(parent: int, stop: Event) -> None:
    """Ends this process when it is told to, or when its parent is gone, even if that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent and not stop.wait(1.0):
            continue
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
