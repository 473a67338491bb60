"""What a command says when it cannot go on: one sentence and an exit status, no traceback."""

from __future__ import annotations

import errno
import os
import traceback
from types import TracebackType

BAD_INPUT = 2
FAULT = 1
INTERRUPTED = 130

OURS = ("agents", "gaelp_env", "storage")
EXTRAS = {
    "google": "bigquery",
    "matplotlib": "train",
    "pyarrow": "export",
    "scipy": "calibrate",
    "stable_baselines3": "train",
    "tensorboard": "train",
    "torch": "train",
    "tqdm": "train",
}
"""Package -> the extra of gaelp that brings it."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A file could not grow."""

INTERRUPTED_WORDS = "stopped by Ctrl-C; what was committed stays, and the next run goes on from there."


def debugging() -> bool:
    """Whether tracebacks are asked for (GAELP_DEBUG=1)."""
    return os.environ.get("GAELP_DEBUG", "0") not in ("", "0")


def told(error: Exception) -> tuple[str, int]:
    """What to say of an error, and the exit status that goes with it.

    Returns: (sentence, BAD_INPUT if the user can mend what was given, else FAULT).
    """
    from gaelp_env.config_load import ConfigError
    from storage import base

    words = str(error).strip() or type(error).__name__
    given = base.BadStoreURL | base.BadWorldName | base.NotAStore | base.CommitNotFound
    if isinstance(error, given | base.WorldExists | base.WorldNotFound | ConfigError):
        return words, BAD_INPUT
    if isinstance(error, base.StoreError):
        return words, FAULT
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in EXTRAS:
        package = (error.name or "").split(".")[0]
        extra = EXTRAS[package]
        return f"This needs {package}, which is not here; run: pip install 'gaelp[{extra}]'.", FAULT
    if raised_by_us(error.__traceback__):
        if isinstance(error, ValueError) or type(error) is LookupError:
            return words, BAD_INPUT
        if type(error) is RuntimeError:
            return words, FAULT
    unwritten = _not_written(error)
    if unwritten is not None:
        return unwritten, FAULT
    if isinstance(error, OSError) and error.filename is not None:
        status = BAD_INPUT if isinstance(error, FileNotFoundError | IsADirectoryError) else FAULT
        return f"{error.filename}: {error.strerror}.", status
    place = _last_place(error.__traceback__)
    return (
        f"Something broke inside: {type(error).__name__}: {words} ({place}). What was committed stays. "
        "Run again with GAELP_DEBUG=1 to see the traceback, and report it."
    ), FAULT


def _not_written(error: BaseException | None) -> str | None:
    """What to say if a file could not be written, or if that is what an error came of; else None."""
    while error is not None:
        if isinstance(error, OSError):
            where = "A file" if error.filename is None else str(error.filename)
            barred = error.errno == errno.EROFS or (error.errno == errno.EACCES and error.filename is None)
            if error.errno in FULL or barred:
                why = "the place may not be written" if barred else "the disk or the quota is full"
                mend = "give another folder" if barred else "make room"
                return (
                    f"{where} could not be written: {why} ({error.strerror}). What was committed stays, and "
                    f"so do the files that were whole; {mend} and run again."
                )
        error = error.__cause__ or error.__context__
    return None


def raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the frame that raised is code of this project."""
    module = ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return module.split(".")[0] in OURS


def _last_place(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    ours = [frame for frame in frames if any(f"/{name}/" in frame.filename for name in OURS)]
    if not frames:
        return "nowhere known"
    frame = (ours or frames)[-1]
    return f"{'/'.join(frame.filename.split('/')[-2:])}, line {frame.lineno}"
