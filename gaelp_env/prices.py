"""Families of the rivals' highest price: which prices there are, relative to the median one.

A family is a quantile function q with q(1/2) = 1 and its inverse, the distribution H. A uniform draw
u addresses the price median * q(u), and a bid is compared with it as a quantile: u <= H(bid / median).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.chance import normal_quantile
from gaelp_env.exponentials import exponential

LOGNORMAL, GAMMA, LOGLOGISTIC, EXPONENTIAL, POWER, TABLE = 0, 1, 2, 3, 4, 5
FAMILIES = {
    "lognormal": LOGNORMAL,
    "gamma": GAMMA,
    "loglogistic": LOGLOGISTIC,
    "exponential": EXPONENTIAL,
    "uniform": POWER,
    "quantiles": TABLE,
}
"""What a config says. `uniform` with shape n - 1 is the highest of n - 1 uniform bids."""

KNOTS = 1025
"""Knots of a table: ln q(Phi(z)) at KNOTS points z, equally spaced; the middle one is the median."""
Z_END = 6.5
"""Tables reach from z = -6.5 to 6.5, further than any uniform of 32 bits (|z| < 6.4)."""

_LN2 = 0.6931471805599453
_SQRT2 = math.sqrt(2.0)
_PER_Z = (KNOTS - 1) / (2.0 * Z_END)
_LN_LIMIT = 600.0


@njit(inline="always")
def table_price(u, table):  # type: ignore[no-untyped-def]
    """The relative price at quantile u of a table: exp of the line between two knots.

    Args:
      u: in (0, 1).
      table: `[KNOTS]` of ln q, not falling.
    """
    at = (normal_quantile(u) + Z_END) * _PER_Z
    at = min(max(at, 0.0), KNOTS - 1.0)
    i = min(int(at), KNOTS - 2)
    return exponential(table[i] + (at - i) * (table[i + 1] - table[i]))


@njit(cache=True)
def table_rank(ln_price, table):  # type: ignore[no-untyped-def]
    """The share of a table's prices that are at most exp(ln_price): bisection, then Phi.

    Where the table is level many quantiles share one price; the highest of them is meant.

    Args:
      ln_price: ln of price / median.
      table: `[KNOTS]` of ln q, not falling.
    Returns: in [0, 1]; 0 below the first knot, 1 from the last one on.
    """
    if ln_price < table[0]:
        return 0.0
    if ln_price >= table[KNOTS - 1]:
        return 1.0
    low, high = 0, KNOTS - 1
    while high - low > 1:
        middle = (low + high) // 2
        if table[middle] <= ln_price:
            low = middle
        else:
            high = middle
    at = low + (ln_price - table[low]) / (table[high] - table[low])
    return 0.5 * math.erfc((Z_END - at / _PER_Z) / _SQRT2)


@njit(inline="always")
def relative_price(family, u, shape, table):  # type: ignore[no-untyped-def]
    """The price at quantile u, as a multiple of the median price.

        log-normal    exp(s z(u))                log-logistic  (u / (1 - u)) ** (1 / s)
        exponential   -ln(1 - u) / ln 2          uniform       (2 u) ** (1 / s)
        gamma, quantiles: from the table

    Sources: log-normal Zhou et al. (KDD 2021), gamma Zhu et al. (2017), log-logistic in the form of
    Zhang, Yuan and Wang (KDD 2014), who have s = 1: w = b / (c + b).

    Args:
      family: one of the codes above.
      u: in (0, 1).
      shape: s: sd of the log (log-normal, >= 0), slope (log-logistic, > 0), number of uniform bids
        (uniform, > 0); unused by the others.
      table: `[KNOTS]` of ln q; `flat_table()` for the families in closed form.
    Returns: >= 0, rising in u, 1 at u = 1/2.
    """
    if family == LOGNORMAL:
        return exponential(shape * normal_quantile(u))
    if family == LOGLOGISTIC:
        return (u / (1.0 - u)) ** (1.0 / shape)
    if family == EXPONENTIAL:
        return -math.log1p(-u) / _LN2
    if family == POWER:
        return (2.0 * u) ** (1.0 / shape)
    return table_price(u, table)


@njit(inline="always")
def rank_of(family, bid, median, shape, table):  # type: ignore[no-untyped-def]
    """The probability that the price is at most `bid`: H(bid / median), the inverse of `relative_price`.

        log-normal    Phi(ln x / s)              log-logistic  1 / (1 + x ** -s)
        exponential   1 - 2 ** -x                uniform       min(1, x ** s / 2)

    Args:
      family, shape, table: as in `relative_price`; a log-normal of sd 0 is a posted price.
      bid, median: in one unit; a bid of 0 beats nothing, a median of 0 is beaten by any bid above 0.
    Returns: in [0, 1]; raising the bid never lowers it.
    """
    if bid <= 0.0:
        return 0.0
    if median <= 0.0:
        return 1.0
    if family == LOGNORMAL:
        if shape == 0.0:
            return 1.0 if bid >= median else 0.0
        return 0.5 * math.erfc(-math.log(bid / median) / (shape * math.sqrt(2.0)))
    if family == LOGLOGISTIC:
        return 1.0 / (1.0 + math.exp(-shape * math.log(bid / median)))
    if family == EXPONENTIAL:
        return -math.expm1(-_LN2 * (bid / median))
    if family == POWER:
        return min(1.0, 0.5 * (bid / median) ** shape)
    return table_rank(math.log(bid / median), table)


def flat_table() -> NDArray[np.float64]:
    """The table of a family that needs none: every price is the median one."""
    return np.zeros(KNOTS)


def gamma_table(shape: float) -> NDArray[np.float64]:
    """ln q of a gamma distribution whose median is one.

    Args:
      shape: k, 0.05 … 10,000; iPinYou's campaigns have 0.95 … 1.80, RTBGym 50.
    Returns: `[KNOTS]`, rising.
    Raises: ValueError for another shape.
    """
    if not 0.05 <= shape <= 10_000.0:
        raise ValueError(
            f"the shape of a gamma price is {shape}: choose one from 0.05 (wide) to 10,000 (narrow)"
        )
    try:
        from scipy.special import gammainccinv, gammaincinv, ndtr  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Prices of family gamma need scipy, which is not here; run: pip install 'gaelp[calibrate]'.",
            name="scipy",
        ) from error

    z = np.linspace(-Z_END, Z_END, KNOTS)
    lower = gammaincinv(shape, ndtr(np.minimum(z, 0.0)))
    upper = gammainccinv(shape, ndtr(-np.maximum(z, 0.0)))
    ln_price = np.log(np.where(z <= 0.0, lower, upper))
    return np.asarray(ln_price - ln_price[KNOTS // 2], np.float64)


def quantile_table(values: Sequence[float]) -> NDArray[np.float64]:
    """ln q of prices that a user knows by m quantiles, at the probabilities (i + 1/2) / m.

    Between them ln price is a line in z = Phi^-1(u), so two quantiles make a log-normal; below the
    first and above the last, the line of the outer two goes on. Equal neighbours make a level piece,
    such as the one at a common reserve.

    Args:
      values: 2 … 129 prices in any unit, > 0, not falling.
    Returns: `[KNOTS]`, not falling, 0 in the middle.
    Raises: ValueError for other values, and where the outer lines would leave the range of a float.
    """
    prices = np.asarray(values, np.float64)
    if prices.ndim != 1 or not 2 <= len(prices) <= 129:
        raise ValueError(f"quantiles of a price are a list of 2 to 129 numbers, not of shape {prices.shape}")
    if not (np.isfinite(prices) & (prices > 0.0)).all():
        raise ValueError(f"quantiles of a price must be finite and above 0; got {prices.tolist()}")
    if (np.diff(prices) < 0.0).any():
        raise ValueError(f"quantiles of a price must not fall; sort them: {prices.tolist()}")
    known_z = np.array([normal_quantile((i + 0.5) / len(prices)) for i in range(len(prices))])
    ln_known = np.log(prices)
    z = np.linspace(-Z_END, Z_END, KNOTS)
    ln_price = np.interp(z, known_z, ln_known)
    for end, side in ((slice(0, 2), z < known_z[0]), (slice(-2, None), z > known_z[-1])):
        (z_a, z_b), (ln_a, ln_b) = known_z[end], ln_known[end]
        ln_price[side] = ln_a + (ln_b - ln_a) / (z_b - z_a) * (z[side] - z_a)
    ln_price = np.maximum.accumulate(ln_price)
    ln_price -= ln_price[KNOTS // 2]
    if max(-ln_price[0], ln_price[-1]) > _LN_LIMIT:
        raise ValueError(
            f"the outer quantiles ({prices[0]}, {prices[1]} and {prices[-2]}, {prices[-1]}) are so far apart "
            "that prices beyond them leave the range of a float; bring them closer together"
        )
    return ln_price
