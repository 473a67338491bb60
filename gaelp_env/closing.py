"""What a tick closes with: totals since birth, and trailing counters."""

from __future__ import annotations

from numba import njit

from gaelp_env.ledger import K


@njit(cache=True)
def close_tick(records, ledgers, keep):  # type: ignore[no-untyped-def]
    """Adds a tick to the market record, and lets the clock go on by one.

    Args:
      records, ledgers: `[1]` of RECORD, written, and of LEDGER, read.
      keep: what is left of a trailing sum after a tick, in (0, 1).
    """
    r, t = records[0], ledgers[0]
    r.tick += 1
    r.episode_tick += 1
    r.visits += t.visits
    r.conversions += t.conversions
    r.attributed += t.attributed
    r.margin_micro += t.margin_micro
    for k in range(K):
        r.touches += t.views[k]
        r.clicks += t.clicks[k]
        r.spend_micro += t.spend_micro[k]
        r.trail[0, k] = r.trail[0, k] * keep + t.opportunities[k]  # in the order of TRAIL
        r.trail[1, k] = r.trail[1, k] * keep + t.wins[k]
        r.trail[2, k] = r.trail[2, k] * keep + t.views[k]
        r.trail[3, k] = r.trail[3, k] * keep + t.clicks[k]
        r.trail[4, k] = r.trail[4, k] * keep + t.spend_micro[k]
    r.trail_attributed = r.trail_attributed * keep + t.attributed
    r.trail_orders = r.trail_orders * keep + t.conversions
