"""The way back to a mark in a large market: what lines of the people were before they first changed.

A person's row is three cache lines: the scores and the clocks, the counts, and the last touches with the
order that is pending (the cold half). A line is kept at most once, when it first changes after the mark, and
only those of its words that differ from what they mostly are. So a mark costs next to nothing, and the way
back takes memory and time for what has changed, not for everybody who lives here. Those born after the mark
are cut off.

The lines of a block of users lie one after the other in a stream of the block's own, so threads need not
wait for each other; a stream has room for the worst case, and memory for what is in it (pages.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.extending import overload
from numpy.typing import NDArray

from gaelp_env.pages import paged
from gaelp_env.pointers import pointer
from gaelp_env.population import CHANGED, COLD, GONE, HOT, KEPT, LINE, Population
from gaelp_env.threads import for_all

BLOCK_BITS = 15
BLOCK_USERS = 1 << BLOCK_BITS
"""Users of a block: enough for a thread to be worth waking, few enough to share evenly."""
LINE_WORDS = LINE // 4
LINES = 3
WORDS = LINES * LINE_WORDS
"""Words of four bytes in a person's row."""
_HOT_WORDS, _COLD_WORDS = HOT.itemsize // 4, COLD.itemsize // 4
_ROOM = BLOCK_USERS * (LINE_WORDS + 1) + 1
"""Words that the lines of one kind of a block can take: heads, all their words, and one to write ahead."""
_PLACE = 0xFFFF
_ASKED = 500


