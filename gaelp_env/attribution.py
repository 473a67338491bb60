"""What the advertiser's reports say: last click within a window. Fallible by design."""

from __future__ import annotations

from numba import njit

NOBODY = -1


@njit(inline="always")
def last_click(last_click_h, last_click_channel, due_h, window_h):  # type: ignore[no-untyped-def]
    """The channel that is credited with an order, or NOBODY.

    Args:
      last_click_h: hours of the last click on an ad of ours, -1 if never.
      last_click_channel: its channel.
      due_h: when the order falls due. Reports know this moment and not that of the decision, so a
        click in between is credited with an order that it did not bring.
      window_h: how long a click counts.
    """
    if last_click_h < 0.0 or not 0.0 <= due_h - last_click_h <= window_h:
        return NOBODY
    return last_click_channel
