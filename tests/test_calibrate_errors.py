"""Standard errors of figures: worked out by hand, held to a textbook's, and laws of groups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.calibrate_errors import GROUPS, standard_errors
from agents.calibrate_logs import DISPLAY, SEEN, Played
from gaelp_env.ledger import CONVERSION, LEDGER, VISIT

Counts = st.lists(st.integers(1, 5), min_size=GROUPS, max_size=GROUPS)


def log(numbers: Any, buy: Any = 0.0, values: Any = ()) -> Played:
    """A visit and a display ad of each number, in this order, an hour apart; orders of users 0, 1 …"""
    numbers = np.asarray(numbers)
    site, ads = np.zeros(len(numbers), VISIT), np.zeros(len(numbers), SEEN)
    for rows in (site, ads):
        rows["number"], rows["at_h"] = numbers, np.arange(len(numbers))
    site["channel"], site["buy"] = -1, buy
    ads["channel"], ads["price_micro"], ads["click"] = DISPLAY, 1_000, 0.001
    orders = np.zeros(len(values), CONVERSION)
    orders["number"], orders["value_micro"] = np.arange(len(values)), values
    ledgers = np.zeros(48, LEDGER)
    ledgers["tick"], ledgers["bids"], ledgers["wins"], ledgers["opportunities"] = np.arange(48), 10, 3, 20
    return Played(site, ads, orders, ledgers, 90.0 * 24.0)


def test_errors_worked_by_hand() -> None:
    # Users 0 to 9 visit once, users 10 to 19 three times; orders are of 10 and of 30.
    numbers = [*range(10), *np.repeat(range(10, 20), 3)]
    values = np.repeat([10_000_000, 30_000_000], 10)
    found = standard_errors(log(numbers, 0.1, values))
    assert found["sessions_per_user"] == pytest.approx(1.0 / math.sqrt(19.0))
    assert found["order_value"] == pytest.approx(10.0 / math.sqrt(19.0))
    assert found["orders_per_session"] == pytest.approx(0.0, abs=1e-8)


def test_figures_of_ledgers_have_no_error() -> None:
    found = standard_errors(log(range(GROUPS)))
    ledger = {"win_rate", "win_rate_low", "win_rate_high", "floor_binds", "hour_profile", "weekday_profile"}
    assert not ledger & set(found)
    assert found["display_ctr"] == 0.0


def test_a_group_without_a_figure_leaves_it_without_an_error() -> None:
    found = standard_errors(log(range(GROUPS), values=[10_000_000] * (GROUPS - 1)))
    assert "order_value" not in found and "sessions_per_user" in found
    assert standard_errors(log(range(GROUPS - 1))) == {}
    assert standard_errors(log([])) == {}


@given(Counts, st.integers(1, 4))
def test_people_of_one_remainder_are_one_group(counts: list[int], copies: int) -> None:
    once = np.repeat(np.arange(GROUPS), counts)
    more = np.concatenate([once + GROUPS * n for n in range(copies)])
    one, many = standard_errors(log(once)), standard_errors(log(more))
    assert one["sessions_per_user"] == pytest.approx(many["sessions_per_user"])
    assert one["impressions_mean"] == pytest.approx(many["impressions_mean"])


@given(Counts, st.randoms())
def test_it_does_not_matter_which_group_is_which(counts: list[int], luck: Any) -> None:
    mixed = [*counts]
    luck.shuffle(mixed)
    errors = [standard_errors(log(np.repeat(np.arange(GROUPS), each))) for each in (counts, mixed)]
    assert errors[0]["sessions_per_user"] == pytest.approx(errors[1]["sessions_per_user"])


def test_the_error_of_a_mean_is_that_of_the_textbook() -> None:
    luck = np.random.default_rng(1)
    users = 20_000
    sessions = 1 + luck.poisson(0.4, users)
    found = standard_errors(log(np.repeat(np.arange(users), sessions)))
    assert found["sessions_per_user"] == pytest.approx(sessions.std() / math.sqrt(users), rel=0.4)


def test_both_worlds_of_a_pair_are_split_alike() -> None:
    # In every group one of two people visits without ads, and both with them: a lift of one, and no spread.
    ads, quiet = log(range(2 * GROUPS), 0.1), log(range(GROUPS), 0.1)
    found = standard_errors(ads, (ads, quiet))
    assert found["visit_lift_rct"] == 0.0
    assert found["conversion_lift"] == pytest.approx(0.0, abs=1e-7)
    uneven = standard_errors(ads, (ads, log([*range(GROUPS), *range(GROUPS, 3 * GROUPS // 2)], 0.1)))
    assert uneven["visit_lift_rct"] == pytest.approx(0.5 / math.sqrt(19.0))
