"""Chance is addressed, not consumed: every draw is a pure function of where it is asked for.

The generator is Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC 2011). The address of a draw is (key, user, tick, purpose, n); there is no cursor, so
two policies that meet the same user at the same moment meet the same luck.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numba import njit

from gaelp_env.exponentials import exponential

ARRIVE = 0
"""How many candidates a user has in a tick (word 0)."""
CANDIDATE = 1
"""n-th candidate of the tick: moment, channel or visit, becomes an opportunity, winnable."""
AUCTION = 2
"""n-th candidate: rivals' price, carries a reserve, level of the reserve, seen."""
RESPOND = 3
"""n-th candidate: click or source of an unasked visit, next stage after the ad or the same source again, next
stage after the visit, device."""
VISIT = 4
"""n-th candidate: order, value of the order, part of the delay mixture, delay within the part."""
CLOCK = 5
"""Time until a stage is lost; n = 8 * second within the tick at which it was entered + stage."""
BIRTHS = 6
"""How many are born in a tick (user = NOBODY)."""
PERSON = 7
"""What a newborn is like: rate, propensity, device, stay."""

PRESSURE = 8
"""Word 0: the shock to rivals' pressure on channel n (user = NOBODY, tick that it is felt in)."""

SLOTS = 9
"""n-th candidate: score of the rivals' second, third and fourth, creative shown."""

NOBODY = 0xFFFFFFFF
"""The user number of draws that belong to no user."""

_MASK = np.uint64(0xFFFFFFFF)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_S32 = np.uint64(32)
_S8 = np.uint64(8)
_TO_UNIT = 2.0**-32


@njit(inline="always")
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Philox 4x32-10: four 32-bit words from a 128-bit counter and a 64-bit key.

    Args:
      c0, c1, c2, c3: the counter, uint64 values below 2**32.
      k0, k1: the key, uint64 values below 2**32.
    Returns: four uint64 values below 2**32.
    """
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0, c1, c2, c3 = (p1 >> _S32) ^ c1 ^ k0, p1 & _MASK, (p0 >> _S32) ^ c3 ^ k1, p0 & _MASK
        k0 = (k0 + _W0) & _MASK
        k1 = (k1 + _W1) & _MASK
    return c0, c1, c2, c3


@njit(inline="always")
def uniform(word):  # type: ignore[no-untyped-def]
    """Maps a 32-bit word to the open interval (0, 1): (word + 1/2) / 2**32."""
    return (np.float64(np.int64(word)) + 0.5) * _TO_UNIT


@njit(inline="always")
def uniforms(key, user, tick, purpose, n):  # type: ignore[no-untyped-def]
    """Four uniforms in (0, 1) at the address (key, user, tick, purpose, n).

    Args:
      key: uint64 chance key of the world.
      user: number of the user, or NOBODY.
      tick: the clock, 0 … 2**32 - 1.
      purpose: one of the constants above, 0 … 255.
      n: which of several draws for one purpose, 0 … 2**24 - 1.
    """
    k = np.uint64(key)
    a, b, c, d = philox(
        np.uint64(user),
        np.uint64(tick),
        np.uint64(purpose) | (np.uint64(n) << _S8),
        np.uint64(0),
        k & _MASK,
        k >> _S32,
    )
    return uniform(a), uniform(b), uniform(c), uniform(d)


@njit(inline="always")
def normal_quantile(p):  # type: ignore[no-untyped-def]
    """The standard normal quantile, relative error about 1e-9 after one Halley step's omission.

    Source: P. J. Acklam, "An algorithm for computing the inverse normal cumulative distribution
    function" (2003): a rational function in the middle and one in each tail, |error| < 1.2e-9.

    Args:
      p: in (0, 1).
    """
    if p < 0.02425 or p > 0.97575:
        tail = p if p < 0.5 else 1.0 - p
        q = math.sqrt(-2.0 * math.log(tail))
        top = ((((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838) * q
                - 2.549732539343734) * q + 4.374664141464968) * q + 2.938163982698783  # fmt: skip
        bottom = (((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996) * q
                  + 3.754408661907416) * q + 1.0  # fmt: skip
        return top / bottom if p < 0.5 else -top / bottom
    q = p - 0.5
    r = q * q
    top = ((((-3.969683028665376e01 * r + 2.209460984245205e02) * r - 2.759285104469687e02) * r
            + 1.383577518672690e02) * r - 3.066479806614716e01) * r + 2.506628277459239  # fmt: skip
    bottom = ((((-5.447609879822406e01 * r + 1.615858368580409e02) * r - 1.556989798598866e02) * r
               + 6.680131188771972e01) * r - 1.328068155288572e01) * r + 1.0  # fmt: skip
    return top * q / bottom


@njit(inline="always")
def poisson_count(v, mean):  # type: ignore[no-untyped-def]
    """A Poisson count by inversion from the top: the largest k with v < P(N >= k).

    So v >= mean gives 0 for sure (P(N >= 1) <= mean), which lets a sweep over many users
    skip almost all of them without an exponential.

    Args:
      v: uniform in (0, 1).
      mean: >= 0; counts are cut at 64.
    """
    half_square = 0.5 * mean * mean
    if half_square <= v < mean - half_square:  # bounds of P(N >= 2) and P(N >= 1): surely one
        return 1
    return poisson_by_sums(v, mean)


@njit(inline="always")
def poisson_by_sums(v, mean):  # type: ignore[no-untyped-def]
    """`poisson_count` by the sums alone, for a uniform that no bound is likely to tell."""
    none = exponential(-mean)
    p1 = none * mean
    p2 = p1 * (mean * 0.5)
    p3 = p2 * (mean * (1.0 / 3.0))
    mass = p3 * (mean * 0.25)
    two = 1.0 - none - p1
    four = two - p2 - p3
    at_least = four - mass
    if v >= at_least:  # counted, not searched: no branch to guess
        return int(v < 1.0 - none) + int(v < two) + int(v < two - p2) + int(v < four)
    count = 5
    mass *= mean * 0.2
    at_least -= mass
    while v < at_least and count < 64:
        count += 1
        mass *= mean / count
        at_least -= mass
    return count


def key_of(*parts: object) -> int:
    """A 64-bit chance key from a seed and what it is for.

    Args:
      parts: integers or words, such as ("chance", 7). Equal parts give equal keys, on any machine.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
