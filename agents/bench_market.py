"""Opportunities a second on one core, beside three references taken in the same run.

One repetition plays whole days from the same checkpoint, so that every hour of the traffic profile
has its weight and every repetition does the same work. The references are the bare sweep for arrivals
(the part that grows with the population), one copy of the population's bytes, and a plain NumPy
version of the tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.bench_measure import Effort, Figure, Timed, Work, in_turn, spelled
from agents.bench_numpy import NumpyMarket
from gaelp_env.arrivals import sweep
from gaelp_env.config import MarketConfig
from gaelp_env.config_load import differences, load_config
from gaelp_env.constants import season_of
from gaelp_env.market import Market

NO_LIMIT = 9e9
"""A budget that is never spent, currency units."""
DENSITIES = {"": 0.0, "_dense": 10.0}
"""Suffix of a figure's name -> media candidates of a user a day; 0 is the default market's own, 10 is called
dense."""
COPIES = 5
"""Copies of the people in one repetition."""
MANY = 200_000
"""A market of more users is played less often."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Played:
    """What was measured on one market, and what its days came to."""

    users: int
    suffix: str
    ticks: int
    opportunities: int
    candidates: int
    copied_bytes: int
    first_opportunities: int
    timed: dict[str, Timed] = field(default_factory=dict)

    @property
    def ns(self) -> tuple[float, ...]:
        """Nanoseconds an opportunity, by repetition, all of the tick included."""
        return self.timed["tick"].scaled(1e9 / self.opportunities)

    @property
    def first_ns(self) -> tuple[float, ...]:
        """The same for the first release's model."""
        return self.timed["first"].scaled(1e9 / self.first_opportunities)


def market_of(
    users: int, media_per_day: float = 0.0, *, first: bool = False
) -> tuple[Market, NDArray[np.float64]]:
    """A newborn market whose budget never ends, and the bids that are each channel's reference.

    `first` gives the first release's model (preset v0) instead of the full one.
    """
    wanted: dict[str, Any] = {"people.users": users, "budget.per_episode": NO_LIMIT}
    if first:
        wanted = {key: value for key, (value, _) in differences(load_config("v0")).items()} | wanted
    if media_per_day:
        wanted["people.media_per_day"] = media_per_day
    config = load_config(wanted)
    market = Market.born(config, 1)
    market.begin_episode()
    return market, reference_bids(config)


def reference_bids(config: MarketConfig) -> NDArray[np.float64]:
    """Each channel's reference price, CPM `[5]`: a typical bid."""
    return np.array([channel.reference_cpm for channel in config.channels.in_order()])


