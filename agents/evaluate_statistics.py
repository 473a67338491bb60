"""Means of replicates with Student's t-intervals, and ratios of means with Fieller's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean (or a ratio of means) over replicates with its 95 % interval.

    Attributes:
      mean: the point estimate; None where it does not exist (a ratio to zero).
      low, high: ends of the interval; None where the replicates bound nothing.
      replicates: how many independent values it rests on.
    """

    mean: float | None
    low: float | None
    high: float | None
    replicates: int

    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low is not None and self.low > 0.0

    def to_json(self) -> dict[str, Any]:
        """The estimate as plain numbers."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "replicates": self.replicates}


def t_probability(t: float, degrees: int) -> float:
    """The probability that a Student t variable lies within [-t, t], in closed form.

    With theta = atan(t / sqrt(n)): finite sums of powers of cos(theta), one for odd and one for even n.
    Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.

    Args:
      t: >= 0.
      degrees: n >= 1, degrees of freedom.
    Returns: in [0, 1), increasing in t.
    """
    theta = math.atan(t / math.sqrt(degrees))
    cosine_squared = math.cos(theta) ** 2
    odd = degrees % 2 == 1
    term = total = math.cos(theta) if odd else 1.0
    for k in range(3 if odd else 2, degrees - 1, 2):
        term *= cosine_squared * (k - 1) / k
        total += term
    if not odd:
        return math.sin(theta) * total
    return 2.0 / math.pi * (theta + (math.sin(theta) * total if degrees > 1 else 0.0))


def t_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """The t that holds `confidence` of a Student t variable between -t and t.

    Args:
      degrees: degrees of freedom, >= 1.
      confidence: in (0, 1).
    """
    if degrees < 1:
        raise ValueError(f"A t-interval needs at least 2 replicates, and there are {degrees + 1}.")
    low, high = 0.0, 1.0
    while t_probability(high, degrees) < confidence:
        high *= 2.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if t_probability(middle, degrees) < confidence else (low, middle)
    return 0.5 * (low + high)


def interval(values: NDArray[np.float64]) -> Estimate:
    """The mean of independent replicates with its t-interval: m ± t(n - 1) * s / sqrt(n).

    Args:
      values: `[R]`, R >= 2.
    """
    values = np.asarray(values, np.float64)
    count = len(values)
    half = t_quantile(count - 1) * float(values.std(ddof=1)) / math.sqrt(count)
    mean = float(values.mean())
    return Estimate(mean, mean - half, mean + half, count)


def ratio_interval(above: NDArray[np.float64], below: NDArray[np.float64]) -> Estimate:
    """The ratio of two means over the same replicates, with Fieller's interval.

    The ends are the roots of (a - r b)^2 = t^2 var(mean(a) - r mean(b)); where the denominator does not
    differ from zero beyond its own interval the ratio is unbounded, and the ends are None.
    Source: Fieller, J. R. Stat. Soc. B 16(2), 1954.

    Args:
      above, below: `[R]` paired values, R >= 2.
    """
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    count = len(above)
    a, b = float(above.mean()), float(below.mean())
    if b == 0.0:
        return Estimate(None, None, None, count)
    (var_a, cov), (_, var_b) = (np.cov(above, below) / count).tolist()
    t2 = t_quantile(count - 1) ** 2
    quadratic = b * b - t2 * var_b
    if quadratic <= 0.0:
        return Estimate(a / b, None, None, count)
    linear = a * b - t2 * cov
    root = math.sqrt(max(0.0, linear * linear - quadratic * (a * a - t2 * var_a)))
    return Estimate(a / b, (linear - root) / quadratic, (linear + root) / quadratic, count)
