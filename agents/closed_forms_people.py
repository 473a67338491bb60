"""Closed forms of what people remember, met by playing: caps, stages and adstock."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from agents.closed_forms_exact import occupancy, stock_of_daily, stock_of_stream
from agents.closed_forms_journey import DISPLAY, SEARCH, SOCIAL, two_state_discounted_figures
from agents.closed_forms_play import OPEN, Figure, Floats, case_config, only
from gaelp_env.config import CHANNELS
from gaelp_env.ledger import MICRO, K
from gaelp_env.market import Market
from gaelp_env.special_cases import (
    ADSTOCK_HALF_LIVES_D,
    ADSTOCK_PER_DAY,
    FRESH_CPM,
    OMEGA,
    POSTED_CPM,
    RHO,
    STAGE_FORWARD,
    STAGE_HALF_LIVES_D,
    STAGE_SHOWS_PER_DAY,
    THRESHOLD_CPM,
)


def two_state_cap(seed: int, effort: int) -> list[Figure]:
    """Three policies on the same people: show always (two worths of an ad to the fatigued), or to the fresh
    only.

    A skipped opportunity is not in the ledger, so values are held to the opportunities to expect of a
    channel.
    """
    config, settled, ticks = case_config("two-state-cap"), 200, max(512, 6 * effort)
    market = Market.born(config, seed)
    birth = market.checkpoint()
    cells = np.zeros((3, ticks))
    for policy, channel in enumerate((SEARCH, SOCIAL, DISPLAY)):
        market.rollback(birth)
        for t in range(-settled, ticks):
            ledger = market.advance(only(channel)).ledger
            if t >= 0:
                cells[policy, t] = ledger["accrued_micro"] * (1000.0 / MICRO)
    each = config.people.users * config.people.media_per_day * config.clock.tick_h / 24.0 * 0.2
    low, high, cap = cells / each
    exact = FRESH_CPM * RHO / (RHO + OMEGA)

    def figure(what: str, rows: Floats, known: float) -> Figure:
        return Figure(what, float(rows.mean()), known, _error_of_mean(rows), scale=exact)

    return [
        figure("value an opportunity, capped", cap, exact),
        figure("capped less always, r_T at 0.9 of the threshold", cap - low, exact - 0.9 * THRESHOLD_CPM),
        figure("capped less always, r_T at 1.1 of the threshold", cap - high, exact - 1.1 * THRESHOLD_CPM),
        *two_state_discounted_figures(seed, effort),
    ]


def _error_of_mean(rows: Floats, batches: int = 16) -> float:
    """The standard error of the mean of a series, by batch means: neighbours share their people."""
    size = len(rows) // batches
    means = rows[: size * batches].reshape(batches, size).mean(axis=1)
    return float(means.std(ddof=1) / math.sqrt(batches))


def _lasting_cap(name: str, exponent: float, ratio: float, seed: int, ticks: int) -> list[Figure]:
    """The cap with the most profit among 1 to 8, each played for two days, in which everybody "
    "is met often."""
    exact = math.floor(ratio ** (1.0 / exponent))
    profit = []
    for cap in range(1, 9):
        config = case_config(name, budget__frequency_cap=cap)
        market = Market.born(config, seed)
        ledgers = [market.advance(np.full(K, 2.0 * POSTED_CPM)).ledger for _ in range(96)]
        gained = sum(int(ledger["accrued_micro"]) - int(ledger["spend_micro"].sum()) for ledger in ledgers)
        profit.append(gained / MICRO * 1000.0 / config.people.users)
    known = sum(POSTED_CPM * (ratio * n**-exponent - 1.0) for n in range(1, exact + 1))
    return [
        Figure("best cap", float(1 + int(np.argmax(profit))), float(exact), 0.0),
        Figure("profit a user at that cap, CPM", max(profit), known, 0.0, 2e-3 * known),
    ]


def lasting_cap_social(seed: int, ticks: int) -> list[Figure]:
    return _lasting_cap("lasting-cap-social", 0.43, 2.0, seed, ticks)


def lasting_cap_display(seed: int, ticks: int) -> list[Figure]:
    return _lasting_cap("lasting-cap-display", 0.2, 1.5, seed, ticks)


