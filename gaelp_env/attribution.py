"""What the advertiser's reports say: last click within a window. Fallible by design."""

from __future__ import annotations

from numba import njit

NOBODY = -1


@njit(inline="always")
def last_click(last_click_h, last_click_channel, decided_h, window_h):  # type: ignore[no-untyped-def]
    """The channel that is credited with an order, or NOBODY.

    Args:
      last_click_h: hours of the last click on an ad of ours, -1 if never.
      last_click_channel: its channel.
      decided_h: when the order was decided.
      window_h: how long a click counts.
    """
    if last_click_h < 0.0 or decided_h - last_click_h > window_h:
        return NOBODY
    return last_click_channel
