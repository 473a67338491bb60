"""Returns after a session, sources of visits, and when a journey closes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.funnel import DEPTHS
from gaelp_env.market import Market
from gaelp_env.sessions import REFERRAL, SOURCES, journey_is_over, return_chance, return_rate, source_of

VISITS = MarketConfig().visits
SAME_DAY = (VISITS.same_day_share, VISITS.same_day_h, 24.0 * VISITS.gap_days)
PROBABILITY = st.floats(0.0, 0.95)
GAP_H = st.floats(0.0, 2000.0)
MIXTURE = st.tuples(st.floats(0.0, 1.0), st.floats(0.5, 50.0), st.floats(10.0, 500.0))
TWO_WEEKS_H = 336.0


def gone(gap_h: float, share: float, soon_h: float, late_h: float) -> float:
    """The distribution of the gap, of those who return."""
    return 1.0 - share * math.exp(-gap_h / soon_h) - (1.0 - share) * math.exp(-gap_h / late_h)


def hazard_up_to(gap_h: float, probability: float, mixture: tuple[float, float, float]) -> float:
    """The integral of the hazard from 0, by Gauss and Legendre on 40 pieces that grow."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    ends = gap_h * np.concatenate([[0.0], np.geomspace(1e-5, 1.0, 40)])
    total = 0.0
    for low, high in itertools.pairwise(ends):
        for node, weight in zip(nodes, weights, strict=True):
            at = 0.5 * (low + high) + 0.5 * (high - low) * node
            total += 0.5 * (high - low) * weight * return_rate(at, probability, *mixture)
    return total


@given(PROBABILITY, st.floats(1e-3, 1e3), st.floats(0.0, 3.0))
def test_a_users_chance_to_come_back_multiplies_the_odds(
    probability: float, propensity: float, power: float
) -> None:
    found = return_chance(probability, propensity, power)
    assert 0.0 <= found < 1.0
    odds = probability / (1.0 - probability) * propensity**power
    assert found == pytest.approx(odds / (1.0 + odds), rel=1e-9)
    assert return_chance(probability, propensity, 0.0) == probability
    assert return_chance(probability, 1.0, power) == pytest.approx(probability, rel=1e-14)


def test_odds_of_a_return_by_hand() -> None:
    assert return_chance(0.2, 4.0, 1.0) == pytest.approx(0.5)
    assert return_chance(0.2, 4.0, 0.5) == pytest.approx(1.0 / 3.0)


@given(GAP_H, PROBABILITY, MIXTURE)
def test_a_hazard_is_no_less_than_nothing(
    gap_h: float, probability: float, mixture: tuple[float, float, float]
) -> None:
    assert return_rate(gap_h, probability, *mixture) >= 0.0
    assert return_rate(gap_h, 0.0, *mixture) == 0.0


@given(PROBABILITY, MIXTURE)
def test_the_hazard_integrates_to_minus_log_one_less_r(
    probability: float, mixture: tuple[float, float, float]
) -> None:
    total = hazard_up_to(60.0 * max(mixture[1:]), probability, mixture)
    assert total == pytest.approx(-math.log(1.0 - probability), rel=1e-6, abs=1e-12)


@given(st.floats(0.1, 2000.0), PROBABILITY, MIXTURE)
def test_who_has_not_returned_by_a_gap_is_what_the_density_leaves(
    gap_h: float, probability: float, mixture: tuple[float, float, float]
) -> None:
    survival = math.exp(-hazard_up_to(gap_h, probability, mixture))
    assert survival == pytest.approx(1.0 - probability * gone(gap_h, *mixture), rel=1e-6)


@given(GAP_H, PROBABILITY, PROBABILITY, MIXTURE)
def test_who_is_likelier_to_return_has_the_higher_hazard(
    gap_h: float, one: float, two: float, mixture: tuple[float, float, float]
) -> None:
    low, high = sorted((one, two))
    assert return_rate(gap_h, low, *mixture) <= return_rate(gap_h, high, *mixture) * (1 + 1e-12)


