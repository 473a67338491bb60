"""Addressed chance for many candidates at once: the same words as `chance.uniforms`, many lanes a step.

A draw by itself is a chain of ten dependent rounds. A plain loop over candidates becomes vector
instructions, in which eight or sixteen chains run side by side; the loop over people then only looks its
words up. More is drawn than is used (a lost auction has no response), and it costs less all the same.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gaelp_env.chance import AUCTION, CANDIDATE, RESPOND, SLOTS, philox, uniform

ROOM = 256
"""Candidates drawn together: their words stay in the first-level cache."""
LUCK, BIDS, RESPONSE, ORDER = 0, 4, 8, 12
"""Rows of the four words for CANDIDATE, AUCTION, RESPOND and SLOTS."""
_USER, _NTH, _ROWS = 16, 17, 18
_MASK = np.uint64(0xFFFFFFFF)
_S32, _S8 = np.uint64(32), np.uint64(8)


@njit(inline="always")
def no_words():  # type: ignore[no-untyped-def]
    """Room for the words of ROOM candidates: one array, whose rows are its stretches of ROOM, so that the
    compiler sees that they do not overlap."""
    return np.empty(_ROWS * ROOM, np.uint32)


@njit(inline="always")
def note_candidates(words, place, user, count):  # type: ignore[no-untyped-def]
    """Writes the addresses of a user's candidates from `place` on. Returns: the place after them."""
    for j in range(count):
        words[_USER * ROOM + place + j] = user
        words[_NTH * ROOM + place + j] = j
    return place + count


@njit(inline="always")
def _draw(words, count, k0, k1, tick, purpose, row):  # type: ignore[no-untyped-def]
    for i in range(count):
        n = np.uint64(words[_NTH * ROOM + i]) << _S8
        a, b, c, d = philox(
            np.uint64(words[_USER * ROOM + i]), tick, np.uint64(purpose) | n, np.uint64(0), k0, k1
        )
        words[row * ROOM + i] = np.uint32(a)
        words[(row + 1) * ROOM + i] = np.uint32(b)
        words[(row + 2) * ROOM + i] = np.uint32(c)
        words[(row + 3) * ROOM + i] = np.uint32(d)


@njit(cache=True, nogil=True)
def draw_all(words, count, key, tick):  # type: ignore[no-untyped-def]
    """Draws all that the candidates noted may need: sixteen words each.

    Args:
      words: of `no_words`, written.
      count: candidates noted, at most ROOM.
      key, tick: address of the draws.
    """
    k0, k1, t = np.uint64(key) & _MASK, np.uint64(key) >> _S32, np.uint64(tick)
    _draw(words, count, k0, k1, t, CANDIDATE, LUCK)
    _draw(words, count, k0, k1, t, AUCTION, BIDS)
    _draw(words, count, k0, k1, t, RESPOND, RESPONSE)
    _draw(words, count, k0, k1, t, SLOTS, ORDER)


@njit(inline="always")
def drawn(words, row, place):  # type: ignore[no-untyped-def]
    """The four uniforms of a candidate: what `chance.uniforms` gives at its address.

    Args:
      row: LUCK, BIDS, RESPONSE or ORDER.
    """
    at = row * ROOM + place
    return (
        uniform(words[at]), uniform(words[at + ROOM]), uniform(words[at + 2 * ROOM]),
        uniform(words[at + 3 * ROOM]),
    )  # fmt: skip
