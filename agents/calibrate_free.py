"""The constants that a fit may move, and a configuration with some of them changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.config_words import entries


@dataclass(frozen=True, slots=True)
class Free:
    """A constant that a fit may move.

    Attributes:
      name: dotted key, with the place in a list where it is one: conversion.buy_rate.1.
      low, high: bounds, inside the range of the configuration; both > 0 on a log scale.
      log: whether steps are shares of the constant.
    """

    name: str
    low: float
    high: float
    log: bool = True

    def to_unit(self, value: float) -> float:
        """Where a value lies between the bounds, in [0, 1]. Raises ValueError outside of them."""
        if not self.low <= value <= self.high:
            raise ValueError(
                f"{self.name} is {value:g} and the fit looks between {self.low:g} and {self.high:g}; start "
                "from a configuration inside, such as --config calibrated."
            )
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def from_unit(self, place: float) -> float:
        """The value at a place in [0, 1], to six digits: what a file of the configuration says."""
        if self.log:
            value = self.low * (self.high / self.low) ** place
        else:
            value = self.low + (self.high - self.low) * place
        return min(self.high, max(self.low, float(f"{value:.6g}")))


def value_of(config: MarketConfig, name: str) -> float:
    """The value of a constant by its dotted name. Raises KeyError if there is none."""
    key, place = _split(name)
    value: Any = config
    for step in key.split("."):
        value = getattr(value, step)
    return float(value if place is None else value[place])


def with_constants(config: MarketConfig, values: Mapping[str, float]) -> MarketConfig:
    """A configuration with other values of some constants, checked like any other."""
    from gaelp_env.config_load import differences

    changed: dict[str, Any] = {key: pair[0] for key, pair in differences(config).items()}
    for name, value in values.items():
        key, place = _split(name)
        if place is None:
            changed[key] = value
        else:
            whole = list(changed.get(key, entries()[key].default))
            whole[place] = value
            changed[key] = tuple(whole)
    return load_config(changed)


def _split(name: str) -> tuple[str, int | None]:
    key, _, place = name.rpartition(".")
    if place.isdigit() and key in entries():
        return key, int(place)
    if name not in entries():
        raise KeyError(f"there is no constant {name!r}")
    return name, None