def test_a_hazard_worked_by_hand() -> None:
    """At once .3 (.3 / 6 + .7 / 144); one exponential alone, at its median: r / 2 / b / (1 - r / 2)."""
    assert return_rate(0.0, 0.3, 0.3, 6.0, 144.0) == pytest.approx(0.016458333, rel=1e-7)
    half = 100.0 * math.log(2.0)
    assert return_rate(half, 0.4, 0.0, 6.0, 100.0) == pytest.approx(0.4 * 0.5 / 100.0 / 0.8, rel=1e-12)


@njit
def thinned(gaps, luck, probability, share, soon_h, late_h, rate):  # type: ignore[no-untyped-def]
    """When each person of a row comes back, among candidates at `rate` an hour; -1 if never."""
    back = np.full(len(gaps), -1.0)
    for i in range(len(gaps)):
        at = 0.0
        for k in range(gaps.shape[1]):
            at += gaps[i, k] / rate
            if luck[i, k] < return_rate(at, probability, share, soon_h, late_h) / rate:
                back[i] = at
                break
    return back


@pytest.mark.parametrize("published", [0.093, 0.362])
def test_thinning_gives_the_published_share_of_returns(published: float) -> None:
    """GA4: 9.3 % of non-buyers and 36.2 % of first-day buyers return within 14 days."""
    probability = published / gone(TWO_WEEKS_H, *SAME_DAY)
    rng, rate, people = np.random.default_rng(2), 0.05, 40_000
    gaps, luck = rng.exponential(size=(people, 80)), rng.random((people, 80))
    back = thinned(gaps, luck, probability, *SAME_DAY, rate)
    for until_h in (6.0, 24.0, 96.0, TWO_WEEKS_H):
        share = probability * gone(until_h, *SAME_DAY)
        within = ((back >= 0.0) & (back <= until_h)).mean()
        assert within == pytest.approx(share, abs=4.0 * math.sqrt(share * (1.0 - share) / people))


def test_people_of_a_market_return_by_the_same_share() -> None:
    """Everybody comes once by a click; nobody comes unasked, so who comes again has returned."""
    people, probability = 1200, 0.4
    config = load_config(
        {
            "people.users": people, "people.traffic": "flat", "people.weekdays": "flat",
            "people.stay_days": 36_500.0, "people.visits_per_day": 2.0, "people.media_per_day": 0.1,
            "conversion.visit_rate": [0.0] * 5, "conversion.buy_rate": [0.0] * 5, "clock.tick_minutes": 120.0,
            "visits.return_probability": [probability] * 5, "response.adstock_visit": 0.0,
        }
    )  # fmt: skip
    market = Market.born(config, 5)
    market.begin_episode()
    for number in range(people):
        market.touch(number, 1, clicked=True)
    returns = journeys = 0
    for _ in range(7 * 24):
        ledger = market.advance(np.zeros(5)).ledger
        returns += int(ledger["returns"])
        journeys += int(ledger["journeys"])
    rows = market.population.rows(slice(None))[:people]
    share = probability * gone(TWO_WEEKS_H, *SAME_DAY)
    assert (rows["visits"] > 1).mean() == pytest.approx(share, abs=4.0 * math.sqrt(0.24 / people))
    assert returns == (rows["visits"].astype(int) - 1).sum()
    assert journeys == (rows["journeys"].astype(int) - 1).sum()


@given(st.floats(0.0, 1.0, exclude_max=True))
def test_a_source_is_the_first_whose_cumulated_share_is_above_the_draw(u: float) -> None:
    up_to = np.cumsum(VISITS.source_shares)
    source = source_of(u, up_to)
    assert 0 <= source <= REFERRAL
    assert source == min(int((u >= up_to).sum()), REFERRAL)


