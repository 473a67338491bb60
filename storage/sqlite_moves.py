"""What a SQLite place does with whole worlds, and with people who are to be forgotten."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from storage import refusals
from storage.base import Erasure, Lease, Public
from storage.moving import Portion, beheaded
from storage.sqlite_adopt import adopt
from storage.sqlite_errors import told
from storage.sqlite_forget import check_known, erase, scrub
from storage.sqlite_read import check_born, numbers_of, standing
from storage.sqlite_roster import Roster, read_roster
from storage.sqlite_unload import unload


class Moves:
    """A part of `sqlite.SqlitePlace`, which has the connection, the leases and the locks."""

    where: str
    public: Public | None
    lock: threading.RLock
    _rosters: dict[str, Roster]
    _writer: sqlite3.Connection | None

    if TYPE_CHECKING:

        def _reading(self, world: str | None = None) -> AbstractContextManager[sqlite3.Connection | None]: ...
        def _leased(self, *held: Lease) -> AbstractContextManager[sqlite3.Connection]: ...
        def _folded(self) -> int: ...
        def _measure(self) -> None: ...

    def _drop_writer(self) -> None:
        """Closes the writing connection; the next write opens it again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def unload(self, world: str, shard: int | None = None, *, records: bool = True) -> Iterator[Portion]:
        """See Store."""
        return unload(self.where, self.public, world, shard, records)

    def adopt(self, leases: Sequence[Lease], portions: Iterable[Portion]) -> None:
        """See Store."""
        head, rest = beheaded(leases, portions)
        world = head.birth.world
        with self.lock:
            with self._leased(*leases) as connection:
                adopt(connection, self.where, head, rest)
                roster = read_roster(connection, self.where, world)
            self._rosters[world] = roster
            self._measure()

    def numbers(self, world: str, user_ids: Sequence[str]) -> Mapping[str, int]:
        """See Store."""
        with self._reading(world) as connection:
            assert connection is not None
            return numbers_of(connection, self.where, world, user_ids)

    def forget(self, lease: Lease, numbers: Sequence[int]) -> Erasure:
        """See Store. The journal is folded first; the file is written anew at the end."""
        with self.lock:
            with self._leased(lease) as connection:
                check_born(connection, lease.world, self.where)
                if standing(connection, lease.world, lease.shard) is None:
                    raise refusals.no_shard(lease.world, lease.shard, self.where)
                check_known(self._rosters[lease.world], lease, numbers)
            self._folded()
            with self._leased(lease) as connection:
                erased = erase(connection, self.where, lease, numbers)
                roster = read_roster(connection, self.where, lease.world)
            self._rosters[lease.world] = roster
            self._drop_writer()
            with told(self.where):
                return scrub(self.where, erased)
