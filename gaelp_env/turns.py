"""Ticks of many small markets in one compiled call, by several threads where that pays."""

from __future__ import annotations

import itertools
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


def play_together(markets: Sequence[Market], bids: NDArray[np.float64]) -> list[list[int]]:
    """Plays one tick of every market; their results do not hang on each other, or on the threads.

    Args:
      markets: of one configuration, each small enough for a desk, all different.
      bids: `[N, 5, A]` CPM, finite.
    Returns: what came of each, see turn.CAME.
    """
    count, config = len(markets), markets[0].config
    constants, plan = constant_record_of(config), plan_of(config)
    came = np.zeros((count, len(CAME)), np.int64)
    came[:, 0] = _WAITS
    cuts = np.linspace(0, count, max(1, min(threads(), count // MARKETS_A_THREAD)) + 1).astype(int).tolist()
    parts = list(itertools.pairwise(cuts))
    short = True
    while short:
        desks_at = np.array([market.sit() for market in markets], np.uint64)

        def part(number: int, desks_at: Any = desks_at) -> None:
            play_turns(constants, plan, desks_at, *parts[number], bids, _BLANK, came)

        for_all(part, range(len(parts)))
        short = bool((came[:, 0] != PLAYED).any())
        if short:
            for place in np.flatnonzero(came[:, 0] != PLAYED).tolist():
                markets[place].make_room(int(came[place, 0]))
    told: list[list[int]] = came.tolist()
    for market, one in zip(markets, told, strict=True):
        market.population.size = one[SIZE]
    return told
