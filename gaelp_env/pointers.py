"""Arrays that compiled code reaches by their address: no counting of references where one is used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.extending import intrinsic

from gaelp_env.ledger import WORTH, K
from gaelp_env.prices import KNOTS


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """An address (an unsigned integer) as a pointer, for `numba.carray`."""
    if not isinstance(address, types.Integer):
        return None

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(address), emit


pointer: Any = _pointer
"""As compiled code calls it: with the address alone."""


@njit(inline="always")
def prices_of(m):  # type: ignore[no-untyped-def]
    """The table of rivals' prices of a moment, `[K, KNOTS]`; its owner keeps it alive."""
    return carray(pointer(m.prices_at), (K, KNOTS), np.float64)


@njit(inline="always")
def worth_of(m):  # type: ignore[no-untyped-def]
    """The table of what ads are worth, of shape WORTH; its owner keeps it alive."""
    return carray(pointer(m.worth_at), WORTH, np.float64)
