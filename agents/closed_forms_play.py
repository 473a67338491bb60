"""Plays a market at given bids, and seeks the bid that the market itself finds best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.ledger import MICRO, K
from gaelp_env.market import Market
from gaelp_env.special_cases import CASES

Floats = NDArray[np.float64]

OPEN = 1e4
"""A bid that beats any price of the markets of people, CPM."""
SIGNIFICANT = 3.0
"""Standard errors that a figure may be off."""
NODES, DEGREE = 11, 5
"""Bids of the last look, and the degree of the polynomial through their surplus."""
WINDOW = (0.6, 1.5)
"""Where they lie, as multiples of the best bid so far."""
NARROW = (0.7, 1.25)
"""The same where no rival bids higher and surplus has a kink not far above the best bid."""
_COARSE = np.geomspace(0.1, 10.0, 15)
_FINE = np.linspace(-1.0, 1.0, 2001)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the market beside the exact one.

    Attributes:
      what: in words.
      value: the market's.
      exact: the closed form's.
      error: standard error of `value`; 0 where no chance is in it.
      slack: what rounding may add, where no chance is in it.
      scale: what the standard error is held to; the exact value if not given.
    """

    what: str
    value: float
    exact: float
    error: float
    slack: float = 0.0
    scale: float | None = None

    @property
    def off(self) -> float:
        """The difference in standard errors; for a figure without chance, in units of its slack."""
        apart = self.value - self.exact
        if self.error == 0.0:
            return 0.0 if apart == 0.0 else apart / self.slack if self.slack else float("inf")
        return apart / self.error

    @property
    def relative_error(self) -> float:
        """Standard error as a share of `scale`."""
        return self.error / (abs(self.exact if self.scale is None else self.scale) or 1.0)

    def met(self, most: float) -> bool:
        """Whether the value lies within three standard errors, and these are at most `most`; without chance,
        whether it lies within its slack."""
        return abs(self.off) <= (SIGNIFICANT if self.error else 1.0) and self.relative_error <= most

    def as_json(self, most: float) -> dict[str, Any]:
        return {"what": self.what, "value": self.value, "exact": self.exact, "standard_error": self.error,
                "slack": self.slack, "off": self.off, "relative_error": self.relative_error,
                "met": self.met(most)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Played:
    """What a number of ticks came to, `[ticks, K]` each; money in CPM x impressions."""

    opportunities: Floats
    wins: Floats
    cost: Floats
    value: Floats

    @property
    def surplus(self) -> Floats:
        return self.value - self.cost


def case_config(name: str, **more: Any) -> MarketConfig:
    """The configuration of a special case, with other settings laid over it (`__` for the dot)."""
    return load_config(CASES[name].config | {key.replace("__", "."): value for key, value in more.items()})


def only(channel: int) -> Floats:
    """Bids `[K]` that win one channel always, and no other ever."""
    bids = np.zeros(K)
    bids[channel] = OPEN
    return bids


class Stage:
    """A market that is played again and again from its birth, with the same people and the same luck.

    The value of an ad is what the ledger accrues for it: by channel the ads seen times their value, and in
    all `accrued_micro`; the two are held to each other.
    """

    def __init__(self, config: MarketConfig, seed: int) -> None:
        self.config = config
        self._market = Market.born(config, seed)
        self._birth = self._market.checkpoint()
        conversion = config.conversion
        worth = conversion.buy_rate[0] * conversion.order_value * conversion.margin
        self.value_cpm = np.array([1000.0 * c.click_rate[0] * worth for c in config.channels.in_order()])

    def play(self, bids_cpm: Floats, ticks: int) -> Played:
        """Plays the first ticks of this market's life at the same bids.

        Raises: RuntimeError if the ledger accrues something else than the ads seen are worth.
        """
        market = self._market
        market.rollback(self._birth)
        rows = np.zeros((4, ticks, K))
        accrued = 0
        for t in range(ticks):
            ledger = market.advance(bids_cpm).ledger
            rows[0, t], rows[1, t] = ledger["opportunities"], ledger["wins"]
            rows[2, t] = ledger["spend_micro"] * (1000.0 / MICRO)
            rows[3, t] = ledger["views"] * self.value_cpm
            accrued += int(ledger["accrued_micro"])
        total = rows[3].sum() * (MICRO / 1000.0)
        if abs(accrued - total) > 1e-5 * total + 1e3:
            raise RuntimeError(
                f"The ledger accrues {accrued} micro-units and the ads seen are worth {total:.0f}; "
                "in this market both should be the same."
            )
        return Played(*rows)


def ratio(above: Floats, below: Floats) -> tuple[float, float]:
    """A ratio of sums and its standard error (delta method); ticks are independent of each other.

    Args:
      above, below: `[ticks, K]`.
    """
    a, b = above.sum(axis=1), below.sum(axis=1)
    value = float(a.sum() / b.sum())
    rest = a - value * b
    return value, float(np.sqrt(len(a) / (len(a) - 1.0) * (rest @ rest)) / b.sum())


def best_bids(
    surplus_at: Callable[[Floats, int], tuple[Floats, Floats]],
    start: Floats,
    ticks: int,
    window: tuple[float, float] = WINDOW,
) -> tuple[Floats, Floats]:
    """Searches the market for the bids with the most surplus, and tells how sure it is.

    First on a coarse grid from a tenth of `start` to ten times, on a few ticks; then twice through the
    surplus at Chebyshev nodes around the best so far, with a polynomial of degree 5 between them. All bids
    meet the same auctions. The standard error is the jackknife's over the ticks.

    Args:
      surplus_at: (`[G]` multiples or bids, ticks) -> surplus and opportunities, `[ticks, G]` each.
      start: `[G]` where to look, > 0; each of the G is a search of its own.
      ticks: of the last look.
      window: of the two last looks, as multiples of the best so far.
    Returns: `[G]` best and `[G]` standard error.
    """
    few = max(8, ticks // 8)
    nodes = np.cos(np.pi * (2 * np.arange(NODES) + 1) / (2 * NODES))
    seen = np.array([_mean(*surplus_at(start * m, few)) for m in _COARSE])
    best = start * _COARSE[seen.argmax(axis=0)]
    error = np.zeros_like(best)
    for looked in (few, ticks):
        low, high = window[0] * best, window[1] * best
        curves = [surplus_at(0.5 * (low + high) + 0.5 * (high - low) * node, looked) for node in nodes]
        gain = np.array([curve[0] for curve in curves])  # [NODES, ticks, G]
        count = np.array([curve[1] for curve in curves])
        at, spread = _top(nodes, gain, count)
        best = 0.5 * (low + high) + 0.5 * (high - low) * at
        error = 0.5 * (high - low) * spread
    return best, error


def _mean(gain: Floats, count: Floats) -> Floats:
    mean: Floats = gain.sum(axis=0) / count.sum(axis=0)
    return mean


def _top(nodes: Floats, gain: Floats, count: Floats) -> tuple[Floats, Floats]:
    """Where the polynomials peak in [-1, 1], `[G]`, and the jackknife's standard errors."""
    ticks, groups = gain.shape[1:]
    whole = gain.sum(axis=1) / count.sum(axis=1)
    without = (gain.sum(axis=1)[:, None] - gain) / (count.sum(axis=1)[:, None] - count)
    at, spread = np.empty(groups), np.empty(groups)
    for g in range(groups):
        at[g] = peak(nodes, whole[:, g : g + 1])[0]
        left = peak(nodes, without[:, :, g])
        spread[g] = np.sqrt((ticks - 1.0) / ticks * ((left - left.mean()) ** 2).sum())
    return at, spread


def peak(nodes: Floats, heights: Floats) -> Floats:
    """Where polynomials through points are highest in [-1, 1].

    Args:
      nodes: `[N]` places.
      heights: `[N, M]`, a column for each polynomial.
    Returns: `[M]`.
    """
    terms = np.polynomial.chebyshev.chebvander(nodes, DEGREE)
    weights = np.linalg.lstsq(terms, heights, rcond=None)[0]
    fine = np.polynomial.chebyshev.chebvander(_FINE, DEGREE) @ weights
    top = np.clip(fine.argmax(axis=0), 1, len(_FINE) - 2)
    column: Any = np.arange(heights.shape[1])
    below, here, above = fine[top - 1, column], fine[top, column], fine[top + 1, column]
    bend = below - 2.0 * here + above
    step = np.where(bend < 0.0, 0.5 * (below - above) / np.where(bend < 0.0, bend, 1.0), 0.0)
    at: Floats = _FINE[top] + np.clip(step, -1.0, 1.0) * (_FINE[1] - _FINE[0])
    return at
