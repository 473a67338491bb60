"""Frequency caps: how many ads of ours a user has seen within a window."""

from __future__ import annotations

from numba import njit

from gaelp_env.population import EMPTY_MINUTE, RING


@njit(inline="always")
def seen_within(ring_minute, now_h, window_h):  # type: ignore[no-untyped-def]
    """How many of the user's last touches lie within the window, 0 … RING.

    Touches are kept to the minute, and one counts until its whole minute has left the window, so a cap is
    never overrun. Since the ring holds the last RING touches, no cap of up to RING is missed.

    Args:
      ring_minute: `[RING]` minutes of the last touches, EMPTY_MINUTE where there is none.
      now_h, window_h: hours.
    """
    since = (now_h - window_h) * 60.0
    count = 0
    for k in range(RING):
        minute = ring_minute[k]
        if minute != EMPTY_MINUTE and minute + 1 > since:
            count += 1
    return count
