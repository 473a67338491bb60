"""What a copy finds in its target: the world as it is, as it was at an earlier commit, or another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from storage.base import CommitNotFound, Store, WorldExists
from storage.names import TABLES
from storage.records import dtype_text

COPIED, THERE, EARLIER, DIFFERS, LEFT_OUT = "copied", "there", "earlier", "differs", "left out"
"""How a world stands in the target: copied now; there as it is in the source; there as the source was at the
copy's commit; there and nothing that the source is known to have been; not there, and not brought."""
_WORST = (DIFFERS, LEFT_OUT, EARLIER, COPIED, THERE)

Line = dict[str, Any]


class WorldsDiffer(WorldExists):
    """Some worlds are in the target and hold something else, or cannot join what is there; others arrived.

    Attributes:
      lines: of all worlds, these among them, as `store_care.copy_store` returns them.
    """

    def __init__(self, sentences: Sequence[str], lines: list[Line]) -> None:
        super().__init__(" ".join(sentences))
        self.lines = lines


def together(states: Sequence[str]) -> str:
    """How a world stands, by its shards."""
    return next(state for state in _WORST if state in states)


def left_out(store: str, world: str, source_commit: int) -> Line:
    """The line of a world that was not brought."""
    return {
        "store": store, "now": False, "state": LEFT_OUT, "source_commit": source_commit, "world": world,
        "commit": None, "checksum": None, "counts": {},
    }  # fmt: skip


def differing(line: Line, source: str) -> str:
    """What is said of a world that differs."""
    return (
        f"World {line['world']!r} is in {line['store']} and does not hold what it did in {source}, as far as "
        f"that can still be read (commit {line['commit']} there, {line['source_commit']} here); name another "
        "store. Nothing was changed in it."
    )


def told(line: Line) -> str:
    """A line in words."""
    here = f"the source is at {line['source_commit']}"
    was = "copied" if line["now"] else "there already"
    done = {
        COPIED: f"{was}, commit {line['commit']}",
        THERE: f"{was}, commit {line['commit']}",
        EARLIER: f"{was}, as of commit {line['commit']} ({here})",
        DIFFERS: f"there, as of commit {line['commit']}, and differs ({here})",
        LEFT_OUT: f"left out ({here})",
    }
    counts = [f"{count:,} {table}" for table, count in line["counts"].items()]
    return f"{line['store']} {line['world']}: {', '.join([done[line['state']], *counts])}"


def was_once(source: Store, target: Store, world: str, shard: int | None) -> bool:
    """Whether a target holds a world, or a shard of it, as the source did at the commit of the target.

    False as well if the source does not keep that commit any more, or has pruned or erased something since.
    People, names and market records are compared, and all public rows where no other shard lies beside them;
    the world is read into memory for it.
    """
    there = _stands(target, world)
    stands = there if shard is None else {shard: there[shard]}
    alone = list(stands) == list(there) == list(_stands(source, world))
    try:
        return _people(source, world, stands) == _people(target, world, stands) and (
            not alone or _rows(source, world, stands) == _rows(target, world, stands)
        )
    except CommitNotFound:
        return False


def _stands(store: Store, world: str) -> dict[int, int]:
    """Shard -> its last commit."""
    lines = (line for line in store.worlds() if line.birth.world == world)
    return {one.shard: one.sequence for line in lines for one in line.shards}


def _people(store: Store, world: str, at: Mapping[int, int]) -> str:
    digest = hashlib.sha256()
    for shard, sequence in at.items():
        found = store.load(world, shard, at=sequence)
        summary, dtype = json.dumps(dict(found.summary), sort_keys=True), dtype_text(found.users.dtype)
        digest.update(repr((found.birth, sequence, summary, dtype, sorted(found.names.items()))).encode())
        digest.update(found.market)
        digest.update(found.users.tobytes())
    return digest.hexdigest()


def _rows(store: Store, world: str, at: Mapping[int, int]) -> str:
    digest = hashlib.sha256()
    for table in TABLES:
        for row in store.rows(world, table, at=at):
            digest.update(repr((table, *row.items())).encode())
    return digest.hexdigest()
