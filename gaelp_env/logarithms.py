"""Logarithms for the inner loop: a table and a short series, inlined, as exponentials.py has exponentials.

    ln(x) = k ln 2 + ln(c) + ln(1 + r),   x = 2 ** k * z,   r = z / c - 1,   |r| <= 2 ** -7

z lies in [11/16, 11/8), and c is the middle of its interval among 128; around one it is one itself, so that
the logarithm of a number near one keeps its digits. Source: the table-driven logarithm of musl and of Arm's
optimized routines, without the fused products.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

_FIRST = 0x3FE6000000000000
"""Bits of 11/16."""
_LOG_INTERVALS = 7
_ONE = 80
"""Number of the interval that begins at one."""


def _number(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


def _inverse_middle(place: int) -> float:
    if place in (_ONE - 1, _ONE):
        return 1.0
    step = 1 << (52 - _LOG_INTERVALS)
    return 2.0 / (_number(_FIRST + place * step) + _number(_FIRST + (place + 1) * step))


_INVERSES = np.array([_inverse_middle(place) for place in range(1 << _LOG_INTERVALS)])
_LOGS = np.array([-math.log(inverse) for inverse in _INVERSES])
_LN2 = math.log(2.0)
_EXPONENT = -(1 << 52)
_LAST = (1 << _LOG_INTERVALS) - 1


@intrinsic
def _to_bits(typing_context: Any, number: Any) -> Any:
    """The bits of a float64 as an int64."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), emit


@intrinsic
def _from_bits(typing_context: Any, bits: Any) -> Any:
    """The float64 of these bits."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), emit


_bits: Any = _to_bits
_number_of: Any = _from_bits


@njit(inline="always")
def logarithm(x):  # type: ignore[no-untyped-def]
    """ln(x), off by less than 4e-16 and 4e-16 of its value.

    Args:
      x: > 0, a normal finite number.
    """
    bits = _bits(x)
    above = bits - _FIRST
    place = np.uint64((above >> (52 - _LOG_INTERVALS)) & _LAST)
    z = _number_of(bits - (above & _EXPONENT))
    r = z * _INVERSES[place] - 1.0
    r2 = r * r
    tail = (1.0 / 3.0 - 0.25 * r) + r2 * ((0.2 - r * (1.0 / 6.0)) + r2 * (1.0 / 7.0))
    return (above >> 52) * _LN2 + (_LOGS[place] + (r - r2 * (0.5 - r * tail)))
