"""Who is who in a world that this process writes: kept in memory, so that a commit need not ask the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from storage import refusals
from storage.checks import Parcel
from storage.records import dtype_from
from storage.sqlite_blocks import base_numbers
from storage.sqlite_journal import deltas
from storage.sqlite_merge import Numbers, among

_NOBODY: Numbers = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Roster:
    """The people of a world as of a commit. A value: `after` makes another one.

    Attributes:
      living: shard -> numbers of those who live in it, ascending.
      gone: numbers of those who left for good, ascending.
      names: number -> user_id of everybody whom somebody named, gone or not.
      taken: the other way round.
    """

    living: Mapping[int, Numbers]
    gone: Numbers
    names: Mapping[int, str]
    taken: Mapping[str, int]

    def after(self, parcel: Parcel) -> tuple[Roster, int]:
        """The people after one more commit, and how many of its users are new. Raises StoreError."""
        here = self.living.get(parcel.shard, _NOBODY)
        known = among(parcel.numbers, here)
        new = parcel.numbers if not len(here) else parcel.numbers[~known]
        others = [numbers for shard, numbers in self.living.items() if shard != parcel.shard]
        if len(new) and any(among(new, taken).any() for taken in (self.gone, *others)):
            raise refusals.changed_user(parcel.world)
        names, taken = self._named(parcel, set(new.tolist()) if parcel.names else set())
        if len(new):
            here = _joined(here, new)
        gone = self.gone
        if len(parcel.archived):
            leaving = np.sort(parcel.archived)
            if not among(leaving, here).all():
                raise refusals.not_archivable(parcel.world)
            here, gone = here[~among(here, leaving)], _joined(gone, leaving)
        return Roster({**self.living, parcel.shard: here}, gone, names, taken), len(new)

    def knows(self, number: int) -> bool:
        """Whether a number is, or was, somebody's."""
        one = np.array([number], np.int64)
        return any(bool(among(one, numbers)[0]) for numbers in (self.gone, *self.living.values()))

    def _named(self, parcel: Parcel, new: set[int]) -> tuple[Mapping[int, str], Mapping[str, int]]:
        if self.names:
            named = np.fromiter(self.names, np.int64, len(self.names))
            for number in named[np.isin(named, parcel.numbers)].tolist():
                if parcel.names.get(number) != self.names[number]:
                    raise refusals.changed_user(parcel.world)
        first = {number: name for number, name in parcel.names.items() if number not in self.names}
        if not first:
            return self.names, self.taken
        if any(number not in new for number in first):
            raise refusals.changed_user(parcel.world)
        if any(name in self.taken for name in first.values()):
            raise refusals.name_taken(parcel.world)
        return {**self.names, **first}, {**self.taken, **{name: number for number, name in first.items()}}


EMPTY = Roster({}, _NOBODY, {}, {})


def read_roster(connection: sqlite3.Connection, path: str, world: str) -> Roster:
    """The people of a world as of its last commit, from base and journal."""
    shards = connection.execute(
        "SELECT shard, user_dtype FROM worlds WHERE world = ? AND born IS NOT NULL", (world,)
    ).fetchall()
    living: dict[int, Numbers] = {}
    gone = [_NOBODY]
    for shard, dtype in shards:
        living[shard] = base_numbers(connection, path, world, shard, dtype_from(dtype))
    for (numbers,) in connection.execute("SELECT numbers FROM gone WHERE world = ?", (world,)):
        gone.append(np.frombuffer(numbers, "<i8").astype(np.int64))
    names = dict(connection.execute("SELECT number, user_id FROM names WHERE world = ?", (world,)).fetchall())
    for delta in deltas(connection, path, world):
        here = living.get(delta.shard, _NOBODY)
        here = _joined(here, delta.numbers[~among(delta.numbers, here)])
        living[delta.shard] = here[~np.isin(here, delta.archived)]
        gone.append(delta.archived)
        names.update(delta.names)
    taken = {name: number for number, name in names.items()}
    return Roster(living, np.sort(np.concatenate(gone)), names, taken)


def _joined(numbers: Numbers, new: Numbers) -> Numbers:
    """Two ascending lists as one."""
    joined = np.concatenate([numbers, new])
    if len(numbers) and len(new) and new[0] < numbers[-1]:
        joined.sort(kind="stable")
    return joined
