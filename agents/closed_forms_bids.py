"""Closed forms of bidding, met by playing: truthful, shaded, budgeted bids, and what a seller gets."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from agents.closed_forms_exact import (
    Deal,
    ortb1,
    ortb2,
    second_price_exponential,
    second_price_lognormal,
    second_price_uniform,
    shaded_exponential,
    shaded_lognormal,
)
from agents.closed_forms_play import NARROW, WINDOW, Figure, Floats, Played, Stage, best_bids, ratio
from gaelp_env.config_load import load_config
from gaelp_env.ledger import MICRO, K
from gaelp_env.market import Market
from gaelp_env.special_cases import (
    BUDGET_AUCTIONS,
    BUDGET_SHARE,
    CASES,
    EVEN_MULTIPLE,
    IPINYOU_LOG_PRICE,
    NODES,
    ORTB_C,
    ORTB_LAMBDA,
    ORTB_THETAS,
    RIVALS,
    UNIT_CPM,
)

ONE = np.ones(K)


def _stage(name: str, seed: int) -> Stage:
    return Stage(load_config(CASES[name].config), seed)


def _one_search(
    stage: Stage, direction: Floats, start: float, ticks: int, window: tuple[float, float] = WINDOW
) -> tuple[float, float]:
    """The best multiple of a direction of bids, all channels together."""

    def at(multiple: Floats, count: int) -> tuple[Floats, Floats]:
        played = stage.play(multiple[0] * direction, count)
        return played.surplus.sum(1, keepdims=True), played.opportunities.sum(1, keepdims=True)

    best, error = best_bids(at, np.array([start]), ticks, window)
    return float(best[0]), float(error[0])


def _deal(played: Played, exact: Deal, unit: float) -> list[Figure]:
    rows = (("wins an auction", played.wins, 1.0, exact.win),
            ("cost an auction", played.cost, unit, exact.cost),
            ("surplus an auction", played.surplus, unit, exact.surplus))  # fmt: skip
    figures = []
    for what, above, scale, known in rows:
        value, error = ratio(above, played.opportunities)
        figures.append(Figure(what, value / scale, known, error / scale))
    return figures


def _truthful(name: str, value: float, unit: float, exact: Deal, seed: int, ticks: int) -> list[Figure]:
    stage = _stage(name, seed)
    best, error = _one_search(stage, ONE, stage.config.channels.search.reference_cpm, ticks)
    played = stage.play(value * unit * ONE, ticks)
    return [Figure("best bid", best / unit, value, error / unit), *_deal(played, exact, unit)]


def _shaded(name: str, unit: float, bid: float, surplus: float, seed: int, ticks: int) -> list[Figure]:
    stage = _stage(name, seed)
    best, error = _one_search(stage, ONE, stage.config.channels.search.reference_cpm, ticks)
    played = stage.play(bid * unit * ONE, ticks)
    gain, gain_error = ratio(played.surplus, played.opportunities)
    return [
        Figure("best bid", best / unit, bid, error / unit),
        Figure("surplus an auction at the exact bid", gain / unit, surplus, gain_error / unit),
    ]


def truthful_lognormal(seed: int, ticks: int) -> list[Figure]:
    exact = second_price_lognormal(80.0, *IPINYOU_LOG_PRICE)
    return _truthful("truthful-lognormal", 80.0, 1.0, exact, seed, ticks)


def truthful_uniform(seed: int, ticks: int) -> list[Figure]:
    return _truthful("truthful-uniform", 0.6, UNIT_CPM, second_price_uniform(0.6, 1.0), seed, ticks)


def truthful_exponential(seed: int, ticks: int) -> list[Figure]:
    return _truthful("truthful-exponential", 1.0, UNIT_CPM, second_price_exponential(1.0, 2.0), seed, ticks)


def shading_uniform(seed: int, ticks: int) -> list[Figure]:
    return _shaded("shading-uniform", UNIT_CPM, 0.4, 0.8**2 / 4.0, seed, ticks)


def shading_rivals(seed: int, ticks: int) -> list[Figure]:
    return _shaded("shading-rivals", UNIT_CPM, 0.64, 0.16 * 0.64**4, seed, ticks)


def shading_exponential(seed: int, ticks: int) -> list[Figure]:
    bid = shaded_exponential(1.0, 1.0)
    return _shaded("shading-exponential", UNIT_CPM, bid, (1.0 - bid) * -math.expm1(-bid), seed, ticks)


def shading_loglogistic(seed: int, ticks: int) -> list[Figure]:
    bid = math.sqrt(2.0 * 2.0 + 2.0 * 3.0) - 2.0
    return _shaded("shading-loglogistic", UNIT_CPM, bid, (3.0 - bid) * bid / (2.0 + bid), seed, ticks)


def shading_lognormal(seed: int, ticks: int) -> list[Figure]:
    bid = shaded_lognormal(1.0, 0.0, 1.0)
    surplus = (1.0 - bid) * second_price_lognormal(bid, 0.0, 1.0).win
    return _shaded("shading-lognormal", UNIT_CPM, bid, surplus, seed, ticks)


def shading_ipinyou(seed: int, ticks: int) -> list[Figure]:
    bid = shaded_lognormal(80.0, *IPINYOU_LOG_PRICE)
    surplus = (80.0 - bid) * second_price_lognormal(bid, *IPINYOU_LOG_PRICE).win
    return _shaded("shading-ipinyou", 1.0, bid, surplus, seed, ticks)


def _ortb(name: str, exact: list[float], seed: int, ticks: int) -> list[Figure]:
    stage = _stage(name, seed)

    def at(bids: Floats, count: int) -> tuple[Floats, Floats]:
        played = stage.play(bids, count)
        return played.surplus, played.opportunities

    best, error = best_bids(at, 0.5 * stage.value_cpm, 3 * ticks)
    return [
        Figure(f"best bid at theta {theta:g}", *row)
        for theta, row in zip(
            ORTB_THETAS, zip(best.tolist(), exact, error.tolist(), strict=True), strict=True
        )
    ]


def ortb_one(seed: int, ticks: int) -> list[Figure]:
    return _ortb("ortb1", [ortb1(theta, ORTB_LAMBDA, ORTB_C) for theta in ORTB_THETAS], seed, ticks)


def ortb_two(seed: int, ticks: int) -> list[Figure]:
    return _ortb("ortb2", [ortb2(theta, ORTB_LAMBDA, ORTB_C) for theta in ORTB_THETAS], seed, ticks)


def _equilibrium(name: str, share: float, seed: int, ticks: int) -> list[Figure]:
    """Our best answer to the rivals' strategy, as a share of the value, and n times what we pay."""
    stage = _stage(name, seed)
    values, bidders = UNIT_CPM * np.array(NODES), RIVALS + 1
    lower = np.where(values < 0.9 * UNIT_CPM, values, 0.0)  # of the highest value, no rival's bid is in reach
    best, error = _one_search(stage, lower, 0.5, ticks, NARROW)
    played = stage.play(share * values, ticks)
    paid, paid_error = ratio(bidders * played.cost / UNIT_CPM, played.opportunities)
    return [
        Figure("best bid over value, for values below 0.9", best, share, error),
        Figure("revenue an auction", paid, (bidders - 1.0) / (bidders + 1.0), paid_error),
    ]


