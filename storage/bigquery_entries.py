"""What lies in an outbox: commits with their bodies; and where an outbox lies."""

from __future__ import annotations

import os
import sys
import zlib
from dataclasses import dataclass

from storage.deltas import Delta, checksum, decoded, from_one

FOLDER = "GAELP_OUTBOX"
"""The folder of the outboxes, instead of the one under the user's data."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A commit in the outbox. `body` is empty where only the rest was asked for."""

    position: int
    world: str
    shard: int
    epoch: int
    sequence: int
    stamp_us: int
    fresh: int
    summary: str
    crc: int
    body: bytes = b""

    def read(self) -> Delta | None:
        """The commit; None if it is not what was written."""
        return read_body(self.body, self.crc)


COLUMNS = "position, world, shard, epoch, sequence, stamp_us, fresh, summary, crc"


def read_body(body: bytes, crc: int) -> Delta | None:
    """A commit from its body; None if it does not match its checksum."""
    try:
        head, parts = from_one(body)
    except (ValueError, TypeError):
        return None
    return decoded(head, parts) if checksum(head, parts) == crc else None


def outbox_path(project: str, dataset: str, endpoint: str) -> str:
    """Where the outbox of a dataset lies: GAELP_OUTBOX, else the user's data folder, `gaelp/outbox`."""
    folder = os.environ.get(FOLDER, "")
    if not folder:
        home = os.path.expanduser("~")
        data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
        if sys.platform == "darwin":
            data = os.path.join(home, "Library", "Application Support")
        folder = os.path.join(data, "gaelp", "outbox")
    server = f".{zlib.crc32(endpoint.encode()):08x}" if endpoint else ""
    return os.path.join(folder, f"{project.replace(':', '_')}.{dataset}{server}.db")