def play_market(users: int, suffix: str, effort: Effort, repetitions: int, say: Say) -> Played:
    """Plays one market and its references again and again."""
    say(f"{users:,} users{', dense' if suffix else ''}")
    market, bids = market_of(users, DENSITIES[suffix])
    first, first_bids = market_of(users, DENSITIES[suffix], first=True)
    day = round(24.0 / market.config.clock.tick_h)
    ticks = day * max(1, effort.busy_ticks // (users * day))
    for _ in range(day):
        market.advance(bids)
        first.advance(first_bids)
    start, first_start = market.checkpoint(), first.checkpoint()
    first_opportunities = sum(
        int(first.advance(first_bids).ledger["opportunities"].sum()) for _ in range(ticks)
    )
    first.rollback(first_start)
    begins = int(market.record["tick"])
    ledgers = [market.advance(bids).ledger for _ in range(ticks)]
    people = market.population
    copied = (people.hot, people.cold, people.number, people.rate)
    played = Played(
        users,
        suffix,
        ticks,
        sum(int(ledger["opportunities"].sum()) for ledger in ledgers),
        sum(int(ledger["candidates"]) for ledger in ledgers),
        sum(column[: people.size].nbytes for column in copied),
        first_opportunities,
    )
    span = range(begins, begins + ticks)

    def tick() -> None:
        for _ in span:
            market.advance(bids)

    def first_tick() -> None:
        for _ in span:
            first.advance(first_bids)

    works = {
        "tick": Work(tick, lambda: market.rollback(start)),
        "first": Work(first_tick, lambda: first.rollback(first_start)),
        "sweep": Work(_sweeps(market, span)),
        "copy": Work(_copies(tuple(column[: people.size] for column in copied))),
    }
    market.rollback(start)
    plain = {"numpy": numpy_work(first, span, first_bids)} if users <= effort.numpy_users else {}
    if users <= MANY:
        played.timed = in_turn(works | plain, repetitions, on_core=True)
    else:
        played.timed = in_turn(works, repetitions, on_core=True) | in_turn(plain, 2, on_core=True)
    return played


def _sweeps(market: Market, span: range) -> Callable[[], None]:
    """The bare sweep over everybody, once for each tick of the span."""
    people, config, season = market.population, market.config, season_of(market.config)
    tick_h = config.clock.tick_h
    weights = [float(season.traffic[season.hour_of_week(tick * tick_h)]) * tick_h / 24.0 for tick in span]
    index, luck = np.empty(len(people.number) + 1, np.int64), np.empty(len(people.number) + 1)
    key = np.uint64(market.record["key"])

    def sweeps() -> None:
        for tick, weight in zip(span, weights, strict=True):
            sweep(key, tick, people.number, people.rate, 0, people.size, weight, index, luck)

    return sweeps


def _copies(columns: tuple[NDArray[Any], ...]) -> Callable[[], None]:
    """COPIES copies of the population's bytes into memory that is there already."""
    targets = [column.copy() for column in columns]

    def copies() -> None:
        for _ in range(COPIES):
            for target, column in zip(targets, columns, strict=True):
                target.view(np.uint8)[...] = column.view(np.uint8)

    return copies


def numpy_work(market: Market, span: range, bids: NDArray[np.float64]) -> Work:
    """The NumPy version of the first model over the same ticks from the same people."""
    users, pressure = market.population.rows(slice(None)), market.record["pressure"].copy()
    box: list[NumpyMarket] = []

    def renew() -> None:
        box[:] = [NumpyMarket(market.config, users, 1, pressure)]

    def play() -> None:
        for tick in span:
            box[0].play(tick, bids)

    return Work(play, renew)


def overhead(effort: Effort) -> Timed:
    """A tick with nobody in it: what a tick costs before anyone is met; 1,000 ticks a repetition."""
    market, bids = market_of(1)
    start = market.checkpoint()

    def ticks() -> None:
        for _ in range(1_000):
            market.advance(bids)

    work = Work(ticks, lambda: market.rollback(start))
    work.do()
    return in_turn({"empty": work}, effort.repetitions, on_core=True)["empty"]


def measure_market(effort: Effort, say: Say, curve: list[dict[str, Any]]) -> Iterator[Figure]:
    """Yields the figures of the market; appends to `curve` one entry a market, for picture and profile."""
    empty = overhead(effort)
    fixed_us = empty.seconds * 1e3
    yield Figure("tick_overhead", "a tick with nobody in it", "µs", empty.scaled(1e3), core=empty.core)
    played: dict[tuple[int, str], Played] = {}
    for users in sorted({*effort.sizes, *effort.curve}):
        fast = users <= MANY and users in effort.sizes
        repetitions = effort.repetitions if fast else effort.slow_repetitions
        for suffix in DENSITIES:
            one = play_market(users, suffix, effort, repetitions, say)
            played[users, suffix] = one
            curve.append(_point(one, fixed_us))
            if users in effort.sizes:
                yield from _figures(one)
    yield _guard(effort, say)
    for suffix in DENSITIES:
        few, many = (10_000, suffix), (1_000_000, suffix)
        if few in played and many in played:
            yield _growth(played[few], played[many])


def _figures(one: Played) -> Iterator[Figure]:
    timed, name = one.timed, f"{spelled(one.users)}{one.suffix}"
    tick = timed["tick"]
    who = f"{spelled(one.users)} {'dense' if one.suffix else 'users'}"
    copied = timed["copy"].seconds / COPIES
    against = {"sweep": tick.seconds / timed["sweep"].seconds, "copy": tick.seconds / one.ticks / copied}
    first = timed["first"]
    faster = {"NumPy": timed["numpy"].seconds / first.seconds} if "numpy" in timed else {}
    yield Figure(
        f"opportunities_{name}", f"opportunities, {who}", "1/s", tick.rates(one.opportunities),
        core=tick.core,
    )  # fmt: skip
    yield Figure(
        f"first_{name}", f"the same, first model (v0), {who}", "1/s", first.rates(one.first_opportunities),
        faster, core=first.core,
    )  # fmt: skip
    more = tuple(full / before for full, before in zip(one.ns, one.first_ns, strict=True))
    yield Figure(f"cost_{name}", f"one opportunity, {who}", "ns", one.ns, against, core=tick.core)
    yield Figure(
        f"first_cost_{name}", f"one opportunity, first model (v0), {who}", "ns", one.first_ns,
        core=first.core,
    )  # fmt: skip
    yield Figure(f"full_over_first_{name}", f"one opportunity, full model : first, {who}", "×", more)
    if "numpy" in timed:
        yield Figure(
            f"numpy_{name}", f"NumPy version of the first model, {who}", "1/s",
            timed["numpy"].rates(one.first_opportunities),
            reference=True, core=timed["numpy"].core,
        )  # fmt: skip
    if not one.suffix:
        yield Figure(
            f"sweep_{name}", f"bare sweep, {who}", "1/s", timed["sweep"].rates(one.users * one.ticks),
            reference=True, core=timed["sweep"].core,
        )  # fmt: skip
        yield Figure(
            f"copy_{name}", f"copy of the bytes, {who}", "B/s",
            timed["copy"].rates(COPIES * one.copied_bytes), reference=True, core=timed["copy"].core,
        )  # fmt: skip


def _guard(effort: Effort, say: Say) -> Figure:
    """The ratio that tests/speed.json has on record."""
    from agents.bench_guard import measured_ratio

    say("the ratio that is guarded")
    ratios = measured_ratio(effort.repetitions)
    return Figure("guard_ratio", "one opportunity : sweep of one user, 10k dense (guarded)", "×", ratios)


def _growth(few: Played, many: Played) -> Figure:
    """Cost of an opportunity at a million users over that at 10,000, repetition by repetition."""
    values = tuple(b / a for a, b in zip(few.ns, many.ns, strict=False))
    words = "dense" if many.suffix else "users"
    return Figure(f"growth{many.suffix}", f"one opportunity, 1m : 10k {words}", "×", values)


def _point(one: Played, fixed_us: float) -> dict[str, Any]:
    """Where the time of a tick goes: the sweep, what a tick costs anyway, and meeting people."""
    tick_us = one.timed["tick"].seconds / one.ticks * 1e6
    sweep_us = one.timed["sweep"].seconds / one.ticks * 1e6
    meet_us = max(0.0, tick_us - sweep_us - fixed_us)
    numpy_us = one.timed["numpy"].seconds / one.ticks * 1e6 if "numpy" in one.timed else None
    first_us = one.timed["first"].seconds / one.ticks * 1e6
    a_tick, first_a_tick = one.opportunities / one.ticks, one.first_opportunities / one.ticks
    return {
        "users": one.users,
        "dense": bool(one.suffix),
        "opportunities_a_tick": a_tick,
        "candidates_a_tick": one.candidates / one.ticks,
        "tick_us": tick_us,
        "sweep_us": sweep_us,
        "fixed_us": fixed_us,
        "meet_us": meet_us,
        "meet_ns_a_candidate": meet_us * 1e3 / (one.candidates / one.ticks),
        "cost_ns": tick_us * 1e3 / a_tick,
        "first_ns": first_us * 1e3 / first_a_tick,
        "sweep_ns": sweep_us * 1e3 / a_tick,
        "numpy_ns": None if numpy_us is None else numpy_us * 1e3 / first_a_tick,
    }