def equilibrium_first(seed: int, ticks: int) -> list[Figure]:
    return _equilibrium("equilibrium-first", RIVALS / (RIVALS + 1.0), seed, ticks)


def equilibrium_second(seed: int, ticks: int) -> list[Figure]:
    return _equilibrium("equilibrium-second", 1.0, seed, ticks)


def reserve(seed: int, ticks: int) -> list[Figure]:
    """Values below the reserve never trade, so half of the auctions, of both bidders, are played."""
    stage = _stage("reserve", seed)
    values = UNIT_CPM * (0.5 + 0.5 * np.array(NODES))
    played = stage.play(values, ticks)
    paid, error = ratio(2.0 * 0.5 * played.cost / UNIT_CPM, played.opportunities)
    below = stage.play(0.4999 * UNIT_CPM * ONE, max(2, ticks // 10))
    return [
        Figure("revenue an auction", paid, 5.0 / 12.0, error),
        Figure("wins an auction, bidding below the reserve", float(below.wins.sum()), 0.0, 0.0),
    ]


def budget(seed: int, ticks: int) -> list[Figure]:
    """The multiplier that buys most value before the budget stops the bidding, episode by episode."""
    values, episodes = UNIT_CPM * np.array(NODES), max(3, ticks // 12)
    config = load_config(CASES["budget"].config)
    market = Market.born(config, seed)
    birth = market.checkpoint()
    alpha = math.sqrt(6.0 * BUDGET_SHARE)

    def bought(episode: int, multiple: float) -> float:
        market.rollback(birth)
        market.rekey(1_000_000 * seed + episode)
        market.begin_episode()
        ticks = [market.advance(multiple * values).ledger for _ in range(config.clock.episode_ticks)]
        return sum(int(ledger["accrued_micro"]) for ledger in ticks) / MICRO * 1000.0 / UNIT_CPM

    found = np.array([_golden(partial(bought, episode), 0.1, 1.0) for episode in range(episodes)])
    (best, value), errors = found.mean(0).tolist(), (found.std(0, ddof=1) / math.sqrt(episodes)).tolist()
    return [
        Figure("best multiple of the value", best, alpha, errors[0]),
        Figure("value an auction", value / BUDGET_AUCTIONS, alpha / 3.0, errors[1] / BUDGET_AUCTIONS),
    ]


def budget_even(seed: int, ticks: int) -> list[Figure]:
    """The multiple that the platform's pacing holds in the second half of an episode, and what the whole of
    it buys: the price law says that alpha v spends the budget by its end."""
    bids, episodes = EVEN_MULTIPLE * UNIT_CPM * np.array(NODES), max(4, ticks // 30)
    config = load_config(CASES["budget-even"].config)
    alpha, count = math.sqrt(6.0 * BUDGET_SHARE), config.clock.episode_ticks
    found = np.zeros((episodes, 2))
    for episode in range(episodes):
        market = Market.born(config, 1_000 * seed + episode)
        market.begin_episode()
        pace, accrued = np.zeros(count), 0
        for tick in range(count):
            pace[tick] = market.record["pace"]
            accrued += int(market.advance(bids).ledger["accrued_micro"])
        found[episode] = EVEN_MULTIPLE * pace[count // 2 :].mean(), accrued / MICRO * 1000.0 / UNIT_CPM
    (multiple, value), errors = found.mean(0).tolist(), (found.std(0, ddof=1) / math.sqrt(episodes)).tolist()
    return [
        Figure("mean multiple of the value, second half", multiple, alpha, errors[0]),
        Figure("value an auction", value / BUDGET_AUCTIONS, alpha / 3.0, errors[1] / BUDGET_AUCTIONS),
    ]


def _golden(
    height: Callable[[float], float], low: float, high: float, steps: int = 14
) -> tuple[float, float]:
    """Golden section search for the top of a function; returns the place and the height."""
    part = 0.5 * (math.sqrt(5.0) - 1.0)
    a, b = high - part * (high - low), low + part * (high - low)
    at_a, at_b = height(a), height(b)
    for _ in range(steps):
        if at_a > at_b:
            high, b, at_b = b, a, at_a
            a = high - part * (high - low)
            at_a = height(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + part * (high - low)
            at_b = height(b)
    return (a, at_a) if at_a > at_b else (b, at_b)
