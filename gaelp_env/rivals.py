"""Rival bidders in a mean field: what they bid, what that costs us, and how they adapt.

A rival values every opportunity anew, log-normal around a median, and bids a share of the value, its
shade. Within a tick what it wins and pays is the expectation for the opportunities that there were;
it paces and learns between ticks only. A world stays a few numbers per rival, and one tick is one
distribution of the highest rival bid (`highest_table`), whatever the number of users.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from gaelp_env.chance import normal_quantile
from gaelp_env.prices import KNOTS, Z_END

RIVALS = 4
NONE, TRUTHFUL, SHADING, PACED, LEARNING = 0, 1, 2, 3, 4
STRATEGIES = {"none": NONE, "truthful": TRUTHFUL, "shading": SHADING, "paced": PACED, "learning": LEARNING}
"""Truthful and shading bidders keep their shade (1 and less); paced ones meet a budget; learning ones
seek the shade of the highest surplus."""

NOBODY_BIDS = -1.0e4
"""ln of the highest bid where nobody bids; exp of it is 0, a price that any bid beats."""
SHADE_MIN, SHADE_MAX = 0.05, 1.0
TRIAL = 0.05
"""A learning rival compares its shade with shades this much higher and lower, in ln."""

_SQRT2 = math.sqrt(2.0)
_ROOT_2PI = math.sqrt(2.0 * math.pi)
_STEP_Z = 2.0 * Z_END / (KNOTS - 1)
_STRIDE, _CLOSE, _WRONG = 64, 2e-4, 2e-4
_SURE = 8.5
_GRID, _CELLS, _CELL_Z = 129, 41, 0.25
_CONTRACT = 1.0 / math.sqrt(1.0 + _CELL_Z * _CELL_Z / 12.0)
"""Cells of even density have a variance of their own; the spread between them makes room for it."""


@njit(inline="always")
def resting(strategy, spent, budget):  # type: ignore[no-untyped-def]
    """Whether a rival stays away: it is none at all, or its budget of the day is spent.

    Args:
      strategy: code of one rival.
      spent, budget: of one rival, currency today and per day; a budget of 0 is none.
    """
    return strategy == NONE or (budget > 0.0 and spent >= budget)


@njit(inline="always")
def shade_after_pacing(shade, behind_day, behind_tick, rate):  # type: ignore[no-untyped-def]
    """A paced rival's next shade: shade * exp(rate * e), in [0.05, 1].

        e = behind_day + behind_tick, cut to [-1, 1]

    The day's error alone would swing without end, since it sets the speed of the shade, not the shade;
    the tick's error damps it. Source: Balseiro and Gur, Management Science 65(9), 2019, for the latter.

    Args:
      behind_day: (planned - spent) / budget so far today.
      behind_tick: (planned - spent) / planned of this tick; 0 for a rival that rested.
      rate: step of ln shade, >= 0.
    """
    error = min(max(behind_day + behind_tick, -1.0), 1.0)
    return min(max(shade * math.exp(rate * error), SHADE_MIN), SHADE_MAX)


@njit(inline="always")
def shade_after_trial(shade, lower, same, higher, rate):  # type: ignore[no-untyped-def]
    """A learning rival's next shade: a step `rate` in ln towards the best of three, in [0.05, 1].

    Args:
      lower, same, higher: surplus at shade e^-TRIAL, shade, shade e^TRIAL, in one unit.
      rate: >= 0.
    """
    if higher > same and higher >= lower:
        shade *= math.exp(rate)
    elif lower > same:
        shade *= math.exp(-rate)
    return min(max(shade, SHADE_MIN), SHADE_MAX)


@njit(cache=True)
def _highest(ln_price, log_median, log_sd, active, but):  # type: ignore[no-untyped-def]
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
    below, above, hazard = _highest(ln_price, log_median, log_sd, active, -1)
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
def _hermite(t, width, y_a, y_b, slope_a, slope_b):  # type: ignore[no-untyped-def]
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
        table[i] = _hermite(t, width, table[left], table[right], slopes[left], slopes[right])


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
                guess = _hermite(0.5, width, table[left], table[end], slopes[left], slopes[end])
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


@njit(inline="always")
def bidders_on(k, strategy, shade, spent, value_median, budget, log_median, active):  # type: ignore[no-untyped-def]
    """Who bids on channel k in this tick, and around which bid: the input of `highest_table`.

    Args:
      k: channel.
      strategy, spent, budget: `[R]`; shade, value_median: `[R, K]`, as in `adapt`.
      log_median, active: `[R]`, filled: ln of shade * value median in CPM, and whether the rival bids.
    """
    for r in range(len(strategy)):
        bid = shade[r, k] * value_median[r, k]
        active[r] = bid > 0.0 and not resting(strategy[r], spent[r], budget[r])
        log_median[r] = math.log(bid) if bid > 0.0 else NOBODY_BIDS


@njit(cache=True)
def _compete(me, low, high, our_ln, log_median, log_sd, active, rank, area, twice):  # type: ignore[no-untyped-def]
    """What rival `me` is up against, on a grid of ln prices: e^y G(y), its integral A, and that of A.

        A(y) = integral of G(x) dx for prices x from 0 to e^y,   G(x) = P(highest of all others <= x)

    By parts, a second-price bid b pays b G(b) - A(ln b) in expectation. Our score and posted bids are
    point masses: G is 0 below the highest of them, and the grid begins there.

    Args:
      low, high: ln of the lowest and highest bid that will be asked for.
      our_ln: ln of our score, NOBODY_BIDS if we do not bid.
      rank, area, twice: `[_GRID]`, filled; the last one counts from the grid's beginning.
    Returns: beginning and step of the grid; a step of 0 says that no bid up to `high` can win.
    """
    mass, sure = our_ln, NOBODY_BIDS
    for r in range(len(log_sd)):
        if active[r] and r != me:
            if log_sd[r] == 0.0:
                mass = max(mass, log_median[r])
            else:
                sure = max(sure, log_median[r] - 5.0 * log_sd[r])
    if sure > NOBODY_BIDS:
        low = min(low, sure)
    low = max(low, mass)
    if low >= high:
        return low, 0.0
    step = (high - low) / (_GRID - 1)
    bend, slope_before = step * step / 12.0, 0.0
    for j in range(_GRID):
        below, _, hazard = _highest(low + j * step, log_median, log_sd, active, me)
        rank[j] = math.exp(low + j * step) * below
        slope = rank[j] * (1.0 + hazard)
        if j == 0:
            area[0], twice[0] = rank[0] * (1.0 - math.exp(mass - low)), 0.0
        else:
            area[j] = area[j - 1] + 0.5 * step * (rank[j - 1] + rank[j]) + bend * (slope_before - slope)
            twice[j] = twice[j - 1] + 0.5 * step * (area[j - 1] + area[j]) + bend * (rank[j - 1] - rank[j])
        slope_before = slope
    return low, step


@njit(cache=True)
def _outcome(ln_shade, ln_value, spread, first_price, low, step, rank, area, twice):  # type: ignore[no-untyped-def]
    """Surplus and cost of one opportunity at a shade, expected over the rival's own values, CPM.

        first price: cost = E[b G(b)]     second price: cost = E[b G(b) - A(ln b)]
        surplus = E[v G(b)] - cost,  b = shade * v

    The normal ln value is 41 cells, each of even density, with weights phi and the exact variance; a
    cell's mean is a difference of integrals, so the surplus is smooth in the shade even where G jumps.
    """
    bid_won, kept, weights = 0.0, 0.0, 0.0
    width = spread * _CONTRACT * _CELL_Z
    area_before, twice_before = 0.0, 0.0
    for j in range(_CELLS + 1):
        y = ln_shade + ln_value + width * (j - 0.5 * _CELLS)
        at = min((y - low) / step, _GRID - 1.0)
        area_here, twice_here = 0.0, 0.0
        if at >= 0.0:
            i = min(int(at), _GRID - 2)
            area_here = _hermite(at - i, step, area[i], area[i + 1], rank[i], rank[i + 1])
            twice_here = _hermite(at - i, step, twice[i], twice[i + 1], area[i], area[i + 1])
        if j > 0:
            z = (j - 1 - 0.5 * (_CELLS - 1)) * _CELL_Z
            weight = math.exp(-0.5 * z * z)
            weights += weight
            bid_won += weight * (area_here - area_before)
            kept += weight * (twice_here - twice_before)
        area_before, twice_before = area_here, twice_here
    bid_won /= weights * width
    kept = 0.0 if first_price else kept / (weights * width)
    return bid_won / math.exp(ln_shade) - bid_won + kept, bid_won - kept


@njit(cache=True)
def adapt(  # type: ignore[no-untyped-def]
    strategy, shade, spent, value_median, value_sd, budget, first_price, auctioned, our_score_cpm,
    opportunities, day_share_before, day_share_after, rate,
):  # fmt: skip
    """Closes a tick for the rivals: books what they spent, then paces and teaches them.

    1. Who bids is settled by `spent` before this tick, as in `bidders_on`. 2. Each rival with a budget
    is booked the expected cost of the first slot, against the other rivals and our score. 3. A
    learning rival tries its shade and shades e^-TRIAL and e^TRIAL of it on every channel with an
    opportunity. 4. When the day wraps, `spent` begins at 0, and the tick counts for the new day by
    the share of its traffic that fell into it. 5. A paced rival steers to budget * day_share_after.

    All rivals meet the competition of this tick: the order of rivals makes no difference. A budget is
    overspent by at most one tick's cost. Posted bids (sd 0) that tie are each taken to win. A learning
    rival that wins with none of its three shades stays as it is.

    Args:
      strategy: `[R]` of STRATEGIES' codes.
      shade: `[R, K]`, bid / value in [0.05, 1], changed.
      spent: `[R]`, currency today, changed.
      value_median: `[R, K]`, CPM; 0 where a rival does not bid.
      value_sd: `[R]`, sd of ln value, >= 0.
      budget: `[R]`, currency per day; 0 is none.
      first_price, auctioned: `[K]` of bool.
      our_score_cpm: `[K]`, our bid * quality; 0 where we did not bid.
      opportunities: `[K]`, how many there were in the tick, >= 0.
      day_share_before, day_share_after: share of the day's traffic gone by at the two ends of the tick,
        in [0, 1]; the second below the first says that a new day began (0 at the very end of a day).
      rate: step of ln shade per tick, >= 0, the longest one when pacing.
    """
    rivals, channels = shade.shape
    spend, log_median = np.zeros(rivals), np.empty(rivals)
    active = np.empty(rivals, np.bool_)
    rank, area, twice = np.empty(_GRID), np.empty(_GRID), np.empty(_GRID)
    for k in range(channels):
        if not auctioned[k] or opportunities[k] <= 0:
            continue
        bidders_on(k, strategy, shade, spent, value_median, budget, log_median, active)
        our_ln = math.log(our_score_cpm[k]) if our_score_cpm[k] > 0.0 else NOBODY_BIDS
        for r in range(rivals):
            learns = strategy[r] == LEARNING
            if not active[r] or not (learns or budget[r] > 0.0):
                continue
            spread = max(value_sd[r], 1e-3)
            reach = 0.5 * _CELLS * _CELL_Z * _CONTRACT * spread + TRIAL
            low, step = _compete(
                r, log_median[r] - reach, log_median[r] + reach, our_ln, log_median, value_sd, active,
                rank, area, twice,
            )  # fmt: skip
            if step == 0.0:
                continue
            at, value = math.log(shade[r, k]), math.log(value_median[r, k])
            same, cost = _outcome(at, value, spread, first_price[k], low, step, rank, area, twice)
            spend[r] += cost * opportunities[k] / 1000.0
            if learns:
                less, _ = _outcome(at - TRIAL, value, spread, first_price[k], low, step, rank, area, twice)
                more, _ = _outcome(at + TRIAL, value, spread, first_price[k], low, step, rank, area, twice)
                shade[r, k] = shade_after_trial(shade[r, k], less, same, more, rate)

    passed, booked = day_share_after - day_share_before, 1.0
    new_day = passed < 0.0
    if new_day:
        passed += 1.0
        booked = day_share_after / passed if passed > 0.0 else 0.0
    for r in range(rivals):
        rested = resting(strategy[r], spent[r], budget[r])
        spent[r] = booked * spend[r] + (0.0 if new_day else spent[r])
        if strategy[r] == PACED and budget[r] > 0.0:
            planned = budget[r] * passed
            behind_tick = 0.0 if rested or planned == 0.0 else 1.0 - spend[r] / planned
            behind_day = day_share_after - spent[r] / budget[r]
            for k in range(channels):
                shade[r, k] = shade_after_pacing(shade[r, k], behind_day, behind_tick, rate)
