"""The configuration of a market: typed, frozen, validated at the door.

The defaults in code *are* `AdMarket-v1`; a YAML file holds only what differs. Every field says its
unit, its range and its source, or the word *assumed*; `docs/market.md` is made from here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import Field

from gaelp_env.sections import Part
from gaelp_env.sections_market import CHANNELS as CHANNELS
from gaelp_env.sections_market import Channel as Channel
from gaelp_env.sections_market import Channels as Channels
from gaelp_env.sections_market import Prices as Prices
from gaelp_env.sections_market import Rivals as Rivals
from gaelp_env.sections_people import Budget as Budget
from gaelp_env.sections_people import Clock as Clock
from gaelp_env.sections_people import Goals as Goals
from gaelp_env.sections_people import People as People
from gaelp_env.sections_person import Conversion as Conversion
from gaelp_env.sections_person import Journey as Journey
from gaelp_env.sections_person import Response as Response
from gaelp_env.sections_person import Visits as Visits


class MarketConfig(Part):
    """A whole market. `MarketConfig()` is AdMarket-v1."""

    clock: Clock = Field(default_factory=Clock)
    people: People = Field(default_factory=People)
    channels: Channels = Field(default_factory=Channels)
    prices: Prices = Field(default_factory=Prices)
    rivals: Rivals = Field(default_factory=Rivals)
    response: Response = Field(default_factory=Response)
    journey: Journey = Field(default_factory=Journey)
    visits: Visits = Field(default_factory=Visits)
    conversion: Conversion = Field(default_factory=Conversion)
    budget: Budget = Field(default_factory=Budget)
    goals: Goals = Field(default_factory=Goals)

    def to_json(self) -> str:
        """The configuration as canonical JSON (sorted keys, no spaces): equal text, equal market."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @cached_property
    def _fingerprint(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of `to_json()`."""
        return self._fingerprint

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's: a copy with fields replaced, unchecked."""
        copied = super().model_copy(update=update, deep=deep)
        # pydantic copies what is cached as well, and with it the fingerprint of another market.
        copied.__dict__.pop("_fingerprint", None)
        return copied

    # Tables are cached by configuration and looked up at every tick, so equality must be cheap.
    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MarketConfig):
            return NotImplemented
        return self is other or self._fingerprint == other._fingerprint
