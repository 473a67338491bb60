"""What a world says: refusals as sentences, and its totals as plain numbers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import ConfigError, differences
from gaelp_env.constants import epoch_of
from gaelp_env.ledger import MICRO, SCORE_UNIT
from gaelp_env.market import Market
from gaelp_env.population import STAGES, moments
from gaelp_env.world_log import TOUCH_LOGS
from gaelp_env.world_upgrade import config_text, readable
from storage.base import Birth

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a world was opened: see World.open. Raises ValueError for what cannot be."""

    mode: str = "write"
    pin: str | int = "first"
    commit_every: int = 1
    touch_log: str = "own"
    retain_days: float | None = None
    keep_commits: int | None = None
    keep_hours: float | None = None

    def __post_init__(self) -> None:
        one_of("mode", self.mode, ("write", "read"))
        checked_commit("pin", self.pin)
        one_of("touch_log", self.touch_log, TOUCH_LOGS)
        episodes, days = self.commit_every, self.retain_days
        if not isinstance(episodes, int) or isinstance(episodes, bool) or episodes < 1:
            raise ValueError(f"commit_every is a whole number of episodes, at least 1, and not {episodes!r}.")
        if days is not None and (
            isinstance(days, bool) or not isinstance(days, int | float) or not days > 0.0
        ):
            raise ValueError(
                f"retain_days is a number of days above 0, or None to keep all, and not {days!r}."
            )
        self._check_past()

    def _check_past(self) -> None:
        commits, hours = self.keep_commits, self.keep_hours
        if commits is not None and (not isinstance(commits, int) or isinstance(commits, bool) or commits < 1):
            raise ValueError(
                "keep_commits is a whole number of commits, 1 (the last one) or more, or None to leave it as "
                f"it is, and not {commits!r}."
            )
        if hours is not None and (
            isinstance(hours, bool) or not isinstance(hours, int | float) or not 0.0 <= hours < float("inf")
        ):
            raise ValueError(
                f"keep_hours is a number of hours from 0 on, or None to leave it as it is, and not {hours!r}."
            )


def one_of(what: str, value: object, known: Iterable[str]) -> str:
    """Returns `value` if it is known, else raises ValueError with the nearest known one."""
    names = tuple(known)
    if isinstance(value, str) and value in names:
        return value
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? Known are" if near else "known are"
    raise ValueError(f"{what} cannot be {value!r}; {hint} {', '.join(names)}.")


def checked_commit(what: str, at: object) -> str | int:
    """A commit as it is asked for: "first", "latest" or a number. Raises ValueError for what is none."""
    if isinstance(at, int) and not isinstance(at, bool) and at >= 0:
        return at
    if isinstance(at, str) and at.isdigit():
        raise ValueError(f"{what} cannot be the text {at!r}; give the commit as the number {int(at)}.")
    if not isinstance(at, str):
        raise ValueError(f'{what} is "first", "latest" or the number of a commit from 0 on, not {at!r}.')
    return one_of(what, at, ("first", "latest"))


def checked_seed(seed: object, resume: bool) -> int | None:
    """The seed of a reset as a plain number. Raises ValueError for what none can be."""
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"A seed is a whole number from 0 on, and not {seed!r}.")
    if resume:
        raise ValueError("A seed goes back, and 'continue' goes on; give one of the two.")
    return int(seed)


def config_of(birth: Birth, given: MarketConfig | None, url: str) -> MarketConfig:
    """The configuration of a world that exists.

    Args:
      birth: of the world.
      given: what the caller asked for; None takes the world's own.
      url: of the store, for the message.
    Returns: what the market runs on; of a world of an earlier format, as the present models say it.
    Raises: ConfigError if they differ, naming the keys; NotAStore if the world's records are of
      a format that this version does not read.
    """
    readable(birth, url)
    own = MarketConfig.model_validate_json(config_text(birth))
    apart = differences(own, given) if given is not None else {}
    if not apart:
        return own
    told = [
        f"{key} is {kept!r} there and {asked!r} here" for key, (kept, asked) in list(apart.items())[:_SHOWN]
    ]
    more = f", and {len(apart) - _SHOWN} more keys differ" if len(apart) > _SHOWN else ""
    raise ConfigError(
        f"World {birth.world!r} in {url} was born with another configuration: {'; '.join(told)}{more}. "
        "Open it without a configuration to go on with its own, or begin a world of another name."
    )


def totals_of(market: Market, first_number: int = 0) -> dict[str, Any]:
    """How a market stands, as JSON-able numbers.

    Scores are means over the people in the market, as of each one's last visit; stages are as last seen;
    counts are since the birth of the world.

    Args:
      first_number: of its first person.
    """
    record = market.record
    active = max(1, int(record["active"]))
    born = int(record["next_number"]) - first_number
    return {
        "clock": str(np.datetime_as_string(moments(market.hour, epoch_of(market.config)), unit="s")),
        "tick": int(record["tick"]),
        "episodes": int(record["episode"]),
        "people": int(record["active"]),
        "people_ever": born,
        "stages": dict(zip(STAGES, record["stage_count"].tolist(), strict=True)),
        "mean_awareness": int(record["awareness_sum"]) / SCORE_UNIT / active,
        "mean_fatigue": int(record["fatigue_sum"]) / SCORE_UNIT / active,
        "mean_intent": int(record["intent_sum"]) / SCORE_UNIT / active,
        "met": int(record["met"]),
        "episodes_per_user": int(record["met"]) / max(1, born),
        "reached": int(record["reached"]),
        "touchpoints": int(record["touches"]),
        "clicks": int(record["clicks"]),
        "visits": int(record["visits"]),
        "conversions": int(record["conversions"]),
        "attributed": int(record["attributed"]),
        "spend": int(record["spend_micro"]) / MICRO,
        "margin": int(record["margin_micro"]) / MICRO,
    }
