"""The market: one tick, told in order. Nothing else knows the order.

 1. The clock's hour gives the season: traffic, rivals' price level, readiness to click.
 2. Newcomers are born by the clock.
 3. A sweep over the people lists who may be met in this tick (arrivals.py).
 4. The people met are met, each alone, at their moments (encounters.py): fading over absence, auction,
    view and click, awareness, fatigue, intent, stage, purchase decision.
 5. If the spend would cross the budget, bidding stops at the moment of crossing: the tick is put back
    and played again with that stop.
 6. Orders that are due by the end of the tick fall due.
 7. The clock goes on, and the trailing counters with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env.arrivals import count_candidates, sweep
from gaelp_env.auction import OWNED, pressure_after, quantile_of
from gaelp_env.births import births_in, born
from gaelp_env.chance import NOBODY, PRESSURE, key_of, uniforms
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.constants import as_record, constants_of, epoch_of, levels_of, median_prices, season_of
from gaelp_env.encounters import meet, settle
from gaelp_env.journey import NEVER_H
from gaelp_env.ledger import CONVERSION, LEDGER, MICRO, MOMENT, RECORD, SCORE_UNIT, TOUCH, TRAIL, K
from gaelp_env.population import BOUGHT, CLICKED, GONE, REACHED, Population, fatigue_score, moments
from gaelp_env.prospect import prospect_table

_NO_STOP = 2**62


class Tick:
    """What one tick left behind. All arrays are the caller's own.

    Attributes:
      ledger: one LEDGER record.
      conversions: `[C]` of CONVERSION, orders that fell due, by moment.
    """

    __slots__ = ("_at_h", "_epoch", "_touches", "conversions", "ledger")

    def __init__(
        self, ledger: Any, touches: NDArray[Any], at_h: NDArray[Any], conversions: NDArray[Any], epoch: np.datetime64
    ) -> None:
        self.ledger, self.conversions = ledger, conversions
        self._touches, self._at_h, self._epoch = touches, at_h, epoch

    @property
    def touchpoints(self) -> NDArray[Any]:
        """`[T]` of TOUCH: our ads that were seen, by moment and then by user number."""
        return self._in_order(slice(None))

    @property
    def clicks(self) -> NDArray[Any]:
        """The touchpoints that were clicked, in the same order."""
        return self._in_order(np.flatnonzero(self._touches["clicked"]))

    def _in_order(self, which: Any) -> NDArray[Any]:
        touches, at_h = self._touches[which], self._at_h[which]
        order = np.argsort(at_h, kind="stable")  # equal moments stay in the order of user numbers
        touches = touches[order]
        touches["at"] = moments(at_h[order], self._epoch)
        return touches


def _pressures(
    config: MarketConfig, key: Any, tick: int, pressure: NDArray[np.float64], elapsed_h: float
) -> list[float]:
    prices = config.prices
    return [
        pressure_after(
            float(pressure[k]), float(uniforms(key, NOBODY, tick, PRESSURE, k)[0]), prices.pressure_log_sd,
            elapsed_h, prices.pressure_half_life_h,
        )
        for k in range(K)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A market as it was: opaque, for `Market.rollback`."""

    columns: tuple[NDArray[Any], ...]
    record: NDArray[Any]
    pending: NDArray[np.int64]


