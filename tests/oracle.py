"""The market once more, in plain Python: obvious, slow, and sharing no code with the kernel.

It reads the configuration and the published figures, and has its own random numbers (Philox on Python
ints), its own algebra (`math`), its own people (one object each, histories kept whole) and its own idea of a
tick: all candidates of all people in one list, by moment, played one after the other until the next payment
would cross a budget. `test_market_oracle.py` holds the two markets together, event by event. Prices are
drawn from families with a closed form; rival bidders are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gaelp_env.config import MarketConfig
from tests.oracle_adverts import Adverts
from tests.oracle_auction import pressure_after
from tests.oracle_chance import (
    ARRIVE,
    BIRTHS,
    CANDIDATE,
    NOBODY,
    NORMAL,
    PERSON,
    PRESSURE,
    RESPOND,
    draw,
    key_of,
    log_normal,
    poisson,
    single,
)  # fmt: skip
from tests.oracle_person import User, device_of, session_device
from tests.oracle_prospect import Prospect
from tests.oracle_seasons import begins, click_level, price_level, traffic_in
from tests.oracle_site import BY_CHANNEL, COUNTS, Tick

EPISODE_BUDGET, DAY_BUDGET, LIFE_BUDGET = "exhausted", "day_over", "all_over"
"""The budgets, by the mark of their end in the market record."""


class OracleMarket(Adverts):
    """The twin of `gaelp_env.market.Market`, as far as the tick goes."""

    def __init__(self, config: MarketConfig, seed: int) -> None:
        self.config, self.channels = config, config.channels.in_order()
        self.key = key_of("chance", seed)
        self.tick_h = config.clock.tick_minutes / 60
        self.tick = self.episode = self.first_tick = 0
        self.spent = {EPISODE_BUDGET: 0, DAY_BUDGET: 0, LIFE_BUDGET: 0}
        self.over = dict.fromkeys(self.spent, False)
        self.attributed = self.attributed_revenue = 0
        self.pace, self.slept = 1.0, False
        self._day_ticks = math.ceil(24.0 / self.tick_h) + 1
        shocks = [NORMAL.inv_cdf(draw(self.key, NOBODY, 0, PRESSURE, k)[0]) for k in range(5)]
        self.pressure = [config.prices.pressure_log_sd * shock for shock in shocks]
        self.prospect = Prospect(config)
        people_key = key_of("people", seed)
        self.users = [self._person(people_key, n, 0, 0.0) for n in range(config.people.users)]

    def begin_episode(self) -> None:
        self.spent[EPISODE_BUDGET], self.over[EPISODE_BUDGET] = 0, False
        self.attributed = self.attributed_revenue = 0
        self.first_tick = self.tick

    def end_episode(self) -> None:
        self.episode += 1
        for user in self.users:
            if user.leaves_h <= self.tick * self.tick_h and user.due_h is None:
                user.archived = True

    def living(self) -> list[User]:
        return [user for user in self.users if not user.archived]

    def _person(self, key: int, number: int, tick: int, hour: float) -> User:
        people = self.config.people
        u_rate, u_buys, u_device, u_stay = draw(key, number, tick, PERSON)
        sd, spread = people.media_log_sd, people.propensity_log_sd
        media = log_normal(u_rate, people.media_per_day * math.exp(-sd * sd / 2), sd)
        return User(
            number=number,
            rate=single(min(media, 200.0) + people.visits_per_day),
            propensity=single(log_normal(u_buys, math.exp(-spread * spread / 2), spread)),
            device=device_of(people.device_shares, u_device),
            leaves_h=single(hour - 24.0 * people.stay_days * math.log(u_stay)),
            intent=single(self.config.response.intent_base),
            first_seen_h=hour,
            seen_h=hour,
        )

    def _births(self) -> int:
        people, hour = self.config.people, self.tick * self.tick_h
        mean = people.users / people.stay_days * self.tick_h / 24
        u = draw(self.key, NOBODY, self.tick, BIRTHS)[0]
        assert mean <= 30.0, "the oracle draws few births at a time"
        count, first = poisson(u, mean), len(self.users)
        self.users += [self._person(self.key, first + k, self.tick, hour) for k in range(count)]
        return count

    def left_to_spend(self) -> dict[str, int]:
        budget = self.config.budget
        allowed = {
            EPISODE_BUDGET: budget.per_episode, DAY_BUDGET: budget.per_day, LIFE_BUDGET: budget.lifetime,
        }  # fmt: skip
        return {
            name: round(most * 1e6) - self.spent[name] for name, most in allowed.items() if most is not None
        }

    def pay(self, micro: int) -> None:
        for name in self.spent:
            self.spent[name] += micro

    def advance(self, bids: list[float] | list[list[float]]) -> Tick:
        """Plays a tick: everybody's candidates by moment, then the orders that fall due."""
        config, hour = self.config, begins(self.config, self.tick).hour
        self.out = Tick(dict.fromkeys(COUNTS, 0), {name: [0] * 5 for name in BY_CHANNEL})
        self.bids, self.slept = self._meant(bids), self.over[DAY_BUDGET]
        level = price_level(config.prices.by_hour, hour)
        self.medians = [
            channel.reference_cpm * (1.0 if channel.rule == "owned" else level * math.exp(pressure))
            for channel, pressure in zip(self.channels, self.pressure, strict=True)
        ]
        self.click_level = click_level(config.response.click_by_hour, hour)
        counts = self.out.counts
        counts["births"] = self._births()
        for at_h, _number, j, user, luck in self._candidates(
            traffic_in(config, self.tick) * self.tick_h / 24
        ):
            if at_h < user.leaves_h:
                counts["candidates"] += 1
                self._meet(user, at_h, j, luck)
        for user in self.living():
            if user.due_h is not None and user.due_h < (self.tick + 1) * self.tick_h:
                self.fall_due(user)
        self.out.orders.sort(key=lambda order: (order.at_h, order.number))
        self.attributed += counts["attributed"]
        self.attributed_revenue += counts["attributed_revenue_micro"]
        counts["episode_spend_micro"] = self.spent[EPISODE_BUDGET]
        counts["episode_attributed"] = self.attributed
        counts["episode_revenue_micro"] = self.attributed_revenue
        self._close()
        return self.out

    def _meant(self, bids: list[float] | list[list[float]]) -> list[list[float]]:
        """CPM by channel and audience: as told, adjusted by audience, and paced."""
        told = [[bid] * 4 if isinstance(bid, float) else bid for bid in bids]
        return [
            [max(0.0, bid) * adjusted * self.pace for bid, adjusted in zip(row, c.targeting, strict=True)]
            for row, c in zip(told, self.channels, strict=True)
        ]

    def _close(self) -> None:
        """The clock goes on: the platform paces, the day's budget is whole again at midnight, prices move.

        A tick that the day's budget had closed from its beginning on moves no pace.
        """
        config, budget = self.config, self.config.budget
        if budget.pacing == "even" and not self.slept:
            late = max(-1.0, min(1.0, self._late()))
            self.pace = max(0.05, min(1.0, self.pace * math.exp(budget.pacing_gain * late)))
        self.tick += 1
        if begins(config, self.tick).date() != begins(config, self.tick - 1).date():
            self.spent[DAY_BUDGET], self.over[DAY_BUDGET] = 0, False
        shocks = [draw(self.key, NOBODY, self.tick, PRESSURE, k)[0] for k in range(5)]
        self.pressure = [
            pressure_after(x, self.tick_h, u, config) for x, u in zip(self.pressure, shocks, strict=True)
        ]

    def _late(self) -> float:
        """How far spend is behind plans that follow the traffic, of the budget that is least behind."""
        budget, first = self.config.budget, self.first_tick
        ticks = range(first, first + self.config.clock.episode_ticks)
        late = [self._late_by(budget.per_episode, self.spent[EPISODE_BUDGET], ticks)]
        if budget.per_day is not None:
            today = begins(self.config, self.tick).date()
            near = range(max(0, self.tick - self._day_ticks), self.tick + self._day_ticks)
            of_day = [tick for tick in near if begins(self.config, tick).date() == today]
            late.append(self._late_by(budget.per_day, self.spent[DAY_BUDGET], of_day))
        return min(late)

    def _late_by(self, budget: float, spent: int, ticks: Sequence[int]) -> float:
        """(planned - spent) / budget so far, and 1 - spent / planned in the tick that ends."""
        traffic = {tick: traffic_in(self.config, tick) for tick in ticks}
        plan = {tick: budget * weight / sum(traffic.values()) for tick, weight in traffic.items()}
        planned = sum(part for tick, part in plan.items() if tick <= self.tick)
        in_tick = sum(self.out.by_channel["spend_micro"]) / 1e6
        return (planned - spent / 1e6) / budget + 1.0 - in_tick / plan[self.tick]

    def _candidates(self, days: float) -> list[tuple[float, int, int, User, list[float]]]:
        found = []
        for user in self.living():
            count = poisson(draw(self.key, user.number, self.tick, ARRIVE)[0], user.rate * days)
            for j in range(count):
                u, *luck = draw(self.key, user.number, self.tick, CANDIDATE, j)
                found.append(((self.tick + u) * self.tick_h, user.number, j, user, luck))
        return sorted(found, key=lambda c: c[:3])

    def _meet(self, user: User, at_h: float, j: int, luck: list[float]) -> None:
        """A candidate: the clock of the stage has run on; a visit, or a slot on a channel, or nothing."""
        user.let_clock_run(at_h, self.config, self.key)
        u_kind, u_real, u_winnable = luck
        visits = self.config.people.visits_per_day
        if u_kind < visits / user.rate:
            if u_real < self.visit_chance(user, at_h):
                user.fade(at_h, self.episode + 1, self.config)
                self._come(user, at_h, j)
            return
        share = (u_kind * user.rate - visits) / (user.rate - visits)
        ends = [sum(c.share for c in self.channels[: k + 1]) for k in range(4)]
        k = sum(share >= end for end in ends)
        channel = self.channels[k]
        if (channel.known_only and not user.visits) or u_real >= channel.audience[user.stage]:
            return
        user.fade(at_h, self.episode + 1, self.config)
        self.opportunity(user, at_h, j, k, u_winnable)

    def _come(self, user: User, at_h: float, j: int) -> None:
        """An unasked visit: where it comes from, and on which device."""
        u_source, u_again, u_move, u_device = draw(self.key, user.number, self.tick, RESPOND, j)
        shares = self.config.visits.source_shares
        source = sum(u_source >= sum(shares[: k + 1]) for k in range(3))
        if user.source in range(4) and u_again < self.config.visits.source_again:
            source = user.source
        device = session_device(user, u_device, self.config)
        self.out.counts["journeys"] += user.go_on(at_h, 24 * self.config.people.inactivity_days)
        self.visit(user, at_h, j, u_move, device, source, -1)
