"""Ticks of many small markets in one compiled call, by several threads where that pays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.constants import constant_record_of
from gaelp_env.ledger import LEDGER
from gaelp_env.plan import plan_of
from gaelp_env.threads import for_all, threads
from gaelp_env.turn import CAME, PLAYED, play_turns
from gaelp_env.turn_desk import SIZE

if TYPE_CHECKING:
    from gaelp_env.market import Market

MARKETS_A_THREAD = 8
"""With fewer markets a second thread costs more than it brings."""
_WAITS = -1
_BLANK = np.zeros(1, LEDGER)


def play_together(
    markets: Sequence[Market], bids: NDArray[np.float64], seats: Sequence[int] | None = None
) -> list[list[int]]:
    """Plays one tick of every market; their results do not hang on each other, or on the threads.

    Args:
      markets: of one configuration, each small enough for a desk, all different.
      bids: `[N, 5, A]` CPM, finite.
      seats: what `sit` has just told of each, if it was asked already.
    Returns: what came of each, see turn.CAME.
    """
    count, config = len(markets), markets[0].config
    constants, plan = constant_record_of(config), plan_of(config)
    came = np.zeros((count, len(CAME)), np.int64)
    came[:, 0] = _WAITS
    shares = max(1, min(threads(), count // MARKETS_A_THREAD))
    cuts = [count * share // shares for share in range(shares + 1)]
    seated = [market.sit() for market in markets] if seats is None else seats
    while True:
        desks_at = np.array(seated, np.uint64)

        def part(share: int, desks_at: Any = desks_at) -> None:
            play_turns(constants, plan, desks_at, cuts[share], cuts[share + 1], bids, _BLANK, came)

        for_all(part, range(shares))
        told: list[list[int]] = came.tolist()
        short = [place for place, one in enumerate(told) if one[0] != PLAYED]
        if not short:
            break
        for place in short:
            markets[place].make_room(told[place][0])
        seated = [market.sit() for market in markets]
    for market, one in zip(markets, told, strict=True):
        market.population.size = one[SIZE]
    return told
