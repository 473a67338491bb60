"""Where compiled code is kept: a folder for every version of these sources.

Numba's cache on disk does not notice an edit in a function that was inlined from another file, and a
stale tick would then run in silence. So the folder's name carries a hash of all sources of this
package and the version of Numba, and it is set before Numba is imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

KEPT = 5
"""Folders of older sources beyond the newest five are removed, unless used within the last hour."""

_OURS = "GAELP_NUMBA_CACHE_DIR"
"""Tells a child process that NUMBA_CACHE_DIR was set here, not by the user."""
_RECENT_S = 3600.0


def settle(package: Path | None = None) -> str:
    """Sets NUMBA_CACHE_DIR, unless the user has; returns what it is now.

    Args:
      package: folder of the sources; this package's own if not given.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen and chosen != os.environ.get(_OURS):
        return chosen
    folder = str(_writable(f"numba-{source_hash(package or Path(__file__).resolve().parent)}"))
    os.environ["NUMBA_CACHE_DIR"] = os.environ[_OURS] = folder
    numba = sys.modules.get("numba")
    if numba is not None:
        numba.config.CACHE_DIR = folder
    return folder


def source_hash(package: Path) -> str:
    """16 hex digits of all Python sources of a folder, their names, and Numba's version."""
    digest = hashlib.blake2b(version("numba").encode(), digest_size=8)
    for path in sorted(package.glob("*.py")):
        digest.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def cache_root() -> Path:
    """The user's cache folder of gaelp: GAELP_CACHE_DIR, or the platform's place."""
    if own := os.environ.get("GAELP_CACHE_DIR"):
        return Path(own)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "gaelp"


def _writable(name: str) -> Path:
    """The folder of that name in the first place where we may write.

    Compiled code is loaded from here, so a folder in a shared temporary place must be our own.
    """
    with contextlib.suppress(OSError, RuntimeError):
        return _made(cache_root(), name)
    owner = os.getuid() if hasattr(os, "getuid") else 0
    with contextlib.suppress(OSError):
        return _made(Path(tempfile.gettempdir()) / f"gaelp-{owner}", name)
    return Path(tempfile.mkdtemp(prefix="gaelp-"))


def _made(root: Path, name: str) -> Path:
    folder = root / name
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    with tempfile.TemporaryFile(dir=folder):
        os.utime(folder)
    _prune(root, folder)
    return folder


def _prune(root: Path, current: Path) -> None:
    """Removes the folders of older sources beyond the newest KEPT."""
    aged = []
    for path in root.glob("numba-*"):
        with contextlib.suppress(FileNotFoundError):  # another process may be pruning, too
            aged.append((path.stat().st_mtime, path))
    for used, path in sorted(aged, reverse=True)[KEPT:]:
        if path != current and time.time() - used > _RECENT_S:
            shutil.rmtree(path, ignore_errors=True)
