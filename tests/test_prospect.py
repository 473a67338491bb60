"""The prospect of a person left alone, and what an ad adds to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gaelp_env import by_hand
from gaelp_env.adstock import gained, hill
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.constants import as_record, constants_of
from gaelp_env.ledger import AWARENESS_KNOTS, INTENT_KNOTS
from gaelp_env.market import Market
from gaelp_env.prospect import advance_probability, prospect, prospect_table, value_of_visit
from gaelp_env.worth import (
    _parts,
    expected_lift,
    fading_area,
    parts_at,
    prospect_at,
    visits_brought,
    worth_table,
)
from tests.markets import busy_world, full_world, play
from tests.oracle_prospect import Prospect

CONFIG = MarketConfig()
CONSTANTS = as_record(constants_of(CONFIG))[0]
TABLE = prospect_table(CONFIG)
WORTH = worth_table(CONFIG)
PLAIN = Prospect(CONFIG)
STAGE, SHARE, PUSH = st.integers(0, 4), st.floats(0.0, 1.0), st.floats(-2.0, 2.0)
PROPENSITY = st.floats(0.1, 5.0)


@pytest.mark.parametrize("config", [CONFIG, busy_world(), full_world()], ids=["default", "busy", "full"])
def test_the_table_is_the_plain_ones(config: MarketConfig) -> None:
    plain = Prospect(config).table.reshape(5, AWARENESS_KNOTS, INTENT_KNOTS)
    assert prospect_table(config) == pytest.approx(plain, rel=1e-9)


@given(STAGE, SHARE, SHARE)
def test_looking_up_is_exact_at_knots_and_linear_between(stage: int, awareness: float, intent: float) -> None:
    plain = PLAIN.at(stage, awareness, intent)
    assert prospect(TABLE, stage, awareness, intent) == pytest.approx(plain, rel=1e-9)
    a, i = round(awareness * 16), round(intent * 12)
    assert prospect(TABLE, stage, a / 16, i / 12) == pytest.approx(TABLE[stage, a, i], rel=1e-12)


def test_a_prospect_grows_with_awareness_intent_and_stage() -> None:
    assert (TABLE > 0.0).all()
    assert (np.diff(TABLE, axis=1) >= 0.0).all()
    assert (np.diff(TABLE, axis=2) >= 0.0).all()
    assert (np.diff(TABLE[:4], axis=0) >= 0.0).all()


def test_without_visits_nobody_has_a_prospect() -> None:
    lonely = MarketConfig.model_validate({"conversion": {"visit_rate": [0.0] * 5}})
    assert not prospect_table(lonely).any()


def test_a_prospect_worked_by_hand() -> None:
    """Nobody moves, everybody visits at rate r and buys with b: m * (p / 24) v b / leaving rate."""
    in_a_stay = 0.5 * 0.1 * 10.0  # visits
    assert prospect_table(unmoved()) == pytest.approx(40.0 * 0.01 * in_a_stay, rel=0.02)


def test_a_prospect_with_returns_worked_by_hand() -> None:
    """Each visit is followed by another one with probability 1/3: half as many again."""
    alone, returning = prospect_table(unmoved()), prospect_table(unmoved(return_probability=[1.0 / 3.0] * 5))
    assert returning == pytest.approx(1.5 * alone, rel=1e-9)


def test_a_prospect_with_rivals_worked_by_hand() -> None:
    """Share of voice (a + A) / (a + A + Ac + o), a = .4, o = .1, no rival's ads: .8 to 14/15."""
    alone, shared = prospect_table(unmoved()), prospect_table(unmoved(share_of_voice=True))
    assert shared[:, 0] == pytest.approx(0.8 * alone[:, 0], rel=0.02)  # awareness only fades from there
    assert (shared < 14.0 / 15.0 * alone).all()
    assert (np.diff(shared, axis=1) > 0.0).all()


def unmoved(return_probability: Any = (0.0,) * 5, share_of_voice: bool = False) -> MarketConfig:
    """People who stay in their stage, visit at one rate, and buy with one probability at every visit."""
    quiet = {name: {"rival_gain": 0.0} for name in CHANNELS}
    return MarketConfig.model_validate(
        {
            "people": {"stay_days": 10.0, "visits_per_day": 0.5},
            "channels": quiet,
            "rivals": {"share_of_voice": share_of_voice, "standing": 0.4, "outside": 0.1},
            "visits": {"return_probability": return_probability},
            "response": {"intent_per_visit": 0.0},
            "journey": {"forward_probability": 0.0, "backward_half_life_d": [1e6] * 4},
            "conversion": {
                "visit_rate": [0.1] * 5, "buy_rate": [0.01] * 5, "intent_boost": 0.0, "order_value": 100.0,
                "margin": 0.4,
            },
        }
    )  # fmt: skip


