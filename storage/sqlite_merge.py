"""Commits put together: what several deltas of a shard, one after the other, make of its people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.deltas import Delta

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Changes:
    """The users of a shard whom some commits changed, each once, in the order of their numbers.

    Attributes:
      numbers, users: `[U]`, as the last of the commits left them.
      created_us, updated_us: `[U]` stamps of the first and of the last commit that brought them.
      archived, archived_us: `[A]` who left, in the order of their numbers, and by which commit.
      names: of the users whom somebody named.
    """

    numbers: Numbers
    users: NDArray[Any]
    created_us: Numbers
    updated_us: Numbers
    archived: Numbers
    archived_us: Numbers
    names: dict[int, str]


def together(deltas: Iterable[Delta]) -> Changes | None:
    """The changes of several deltas of one shard, in order; None if there is no delta."""
    found = list(deltas)
    if not found:
        return None
    numbers = np.concatenate([delta.numbers for delta in found])
    stamps = np.repeat([delta.stamp_us for delta in found], [len(delta.numbers) for delta in found])
    octets = np.concatenate([octets_of(delta.users) for delta in found])
    dtype = found[0].users.dtype
    names: dict[int, str] = {}
    for delta in found:
        names.update(delta.names)
    archived = np.concatenate([delta.archived for delta in found])
    left = np.repeat([delta.stamp_us for delta in found], [len(delta.archived) for delta in found])
    order = np.argsort(archived, kind="stable")
    if len(found) == 1:
        users, first, last = found[0].users, np.arange(len(numbers)), np.arange(len(numbers))
    else:
        by_number = np.argsort(numbers, kind="stable")
        ends = np.flatnonzero(np.diff(numbers[by_number], append=-1))
        last = by_number[ends]
        first = by_number[np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends]
        users = octets[last].reshape(-1).view(dtype)
    return Changes(numbers[last], users, stamps[first], stamps[last], archived[order], left[order], names)


def merged(
    numbers: Numbers, users: NDArray[Any], new_numbers: Numbers, new_users: NDArray[Any], without: Numbers
) -> tuple[Numbers, NDArray[Any]]:
    """People with others put in their places by number, and some left out; all in the order of numbers.

    `users` may be changed on the way.
    """
    place = np.searchsorted(numbers, new_numbers)
    there = place < len(numbers)
    there[there] = numbers[place[there]] == new_numbers[there]
    octets_of(users)[place[there]] = octets_of(new_users)[there]
    if not there.all():
        extra = ~there
        joined = np.concatenate([numbers, new_numbers[extra]])
        octets = np.concatenate([octets_of(users), octets_of(new_users)[extra]])
        order = np.argsort(joined, kind="stable")
        numbers, users = joined[order], octets[order].reshape(-1).view(users.dtype)
    if len(without):
        kept = ~np.isin(numbers, without)
        numbers, users = numbers[kept], octets_of(users)[kept].reshape(-1).view(users.dtype)
    return numbers, users


def among(numbers: Numbers, known: Numbers) -> NDArray[np.bool_]:
    """Which of some numbers are among others that ascend."""
    if not len(known):
        return np.zeros(len(numbers), np.bool_)
    place = np.searchsorted(known, numbers)
    place[place == len(known)] = 0
    found: NDArray[np.bool_] = known[place] == numbers
    return found


def octets_of(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Records as rows of bytes, sharing memory, so that padding travels with them."""
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)
