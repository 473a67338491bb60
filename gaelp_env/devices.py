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
def session_device(home, u, redraw, desktop, desktop_or_mobile):  # type: ignore[no-untyped-def]
    """The device of a session: with probability s drawn from the shares, else the person's own.

    It hangs on the address of the draw alone and not on earlier sessions, so that an ad which has no effect
    moves no later device. Sessions keep the shares, whatever s is; k sessions are on several devices with
    probability 1 - sum_h p_h ((1 - s (1 - p_h))**k + sum_(e != h) (s p_e)**k).

    Args:
      home: the person's own device.
      u: uniform in (0, 1); both the choice to redraw and the draw come from it.
      redraw: s in [0, 1].
      desktop, desktop_or_mobile: cumulated shares.
    """
    if u >= redraw:
        return home
    return device_of(u / redraw, desktop, desktop_or_mobile)


@njit(inline="always")
def how_many(used):  # type: ignore[no-untyped-def]
    """How many devices a set has: bits 0 to 2, one a device."""
    return (used & 1) + ((used >> 1) & 1) + ((used >> 2) & 1)
