"""What an ad that is seen does to a person, and what absence undoes."""

from __future__ import annotations

from numba import njit

from gaelp_env.exponentials import exponential
from gaelp_env.logarithms import logarithm

_LN2 = 0.6931471805599453


@njit(inline="always")
def kept(elapsed_h, half_life_h):  # type: ignore[no-untyped-def]
    """The share of a fading score that is left: 2 ** (-d / h), in (0, 1]; see `fade`."""
    return exponential(-_LN2 * elapsed_h / half_life_h)


@njit(inline="always")
def fade(score, elapsed_h, half_life_h):  # type: ignore[no-untyped-def]
    """Lets a remembered score fade over the hours since it was last brought up to date.

        s(t + d) = s(t) * 2 ** (-d / h)

    Two short waits equal one long one, so a user is brought up to date only when seen.
    Source: Nerlove and Arrow, Economica 29(114), 1962, in half-life form.

    Args:
      score: >= 0.
      elapsed_h: hours since `score` was current, >= 0.
      half_life_h: hours in which half is lost, > 0.
    Returns: in [0, score].
    """
    return score * kept(elapsed_h, half_life_h)


@njit(inline="always")
def revert(score, base, elapsed_h, half_life_h):  # type: ignore[no-untyped-def]
    """Lets a score go back to its base over the hours since it was last brought up to date.

        s(t + d) = b + (s(t) - b) * 2 ** (-d / h)

    Two short waits equal one long one; with a base of 0 it is `fade`.

    Args:
      score: >= 0.
      base: b >= 0.
      elapsed_h: hours since `score` was current, >= 0.
      half_life_h: hours in which half of the distance is lost, > 0.
    Returns: between base and score.
    """
    return base + (score - base) * kept(elapsed_h, half_life_h)


@njit(inline="always")
def wear(remembered, exponent):  # type: ignore[no-untyped-def]
    """The share of an ad's effect that is left after F remembered ads: m = (1 + F) ** -b.

    Source: within-user click rates in the Criteo attribution data, b = 0.20.

    Args:
      remembered: decayed count of our ads seen, >= 0.
      exponent: b >= 0.
    Returns: in (0, 1], strictly decreasing in F for b > 0; 1 at F = 0.
    """
    return exponential(-exponent * logarithm(1.0 + remembered))


@njit(inline="always")
def lift(score, gain):  # type: ignore[no-untyped-def]
    """Moves a score towards one by a share of what is missing: s' = 1 - (1 - s)(1 - g).

    n equal exposures from 0 give 1 - (1 - g)**n; the order of equal-time exposures does not
    matter. Source: Vidale and Wolfe, Operations Research 5(3), 1957, in impulse form.

    Args:
      score, gain: in [0, 1].
    Returns: in [score, 1].
    """
    return 1.0 - (1.0 - score) * (1.0 - gain)


@njit(inline="always")
def click_probability(base, left, weight):  # type: ignore[no-untyped-def]
    """The probability that a seen ad is clicked: base[channel, stage] * m(F) q * weight, at most 1.

    The weight is that of the hour, the slot and the device. Source: hour weights from iPinYou (.049 % at
    9 h to .099 % at 18 h).
    """
    return min(1.0, base * left * weight)
