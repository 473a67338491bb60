"""Locks on files across processes: taken by the process, let go by the kernel when it dies.

The lock of `my.db` is an flock on `my.db.lock`, whose one line of text names the holder. Within the
process a lock is counted, so whoever took it drops it once. A file in the way is removed with the lock.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import threading
import time
from collections import deque
from dataclasses import dataclass

from storage import refusals
from storage.base import StoreError, StoreFull
from storage.clock import now_us
from storage.identity import this_process

_PATIENCE_S = 0.2
_STEP_S = 0.01
_SUFFIX = ".lock"


@dataclass(slots=True)
class _Held:
    descriptor: int
    count: int


_held: dict[str, _Held] = {}
_guard = threading.RLock()
_forgotten: deque[str] = deque()


def take(path: str) -> None:
    """Takes the lock of a store file for this process, once more if it has it. Raises WorldBusy."""
    with _guard:
        settle()
        held = _held.get(path)
        if held is not None:
            held.count += 1
            return
        _held[path] = _Held(_locked(path), 1)


def drop(path: str) -> None:
    """Gives back what one `take` took; the last one frees the file. Not held is no error."""
    with _guard:
        settle()
        _uncount(path)


def _uncount(path: str) -> None:
    held = _held.get(path)
    if held is None:
        return
    held.count -= 1
    if held.count == 0:
        del _held[path]
        # Removed before it is let go: who opened it meanwhile sees that the name is gone, and retries.
        if _is_still(path, held.descriptor):
            os.unlink(path + _SUFFIX)
        os.close(held.descriptor)


def forget(path: str, process: int) -> None:
    """`drop` for a finaliser, which may run in the midst of anything: done at the next call here.

    Args:
      process: the one that took the lock; in a forked child nothing is to be dropped.
    """
    if process == os.getpid():
        _forgotten.append(path)


def settle() -> None:
    """Drops what finalisers forgot since the last call."""
    with _guard:
        while _forgotten:
            _uncount(_forgotten.popleft())


def is_held(path: str) -> bool:
    """Whether this process has the lock."""
    with _guard:
        settle()
        return path in _held


def can_take(path: str) -> bool:
    """Whether this process has the lock or could take it at this moment; leaves no trace."""
    if is_held(path):
        return True
    try:
        descriptor = os.open(path + _SUFFIX, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def holder(path: str) -> str:
    """The line of who holds the lock of a file, or held it last; "" if nobody does."""
    try:
        with open(path + _SUFFIX, encoding="utf-8", errors="replace") as lock:
            return lock.read(200).strip()
    except OSError:
        return ""


def _locked(path: str) -> int:
    patience = time.monotonic() + _PATIENCE_S
    while True:
        descriptor = _opened(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
            os.close(descriptor)
            # Somebody may only be looking whether the lock is free, for a moment.
            if time.monotonic() > patience:
                raise refusals.file_busy(path, holder) from None
            time.sleep(_STEP_S)
            continue
        if _is_still(path, descriptor):
            _sign(path, descriptor)
            return descriptor
        os.close(descriptor)


def _sign(path: str, descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, (this_process().line(now_us()) + "\n").encode(), 0)
    except OSError as error:
        os.close(descriptor)
        raise _unwritable(path, error) from error


def _opened(path: str) -> int:
    folder = os.path.dirname(path) or "."
    try:
        return os.open(path + _SUFFIX, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except FileNotFoundError as error:
        raise StoreError(
            f"The folder {folder!r} of the store {path!r} is not there; create it first."
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: str, error: OSError) -> StoreFull:
    return StoreFull(
        f"The store {path!r} cannot be written: {error.strerror} for its lock file. Check the folder's "
        'permissions and space, or open the world with mode="read".'
    )


def _is_still(path: str, descriptor: int) -> bool:
    try:
        named = os.stat(path + _SUFFIX)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)


def _leave() -> None:
    with _guard:
        settle()
        for path, held in list(_held.items()):
            held.count = 1
            _uncount(path)


def _in_child() -> None:
    # Closing a copy of the descriptor leaves the parent's lock alone.
    for held in _held.values():
        os.close(held.descriptor)
    _held.clear()
    _forgotten.clear()
    _guard.release()


atexit.register(_leave)
os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_in_child)