def _words_of(record: np.dtype[Any], names: tuple[str, ...]) -> int:
    """The words of a record in which these fields lie, as bits."""
    fields: Any = record.fields or {}
    return sum(1 << fields[name][1] // 4 for name in names)


FIXED = (_words_of(HOT, ("number", "rate", "propensity", "leaves_h")), 0, _words_of(COLD, ("first_seen_s",)))
"""Words by line that never change after a birth, as bits: they are not kept."""


@njit(inline="always")
def _uncounted(kept):  # type: ignore[no-untyped-def]
    return (
        carray(pointer(np.uint64(kept[0].ctypes.data)), kept[0].shape, np.uint32),
        carray(pointer(np.uint64(kept[1].ctypes.data)), kept[1].shape, np.uint32),
        carray(pointer(np.uint64(kept[2].ctypes.data)), kept[2].shape, np.uint32),
        carray(pointer(np.uint64(kept[3].ctypes.data)), kept[3].shape, np.int64),
        carray(pointer(np.uint64(kept[4].ctypes.data)), kept[4].shape, np.uint32),
    )


@njit(inline="always")
def _look(kept, row, i, old):  # type: ignore[no-untyped-def]
    wanted = len(kept[2]) > 0 and row.marks & KEPT != KEPT
    if wanted:
        for k in range(_HOT_WORDS):
            old[k] = kept[0][i, k]
        for k in range(_COLD_WORDS):
            old[_HOT_WORDS + k] = kept[1][i, k]
    return wanted


@njit(inline="always")
def _keep(kept, row, i, line, old):  # type: ignore[no-untyped-def]
    """Writes one line of `old` to the stream of the user's block: a head, then the words that are unusual."""
    one, block = np.uint64(1), i >> BLOCK_BITS
    stream, usual, variable = kept[2][block, line], kept[4][line], np.uint64(~FIXED[line])
    head = np.uint64(kept[3][block, line])
    at, told = head + one, np.uint64(0)
    for k in range(LINE_WORDS):
        word, bit = old[LINE_WORDS * line + k], np.uint64(k)
        differs = np.uint64(word != usual[k]) & (variable >> bit) & one
        stream[at] = word
        at += differs
        told |= differs << bit
    stream[head] = np.uint64(i & (BLOCK_USERS - 1)) | told << np.uint64(16)
    kept[3][block, line] = at
    row.marks |= 2 << line


@njit(nogil=True)
def _keep_all(kept, row, i, old):  # type: ignore[no-untyped-def]
    for line in range(LINES):
        if not row.marks & 2 << line:
            _keep(kept, row, i, line, old)


@njit(nogil=True)
def _keep_changed(kept, row, i, old):  # type: ignore[no-untyped-def]
    if not row.marks & 2:
        _keep(kept, row, i, 0, old)
    if not row.marks & 4:
        changed = np.uint32(0)
        for k in range(LINE_WORDS):
            changed |= old[LINE_WORDS + k] ^ kept[0][i, LINE_WORDS + k]
        if changed:
            _keep(kept, row, i, 1, old)
    if not row.marks & 8:
        changed = np.uint32(0)
        for k in range(LINE_WORDS):
            changed |= old[2 * LINE_WORDS + k] ^ kept[1][i, k]
        if changed:
            _keep(kept, row, i, 2, old)


def uncounted(kept: Any) -> Any:
    """In compiled code: the same arrays without a count of their owners, which each call would move."""
    raise NotImplementedError("compiled code only")


def look(kept: Any, row: Any, i: Any, old: Any) -> Any:
    """In compiled code: copies a row before it may change, unless all its lines are kept already.

    Args:
      kept: of `Undo.kept`; None where nothing is kept, and then there is no code for it either.
      row, i: the user's hot half, and position.
      old: `[WORDS]` uint32, written.
    Returns: whether it was copied.
    """
    raise NotImplementedError("compiled code only")


def keep_all(kept: Any, row: Any, i: Any, old: Any) -> Any:
    """In compiled code: keeps all lines of a row that are not kept yet, from its copy of before."""
    raise NotImplementedError("compiled code only")


def keep_what_changed(kept: Any, row: Any, i: Any, old: Any) -> Any:
    """In compiled code: keeps the lines of a row that have changed since its copy; the first in any case."""
    raise NotImplementedError("compiled code only")


@overload(uncounted)
def _(kept):  # type: ignore[no-untyped-def]
    if isinstance(kept, types.NoneType):
        return lambda kept: None
    return lambda kept: _uncounted(kept)


def _unless_none(verb: Any, work: Any, nothing: Any) -> None:
    """Compiles `verb` as `work`, or as `nothing` where `kept` is None."""

    @overload(verb)
    def _(kept, row, i, old):  # type: ignore[no-untyped-def]
        if isinstance(kept, types.NoneType):
            return lambda kept, row, i, old: nothing
        return lambda kept, row, i, old: work(kept, row, i, old)


_unless_none(look, _look, False)
_unless_none(keep_all, _keep_all, None)
_unless_none(keep_what_changed, _keep_changed, None)


@njit(cache=True, nogil=True)
def _keep_rows(kept, hot, positions):  # type: ignore[no-untyped-def]
    old = np.empty(WORDS, np.uint32)
    for i in positions:
        row = hot[i]
        if _look(kept, row, i, old):
            _keep_all(kept, row, i, old)


@njit(inline="always")
def _how_many(bits):  # type: ignore[no-untyped-def]
    """How many of sixteen bits are set."""
    bits = bits - ((bits >> 1) & 0x5555)
    bits = (bits & 0x3333) + ((bits >> 2) & 0x3333)
    bits = (bits + (bits >> 4)) & 0x0F0F
    return (bits + (bits >> 8)) & 0x1F


@njit(cache=True, nogil=True)
def _put_back(kept, hot, rate, block):  # type: ignore[no-untyped-def]
    """Gives the users of a block their lines back, and empties its streams."""
    words_hot, words_cold, streams, filled, usual = kept
    for line in range(LINES):
        stream, at, fixed = streams[block, line], 0, FIXED[line]
        while at < filled[block, line]:
            head = np.int64(stream[at])
            i, told = (block << BLOCK_BITS) + (head & _PLACE), head >> 16
            at += 1
            for k in range(LINE_WORDS):
                word = usual[line, k]
                if (told >> k) & 1:
                    word = stream[at]
                    at += 1
                elif (fixed >> k) & 1:
                    continue
                if line == 2:
                    words_cold[i, k] = word
                else:
                    words_hot[i, LINE_WORDS * line + k] = word
            if line == 0:
                rate[i] = np.float32(0.0) if hot[i].flags & GONE else hot[i].rate
        filled[block, line] = 0


@njit(cache=True, nogil=True)
def _let_go(kept, hot, block):  # type: ignore[no-untyped-def]
    """Forgets the lines of a block: where the users are now is where the way back leads."""
    streams, filled = kept[2], kept[3]
    at = 0
    while at < filled[block, 0]:
        head = np.int64(streams[block, 0, at])
        hot[(block << BLOCK_BITS) + (head & _PLACE)].marks &= CHANGED
        at += 1 + _how_many(head >> 16)
    for line in range(LINES):
        filled[block, line] = 0


def _usual_words(people: Population) -> NDArray[np.uint32]:
    """`[LINES, LINE_WORDS]`, what each word of a row mostly is, by a few people from everywhere."""
    where = np.linspace(0, people.size - 1, min(people.size, _ASKED)).astype(np.int64)
    halves = [column[where].view(np.uint32).reshape(len(where), -1) for column in people.columns()[:2]]
    usual = np.zeros(WORDS, np.uint32)
    for k, words in enumerate(np.hstack(halves).T):
        found, times = np.unique(words, return_counts=True)
        usual[k] = found[times.argmax()]
    return usual.reshape(LINES, LINE_WORDS)


Kept = tuple[
    NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int64], NDArray[np.uint32]
]


