"""Share of voice: whom a person who is ready to buy thinks of."""

from __future__ import annotations

from numba import njit


@njit(inline="always")
def share_of_voice(awareness, rival_awareness, standing, outside, power):  # type: ignore[no-untyped-def]
    """Our share by attraction: (a + A)**n / ((a + A)**n + Ac**n + o**n).

    The three shares (ours, the rivals', the outside option's) sum to one. Source: attraction models of
    market share (Bell, Keeney, Little, Journal of Marketing Research 12(2), 1975), with our standing
    without ads and an outside option.

    Args:
      awareness: A of our brand, in [0, 1].
      rival_awareness: Ac of the rivals together, in [0, 1].
      standing: a > 0, what we are without ads.
      outside: o >= 0, buying nothing.
      power: n > 0.
    Returns: in (0, 1], rising in A, falling in Ac.
    """
    if power == 1.0:
        ours = standing + awareness
        return ours / (ours + rival_awareness + outside)
    ours = (standing + awareness) ** power
    return ours / (ours + rival_awareness**power + outside**power)
