"""Who holds a lease, and whether it still lives."""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from storage.clock import now_us, time_text

SILENCE_US = 60 * 1_000_000
"""A holder elsewhere that was not heard of for so long (one minute) loses its lease."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told apart from every other one that was or will be.

    Attributes:
      host: name of the machine.
      boot: identity of the machine's run since it was switched on; "" where the system has none.
      space: identity of the pid namespace (containers of one machine differ); "" if unknown.
      pid, started: process number, and its start in clock ticks since boot ("" if unknown).
    """

    host: str
    boot: str
    space: str
    pid: int
    started: str

    def line(self, since_us: int) -> str:
        """One readable line, e.g. "process 4242 on trainer since 2026-01-05 10:00:00 UTC"."""
        return f"process {self.pid} on {self.host} since {time_text(since_us)[:19]} UTC"

    def lives(self, heard_us: int, wall_us: int | None = None, silence_us: int = SILENCE_US) -> bool:
        """Whether the process may still be there, given when it was last heard of.

        On this machine the process table tells. A process from before the last boot is dead. Of
        another machine or container only the heartbeat is known.
        """
        here = this_process()
        if self.host == here.host and self.boot != here.boot:
            return False
        if (self.host, self.space) == (here.host, here.space):
            return _runs(self.pid, self.started)
        return (now_us() if wall_us is None else wall_us) - heard_us < silence_us


def this_process() -> Process:
    """The identity of the calling process."""
    return _process(os.getpid())


@functools.lru_cache(maxsize=1)
def _process(pid: int) -> Process:
    space = "/proc/self/ns/pid"
    boot = Path("/proc/sys/kernel/random/boot_id")
    return Process(
        host=socket.gethostname(),
        boot=boot.read_text().strip() if boot.exists() else "",
        space=os.readlink(space) if os.path.islink(space) else "",
        pid=pid,
        started=(_start(pid) or ("", ""))[1],
    )


def _start(pid: int) -> tuple[str, str] | None:
    """State letter and start of a process by the process table; None if there is no such entry."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return fields[0], fields[19]


def _runs(pid: int, started: str) -> bool:
    if not Path("/proc/self/stat").exists():
        return _signalled(pid)
    entry = _start(pid)
    # A zombie has let go of its files: it is dead, only not yet waited for.
    return entry is not None and entry[0] not in "ZX" and started in ("", entry[1])


def _signalled(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
