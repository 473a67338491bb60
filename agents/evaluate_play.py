"""Plays policies on private copies of markets: same people, same luck, nothing written anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policies import Policy
from gaelp_env.actions import bids_cpm
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.ledger import MICRO
from gaelp_env.market import Market
from gaelp_env.observation import observe_market
from gaelp_env.world_shards import WHOLE, Share

NO_BIDS = np.zeros(len(CHANNELS))


@dataclass(frozen=True, slots=True)
class Commit:
    """A world as of one commit, held in memory.

    Attributes:
      world: name.
      sequence: of the commit.
      users: all users, structured rows of USER.
      record: the market record, bytes.
      share: which shard of the world this is; the whole of it by default.
    """

    world: str
    sequence: int
    users: NDArray[Any]
    record: bytes
    share: Share = WHOLE


@dataclass(frozen=True, slots=True)
class Start:
    """Where an evaluation begins.

    Attributes:
      label: for tables.
      config: of the world; a shard has its part of it.
      commits: replicates begin at these in turn; empty: every replicate is a newborn market.
      shards: of a newborn world; replicates are its shards in turn.
    """

    label: str
    config: MarketConfig
    commits: tuple[Commit, ...] = ()
    shards: int = 1

    def market(self, replicate: int, seed: int) -> Market:
        """A private market for a replicate, with the chance of `seed`.

        Newborn markets differ in their people from seed to seed; copies of a commit have its people,
        and only what happens to them from there on is drawn afresh.
        """
        if not self.commits:
            return Share(replicate % self.shards, self.shards).born(self.config, seed)
        commit = self.commits[replicate % len(self.commits)]
        market = Market.restored(commit.share.of(self.config), commit.users, commit.record)
        market.rekey(seed)
        return market


@dataclass(frozen=True, slots=True)
class Outcome:
    """What policies came to on R replicates, over the days of bidding and the run-out.

    Attributes:
      margin: `[R]` margin of the orders that fell due, currency.
      conversions: `[R]` orders that fell due.
      accrued: `[R]` expected incremental margin of the ads seen, as of the moment, currency.
      spend: `[R]` currency.
      spend_by_channel: `[R, 5]` currency.
    """

    margin: NDArray[np.float64]
    conversions: NDArray[np.float64]
    accrued: NDArray[np.float64]
    spend: NDArray[np.float64]
    spend_by_channel: NDArray[np.float64]


class _Tally:
    """Sums the ledgers of one market in whole micro-units."""

    def __init__(self) -> None:
        self.margin_micro = 0
        self.accrued_micro = 0
        self.conversions = 0
        self.spend_micro = np.zeros(len(CHANNELS), np.int64)

    def add(self, ledger: Any) -> None:
        self.margin_micro += int(ledger["margin_micro"])
        self.accrued_micro += int(ledger["accrued_micro"])
        self.conversions += int(ledger["conversions"])
        self.spend_micro += ledger["spend_micro"]


def play(
    policy: Policy | None,
    markets: Sequence[Market],
    *,
    days: int,
    run_out_days: int,
    observe: str = "advertiser",
) -> Outcome:
    """Plays a policy on markets in lockstep: one `predict` a tick for all of them.

    Args:
      policy: None never bids, and is not asked.
      markets: `[R]`, changed by the play.
      days: episodes with bids; the budget is fresh in each.
      run_out_days: episodes without bids afterwards, in which late orders fall due.
      observe: what the policy sees.
    """
    tallies = [_Tally() for _ in markets]
    state: Any = None
    for day in range(days + run_out_days):
        for market in markets:
            market.begin_episode()
        state = _play_day(policy if day < days else None, markets, tallies, state, observe)
        for market in markets:
            market.end_episode()
    spend = np.array([tally.spend_micro for tally in tallies], np.float64) / MICRO
    return Outcome(
        margin=np.array([tally.margin_micro for tally in tallies], np.float64) / MICRO,
        conversions=np.array([tally.conversions for tally in tallies], np.float64),
        accrued=np.array([tally.accrued_micro for tally in tallies], np.float64) / MICRO,
        spend=spend.sum(axis=1),
        spend_by_channel=spend,
    )


def _play_day(
    policy: Policy | None, markets: Sequence[Market], tallies: Sequence[_Tally], state: Any, observe: str
) -> Any:
    config = markets[0].config
    for tick in range(config.clock.episode_ticks):
        if policy is None:
            for market, tally in zip(markets, tallies, strict=True):
                tally.add(market.advance(NO_BIDS).ledger)
            continue
        seen = np.stack([observe_market(market.record, market.config, observe) for market in markets])
        starts = np.full(len(markets), tick == 0)
        actions, state = policy.predict(seen, state, starts, True)
        for market, tally, action in zip(markets, tallies, actions, strict=True):
            tally.add(market.advance(bids_cpm(action, config)).ledger)
    return state