class Undo:
    """The lines of the people as they were at the mark, as far as they have changed since.

    Attributes:
      begun: whether there is a mark. Without one nothing is kept.
      size: how many people lived at the mark.
      filled: `[blocks, LINES]`, words in the streams.
    """

    def __init__(self) -> None:
        self._usual = np.zeros((LINES, LINE_WORDS), np.uint32)
        self.begun, self.size = False, 0
        self.filled = np.zeros((0, LINES), np.int64)
        self._streams = np.zeros((0, LINES, 0), np.uint32)

    @property
    def nbytes(self) -> int:
        """Bytes that the lines take which are kept now."""
        return 4 * int(self.filled.sum())

    def kept(self, people: Population) -> Kept:
        """Where compiled loops keep lines: the columns as words, streams, their lengths, usual words."""
        size = len(people.hot)
        words = people.hot.view(np.uint32).reshape(size, -1), people.cold.view(np.uint32).reshape(size, -1)
        if self.begun:
            return (*words, self._streams, self.filled, self._usual)
        return (*words, self._streams[:0], self.filled[:0], self._usual)

    def begin(self, people: Population) -> None:
        """Sets the mark to the people as they are now."""
        if self.begun:
            kept = self.kept(people)
            for_all(lambda block: _let_go(kept, people.hot, block), range(len(self.filled)))
            people.hot["marks"][self.size : people.size] &= CHANGED
        self.size, blocks = people.size, -(-people.size // BLOCK_USERS)
        if blocks > len(self.filled):
            room = blocks + blocks // 8
            self._streams, self.filled = (
                paged((room, LINES, _ROOM), np.uint32),
                np.zeros((room, LINES), np.int64),
            )
        self._usual[:] = _usual_words(people)
        self.begun = True

    def end(self, people: Population) -> None:
        """Forgets the mark; the rows may then be moved about."""
        if self.begun:
            people.hot["marks"][: people.size] &= CHANGED
            self.filled[:], self.begun = 0, False

    def keep(self, people: Population, positions: NDArray[np.int64]) -> None:
        """Keeps all lines of these people, before they are changed from outside the loops."""
        if self.begun:
            _keep_rows(self.kept(people), people.hot, positions)

    def pass_over(self, people: Population, first: int) -> None:
        """The people from position `first` on were born after the mark: nothing of them is kept."""
        if self.begun:
            people.hot["marks"][first : people.size] |= KEPT

    def put_back(self, people: Population) -> None:
        """Makes the people what they were at the mark, which stands."""
        kept = self.kept(people)
        for_all(lambda block: _put_back(kept, people.hot, people.rate, block), range(len(self.filled)))
        people.size = self.size
