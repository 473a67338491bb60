"""Who can be met: candidates are a Poisson process whose rate no policy can change.

A user's candidates come at the highest rate at which the user could ever be met (media and visits
together), thinned by the hour-of-day and day-of-week profile. Whether a candidate becomes an
opportunity or a visit is decided when it is met, from the user's state and a uniform that was fixed
beforehand. Source: thinning after Lewis and Shedler, Nav. Res. Log. Q. 26(3), 1979.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gaelp_env.chance import ARRIVE, philox, poisson_by_sums, poisson_count, uniform

BLOCK = 2048
"""Users swept at a time: the words of a block stay in the first-level cache."""

_MASK = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)


@njit(cache=True, nogil=True)
def sweep(key, tick, number, rate, first, end, weight, index, luck):  # type: ignore[no-untyped-def]
    """Lists the users who may have candidates in this tick, in memory order.

    A user is listed if the arrival uniform is below the mean, which is never less than the
    probability of at least one candidate; `chance.poisson_count` then tells exactly.

    Args:
      key, tick: address of the draws.
      number, rate: `[capacity]` columns of the population; rate in candidates a day.
      first, end: rows that are looked at, `first … end - 1`.
      weight: days' worth of candidates in this tick (tick length in days x profile).
      index: `[end - first]` int64, filled with positions.
      luck: `[end - first]` float64, filled with the users' arrival uniforms.
    Returns: how many are listed.
    """
    k0 = np.uint64(key) & _MASK
    k1 = np.uint64(key) >> _S32
    t = np.uint64(tick)
    words = np.empty(BLOCK, np.uint32)
    found = 0
    start = first
    while start < end:
        stop = min(end, start + BLOCK)
        for i in range(start, stop):
            a, _b, _c, _d = philox(np.uint64(number[i]), t, np.uint64(ARRIVE), np.uint64(0), k0, k1)
            words[i - start] = np.uint32(a)
        for i in range(start, stop):
            v = uniform(words[i - start])
            index[found] = i
            luck[found] = v
            if v < np.float64(rate[i]) * weight:
                found += 1
        start = stop
    return found


MAX_CANDIDATES = 64
"""The most candidates that a user has in one tick."""


@njit(cache=True, nogil=True)
def count_candidates(rate, weight, index, luck, listed, candidates):  # type: ignore[no-untyped-def]
    """Tells exactly how many candidates the listed users have, and drops those who have none.

    Args:
      rate, weight: as in `sweep`.
      index, luck: as `sweep` left them; index is packed in place.
      listed: how many are listed.
      candidates: `[listed]` int64, filled.
    Returns: (users with a candidate, candidates in all).
    """
    kept = total = 0
    for k in range(listed):
        n = poisson_count(luck[k], np.float64(rate[index[k]]) * weight)
        if n > 0:
            index[kept] = index[k]
            candidates[kept] = n
            kept += 1
            total += n
    return kept, total


_UNSURE = np.uint8(255)


@njit(cache=True, nogil=True)
def list_comers(key, tick, number, rate, first, end, weight, index, candidates):  # type: ignore[no-untyped-def]
    """Lists the users who have candidates in this tick, and how many: `sweep` and `count_candidates` in one.

    With m the mean, the probabilities of the Poisson law lie within

        m - m**2/2 <= P(N >= 1) <= m - m**2/2 + m**3/6
        m**2/2 - m**3/3 <= P(N >= 2) <= m**2/2,   P(N >= 3) <= m**3/6

    so for small m nearly every uniform is told by comparisons alone, many users side by side; the few
    between the bounds are counted exactly.

    Args:
      key … weight: as in `sweep`.
      index, candidates: `[end - first]` int64, filled with positions and numbers of candidates.
    Returns: (users with a candidate, candidates in all).
    """
    k0 = np.uint64(key) & _MASK
    k1 = np.uint64(key) >> _S32
    t = np.uint64(tick)
    words, counts = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint8)
    kept, total, start = np.uint64(0), 0, first
    while start < end:
        many = min(end - start, BLOCK)
        for i in range(many):
            a, _b, _c, _d = philox(np.uint64(number[start + i]), t, np.uint64(ARRIVE), np.uint64(0), k0, k1)
            words[i] = np.uint32(a)
        for i in range(many):
            v, mean = uniform(words[i]), np.float64(rate[start + i]) * weight
            half_square = 0.5 * mean * mean
            sixth_cube = half_square * mean * (1.0 / 3.0)
            one, two = mean - half_square, half_square - 2.0 * sixth_cube
            near = (v < sixth_cube) | ((v >= two) & (v < half_square))
            near |= ((v >= one) & (v < one + sixth_cube)) | ((mean > 0.9) & (v < mean))
            counts[i] = _UNSURE if near else np.uint8(v < one) + np.uint8(v < two)
        for i in range(many):
            n = int(counts[i])
            if n == _UNSURE:
                n = poisson_by_sums(uniform(words[i]), np.float64(rate[start + i]) * weight)
            index[kept], candidates[kept] = start + i, n
            kept += np.uint64(n > 0)
            total += n
        start += many
    return np.int64(kept), total


@njit(inline="always")
def sort_moments(at_h, which, count):  # type: ignore[no-untyped-def]
    """Sorts the moments of one user in place, with the numbers of their candidates (insertion sort)."""
    for k in range(1, count):
        t, w = at_h[k], which[k]
        p = k - 1
        while p >= 0 and at_h[p] > t:
            at_h[p + 1], which[p + 1] = at_h[p], which[p]
            p -= 1
        at_h[p + 1], which[p + 1] = t, w
