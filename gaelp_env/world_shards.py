"""Shards: a world born with S of them is S markets, each with its own people, money, rivals, clock and luck.

What happens in a shard follows from the configuration, the seed, S, which shard it is, and the actions;
never from who plays it, or from how many processes play the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gaelp_env.chance import key_of
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import ConfigError
from gaelp_env.ledger import MICRO
from gaelp_env.market import Market
from storage.base import StoreError
from storage.shards import MOST_SHARDS

NUMBERS = 4_000_000_000
"""Numbers that people of one world can have, over all its shards; those of a shard are in a row."""
_BUDGETS = ("per_episode", "per_day", "lifetime")


@dataclass(frozen=True, slots=True)
class Share:
    """One shard of a world of `shards`; the only one by default, which is the whole world."""

    shard: int = 0
    shards: int = 1

    @property
    def first_number(self) -> int:
        """Number of the shard's first person: 0, or for shard k of S, k * 4e9 // S."""
        return self.shard * NUMBERS // self.shards

    def has_number(self, number: int) -> bool:
        """Whether a number is, or may be, of somebody in the shard."""
        return self.first_number <= number < (self.shard + 1) * NUMBERS // self.shards or self.shards == 1

    def check_numbers(self, next_number: int) -> None:
        """Raises StoreError if the shard has borne more people than it has numbers."""
        end = (self.shard + 1) * NUMBERS // self.shards
        if next_number > end:
            raise StoreError(
                f"Shard {self.shard} of {self.shards} has used up its {end - self.first_number:,} numbers "
                "for people, and a number is never reused. Begin a new world, with fewer shards or people."
            )

    def check_name(self, user_id: str) -> None:
        """Raises ValueError if somebody new of that name belongs to another shard: each name to one."""
        home = key_of("name", user_id) % self.shards
        if home != self.shard:
            raise ValueError(
                f"User {user_id!r} belongs to shard {home} of the {self.shards}, by its name, and this is "
                f"shard {self.shard}; open the world with shard={home} for them."
            )

    def seed(self, seed: int) -> int:
        """The shard's own seed: the world's, or derived from it and from which shard this is."""
        return seed if self.shards == 1 else key_of("shard", seed, self.shard)

    def of(self, config: MarketConfig) -> MarketConfig:
        """The shard's part of a configuration. Raises ConfigError if there are fewer people than shards."""
        return config if self.shards == 1 else _part_of(config, self.shard, self.shards)

    def born(self, config: MarketConfig, seed: int) -> Market:
        """A new market for the shard: its part of the world that `config` describes."""
        return Market.born(self.of(config), self.seed(seed), self.first_number)


WHOLE = Share()
"""The only shard of a world of one."""


@lru_cache(maxsize=4 * MOST_SHARDS)
def _part_of(config: MarketConfig, shard: int, shards: int) -> MarketConfig:
    """People and money split evenly; the first shards have one person or micro-unit more where it must be."""
    if config.people.users < shards:
        raise ConfigError(
            f"people.users is {config.people.users}, and a world of {shards} shards has at least one person "
            "in each; ask for fewer shards, or more people."
        )

    def part(whole: int) -> int:
        return whole // shards + (shard < whole % shards)

    money = {name: getattr(config.budget, name) for name in _BUDGETS}
    parts = {name: part(round(sum_ * MICRO)) / MICRO for name, sum_ in money.items() if sum_ is not None}
    people = config.people.model_copy(update={"users": part(config.people.users)})
    return config.model_copy(update={"people": people, "budget": config.budget.model_copy(update=parts)})


def checked_shards(shards: object, shard: object, world: str) -> None:
    """Raises ValueError for a number of shards, or of a shard, that cannot be."""
    for name, value, least in (("shards", shards, 1), ("shard", shard, 0)):
        most = MOST_SHARDS - 1 + least
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{name} is a whole number from {least} to {most}, or None, and not {value!r}.")
    if isinstance(shards, int) and isinstance(shard, int) and shard >= shards:
        raise ValueError(f"A world of {shards} shards has shards 0 to {shards - 1}, and no shard {shard}.")
    if "/" in world and (shards not in (None, 1) or shard not in (None, 0)):
        raise ValueError(
            f"World {world!r} is a sub-world, and those have one shard; give a world of several a plain "
            f"name, such as {world.partition('/')[0]!r}."
        )