def stage_occupancy(seed: int, ticks: int) -> list[Figure]:
    """The stages in which people are met in one tick, days after the first; newcomers are left out.

    Poisson arrivals see time averages. The click probability of a touch tells the stage before it.
    """
    config, worlds = case_config("occupancy"), max(2, ticks // 24)
    days = (3, 14)
    tick_d = config.clock.tick_h / 24.0
    seen: dict[int, list[tuple[Any, Any]]] = {day: [] for day in days}
    for world in range(worlds):
        market = Market.born(config, 1_000 * seed + world)
        for tick in range(round(days[-1] / tick_d) + 1):
            played = market.advance(np.full(K, OPEN))
            if tick * tick_d in seen:
                number = played.touchpoints["number"]
                stage = np.rint(played.click_probability * 1e6).astype(np.int64) - 1
                first = number < config.people.users
                seen[round(tick * tick_d)].append(
                    (number[first].astype(np.int64) + world * 2**32, stage[first])
                )
    figures = []
    for day in days:
        number, stage = (np.concatenate(part) for part in zip(*seen[day], strict=True))
        exact = occupancy(STAGE_SHOWS_PER_DAY * STAGE_FORWARD, STAGE_HALF_LIVES_D, day, day + tick_d)
        for place, name in enumerate(("unaware", "aware", "considering", "intent")):
            share, error = _by_user(number, stage == place)
            figures.append(Figure(f"{name} on day {day}", share, float(exact[place]), error, scale=1.0))
    return figures


def _by_user(number: Any, hit: Any) -> tuple[float, float]:
    """A share among meetings, and its standard error; meetings of one user hang together."""
    _, user = np.unique(number, return_inverse=True)
    share = float(hit.mean())
    rest = np.bincount(user, hit - share)
    return share, float(np.sqrt((rest**2).sum()) / len(hit))


def adstock(seed: int, ticks: int) -> list[Figure]:
    """A stream of ads, by the stocks of everybody after some days; daily ads, shown to one user by hand."""
    config = case_config("adstock")
    days, tick_h = 10, config.clock.tick_h
    rounds, figures = round(days * 24.0 / tick_h), []
    stocks = []
    for world in range(max(1, ticks // 60)):
        market = Market.born(config, 1_000 * seed + world)
        for _ in range(rounds):
            market.advance(np.full(K, OPEN))
        people = market.population.hot[: market.population.size]
        people = people[people["number"] < config.people.users]
        idle_d = (market.hour - people["seen_h"])[:, None] / 24.0
        stocks.append(people["adstock"] * 2.0 ** (-idle_d / np.array(ADSTOCK_HALF_LIVES_D)))
    stock = np.concatenate(stocks).astype(np.float64)
    errors = stock.std(axis=0, ddof=1) / math.sqrt(len(stock))
    for k, half_life in enumerate(ADSTOCK_HALF_LIVES_D):
        exact = stock_of_stream(ADSTOCK_PER_DAY, half_life, days)
        figures.append(
            Figure(
                f"a stream, day {days}, H = {half_life:g} d",
                float(stock[:, k].mean()),
                exact,
                float(errors[k]),
            )
        )
    return [*figures, *_daily_by_hand(seed)]


def _daily_by_hand(seed: int, days: int = 90) -> list[Figure]:
    config = case_config("adstock", people__users=1)
    market = Market.born(config, seed)
    number = market.name_user()
    for day in range(days):
        for channel in range(K):
            for _ in range(round(ADSTOCK_PER_DAY)):
                market.touch(number, channel)
        if day < days - 1:
            for _ in range(round(24.0 / config.clock.tick_h)):
                market.advance(np.zeros(K))
    stock = market.population.hot["adstock"][market.population.index_of(number)]
    figures = []
    for k, half_life in enumerate(ADSTOCK_HALF_LIVES_D):
        exact = stock_of_daily(ADSTOCK_PER_DAY, half_life)
        figures.append(
            Figure(
                f"once a day, {CHANNELS[k]}, H = {half_life:g} d", float(stock[k]), exact, 0.0, 2e-4 * exact
            )
        )
    return figures
