"""Devices: on which one a person meets us, and how many a journey takes."""

from __future__ import annotations

from numba import njit

DESKTOP, MOBILE, TABLET = 0, 1, 2


@njit(inline="always")
def device_of(u, desktop, desktop_or_mobile):  # type: ignore[no-untyped-def]
    """The device of a uniform: desktop, mobile or tablet by their cumulated shares."""
    if u < desktop:
        return DESKTOP
    return MOBILE if u < desktop_or_mobile else TABLET


@njit(inline="always")
def device_after(device, u, redraw, desktop, desktop_or_mobile):  # type: ignore[no-untyped-def]
    """The device of the next session: with probability s drawn anew from the shares, else the same.

    The shares are the chain's steady state, whatever s is. Over k sessions a person uses more than one
    device with probability 1 - (sum_d p_d (1 - s (1 - p_d))**(k - 1)).

    Args:
      device: of the session before.
      u: uniform in (0, 1); both the choice to redraw and the draw come from it.
      redraw: s in [0, 1].
      desktop, desktop_or_mobile: cumulated shares.
    """
    if u >= redraw:
        return device
    return device_of(u / redraw, desktop, desktop_or_mobile)


@njit(inline="always")
def how_many(used):  # type: ignore[no-untyped-def]
    """How many devices a set has: one bit a device, 0 … 7."""
    return (used & 1) + ((used >> 1) & 1) + ((used >> 2) & 1)
