"""Rival bidders in a mean field: what they bid, what that costs us, and how they adapt.

A rival values every opportunity anew, log-normal around a median, and bids a share of the value, its
shade. Within a tick what it wins and pays is the expectation for the opportunities that there were;
it paces and learns between ticks only. A world stays a few numbers per rival, and one tick is one
distribution of the highest rival bid (highest_bid.py), whatever the number of users.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from gaelp_env.highest_bid import NOBODY_BIDS, hermite, law_of_highest

RIVALS = 4
NONE, TRUTHFUL, SHADING, PACED, LEARNING = 0, 1, 2, 3, 4
STRATEGIES = {"none": NONE, "truthful": TRUTHFUL, "shading": SHADING, "paced": PACED, "learning": LEARNING}
"""Truthful and shading bidders keep their shade (1 and less); paced ones meet a budget; learning ones
seek the shade of the highest surplus."""

SHADE_MIN, SHADE_MAX = 0.05, 1.0
TRIAL = 0.05
"""A learning rival compares its shade with shades this much higher and lower, in ln."""

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
def _compete(me, low, high, log_median, log_sd, active, rank, area, twice):  # type: ignore[no-untyped-def]
    """What rival `me` is up against without us, on a grid of ln prices: e^y G(y), its integral A, that of A.

        A(y) = integral of G(x) dx for prices x from 0 to e^y,   G(x) = P(highest of all others <= x)

    Posted bids are point masses: G is 0 below the highest of them, and the grid begins there.

    Args:
      low, high: ln of the lowest and highest bid that will be asked for.
      rank, area, twice: `[_GRID]`, filled; the last one counts from the grid's beginning.
    Returns: beginning and step of the grid (a step of 0 says that no bid up to `high` can win), and ln of
      the highest posted bid.
    """
    mass, sure = NOBODY_BIDS, NOBODY_BIDS
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
        return low, 0.0, mass
    step = (high - low) / (_GRID - 1)
    bend, slope_before = step * step / 12.0, 0.0
    for j in range(_GRID):
        below, _, hazard = law_of_highest(low + j * step, log_median, log_sd, active, me)
        rank[j] = math.exp(low + j * step) * below
        slope = rank[j] * (1.0 + hazard)
        if j == 0:
            area[0], twice[0] = rank[0] * (1.0 - math.exp(mass - low)), 0.0
        else:
            area[j] = area[j - 1] + 0.5 * step * (rank[j - 1] + rank[j]) + bend * (slope_before - slope)
            twice[j] = twice[j - 1] + 0.5 * step * (area[j - 1] + area[j]) + bend * (rank[j - 1] - rank[j])
        slope_before = slope
    return low, step, mass


@njit(inline="always")
def _areas(y, low, step, mass, rank, area, twice):  # type: ignore[no-untyped-def]
    """A(y) and its integral from the grid's beginning; below the grid G is level, down to `mass`."""
    if y < low:
        y = max(y, mass)
        share, point = math.exp(y - low), math.exp(mass - low)
        return rank[0] * (share - point), rank[0] * (share - 1.0 - point * (y - low))
    at = min((y - low) / step, _GRID - 1.0)
    i = min(int(at), _GRID - 2)
    here = _hermite_at(at - i, step, i, area, rank)
    return here, _hermite_at(at - i, step, i, twice, area)


@njit(inline="always")
def _hermite_at(t, step, i, values, slopes):  # type: ignore[no-untyped-def]
    """The cubic at share t of the grid's interval i."""
    return hermite(t, step, values[i], values[i + 1], slopes[i], slopes[i + 1])


@njit(cache=True)
def _outcome(  # type: ignore[no-untyped-def]
    ln_shade, ln_value, spread, first_price, our_ln, our_share, low, step, mass, rank, area, twice
):  # fmt: skip
    """Surplus and cost of one opportunity at a shade, expected over the rival's own values, CPM.

        first price: cost = E[b G(b)]     second price: cost = E[b G(b) - A(ln b)]
        surplus = E[v G(b)] - cost,  b = shade * v

    We bid at a share p of the opportunities, and take from the rival all that it won below our score:

        G(x) = (1 - p) G0(x) for x <= ours, G0(x) above;   A(y) = A0(y) - p A0(min(y, ln ours))

    The normal ln value is 41 cells, each of even density, with weights phi and the exact variance; a
    cell's mean is a difference of integrals, so the surplus is smooth in the shade even where G jumps.

    Args:
      our_ln, our_share: ln of our score, and p in [0, 1].
      low, step, mass, rank, area, twice: G0 and A0, as `_compete` leaves them.
    """
    bid_won, kept, weights = 0.0, 0.0, 0.0
    width = spread * _CONTRACT * _CELL_Z
    area_before, twice_before = 0.0, 0.0
    our_area, our_twice = _areas(our_ln, low, step, mass, rank, area, twice)
    for j in range(_CELLS + 1):
        y = ln_shade + ln_value + width * (j - 0.5 * _CELLS)
        area_here, twice_here = _areas(y, low, step, mass, rank, area, twice)
        if y <= our_ln:
            area_here -= our_share * area_here
            twice_here -= our_share * twice_here
        else:
            area_here -= our_share * our_area
            twice_here -= our_share * (our_twice + our_area * (y - our_ln))
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
    strategy, shade, spent, value_median, value_sd, budget, first_price, auctioned, our_score_cpm, our_share,
    opportunities, day_share_before, day_share_after, rate,
):  # fmt: skip
    """Closes a tick for the rivals: books what they spent, then paces and teaches them.

    1. Who bids is settled by `spent` before this tick, as in `bidders_on`. 2. Each rival with a budget
    is booked the expected cost of the first slot, against the other rivals and, at the share of the
    opportunities that we bid for, our score. 3. A learning rival tries its shade and shades e^-TRIAL and
    e^TRIAL of it on every channel with an opportunity. 4. When the day wraps, `spent` begins at 0, and the
    tick counts for the new day by the share of its traffic that fell into it. 5. A paced rival steers to
    budget * day_share_after.

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
      our_share: `[K]`, share of the opportunities that we bid for, in [0, 1].
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
        share = our_share[k] if our_score_cpm[k] > 0.0 else 0.0
        ours = math.log(our_score_cpm[k]) if share > 0.0 else NOBODY_BIDS
        first = first_price[k]
        for r in range(rivals):
            learns = strategy[r] == LEARNING
            if not active[r] or not (learns or budget[r] > 0.0):
                continue
            spread = max(value_sd[r], 1e-3)
            reach = 0.5 * _CELLS * _CELL_Z * _CONTRACT * spread + TRIAL
            low, high = log_median[r] - reach, log_median[r] + reach
            low, step, mass = _compete(r, low, high, log_median, value_sd, active, rank, area, twice)
            if step == 0.0:
                continue
            at, value, grid = math.log(shade[r, k]), math.log(value_median[r, k]), (rank, area, twice)
            same, cost = _outcome(at, value, spread, first, ours, share, low, step, mass, *grid)
            spend[r] += cost * opportunities[k] / 1000.0
            if learns:
                less, _ = _outcome(at - TRIAL, value, spread, first, ours, share, low, step, mass, *grid)
                more, _ = _outcome(at + TRIAL, value, spread, first, ours, share, low, step, mass, *grid)
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
