"""Meeting one person by hand: the verbs of `World` for callers who bring their own touchpoints.

The same functions as in the loop, on one row: what a recorded touch does is what a won one does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_env.chance import RESPOND, SLOTS, uniforms
from gaelp_env.encounters import settle_one
from gaelp_env.exposure import choose_creative, effect_left, note_touch, see_ad
from gaelp_env.ledger import CONVERSION, LEDGER, TOUCH, VISIT
from gaelp_env.population import Population
from gaelp_env.sessions import PAID
from gaelp_env.upkeep import bring_up_to_date, device_now, go_on, let_clock_run, tally
from gaelp_env.visiting import visit_site

_FIRST_BY_HAND = 1 << 16
"""Draws by hand are numbered from here, by the user's touches, beyond any candidate of a tick."""


@njit(cache=True)
def _meet(constants, moments, hot, i, now_h, sums):  # type: ignore[no-untyped-def]
    c, m, row, total = constants[0], moments[0], hot[i], sums[0]
    tally(row, -1, total)
    let_clock_run(c, m, row, now_h)
    total.met += bring_up_to_date(c, m, row, now_h)
    tally(row, 1, total)


@njit(cache=True)
def _touch(constants, moments, hot, cold, i, channel, clicked, now_h, sums, counts, touches, visits):  # type: ignore[no-untyped-def]
    c, m, row, rest, total = constants[0], moments[0], hot[i], cold[i], sums[0]
    n = _FIRST_BY_HAND + row.touches
    tally(row, -1, total)
    _u, u_ad_move, u_visit_move, u_device = uniforms(m.key, row.number, m.tick, RESPOND, n)
    go_on(c, row, rest, now_h, counts[0])
    _a, _b, _c, u_creative = uniforms(m.key, row.number, m.tick, SLOTS, n)
    creative = choose_creative(c, m, row, u_creative)
    left = effect_left(c, row, rest, channel, creative, now_h)
    see_ad(c, m, row, channel, creative, now_h, u_ad_move, left, float(clicked), counts[0])
    note_touch(row, rest, channel, now_h, clicked)
    counts[0].views[channel] += 1
    touch = touches[0]
    touch.number, touch.tick, touch.channel, touch.own = row.number, m.tick, channel, 1
    touch.clicked, touch.episode = clicked, m.episode
    decided = 0
    if clicked:
        counts[0].clicks[channel] += 1
        device = device_now(c, row, u_device)
        decided = visit_site(
            c, m, row, rest, now_h, n, u_visit_move, device, PAID, channel, counts[0], visits[0]
        )
    tally(row, 1, total)
    return decided


@njit(cache=True)
def _convert(constants, moments, hot, cold, i, value, now_h, sums, counts, orders):  # type: ignore[no-untyped-def]
    c, m, row, rest, total = constants[0], moments[0], hot[i], cold[i], sums[0]
    tally(row, -1, total)
    settle_one(c, m, row, rest, now_h, value, orders[0], counts[0])
    tally(row, 1, total)


def meet(constants: Any, moments: Any, people: Population, at: int, now_h: float, sums: Any) -> None:
    """Brings the user at position `at` up to date and counts them as met in the open episode."""
    _meet(constants, moments, people.hot, at, now_h, sums)
    people.note_changed(slice(at, at + 1))


def touch(
    constants: Any, moments: Any, people: Population, at: int, channel: int, clicked: bool,
    now_h: float, sums: Any,
) -> tuple[NDArray[Any], bool, Any]:  # fmt: skip
    """Shows the user at `at` an ad; returns (`[1]` of TOUCH, whether an order was decided, LEDGER)."""
    counts, touches = np.zeros(1, LEDGER), np.zeros(1, TOUCH)
    decided = _touch(
        constants, moments, people.hot, people.cold, at, channel, int(clicked), now_h, sums, counts,
        touches, np.zeros(1, VISIT),
    )  # fmt: skip
    people.note_changed(slice(at, at + 1))
    return touches, bool(decided), counts[0]


def convert(
    constants: Any, moments: Any, people: Population, at: int, value: float, now_h: float, sums: Any
) -> tuple[NDArray[Any], Any]:
    """Lets an order of the user at `at` fall due; returns (`[1]` of CONVERSION, LEDGER)."""
    counts, orders = np.zeros(1, LEDGER), np.zeros(1, CONVERSION)
    _convert(constants, moments, people.hot, people.cold, at, float(value), now_h, sums, counts, orders)
    people.note_changed(slice(at, at + 1))
    return orders, counts[0]
