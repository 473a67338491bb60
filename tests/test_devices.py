"""Devices: sessions keep the shares, and journeys take several by the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from gaelp_env.config import MarketConfig
from gaelp_env.config_load import load_config
from gaelp_env.devices import DESKTOP, MOBILE, TABLET, device_of, how_many, session_device
from gaelp_env.market import Market

PEOPLE = MarketConfig().people
UNIT = st.floats(1e-9, 1.0 - 1e-9)
SHARE = st.floats(0.0, 1.0)


@st.composite
def cumulated(draw: st.DrawFn) -> tuple[float, float]:
    one, two = sorted((draw(SHARE), draw(SHARE)))
    return one, two


def several(shares: tuple[float, ...], redraw: float, sessions: float) -> float:
    """P(more than one device over k sessions), by the person's own device h and the only one used."""
    one = 0.0
    for home, p in enumerate(shares):
        one += p * (1.0 - redraw * (1.0 - p)) ** sessions
        one += p * sum((redraw * q) ** sessions for k, q in enumerate(shares) if k != home)
    return 1.0 - one


@njit
def walks(u, redraw, desktop, both):  # type: ignore[no-untyped-def]
    """Last device and set of devices of each row's sessions; the first uniform draws the person's own."""
    last, used = np.empty(len(u), np.int64), np.empty(len(u), np.int64)
    for i in range(len(u)):
        home = device = device_of(u[i, 0], desktop, both)
        seen = 0
        for k in range(1, u.shape[1]):
            device = session_device(home, u[i, k], redraw, desktop, both)
            seen |= 1 << device
        last[i], used[i] = device, seen
    return last, used


@given(UNIT, UNIT, cumulated())
def test_a_higher_draw_is_a_later_device(one: float, two: float, shares: tuple[float, float]) -> None:
    low, high = sorted((one, two))
    assert DESKTOP <= device_of(low, *shares) <= device_of(high, *shares) <= TABLET


@given(cumulated(), SHARE, st.sampled_from([DESKTOP, MOBILE, TABLET]))
def test_sessions_keep_the_shares_whatever_the_redraw_is(
    shares: tuple[float, float], redraw: float, first: int
) -> None:
    """p_d = (1 - s) p_d + s p_d: of a session's draws the share s goes by the shares, the rest stay."""
    grid = (np.arange(2000) + 0.5) / 2000.0
    after = np.array([session_device(first, float(u), redraw, *shares) for u in grid])
    p = np.diff([0.0, *shares, 1.0])
    expected = redraw * p + (1.0 - redraw) * (np.arange(3) == first)
    assert np.bincount(after, minlength=3) / 2000.0 == pytest.approx(expected, abs=1.1e-3)


@given(UNIT, cumulated(), st.sampled_from([DESKTOP, MOBILE, TABLET]))
def test_without_a_redraw_the_device_stays_and_with_one_each_time_it_is_drawn(
    u: float, shares: tuple[float, float], first: int
) -> None:
    assert session_device(first, u, 0.0, *shares) == first
    assert session_device(first, u, 1.0, *shares) == device_of(u, *shares)


def test_a_device_worked_by_hand() -> None:
    assert [device_of(u, 0.58, 0.978) for u in (0.0, 0.579, 0.58, 0.977, 0.978, 0.999)] == [0, 0, 1, 1, 2, 2]
    # s = .27: u = .135 is .5 of the redraw, a desktop; .2 is .7407, a mobile; .3 is no redraw
    assert [session_device(TABLET, u, 0.27, 0.58, 0.978) for u in (0.135, 0.2, 0.3)] == [0, 1, 2]


def test_how_many_devices_a_set_has() -> None:
    assert [how_many(used) for used in range(8)] == [bin(used).count("1") for used in range(8)]


@pytest.mark.parametrize("redraw", [0.1, PEOPLE.device_redraw, 0.8])
@pytest.mark.parametrize("sessions", [2, 4, 9])
def test_several_devices_come_by_the_formula(redraw: float, sessions: int) -> None:
    shares = PEOPLE.device_shares
    u = np.random.default_rng(1).random((200_000, sessions + 1))
    last, used = walks(u, redraw, shares[0], shares[0] + shares[1])
    expected = several(shares, redraw, sessions)
    sd = math.sqrt(expected * (1.0 - expected) / len(u))
    assert np.mean([used & (used - 1) != 0]) == pytest.approx(expected, abs=4.0 * sd)
    assert np.bincount(last, minlength=3) / len(u) == pytest.approx(
        shares, abs=4.0 * math.sqrt(0.25 / len(u))
    )


def test_the_default_meets_the_published_cross_device_share() -> None:
    """Criteo: 31 % of orders took several devices, at 3.5 sessions a journey."""
    assert several(PEOPLE.device_shares, PEOPLE.device_redraw, 3.5) == pytest.approx(0.31, abs=0.01)


def test_visits_keep_the_shares_and_count_the_devices_of_their_journey() -> None:
    config = load_config(
        {
            "people.users": 1500, "people.visits_per_day": 6.0, "conversion.visit_rate": [0.5] * 5,
            "conversion.buy_rate": [0.0] * 5, "people.stay_days": 10_000.0, "clock.tick_minutes": 60.0,
        }
    )  # fmt: skip
    market = Market.born(config, 3)
    market.begin_episode()
    visits = np.concatenate([market.advance(np.zeros(5)).visits for _ in range(72)])
    shares = np.bincount(visits["device"], minlength=3) / len(visits)
    assert shares == pytest.approx(config.people.device_shares, abs=0.03)
    one = visits[visits["number"] == visits["number"][0]]
    assert one["devices"].tolist() == [len(set(one["device"][: k + 1].tolist())) for k in range(len(one))]
    for k in (2, 4):
        reached = [row for row in (visits[visits["number"] == n] for n in range(1500)) if len(row) >= k]
        share = np.mean([row["devices"][k - 1] > 1 for row in reached])
        expected = several(config.people.device_shares, config.people.device_redraw, k)
        assert share == pytest.approx(expected, abs=4.0 * math.sqrt(0.25 / len(reached)))