@given(STAGE, SHARE, SHARE, PROPENSITY)
def test_a_visit_is_worth_what_the_plain_market_says(
    stage: int, awareness: float, intent: float, propensity: float
) -> None:
    ours = value_of_visit(CONSTANTS, TABLE, stage, awareness, intent, propensity)
    assert ours == pytest.approx(PLAIN.of_visit(stage, awareness, intent, propensity), rel=1e-9)


@given(STAGE, st.integers(0, 16), st.integers(0, 12), PROPENSITY, st.floats(1.0, 2.0))
def test_the_parts_of_a_visits_worth_add_up_at_the_knots(
    stage: int, a: int, i: int, propensity: float, often: float
) -> None:
    awareness, intent = a / 16, i / 12
    most = CONSTANTS["buy_rate"][stage] * propensity * often * (1.0 + CONSTANTS["intent_boost"])
    assume(most <= 1.0)  # the parts know no cut but that of a usual person
    p, t1, t2, t3, t4 = parts_at(WORTH, stage, awareness, intent)
    ours = propensity * (often * t1 + t2 + propensity * (often * t3 + t4))
    visit = value_of_visit(CONSTANTS, TABLE, stage, awareness, intent, propensity, often)
    assert ours == pytest.approx(visit, rel=1e-9)
    assert p == prospect_at(WORTH, stage, awareness, intent)
    assert p == pytest.approx(TABLE[stage, a, i], rel=1e-12)


@given(STAGE, SHARE, SHARE, PROPENSITY)
def test_between_the_knots_a_visits_worth_is_off_by_less_than_a_hundredth(
    stage: int, awareness: float, intent: float, propensity: float
) -> None:
    _, t1, t2, t3, t4 = parts_at(WORTH, stage, awareness, intent)
    ours = propensity * (t1 + t2 + propensity * (t3 + t4))
    visit = value_of_visit(CONSTANTS, TABLE, stage, awareness, intent, propensity)
    assert ours == pytest.approx(visit, rel=0.01)


@given(STAGE, SHARE, SHARE, SHARE, PUSH, SHARE, PROPENSITY, st.floats(1.0, 2.0))
def test_an_ad_is_worth_what_the_plain_market_says(
    stage: int, before: float, gain: float, intent: float, push: float, click: float, propensity: float,
    often: float,
) -> None:  # fmt: skip
    after = before + (1.0 - before) * gain
    moves = advance_probability(CONSTANTS, stage, after, intent, push)
    ours = expected_lift(WORTH, stage, before, after, intent, moves, click, propensity, often)
    theirs = PLAIN.of_ad(stage, before, after, intent, push, click, propensity, often)
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    assert ours >= -1e-9 or stage == 4 or click > 0.0