class Market:
    """A market in memory: its people, its clock, its luck, and the tick that moves them.

    Attributes:
      config: the constants.
      population: the people.
      record: one RECORD (shape `()`): all that the next tick or observation depends on beside them.
    """

    def __init__(self, config: MarketConfig, users: NDArray[Any], record: NDArray[Any]) -> None:
        self.config = config
        self.population = Population(users)
        self._records = np.array([record], RECORD)
        self._constants = constants_of(config)
        self._constant_record = as_record(self._constants)
        self._season = season_of(config)
        self._table = prospect_table(config)
        self._epoch = epoch_of(config)
        self._budget_micro = round(config.budget.per_episode * MICRO)
        self._floors = levels_of(config).floor
        self._moments, self._ledgers = np.zeros(1, MOMENT), np.zeros(1, LEDGER)
        self._reserve(0)
        self._find_pending()

    @classmethod
    def born(cls, config: MarketConfig, seed: int) -> Market:
        """A new market: its people and its luck come from the seed, and nobody has met us yet."""
        record = np.zeros((), RECORD)
        count = config.people.users
        record["key"] = key_of("chance", seed)
        record["pressure"] = _pressures(config, record["key"], 0, np.zeros(K), 1e9)
        record["next_number"] = record["initial_users"] = count
        market = cls(config, born(config, key_of("people", seed), 0, count, 0, 0.0), record)
        market.population.changed[:count] = 1
        market._sum_up()
        return market

    @classmethod
    def restored(cls, config: MarketConfig, users: NDArray[Any], record: bytes) -> Market:
        """A market as it was committed. Raises ValueError if people and record do not belong together."""
        if len(record) != RECORD.itemsize:
            raise ValueError(
                f"A market record has {RECORD.itemsize} bytes and this one has {len(record)}: "
                "it was written by another version of gaelp."
            )
        stored = np.frombuffer(record, RECORD)[0]
        market = cls(config, users[np.argsort(users["number"], kind="stable")], stored)
        market._sum_up()
        for name in ("active", "stage_count", "awareness_sum", "fatigue_sum", "intent_sum", "reached"):
            if np.any(market.record[name] != stored[name]):
                raise ValueError(
                    f"The users and the market record of this commit disagree ({name}: "
                    f"{market.record[name]} by users, {stored[name]} on record); the store is damaged."
                )
        return market

    @property
    def record(self) -> Any:
        """The market record, live: read it, do not keep it."""
        return self._records[0]

    @property
    def hour(self) -> float:
        """Hours on the simulated clock."""
        return float(self.record["tick"]) * self._constants.tick_h

    @property
    def budget_left(self) -> float:
        """What may still be spent in the open episode, currency units."""
        return (self._budget_micro - int(self.record["spent_micro"])) / MICRO

    def advance(self, bids_cpm: NDArray[np.float64]) -> Tick:
        """Plays one tick.

        Args:
          bids_cpm: `[5]` CPM by channel; <= 0 is no bid.
        Raises: ValueError if the bids are not five finite numbers.
        """
        bids = np.array(bids_cpm, np.float64)
        if bids.shape != (K,) or not np.isfinite(bids).all():
            raise ValueError(f"Bids are {K} finite numbers ({', '.join(CHANNELS)}), and these are {bids_cpm}.")
        record, people = self.record, self.population
        tick = int(record["tick"])
        bids = np.zeros(K) if record["exhausted"] else np.maximum(bids, 0.0)
        weight = self._set_moment(tick, bids)
        births = self._births(tick)
        count, total = self._arrivals(tick, weight)
        self._reserve(total)
        self._play(count, total)
        orders = self._settle(self._constants.tick_h * (tick + 1))
        ledger = self._ledgers[0]
        ledger["tick"], ledger["births"] = tick, births
        self._close(ledger, bids)
        count = self._touch_count
        return Tick(ledger.copy(), self._touches[:count].copy(), self._touch_h[:count].copy(), orders, self._epoch)

    def _set_moment(self, tick: int, bids: NDArray[np.float64]) -> float:
        """Fills in what is the same for everybody; returns the days' worth of candidates in the tick."""
        c, season, moment, prices = self._constants, self._season, self._moments[0], self.config.prices
        start_h = c.tick_h * tick
        hour = season.hour_of_week(start_h)
        medians, floors = median_prices(self.record, self.config), self._floors
        moment["key"], moment["tick"], moment["start_h"] = self.record["key"], tick, start_h
        moment["episode"] = self.record["episode"] + 1
        moment["bid_cpm"], moment["price_median"], moment["floor_median"] = bids, medians, floors
        moment["beats_rivals"] = [quantile_of(b, p, prices.log_sd) for b, p in zip(bids, medians, strict=True)]
        moment["beats_floor"] = [quantile_of(b, f, prices.floor_log_sd) for b, f in zip(bids, floors, strict=True)]
        moment["click_weight"] = season.click[hour % 24]
        moment["stop_h"], moment["stop_number"] = NEVER_H, _NO_STOP
        return float(season.traffic[hour]) * c.tick_h / 24.0

    def _births(self, tick: int) -> int:
        record = self.record
        count = births_in(self.config, int(record["key"]), tick, int(record["initial_users"]))
        if count:
            first = int(record["next_number"])
            key = int(record["key"])
            self._take_in(born(self.config, key, first, count, tick, self._constants.tick_h * tick))
        return count

    def _take_in(self, users: NDArray[Any]) -> None:
        record = self.record
        self.population.append(users)
        record["next_number"] += len(users)
        record["active"] += len(users)
        record["stage_count"] += np.bincount(users["stage"], minlength=5)

    def _arrivals(self, tick: int, weight: float) -> tuple[int, int]:
        people = self.population
        if len(self._index) < len(people.number) + 1:
            self._index = np.empty(len(people.number) + 1, np.int64)
            self._luck = np.empty(len(people.number) + 1, np.float64)
            self._candidates = np.empty(len(people.number) + 1, np.int64)
        listed = sweep(
            self.record["key"], tick, people.number, people.rate, people.size, weight, self._index, self._luck
        )
        return count_candidates(people.rate, weight, self._index, self._luck, listed, self._candidates)  # type: ignore[no-any-return]

    def _reserve(self, total: int) -> None:
        """Makes the buffers of a tick big enough for `total` candidates."""
        if not hasattr(self, "_touches"):
            self._index = np.empty(0, np.int64)
            self._touch_count = 0
        elif len(self._touches) >= total:
            return
        size = max(256, total + total // 4)
        self._touches = np.zeros(size, TOUCH)
        self._touch_h = np.zeros(size)
        self._won = (np.zeros(size), np.zeros(size, np.uint32), np.zeros(size, np.int64))
        self._decided = np.zeros(2 * size, np.int64)

    def _play(self, count: int, total: int) -> None:
        """Meets everybody; if the budget would be crossed, puts the tick back and stops in time."""
        record, people, moment = self.record, self.population, self._moments[0]
        left = self._budget_micro - int(record["spent_micro"])
        prices = np.where(self._constants.rule == OWNED, self._constants.send_cost_cpm, moment["bid_cpm"])
        dearest = float(np.where(moment["bid_cpm"] > 0.0, prices, 0.0).max()) * 1000.0 + 1.0
        where, before = self._index[:count], None
        if total * dearest > left and moment["bid_cpm"].any():
            before = (*(c[where] for c in people.octets()), self._records.copy())
        spent = self._meet(count)
        if before is not None and spent > left:
            moment["stop_h"], moment["stop_number"] = self._crossing(left)
            for column, old in zip(people.octets(), before[:3], strict=True):
                column[where] = old
            self._records[:] = before[3]
            spent = self._meet(count)
            self._ledgers[0]["stopped"] = record["exhausted"] = 1
        record["spent_micro"] += spent
        self._pending = np.concatenate([self._pending, self._decided[: self._decided_count]])

    def _meet(self, count: int) -> int:
        people = self.population
        self._ledgers[:] = 0
        self._won_count, self._touch_count, self._decided_count = meet(
            self._constant_record, self._moments, self._table, people.hot, people.cold, people.changed,
            self._index, self._candidates, count, self._ledgers, self._records, self._touches,
            (*self._won, self._touch_h), self._decided,
        )  # fmt: skip
        return int(self._ledgers[0]["spend_micro"].sum())

    def _crossing(self, left: int) -> tuple[float, int]:
        """The first auction, by moment and then by user number, whose price the budget does not bear."""
        at_h, number, cost = (column[: self._won_count] for column in self._won)
        order = np.lexsort((number, at_h))
        first = order[int(np.argmax(np.cumsum(cost[order]) > left))]
        return float(at_h[first]), int(number[first])

    def _settle(self, until_h: float) -> NDArray[Any]:
        people, count = self.population, len(self._pending)
        orders, order_h = np.zeros(count, CONVERSION), np.zeros((count, 2))
        stay, due = settle(
            self._constant_record, self._moments, people.hot, people.cold, people.changed, self._pending,
            count, until_h, self._ledgers, self._records, orders, order_h,
        )  # fmt: skip
        self._pending = self._pending[:stay].copy()
        orders, order_h = orders[:due], order_h[:due]
        orders["at"], orders["decided"] = moments(order_h[:, 0], self._epoch), moments(order_h[:, 1], self._epoch)
        return orders[np.lexsort((orders["number"], order_h[:, 0]))]

    def _close(self, ledger: Any, bids: NDArray[np.float64]) -> None:
        record = self.record
        record["tick"] += 1
        record["pressure"] = _pressures(
            self.config, record["key"], int(record["tick"]), record["pressure"], self._constants.tick_h
        )
        record["episode_tick"] += 1
        record["touches"] += ledger["views"].sum()
        record["clicks"] += ledger["clicks"].sum()
        record["spend_micro"] += ledger["spend_micro"].sum()
        for name in ("visits", "conversions", "attributed", "value_micro"):
            record[name] += ledger[name]
        keep = 2.0 ** (-self._constants.tick_h / 24.0)
        for k, name in enumerate(TRAIL):
            record["trail"][k] = record["trail"][k] * keep + ledger[name]
        record["trail_attributed"] = record["trail_attributed"] * keep + ledger["attributed"]
        record["trail_orders"] = record["trail_orders"] * keep + ledger["conversions"]
        record["bid_cpm"] = bids
        record["last"] = ledger

    def begin_episode(self) -> None:
        """Opens an episode: its budget is whole."""
        self.record["episode_tick"] = self.record["spent_micro"] = self.record["exhausted"] = 0

    def end_episode(self) -> None:
        """Ends the episode. People who have left, with no order pending, are archived from here on."""
        self.record["episode"] += 1
        self.record["episode_tick"] = self.record["spent_micro"] = self.record["exhausted"] = 0
        people = self.population
        hot = people.hot[: people.size]
        gone = np.flatnonzero((hot["leaves_h"] <= self.hour) & (hot["due_h"] < 0.0) & (hot["flags"] & GONE == 0))
        if len(gone):
            hot["flags"][gone] |= GONE
            people.rate[gone] = 0.0
            people.changed[gone] = 1
            self._sum_up()

    def take_changes(self) -> tuple[NDArray[Any], NDArray[np.uint32]]:
        """Hands out the rows that changed since the last call, `[U]` of USER, and the numbers of
        those among them who have left for good; these are dropped from memory."""
        people = self.population
        changed = np.flatnonzero(people.changed[: people.size])
        rows = people.rows(changed)
        gone = rows["number"][rows["flags"] & GONE != 0].astype(np.uint32)
        people.changed[: people.size] = 0
        if len(gone):
            people.keep(people.hot["flags"][: people.size] & GONE == 0)
            self._find_pending()
        return rows, gone

    def checkpoint(self) -> Checkpoint:
        """A full copy of the state, to roll back to."""
        people, n = self.population, self.population.size
        columns = (people.hot, people.cold, people.number, people.rate, people.changed)
        return Checkpoint(tuple(column[:n].copy() for column in columns), self._records.copy(), self._pending.copy())

    def rollback(self, checkpoint: Checkpoint) -> None:
        """Goes back to a checkpoint, which stays good for another time."""
        people, n = self.population, len(checkpoint.columns[0])
        if n > len(people.hot):
            people._allocate(n)
        for column, old in zip(
            (people.hot, people.cold, people.number, people.rate, people.changed), checkpoint.columns, strict=True
        ):
            column[:n] = old
        people.size = n
        self._records[:] = checkpoint.record
        self._pending = checkpoint.pending.copy()

    def rekey(self, seed: int) -> None:
        """Gives the market other luck from here on; its people stay as they are."""
        self.record["key"] = key_of("chance", seed)

    def record_bytes(self) -> bytes:
        """The market record as bytes, for `restored`."""
        return self._records.tobytes()

    def _find_pending(self) -> None:
        people = self.population
        self._pending = np.flatnonzero(people.hot["due_h"][: people.size] >= 0.0)

    def _sum_up(self) -> None:
        """Counts the running sums over the population afresh."""
        record, people = self.record, self.population
        hot = people.hot[: people.size]
        hot = hot[hot["flags"] & GONE == 0]
        record["active"] = len(hot)
        record["stage_count"] = np.bincount(hot["stage"], minlength=5)
        scores = {"awareness_sum": hot["awareness"], "fatigue_sum": fatigue_score(hot["fatigue"].astype(np.float64)), "intent_sum": hot["intent"]}
        for name, score in scores.items():
            record[name] = np.floor(score.astype(np.float64) * SCORE_UNIT + 0.5).astype(np.int64).sum()
        for name, flag in (("reached", REACHED), ("clicked", CLICKED), ("bought", BOUGHT)):
            record[name] = int((hot["flags"] & flag != 0).sum())
