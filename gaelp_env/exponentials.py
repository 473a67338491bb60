"""Exponentials for the inner loop: tables and a short polynomial, inlined, as exact as a double allows.

    exp(x) = 2 ** (n / 32) * exp(r),   n = round(32 x / ln 2),   |r| <= ln 2 / 64

2 ** (n / 32) is the product of a power of two and one of 32 roots; exp(r) is its series up to r ** 6, whose
rest is below 1e-17. The mathematical library's own function is a call through two wrappers, which costs the
tick more than the sum itself. Source: P. T. P. Tang, "Table-driven implementation of the exponential
function in IEEE floating-point arithmetic", ACM TOMS 15(2), 1989.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_ROOTS = np.array([2.0 ** (k / 32.0) for k in range(32)])
_LEAST, _MOST = -1075, 1023
_POWERS = np.array([math.ldexp(1.0, n) for n in range(_LEAST, _MOST + 1)])
_PER_ROOT = 32.0 / math.log(2.0)
_ROOT_HIGH = float.fromhex("0x1.62e42fef80000p-6")
"""ln 2 / 32 in two parts, the first with room for an exact product with n."""
_ROOT_LOW = float.fromhex("0x1.1cf79abc9e3b4p-41")
_SMALLEST, _LARGEST = -745.0, 709.0
_SHIFT = 2**16
_UP = _SHIFT + 0.5
"""A cut towards zero rounds down once the number is above zero; it is faster than a floor."""


@njit(inline="always")
def exponential(x):  # type: ignore[no-untyped-def]
    """exp(x), relative error below 4e-16 for results that are normal numbers.

    Args:
      x: any finite number; below -745 gives 0, above 709 the exponential of 709.
    """
    if x < _SMALLEST:
        return 0.0
    x = min(x, _LARGEST)
    n = int(x * _PER_ROOT + _UP) - _SHIFT
    r = (x - n * _ROOT_HIGH) - n * _ROOT_LOW
    r2 = r * r
    series = (
        r + r2 * (0.5 + r * (1.0 / 6.0)) + r2 * r2 * ((1.0 / 24.0) + r * (1.0 / 120.0) + r2 * (1.0 / 720.0))
    )
    root = _ROOTS[n & 31]
    return (root + root * series) * _POWERS[(n >> 5) - _LEAST]
