"""People by name: what a caller outside the market does with one user, through the same dynamics."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from gaelp_env.config import CHANNELS
from gaelp_env.constants import epoch_of
from gaelp_env.ledger import CONVERSION, TOUCH
from gaelp_env.market import Market
from gaelp_env.population import public_columns
from gaelp_env.world_log import Touched, checked_label
from gaelp_env.world_words import one_of
from storage.base import default_id

if TYPE_CHECKING:
    from gaelp_env.world import World

MAX_ID = 200
MOST = 1e9
"""Largest value of an order recorded by hand, currency units."""


class Names:
    """The user_ids that somebody gave; everybody else is "u" and nine digits of the number.

    Attributes:
      by_number: number -> user_id.
    """

    def __init__(self, by_number: dict[int, str]) -> None:
        self.by_number = by_number
        self._by_id = {user_id: number for number, user_id in by_number.items()}
        self._fresh: list[int] = []

    def give(self, number: int, user_id: str) -> None:
        """Names a user; `drop` takes it back until `keep`."""
        self.by_number[number] = user_id
        self._by_id[user_id] = number
        self._fresh.append(number)

    def keep(self) -> None:
        """The episode has finished: its names stay."""
        self._fresh.clear()

    def drop(self) -> None:
        """The episode was dropped: its names are free again."""
        for number in self._fresh:
            del self._by_id[self.by_number.pop(number)]
        self._fresh.clear()

    def forget(self, numbers: Iterable[int]) -> None:
        """Lets go of the names of people who were erased."""
        for number in numbers:
            self._by_id.pop(self.by_number.pop(number, ""), None)

    def number_of(self, user_id: str) -> int | None:
        """The number of a user_id that somebody gave or that is a default one; None if it is neither."""
        if user_id in self._by_id:
            return self._by_id[user_id]
        digits = user_id[1:]
        if digits.isascii() and digits.isdigit() and user_id == default_id(int(digits)):
            return int(digits)
        return None


def get_or_create(world: World, user_id: str, episode_id: str | int | None) -> dict[str, Any]:
    """See World.get_or_create_user."""
    if not isinstance(user_id, str) or not user_id or "\0" in user_id or len(user_id) > MAX_ID:
        raise ValueError(
            f"A user_id is text of 1 to {MAX_ID} characters without NUL, and not {user_id!r:.80}."
        )
    label = checked_label(episode_id)
    if world.market is None:
        world.reset()
    if episode_id is not None and label != world.label:
        world.next_episode(label)
    market = world.ready()
    number = world.names.number_of(user_id)
    if created := number is None:
        world.place.share.check_name(user_id)
        with world.whole():
            number = market.name_user()
            world.names.give(number, user_id)
    else:
        number = _living(world, market, user_id)
    with world.whole():
        market.meet(number)
    return described(world, market, number) | {"created": created}


def touch(world: World, user_id: str, channel: str, clicked: bool) -> dict[str, Any]:
    """See World.record_touchpoint."""
    place = CHANNELS.index(one_of("channel", channel, CHANNELS))
    market = world.ready()
    number = _living(world, market, user_id)
    with world.whole():
        market.meet(number)
        row = market.touch(number, place, clicked=bool(clicked))
        world.log.note(Touched(row), np.zeros(0, CONVERSION))
        after = described(world, market, number)
    world.pass_tick()
    return after


def convert(world: World, user_id: str, value: float) -> dict[str, Any]:
    """See World.record_conversion."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 < value <= MOST:
        raise ValueError(
            f"The value of a conversion is an amount above 0 and up to {MOST:,.0f} currency units, and not "
            f"{value!r:.80}."
        )
    market = world.ready()
    number = _living(world, market, user_id)
    with world.whole():
        market.meet(number)
        row = market.convert(number, float(value))
        world.log.note(Touched(np.zeros(0, TOUCH)), row)
        after = described(world, market, number)
    world.pass_tick()
    return after


def described(world: World, market: Market, number: int) -> dict[str, Any]:
    """A user as of the last visit: the public columns as Python scalars, and counts since birth."""
    index = market.population.index_of(number)
    rows = market.population.rows(np.array([index]))
    public = public_columns(rows, world.names.by_number, epoch_of(market.config), CHANNELS)
    row = rows[0]
    told: dict[str, Any] = {}
    for name, column in public.items():
        value = column[0]
        if isinstance(value, np.datetime64):
            value = str(value)
        told[name] = value.item() if isinstance(value, np.generic) else value
    return told | {
        "number": number,
        "touchpoints": int(row["touches"]),
        "clicks": int(row["clicks"]),
        "visits": int(row["visits"]),
        "conversions": int(row["conversions"]),
        "episode_id": world.label,
    }


def _living(world: World, market: Market, user_id: str) -> int:
    """The number of somebody who lives in the market. Raises LookupError."""
    number = world.names.number_of(user_id)
    if number is None:
        raise LookupError(
            f"World {world.name!r} knows no user {user_id!r}; get_or_create_user brings them in."
        )
    try:
        market.population.index_of(number)
    except KeyError:
        raise LookupError(
            f"Nobody called {user_id!r} lives in world {world.name!r}: no such number was born, or they "
            "have left for good."
        ) from None
    return number
