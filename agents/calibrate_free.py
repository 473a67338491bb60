"""The constants that a fit may move, and a configuration with some of them changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import differences, load_config
from gaelp_env.config_words import entries


@dataclass(frozen=True, slots=True)
class Free:
    """A constant that a fit may move.

    Attributes:
      name: dotted key, with the place in a list where it is one: conversion.buy_rate.1.
      start: where the published fit begins: set by hand, then the end of an earlier fit, rounded.
      low, high: bounds, inside the range of the configuration; both > 0 on a log scale.
      log: whether steps are shares of the constant.
    """

    name: str
    start: float
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


FREE = (
    Free("people.media_per_day", 8.64, 4.0, 20.0),
    Free("people.propensity_log_sd", 0.732, 0.2, 1.5, log=False),
    Free("channels.display.click_rate.0", 0.00146, 0.0005, 0.005),
    Free("response.adstock_visit", 0.326, 0.1, 2.0),
    Free("rivals.standing", 2.95, 0.5, 20.0),
    Free("journey.visit_push.0", 7.68, 6.0, 9.0, log=False),
    Free("journey.visit_push.1", 8.83, 7.5, 11.5, log=False),
    Free("journey.backward_half_life_d.1", 9.66, 3.0, 40.0),
    Free("visits.return_probability.0", 0.0234, 0.008, 0.08),
    Free("visits.return_probability.1", 0.52, 0.3, 0.8),
    Free("visits.return_probability.2", 0.788, 0.5, 0.93),
    Free("visits.return_probability.3", 0.902, 0.6, 0.945),
    Free("visits.return_buyer", 0.536, 0.25, 0.9),
    Free("visits.return_propensity", 0.249, 0.0, 2.0, log=False),
    Free("visits.same_day_share", 0.517, 0.2, 0.55, log=False),
    Free("visits.gap_days", 8.21, 4.0, 16.0),
    Free("conversion.visit_rate.0", 0.000979, 0.0003, 0.003),
    Free("conversion.buy_rate.0", 0.00175, 0.0008, 0.008),
    Free("conversion.buy_rate.1", 0.0378, 0.014, 0.12),
    Free("conversion.buy_rate.2", 0.0551, 0.02, 0.2),
    Free("conversion.buy_rate.3", 0.0656, 0.025, 0.25),
)
"""Constants that a fit moves. Their bounds are a third to three times the start, where that makes sense."""


def value_of(config: MarketConfig, name: str) -> float:
    """The value of a constant by its dotted name. Raises KeyError if there is none."""
    key, place = _split(name)
    value: Any = config
    for step in key.split("."):
        value = getattr(value, step)
    return float(value if place is None else value[place])


def with_constants(config: MarketConfig, values: Mapping[str, float]) -> MarketConfig:
    """A configuration with other values of some constants, checked like any other."""
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
