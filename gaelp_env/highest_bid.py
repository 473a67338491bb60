"""The law of the highest bid among rivals whose bids are log-normal and independent.

One tick is one such law, whatever the number of users: `highest_table` writes it as the quantiles that
prices.py reads, and `law_of_highest` gives its distribution at one price.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from gaelp_env.chance import normal_quantile
from gaelp_env.prices import KNOTS, Z_END

NOBODY_BIDS = -1.0e4
"""ln of the highest bid where nobody bids; exp of it is 0, a price that any bid beats."""

_SQRT2 = math.sqrt(2.0)
_ROOT_2PI = math.sqrt(2.0 * math.pi)
_STEP_Z = 2.0 * Z_END / (KNOTS - 1)
_STRIDE, _CLOSE, _WRONG = 64, 2e-4, 2e-4
_SURE = 8.5


@njit(cache=True)
def law_of_highest(ln_price, log_median, log_sd, active, but):  # type: ignore[no-untyped-def]
    """P(highest <= price), P(highest > price) and d ln P(highest <= price) / d(ln price).

    Posted bids (sd 0) and rival number `but` are left out; -1 leaves out nobody.
    """
    below, above, hazard = 1.0, 0.0, 0.0
    for r in range(len(log_sd)):
        if active[r] and log_sd[r] > 0.0 and r != but:
            t = (ln_price - log_median[r]) / log_sd[r]
            if t > _SURE:
                continue
            tail = 0.5 * math.erfc(abs(t) / _SQRT2)
            one, rest = (tail, 1.0 - tail) if t < 0.0 else (1.0 - tail, tail)
            above += below * rest
            below *= one
            hazard += math.exp(-0.5 * t * t) / (_ROOT_2PI * log_sd[r] * max(one, 1e-300))
    return below, above, hazard


@njit(cache=True)
def _score_of(ln_price, log_median, log_sd, active):  # type: ignore[no-untyped-def]
    """z with Phi(z) = P(highest <= price), and its slope dz / d(ln price); slope 0 out of range."""
    below, above, hazard = law_of_highest(ln_price, log_median, log_sd, active, -1)
    if below < 1e-300:
        return -37.0, 0.0
    if above < 1e-300:
        return 37.0, 0.0
    z = normal_quantile(below) if below < 0.5 else -normal_quantile(above)
    return z, below * hazard * _ROOT_2PI * math.exp(0.5 * z * z)


@njit(cache=True)
def _ln_price_at(z, guess, log_median, log_sd, active, count):  # type: ignore[no-untyped-def]
    """ln of the highest bid's quantile at z, and d(ln price) / dz: Newton's steps within a bracket.

    One rival alone at z is a lower bound; n rivals at the n-th root of Phi(z) an upper one.
    """
    if z < 0.0:
        z_each = normal_quantile(math.exp(math.log(0.5 * math.erfc(-z / _SQRT2)) / count))
    else:
        z_each = -normal_quantile(-math.expm1(math.log1p(-0.5 * math.erfc(z / _SQRT2)) / count))
    low, high = NOBODY_BIDS, NOBODY_BIDS
    for r in range(len(log_sd)):
        if active[r] and log_sd[r] > 0.0:
            low = max(low, log_median[r] + log_sd[r] * z)
            high = max(high, log_median[r] + log_sd[r] * z_each)
    x = min(max(guess, low), high)
    slope = 0.0
    for _ in range(60):
        found, slope = _score_of(x, log_median, log_sd, active)
        if found < z:
            low = max(low, x)
        else:
            high = min(high, x)
        step = (z - found) / slope if slope > 0.0 else 1e300
        if abs(step) < _CLOSE:
            return x + step, 1.0 / slope
        x += step
        if not low < x < high:
            x = 0.5 * (low + high)
        if high - low < 0.1 * _CLOSE:
            break
    return x, (1.0 / slope if slope > 0.0 else 0.0)


@njit(inline="always")
def hermite(t, width, y_a, y_b, slope_a, slope_b):  # type: ignore[no-untyped-def]
    """The cubic with given ends and slopes, at share t of an interval."""
    rest = 1.0 - t
    return (
        rest * rest * ((1.0 + 2.0 * t) * y_a + t * width * slope_a)
        + t * t * ((1.0 + 2.0 * rest) * y_b - rest * width * slope_b)
    )  # fmt: skip


@njit(inline="always")
def _fill(table, slopes, left, right):  # type: ignore[no-untyped-def]
    """Fills the knots between two that are solved for."""
    width = (right - left) * _STEP_Z
    for i in range(left + 1, right):
        t = (i - left) / (right - left)
        table[i] = hermite(t, width, table[left], table[right], slopes[left], slopes[right])


@njit(cache=True)
def highest_table(log_median, log_sd, active, table):  # type: ignore[no-untyped-def]
    """The quantiles of the highest bid among rivals with independent log-normal bids.

        P(highest <= x) = product over r of Phi((ln x - ln median_r) / sd_r)

    Every 64th knot is solved for; cubics fill in between, on intervals that are halved until height
    and slope of their middle are foreseen within 2e-4. A rival of sd 0 always bids its median: the
    others' lower bids vanish.

    Args:
      log_median, log_sd, active: `[R]`, ln CPM, >= 0 and bool.
      table: `[KNOTS]`, filled with ln CPM at the knots of `prices`, not falling, not normalised: with
        the returned value subtracted it is a relative table of the family TABLE.
    Returns: ln of the median highest bid; NOBODY_BIDS, also in the whole table, if none is active.
    """
    count, posted, one = 0, NOBODY_BIDS, 0
    for r in range(len(log_sd)):
        if active[r] and log_sd[r] > 0.0:
            count += 1
            one = r
        elif active[r]:
            posted = max(posted, log_median[r])
    if count == 0:
        table[:] = posted
        return posted
    if count == 1:
        for i in range(KNOTS):
            table[i] = max(posted, log_median[one] + log_sd[one] * (i * _STEP_Z - Z_END))
        return table[KNOTS // 2]

    slopes, ends = np.empty(KNOTS), np.empty(12, np.int64)
    table[0], slopes[0] = _ln_price_at(-Z_END, NOBODY_BIDS, log_median, log_sd, active, count)
    for right in range(_STRIDE, KNOTS, _STRIDE):
        first = right - _STRIDE
        guess = table[first] + slopes[first] * _STRIDE * _STEP_Z
        table[right], slopes[right] = _ln_price_at(
            right * _STEP_Z - Z_END, guess, log_median, log_sd, active, count
        )
        left, depth = first, 1
        ends[0] = right
        while depth > 0:
            end = ends[depth - 1]
            width = (end - left) * _STEP_Z
            if end - left > 1:
                middle = (left + end) // 2
                guess = hermite(0.5, width, table[left], table[end], slopes[left], slopes[end])
                table[middle], slopes[middle] = _ln_price_at(
                    middle * _STEP_Z - Z_END, guess, log_median, log_sd, active, count
                )
                slope = 1.5 * (table[end] - table[left]) / width - 0.25 * (slopes[left] + slopes[end])
                wrong = abs(table[middle] - guess) + 0.125 * width * abs(slopes[middle] - slope)
                if wrong > _WRONG:
                    ends[depth] = middle
                    depth += 1
                    continue
                _fill(table, slopes, left, middle)
                _fill(table, slopes, middle, end)
            left = end
            depth -= 1
    for i in range(KNOTS):
        table[i] = max(table[i], posted if i == 0 else table[i - 1], posted)
    return table[KNOTS // 2]
