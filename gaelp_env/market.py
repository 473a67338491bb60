"""The market: one tick, told in order. Nothing else knows the order.

1. The clock's hour gives the season: traffic, rivals' price level, readiness to click.
2. Newcomers are born by the clock.
3. A sweep over the people lists who may be met in this tick (arrivals.py).
4. The people met are met, each alone, at their moments (encounters.py): fading over absence, auction,
   view and click, awareness, fatigue, intent, stage, purchase decision.
5. If the spend would cross a budget (of the episode, the day or the world's life), bidding stops at the
   moment of crossing: the tick is put back and played again with that stop.
6. Orders that are due by the end of the tick fall due.
7. The clock goes on, and the trailing counters with it; rivals pace and learn, the platform paces us.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_env import by_hand
from gaelp_env.auction import OWNED
from gaelp_env.births import births_in, born
from gaelp_env.blocks import BLOCK_USERS
from gaelp_env.chance import key_of
from gaelp_env.closing import begin_budget, close_budgets, close_tick
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.encounters import settle
from gaelp_env.ledger import CONVERSION, MICRO, RECORD, SCORE_UNIT, A, K
from gaelp_env.market_mark import Marked
from gaelp_env.opening import open_tick, pressures
from gaelp_env.plan import plan_of
from gaelp_env.population import GONE, USER, moments
from gaelp_env.rivalry import initial_shades, let_adapt, price_tables
from gaelp_env.tick import Checkpoint as Checkpoint
from gaelp_env.tick import Tick as Tick
from gaelp_env.turn_desk import in_order
from gaelp_env.turns import play_together
from gaelp_env.upkeep import sum_up


class Market(Marked):
    """A market in memory: its people, its clock, its luck, and the tick that moves them.

    Attributes:
      config: the constants.
      population: the people.
      record: one RECORD (shape `()`): all that the next tick or observation depends on beside them.
    """

    def __init__(self, config: MarketConfig, users: NDArray[Any], record: NDArray[Any]) -> None:
        super().__init__(config, users, record)
        self._find_pending()

    @classmethod
    def born(cls, config: MarketConfig, seed: int, first: int = 0) -> Market:
        """A new market: its people and its luck come from the seed, and nobody has met us yet.

        Args:
          first: number of its first person.
        """
        record = np.zeros((), RECORD)
        count = config.people.users
        record["key"] = key_of("chance", seed)
        record["pressure"] = pressures(config, record["key"], 0, np.zeros(K), 1e9)
        record["next_number"], record["initial_users"] = first + count, count
        record["rival_shade"], record["pace"] = initial_shades(config), 1.0
        market = cls(config, np.zeros(0, USER), record)
        market.population.make_room(count)
        for some in range(0, count, BLOCK_USERS):  # a block at a time: no second copy of everybody
            few = min(BLOCK_USERS, count - some)
            market.population.append(born(config, key_of("people", seed), first + some, few, 0, 0.0))
        market._sum_up()
        return market

    @classmethod
    def restored(
        cls, config: MarketConfig, users: NDArray[Any], record: bytes, *, recount: bool = False
    ) -> Market:
        """A market as it was committed. Raises ValueError if people and record do not belong together.

        Args:
          recount: people of this commit were erased since, so its sums are counted afresh.
        """
        if len(record) != RECORD.itemsize:
            raise ValueError(
                f"A market record has {RECORD.itemsize} bytes and this one has {len(record)}: "
                "it was written by another version of gaelp."
            )
        stored = np.frombuffer(record, RECORD)[0]
        if np.any(users["number"][1:] < users["number"][:-1]):
            users = users[np.argsort(users["number"], kind="stable")]
        market = cls(config, users, stored)
        market._sum_up()
        for name in ("active", "stage_count", "awareness_sum", "fatigue_sum", "intent_sum", "reached"):
            if not recount and np.any(market.record[name] != stored[name]):
                raise ValueError(
                    f"The users and the market record of this commit disagree ({name}: "
                    f"{market.record[name]} by users, {stored[name]} on record); the store is damaged."
                )
        return market

    @property
    def hour(self) -> float:
        """Hours on the simulated clock."""
        return float(self.record["tick"]) * self._constants.tick_h

    @property
    def budget_left(self) -> float:
        """What may still be spent in the open episode, by the tightest budget, currency units."""
        return self._tightest()[0] / MICRO

    def _tightest(self) -> tuple[int, str]:
        """The budget with the least left: micro-units, and the mark of its end in the market record."""
        record, budget = self.record, self.config.budget
        left = [(round(budget.per_episode * MICRO) - int(record["spent_micro"]), "exhausted")]
        if budget.per_day is not None:
            left.append((round(budget.per_day * MICRO) - int(record["day_spent_micro"]), "day_over"))
        if budget.lifetime is not None:
            left.append((round(budget.lifetime * MICRO) - int(record["spend_micro"]), "all_over"))
        return min(left)

    @property
    def workspace_bytes(self) -> int:
        """Bytes of the arrays that a tick works in."""
        return self._blocks.nbytes + self._desk.nbytes

    def advance(self, bids_cpm: NDArray[np.float64]) -> Tick:
        """Plays one tick.

        Args:
          bids_cpm: `[5]` CPM by channel, or `[5, 4]` by channel and audience (ledger.AUDIENCES); <= 0 is
            no bid.
        Raises: ValueError if the bids are not so many finite numbers.
        """
        bids = np.array(bids_cpm, np.float64)
        if bids.shape not in ((K,), (K, A)) or not np.isfinite(bids).all():
            raise ValueError(
                f"Bids are {K} finite numbers ({', '.join(CHANNELS)}), or {K} x {A} by audience, and these "
                f"are {bids_cpm}."
            )
        if self.small:
            given = np.ascontiguousarray(np.broadcast_to(bids.reshape(K, -1), (K, A)))
            return self.left_behind(play_together([self], given[None])[0])
        return self._advance_in_blocks(bids)

    def _advance_in_blocks(self, bids: NDArray[np.float64]) -> Tick:
        record = self.record
        tick = int(record["tick"])
        over = record["exhausted"] or record["day_over"] or record["all_over"]
        bids = np.zeros((K, A)) if over else np.maximum(bids.reshape(K, -1), 0.0) * np.ones(A)
        blocks = self._blocks
        weight = open_tick(blocks.moments, record, self.config, bids, self._prices)
        births = self._births(tick)
        blocks.list_people(self.population, record["key"], tick, weight)
        self._play()
        orders = self._settle(self._constants.tick_h * (tick + 1))
        ledger = blocks.ledgers[0]
        ledger["tick"], ledger["births"] = tick, births
        self._close(ledger, bids.max(axis=1))
        return Tick(ledger.copy(), *blocks.seen(), blocks.visits(), orders, self._epoch)

    def _births(self, tick: int) -> int:
        record = self.record
        count = births_in(self.config, int(record["key"]), tick, int(record["initial_users"]))
        if count:
            first = int(record["next_number"])
            key = int(record["key"])
            self._take_in(born(self.config, key, first, count, tick, self._constants.tick_h * tick))
        return count

    def _take_in(self, users: NDArray[Any]) -> None:
        record, first = self.record, self.population.size
        self.population.append(users)
        self._undo.pass_over(self.population, first)
        record["next_number"] += len(users)
        record["active"] += len(users)
        record["stage_count"] += np.bincount(users["stage"], minlength=5)
        record["intent_sum"] += _in_units(users["intent"])

    def _play(self) -> None:
        """Meets everybody; if the budget would be crossed, puts the tick back and stops in time."""
        record, people, blocks = self.record, self.population, self._blocks
        moment = blocks.moments[0]
        left, mark = self._tightest()
        dearest = self._dearest(moment["bid_cpm"].max(axis=1))
        before = None
        if blocks.total * dearest > left and moment["bid_cpm"].any():
            where = blocks.listed()
            before = (*(c[where] for c in people.octets()), self._records.copy(), self._undo.filled.copy())
        kept = self._undo.kept(people)
        spent = blocks.meet(self._constant_record, people, self._records, kept, before is not None)
        if before is not None and spent > left:
            moment["stop_h"], moment["stop_number"] = self._crossing(left)
            for column, old in zip(people.octets(), before[:2], strict=True):
                column[where] = old
            self._records[:], self._undo.filled[:] = before[2:]
            spent = blocks.meet(self._constant_record, people, self._records, kept)
            blocks.ledgers[0]["stopped"] = record[mark] = 1
        record["spent_micro"] += spent
        self._pending = np.concatenate([self._pending, blocks.decided()])

    def _dearest(self, bids: NDArray[np.float64]) -> float:
        """The most that one auction can cost at these bids, micro-units."""
        c = self._constants
        prices = np.where(c.rule == OWNED, c.send_cost_cpm, bids)
        prices = np.where(c.by_click != 0, prices / c.predicted_click_rate, prices)
        return float(np.where(bids > 0.0, prices, 0.0).max()) * 1000.0 + 1.0

    def _crossing(self, left: int) -> tuple[float, int]:
        """The first charge, by moment and then by user number, that the budget does not bear."""
        at_h, number, cost = self._blocks.charges()
        order = np.lexsort((number, at_h))
        first = order[int(np.argmax(np.cumsum(cost[order]) > left))]
        return float(at_h[first]), int(number[first])

    def _settle(self, until_h: float) -> NDArray[Any]:
        people, count = self.population, len(self._pending)
        orders, order_h = np.zeros(count, CONVERSION), np.zeros((count, 2))
        stay, due = settle(
            self._constant_record, self._blocks.moments, people.hot, people.cold, self._undo.kept(people),
            self._pending, count, until_h, self._blocks.ledgers, self._records, orders, order_h,
        )  # fmt: skip
        self._pending = self._pending[:stay].copy()
        return in_order(orders[:due], order_h[:due], self._epoch)

    def _close(self, ledger: Any, bids: NDArray[np.float64]) -> None:
        record = self.record
        record["bid_cpm"] = bids
        plan, ledgers = plan_of(self.config), self._blocks.ledgers
        our_bids = self._blocks.moments[0]["bid_cpm"].max(axis=1)
        let_adapt(self._constant_record, plan, self._records, ledgers, our_bids)
        close_tick(self._records, ledgers, 2.0 ** (-self._constants.tick_h / 24.0))
        close_budgets(plan, self._records, ledgers)
        tick, pressure = int(record["tick"]), np.ascontiguousarray(record["pressure"])
        record["pressure"] = pressures(self.config, record["key"], tick, pressure, self._constants.tick_h)
        record["last"] = ledger
        self._prices = price_tables(record, self.config)

    def begin_episode(self) -> None:
        """Opens an episode: its budget is whole."""
        begin_budget(self.record)

    def end_episode(self) -> None:
        """Ends the episode. People who have left, with no order pending, are archived from here on."""
        self.record["episode"] += 1
        begin_budget(self.record)
        people = self.population
        gone = people.leaving(self.hour)
        if len(gone):
            self._undo.keep(people, gone)
            people.hot["flags"][gone] |= GONE
            people.rate[gone] = 0.0
            people.note_changed(gone)
            self._sum_up()

    def take_changes(self) -> tuple[NDArray[Any], NDArray[np.uint32]]:
        """Hands out the rows that changed since the last call, `[U]` of USER, and the numbers of
        those among them who have left for good; these are dropped from memory."""
        people = self.population
        rows = people.rows(people.changed())
        gone = rows["number"][rows["flags"] & GONE != 0].astype(np.uint32)
        self.forget_changes()
        return rows, gone

    def forget_changes(self) -> None:
        """As `take_changes`, where nobody wants the rows."""
        people = self.population
        self._undo.end(people)
        if people.forget_changed():
            people.keep(people.hot["flags"][: people.size] & GONE == 0)
            self._find_pending()

    def let_go(self, numbers: Sequence[int]) -> NDArray[np.uint32]:
        """Takes people out at once, with the orders that they have pending; returns those who were here.

        A large market's mark is gone then, since the others have moved up; set it anew.
        """
        people = self.population
        self._undo.end(people)
        here = np.isin(people.number[: people.size], np.asarray(numbers, np.int64))
        found = people.number[: people.size][here].copy()
        if len(found):
            people.keep(~here)
            self._find_pending()
            self._sum_up()
        return found

    def name_user(self) -> int:
        """Births one more user now, who stays for good; returns the number."""
        record = self.record
        first, tick = int(record["next_number"]), int(record["tick"])
        user = born(self.config, int(record["key"]), first, 1, tick, self.hour)
        user["leaves_h"] = np.finfo(np.float32).max
        self._take_in(user)
        return int(user["number"][0])

    def meet(self, number: int) -> None:
        """Meets a user now, as the tick would: scores fade, and the open episode counts them once.

        Raises: KeyError if nobody of that number is here.
        """
        open_tick(self._blocks.moments, self.record, self.config, np.zeros((K, A)), self._prices)
        at = self.population.index_of(number)
        self._undo.keep(self.population, np.array([at]))
        by_hand.meet(
            self._constant_record, self._blocks.moments, self.population, at, self.hour, self._records
        )

    def touch(self, number: int, channel: int, *, clicked: bool = False) -> NDArray[Any]:
        """Shows a user an ad of ours now, through the same dynamics as an ad that was won.

        Args:
          number: of the user.
          channel: index in CHANNELS.
          clicked: whether the ad is clicked; a click brings the user to the site.
        Returns: `[1]` of TOUCH.
        """
        self.meet(number)
        at = self.population.index_of(number)
        row, decided, views = by_hand.touch(
            self._constant_record, self._blocks.moments, self.population, at, channel, clicked,
            self.hour, self._records,
        )  # fmt: skip
        row["at"] = moments(self.hour, self._epoch)
        if decided:
            self._pending = np.append(self._pending, at)
        self.record["touches"] += views["views"].sum()
        self.record["clicks"] += views["clicks"].sum()
        self.record["visits"] += views["visits"]
        return row

    def convert(self, number: int, value: float) -> NDArray[Any]:
        """Lets an order of `value` currency units fall due now; returns `[1]` of CONVERSION.

        An order that the user has pending stays pending.
        """
        if not value > 0.0:
            raise ValueError(f"An order has a value above 0, and this one has {value}.")
        self.meet(number)
        at = self.population.index_of(number)
        order, ledger = by_hand.convert(
            self._constant_record, self._blocks.moments, self.population, at, value, self.hour, self._records
        )
        order["at"] = order["decided"] = moments(self.hour, self._epoch)
        for name in ("conversions", "attributed", "margin_micro"):
            self.record[name] += ledger[name]
        self.record["episode_attributed"] += ledger["attributed"]
        self.record["episode_revenue_micro"] += ledger["attributed_revenue_micro"]
        return order

    def rekey(self, seed: int) -> None:
        """Gives the market other luck from here on; its people stay as they are."""
        self.record["key"] = key_of("chance", seed)

    def record_bytes(self) -> bytes:
        """The market record as bytes, for `restored`."""
        return self._records.tobytes()

    def _find_pending(self) -> None:
        self._pending = self.population.pending()

    def _sum_up(self) -> None:
        """Counts the running sums over the population afresh."""
        sum_up(self.population.hot, self.population.size, self._records)


def _in_units(score: NDArray[Any]) -> int:
    """The sum of scores in the units of the running sums."""
    return int(np.floor(score.astype(np.float64) * SCORE_UNIT + 0.5).astype(np.int64).sum())
