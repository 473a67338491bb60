"""The closed forms that `gaelp check` holds the market to: what is known without playing.

Sources: second price Vickrey (1961); first price and equilibrium Krishna, Auction Theory (2010), ch. 2; ORTB
Zhang, Yuan, Wang (KDD 2014); log-normal shading Zhou et al. (KDD 2021).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_NORMAL = NormalDist()


class Deal(NamedTuple):
    """What a bid gets of an auction, in the mean over all auctions, lost ones included."""

    win: float
    cost: float
    surplus: float


def second_price_lognormal(value: float, mu: float, sigma: float) -> Deal:
    """Truthful among log-normal prices: Phi(z), exp(mu + sigma**2 / 2) Phi(z - sigma), v Phi(z) - cost.

    Args:
      value: v > 0, the bid.
      mu, sigma: of the log of the price.
    """
    z = (math.log(value) - mu) / sigma
    win = _NORMAL.cdf(z)
    cost = math.exp(mu + 0.5 * sigma * sigma) * _NORMAL.cdf(z - sigma)
    return Deal(win, cost, value * win - cost)


def second_price_uniform(value: float, top: float) -> Deal:
    """Truthful among prices uniform in (0, M), v <= M: v / M, v**2 / 2M, v**2 / 2M."""
    half = value * value / (2.0 * top)
    return Deal(value / top, half, half)


def second_price_exponential(value: float, rate: float) -> Deal:
    """Truthful among exponential prices: win 1 - exp(-rate v), surplus v - win / rate."""
    win = -math.expm1(-rate * value)
    surplus = value - win / rate
    return Deal(win, value * win - surplus, surplus)


def shaded_exponential(value: float, rate: float) -> float:
    """First price among exponential prices: b = v + (1 - W(exp(1 + rate v))) / rate."""
    from scipy.special import lambertw  # type: ignore[import-untyped]

    return float(value + (1.0 - lambertw(math.exp(1.0 + rate * value)).real) / rate)


def shaded_lognormal(value: float, mu: float, sigma: float) -> float:
    """First price among log-normal prices: the only root of v = b (1 + sigma Phi(z) / phi(z))."""
    low, high = 0.0, value
    for _ in range(200):
        bid = 0.5 * (low + high)
        z = (math.log(bid) - mu) / sigma
        if bid * (1.0 + sigma * _NORMAL.cdf(z) / _NORMAL.pdf(z)) < value:
            low = bid
        else:
            high = bid
    return 0.5 * (low + high)


def ortb1(theta: float, price_of_money: float, c: float) -> float:
    """b = sqrt(c theta / lambda + c**2) - c, where w = b / (c + b) and the bid is the cost."""
    return math.sqrt(c * theta / price_of_money + c * c) - c


def ortb2(theta: float, price_of_money: float, c: float) -> float:
    """b = c (x - 1 / x), x = ((theta + sqrt(c**2 lambda**2 + theta**2)) / (c lambda)) ** (1/3)."""
    own = c * price_of_money
    x = math.cbrt((theta + math.sqrt(own * own + theta * theta)) / own)
    return c * (x - 1.0 / x)


def occupancy(forward: float, half_lives: tuple[float, float, float], start: float, stop: float) -> Floats:
    """The shares of four stages, averaged over the days `start` to `stop`, of people who were all in the
    first.

        p(t) = p(0) expm(Q t),   Q: forward at one rate, back at ln 2 / half-life

    Args:
      forward: moves forward a day.
      half_lives: of the second, third and fourth stage, days.
    Returns: `[4]`, summing to one.
    """
    from scipy.linalg import expm  # type: ignore[import-untyped]

    q = _chain(forward, half_lives)
    nodes, weights = np.polynomial.legendre.leggauss(5)
    times = 0.5 * (start + stop) + 0.5 * (stop - start) * nodes
    shares: Any = sum(0.5 * w * expm(q * t)[0] for w, t in zip(weights, times, strict=True))
    return np.asarray(shares, np.float64)


def _chain(forward: float, half_lives: tuple[float, float, float]) -> Floats:
    """Q of four stages, rates a day: forward at one rate, back at ln 2 / half-life; rows sum to zero."""
    q = np.zeros((4, 4))
    for stage in range(3):
        q[stage, stage + 1] = forward
        q[stage + 1, stage] = math.log(2.0) / half_lives[stage]
    whole: Floats = q - np.diag(q.sum(axis=1))
    return whole


def days_to_convert(forward: float, half_lives: tuple[float, float, float], converts: float) -> Floats:
    """The mean days to the first order from each of the four stages: -inv(Q_T) 1, where the fourth is left
    by orders too.

    Args:
      forward, half_lives: as in `occupancy`.
      converts: orders a day of those in the fourth stage, > 0.
    Returns: `[4]`, falling.
    """
    within = _chain(forward, half_lives)
    within[3, 3] -= converts
    days: Floats = np.asarray(np.linalg.solve(-within, np.ones(4)), np.float64)
    return days


class TwoState(NamedTuple):
    """Discounted values of a fresh user who has an opportunity now, in units of an ad to the fresh."""

    capped: float
    always: float
    threshold: float


def two_state_discounted(omega: float, rho: float, discount: float, tired: float) -> TwoState:
    """A frequency cap where the next opportunity counts less.

        k = g rho / (1 - g (1 - rho))
        capped = 1 / (1 - g (1 - omega) - g omega k)
        always = (1 + g omega r_T / (1 - g)) / (1 - g (1 - omega))
        cap if and only if r_T < threshold = (1 - g) k capped

    Args:
      omega: a fresh user who is shown an ad is fatigued at the next opportunity, in (0, 1).
      rho: a fatigued one who is skipped is fresh at the next, in (0, 1).
      discount: g in (0, 1).
      tired: r_T, what an ad to the fatigued is worth; who is shown one stays fatigued.
    """
    k = discount * rho / (1.0 - discount * (1.0 - rho))
    stays = 1.0 - discount * (1.0 - omega)
    capped = 1.0 / (stays - discount * omega * k)
    always = (1.0 + discount * omega * tired / (1.0 - discount)) / stays
    return TwoState(capped, always, (1.0 - discount) * k * capped)


def stock_of_daily(per_day: float, half_life_d: float) -> float:
    """Adstock right after the ads of a day, which come at one moment: r / (1 - 2 ** (-1 / H))."""
    return per_day / -math.expm1(-math.log(2.0) / half_life_d)


def stock_of_stream(per_day: float, half_life_d: float, days: float) -> float:
    """Mean adstock after some days of a Poisson stream of ads: r H / ln 2 (1 - 2 ** (-t / H))."""
    return per_day * half_life_d / math.log(2.0) * -math.expm1(-math.log(2.0) * days / half_life_d)
