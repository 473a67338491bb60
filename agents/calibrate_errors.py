"""Standard errors of figures: how much they hang on the people who happened to be born."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from agents.calibrate_logs import Played, Rows
from agents.calibrate_measure import moments

GROUPS = 20
"""People are split by user number into so many groups of the same size."""


def standard_errors(played: Played, pair: tuple[Played, Played] | None = None) -> dict[str, float]:
    """The standard error of every figure that is taken of people.

        s.e. = sd over groups / sqrt(GROUPS)

    Within a tick people are independent, given the bids. So each group, user number modulo GROUPS, is a small
    sample of its own, and its figures are taken as those of all people are. What people share, such as
    rivals that learn, is no part of it. A figure of ledgers, which do not know people, has none.

    Args:
      played, pair: as `moments` takes them; a person is in the same group in both worlds of a pair.
    Returns: the figures that every group gives, so none of a run that is too small for one; >= 0.
    """
    worlds = (played, *(pair or ()))
    groups = [_figures(*group) for group in zip(*map(_groups, worlds), strict=True)]
    found: dict[str, float] = {}
    for name in groups[0]:
        values = np.array([group.get(name, math.nan) for group in groups])
        if np.isfinite(values).all():
            found[name] = float(values.std(ddof=1)) / math.sqrt(GROUPS)
    return found


def _figures(played: Played, *pair: Played) -> dict[str, float]:
    return moments(played, (pair[0], pair[1]) if pair else None)


def _groups(played: Played) -> Iterator[Played]:
    parts = [_parts(rows) for rows in (played.visits, played.seen, played.orders)]
    for visits, seen, orders in zip(*parts, strict=True):
        yield replace(played, visits=visits, seen=seen, orders=orders, ledgers=played.ledgers[:0])


def _parts(rows: Rows) -> Iterator[Rows]:
    group = (rows["number"] % GROUPS).astype(np.uint8)
    for one in range(GROUPS):
        yield np.take(rows, np.flatnonzero(group == one))
