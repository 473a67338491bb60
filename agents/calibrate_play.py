"""Playing a market for the scorecard: constant bids, a budget that never ends, and every log kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.calibrate_errors import standard_errors
from agents.calibrate_logs import SEEN, Played, Rows
from agents.calibrate_measure import curves, moments
from agents.calibrate_published import CAMPAIGN_DAYS
from gaelp_env.config import MarketConfig
from gaelp_env.constants import epoch_of, levels_of
from gaelp_env.ledger import CONVERSION, LEDGER, VISIT
from gaelp_env.market import Market
from gaelp_env.tick import Tick

AFTER_DAYS = 28
"""Days without bids after the campaign, over which carry-over is looked for."""
ARCHIVE_DAYS = 7
"""People who have left are dropped from memory so often."""
BIDS = (1.0, 1.0, 292.0 / 70.0, 1.0, 1.0)
"""Constant bids by channel, in multiples of the reference price: search, social, display, video, email.
Display: iPinYou's flat bid, about 292 fen where the median of winning prices is 70."""
_HOUR = np.timedelta64(3_600_000_000, "us")

Say = Callable[[float], None]
"""Told after each day how much was done since the last time, as a share of the whole."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is played.

    Attributes:
      users: at the birth of the market.
      days: of the long run, >= CAMPAIGN_DAYS.
      pair: whether the twin without bids, and the silence after a campaign, are played too.
    """

    users: int
    days: int
    pair: bool = True

    @property
    def played_days(self) -> int:
        """Days in all of the runs together."""
        return self.days + (self.pair and CAMPAIGN_DAYS + 2 * AFTER_DAYS)


class _Logs:
    """Collects what ticks leave behind."""

    def __init__(self, market: Market) -> None:
        self._epoch = epoch_of(market.config)
        self.visits: list[Rows] = []
        self.seen: list[Rows] = []
        self.orders: list[Rows] = []
        self.ledgers: list[Rows] = []

    def take(self, tick: Tick) -> None:
        touches = tick.touchpoints
        seen = np.zeros(len(touches), SEEN)
        for name in ("number", "channel", "clicked", "price_micro"):
            seen[name] = touches[name]
        seen["at_h"], seen["click"] = (touches["at"] - self._epoch) / _HOUR, tick.click_probability
        self.visits.append(tick.visits)
        self.seen.append(seen)
        self.orders.append(tick.conversions)
        self.ledgers.append(np.array([tick.ledger]))

    def played(self, end_h: float, tick_h: float) -> Played:
        def whole(parts: list[Rows], kind: np.dtype[np.void]) -> Rows:
            return np.concatenate(parts) if parts else np.zeros(0, kind)

        return Played(
            whole(self.visits, VISIT), whole(self.seen, SEEN), whole(self.orders, CONVERSION),
            whole(self.ledgers, LEDGER), end_h, tick_h,
        )  # fmt: skip

    def branch(self, market: Market) -> _Logs:
        other = _Logs(market)
        for name in ("visits", "seen", "orders", "ledgers"):
            getattr(other, name).extend(getattr(self, name))
        return other


def prepared(config: MarketConfig, users: int) -> MarketConfig:
    """The market that is measured: of `users`, with a budget that does not end, and no day or life budget."""
    people = config.people.model_copy(update={"users": users})
    budget = config.budget.model_copy(
        update={"per_episode": 9e9, "per_day": None, "lifetime": None, "pacing": "none", "frequency_cap": 0}
    )
    return config.model_copy(update={"people": people, "budget": budget})


def bids_of(config: MarketConfig) -> NDArray[np.float64]:
    """The constant bids, CPM by channel."""
    return np.array(BIDS) * levels_of(config).reference


def play(
    config: MarketConfig, seed: int, size: Size, say: Say | None = None
) -> tuple[Played, tuple[Played, Played] | None]:
    """Plays the long run, and the twin worlds of its first four weeks.

    The campaign of the pair is the long run's own beginning: after CAMPAIGN_DAYS the market is kept, plays
    on for AFTER_DAYS without bids, and is put back. The twin has the same people and chance and never bids.

    Returns: (the long run, (campaign and silence, twin) or None).
    """
    config = prepared(config, size.users)
    bids, silent = bids_of(config), np.zeros(len(BIDS))
    tell = (lambda: None) if say is None else (lambda: say(1.0 / size.played_days))
    market = Market.born(config, seed)
    logs, pair = _Logs(market), None
    _run(market, bids, CAMPAIGN_DAYS if size.pair else size.days, logs, tell)
    if size.pair:
        kept, campaign = market.checkpoint(), logs.branch(market)
        _run(market, silent, AFTER_DAYS, campaign, tell)
        ads = _finish(market, campaign)
        market.rollback(kept)
        twin = Market.born(config, seed)
        quiet = _Logs(twin)
        _run(twin, silent, CAMPAIGN_DAYS + AFTER_DAYS, quiet, tell)
        pair = ads, _finish(twin, quiet)
        _run(market, bids, size.days - CAMPAIGN_DAYS, logs, tell)
    return _finish(market, logs), pair


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run came to.

    Attributes:
      figures: by the names of their targets.
      errors: standard errors of those figures that have one.
      curves: of the picture.
    """

    figures: dict[str, float]
    errors: dict[str, float]
    curves: dict[str, object]


def measured(config: MarketConfig, seed: int, size: Size, say: Say | None = None) -> Measured:
    """Plays, and takes every figure with its standard error."""
    long, pair = play(config, seed, size, say)
    people = config.people
    return Measured(
        moments(long, pair, people.traffic, people.weekdays), standard_errors(long, pair),
        curves(long, people.traffic),
    )  # fmt: skip


def figures_of(config: MarketConfig, seed: int, size: Size) -> dict[str, float]:
    """Plays, and takes the figures alone, as a fit does many times."""
    long, pair = play(config, seed, size)
    return moments(long, pair, config.people.traffic, config.people.weekdays)


def _run(market: Market, bids: NDArray[np.float64], days: int, logs: _Logs, tell: Callable[[], None]) -> None:
    ticks = round(24.0 / market.config.clock.tick_h)
    for day in range(days):
        for _ in range(ticks):
            logs.take(market.advance(bids))
        if day % ARCHIVE_DAYS == ARCHIVE_DAYS - 1:
            market.end_episode()
            market.take_changes()
        tell()


def _finish(market: Market, logs: _Logs) -> Played:
    return logs.played(market.hour, market.config.clock.tick_h)