def test_sources_worked_by_hand() -> None:
    up_to = np.array([0.4, 0.65, 0.85, 1.0])
    assert [SOURCES[source_of(u, up_to)] for u in (0.0, 0.4, 0.65, 0.849, 0.85, 0.999)] == [
        "organic", "direct", "unknown", "unknown", "referral", "referral",
    ]  # fmt: skip


@given(st.floats(0.0, 1e5), st.floats(0.1, 1e5))
def test_a_journey_closes_after_longer_than_the_rule_allows(idle_h: float, rule_h: float) -> None:
    assert journey_is_over(idle_h, rule_h) == (idle_h > rule_h)


def test_fourteen_days_are_allowed_and_a_minute_more_is_not() -> None:
    assert not journey_is_over(336.0, 336.0)
    assert journey_is_over(336.0 + 1.0 / 60.0, 336.0)


def test_a_journey_gives_way_after_the_pause_and_the_person_stays() -> None:
    config = load_config(
        {"people.users": 2, "people.inactivity_days": 1.0, "conversion.visit_rate": [0.0] * 5}
    )
    market = Market.born(config, 1)
    market.begin_episode()
    number, gain = market.name_user(), config.channels.social.awareness_gain

    def touched_after(hours: float) -> tuple[int, float]:
        for _ in range(round(2 * hours)):
            market.advance(np.zeros(5))
        market.touch(number, 1)
        row = market.population.rows(slice(None))[market.population.index_of(number)]
        return int(row["journeys"]), float(row["awareness"])

    assert touched_after(0.0)[0] == 1
    assert touched_after(24.0)[0] == 1
    journeys, awareness = touched_after(24.5)
    assert journeys == 2
    assert awareness > 1.8 * gain


def test_a_journey_ends_with_an_order() -> None:
    """The visit after an order has the next number, the one after any other visit the same."""
    config = load_config(
        {
            "people.users": 60, "people.visits_per_day": 20.0, "conversion.visit_rate": [1.0] * 5,
            "conversion.buy_rate": [0.3] * 5, "people.stay_days": 36_500.0, "rivals.share_of_voice": False,
        }
    )  # fmt: skip
    market = Market.born(config, 1)
    market.begin_episode()
    visits = np.concatenate([market.advance(np.zeros(5)).visits for _ in range(48)])
    ends = 0
    for number in np.unique(visits["number"]):
        own = visits[visits["number"] == number]
        ordered = own["depth"] == DEPTHS.index("order")
        assert own["journey"].tolist() == np.cumsum(np.append(1, ordered[:-1])).tolist()
        ends += int(ordered[:-1].sum())
    assert ends > 20


@pytest.mark.parametrize("again", [0.0, 0.5, 1.0])
def test_a_return_comes_by_the_first_source_again_as_often_as_said(again: float) -> None:
    """Else it is drawn anew: P(same as the first) = a + (1 - a) sum of p ** 2."""
    config = load_config(
        {
            "people.users": 800, "people.visits_per_day": 12.0, "conversion.visit_rate": [0.5] * 5,
            "conversion.buy_rate": [0.0] * 5, "people.stay_days": 36_500.0, "visits.source_again": again,
        }
    )  # fmt: skip
    market = Market.born(config, 9)
    market.begin_episode()
    visits = np.concatenate([market.advance(np.zeros(5)).visits for _ in range(48)])
    _, first, person = np.unique(visits["number"], return_index=True, return_inverse=True)
    later = np.ones(len(visits), bool)
    later[first] = False
    same = (visits["source"] == visits["source"][first][person])[later]
    shares = np.bincount(visits["source"][first], minlength=4) / len(first)
    assert shares == pytest.approx(VISITS.source_shares, abs=4.0 * math.sqrt(0.25 / len(first)))
    expected = again + (1.0 - again) * (shares**2).sum()
    assert same.mean() == pytest.approx(expected, abs=4.0 * math.sqrt(0.25 / len(first)))