@given(STAGE, SHARE, SHARE, PROPENSITY, st.floats(0.0, 50.0), st.integers(0, 4))
def test_the_visits_that_adstock_brings_are_worth_what_the_plain_market_says(
    stage: int, awareness: float, intent: float, propensity: float, stock: float, channel: int
) -> None:
    ours = visits_brought(CONSTANTS, WORTH, stage, awareness, intent, propensity, stock, channel)
    theirs = PLAIN.of_stock(stage, awareness, intent, propensity, stock, channel)
    assert ours == pytest.approx(theirs, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(
    ("slope", "visit_rate", "gain"),
    [(1.0, 0.05, 0.5), (2.0, 0.05, 0.5), (0.5, 0.05, 3.0), (2.0, 0.6, 2.0), (1.0, 1.0, 2.0)],
)
def test_the_visits_that_adstock_brings_are_the_area_between_two_fading_stocks(
    slope: float, visit_rate: float, gain: float
) -> None:
    """Summed over the fading of both stocks: the market's own visit rate (`gained`) at E + 1 less at E, for
    any slope and where the rate is held to one."""
    response = {"adstock_slope": slope, "adstock_visit": gain}
    rates = {"visit_rate": [visit_rate] * 5}
    config = MarketConfig.model_validate({"response": response, "conversion": rates})
    records, channel, stage = as_record(constants_of(config)), 3, 1
    constants, worth = records[0], _parts(records, TABLE)
    hours = np.arange(0.05, 400.0 * 24.0, 0.1)
    fading = 0.5 ** (hours / (24.0 * config.channels.video.adstock_half_life_d))
    adds = value_of_visit(constants, TABLE, stage, 0.25, 0.0, 1.0) - prospect(TABLE, stage, 0.25, 0.0)
    for stock in (0.0, 2.0):
        rate = [
            sum(gained(visit_rate, gain, e, config.response.adstock_half, slope) for e in fading * begins)
            for begins in (stock + 1.0, stock)
        ]
        extra = config.people.visits_per_day / 24.0 * 0.1 * (rate[0] - rate[1])
        ours = visits_brought(constants, worth, stage, 0.25, 0.0, 1.0, stock, channel)
        assert ours == pytest.approx(extra * adds, rel=1e-3, abs=1e-12)


STOCK, SLOPE, MOST = st.floats(0.0, 200.0), st.floats(0.5, 10.0), st.floats(0.01, 3.0)


@given(STOCK, st.floats(0.01, 50.0), st.floats(0.1, 100.0), SLOPE, MOST)
def test_the_area_under_a_fading_stock_is_that_of_one_wait_after_another(
    stock: float, waited: float, half: float, slope: float, most: float
) -> None:
    """What fades first and what is left add up, both within the saturation's bounds; no NaN anywhere."""
    later = stock * math.exp(-waited)
    first = fading_area(stock, half, slope, most) - fading_area(later, half, slope, most)
    least, highest = (min(most, hill(at, half, slope)) for at in (later, stock))
    assert least * waited - 1e-9 <= first <= highest * waited + 1e-9


def test_an_ad_accrues_nothing_from_a_person_who_waits_for_an_order() -> None:
    market = Market.born(full_world(conversion={"delay_means_h": [500.0] * 3, "delay_max_h": 700.0}), 3)
    market.begin_episode()
    play(market, 30)
    waiting = market.population.hot["due_h"][: market.population.size] >= 0.0
    assert 5 < waiting.sum() < len(waiting) - 50
    accrued = [accrued_at(market, at) for at in range(len(waiting))]
    assert all((worth == 0) == waits for worth, waits in zip(accrued, waiting, strict=True))


def accrued_at(market: Market, at: int) -> int:
    """What an ad accrues that a person sees now."""
    point = market.checkpoint()
    _, _, ledger = by_hand.touch(
        market._constant_record, market._blocks.moments, market.population, at, 1, False,
        market.hour, market._records,
    )  # fmt: skip
    market.rollback(point)
    return int(ledger["accrued_micro"])


@given(st.integers(3, 4), SHARE)
def test_an_ad_that_does_nothing_is_worth_nothing(stage: int, awareness: float) -> None:
    nothing = expected_lift(WORTH, stage, awareness, awareness, 0.3, 0.0, 0.0, 1.0, 1.0)
    assert nothing == pytest.approx(0.0, abs=1e-12)


def test_who_intends_or_has_bought_is_not_moved_by_an_event() -> None:
    moved = [advance_probability(CONSTANTS, stage, 0.5, 0.5, 1.0) > 0.0 for stage in range(5)]
    assert moved == [True, True, True, False, False]


def test_people_left_alone_earn_their_prospect() -> None:
    """The margin that newborns decide in their lives, never meeting an ad, has the mean of the table."""
    config = MarketConfig.model_validate(
        {
            "clock": {"tick_minutes": 120.0},
            "people": {"users": 6000, "stay_days": 6.0, "visits_per_day": 3.0, "media_per_day": 0.1},
            "conversion": {
                "visit_rate": [0.1, 0.2, 0.3, 0.4, 0.1], "buy_rate": [0.01, 0.02, 0.05, 0.1, 0.02],
            },
        }
    )  # fmt: skip
    decided, born = [], 0
    for seed in range(6):
        market = Market.born(config, seed)
        rows = market.population.rows(slice(None))
        born += float(rows["propensity"].sum())
        decided.append(margin_of_lives(market, config.people.users))
    newborn = prospect_table(config)[0, 0, 0]
    assert sum(decided) / born == pytest.approx(newborn, rel=0.06)


def margin_of_lives(market: Market, first_born: int) -> float:
    """Margin of the orders decided by those of the first day, until nearly all have left."""
    total = 0.0
    for _ in range(12 * 36):
        orders = market.advance(np.zeros(5)).conversions
        total += float(orders["margin_micro"][orders["number"] < first_born].sum()) / 1e6
    waiting = market.population.rows(slice(None))
    waiting = waiting[(waiting["due_h"] >= 0.0) & (waiting["number"] < first_born)]
    return total + float(waiting["order_value"].sum()) * market.config.conversion.margin
