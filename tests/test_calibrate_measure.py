"""Figures of made-up logs, worked out by hand; and laws that hold for any log."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.calibrate_logs import DISPLAY, SEEN, Played, expected_orderers, running, starts
from agents.calibrate_measure import curves, moments
from agents.calibrate_measure_ads import (
    carry_over,
    click_by_exposure,
    impressions,
    quartiles,
    twin_moments,
)
from agents.calibrate_measure_paths import hour_shares, paths, weekday_shares
from agents.calibrate_measure_site import site_moments, weekly_active
from gaelp_env.ledger import CONVERSION, LEDGER, VISIT
from gaelp_env.published import HOUR_SHARES

DAY = 24.0
EPOCH = np.datetime64("2026-01-05T00:00:00", "us")


def visits(*rows: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Visits of what a test names; unasked, organic, on a desktop, landing by default."""
    array = np.zeros(len(rows), VISIT)
    array["channel"] = -1
    array["devices"] = 1
    for place, row in enumerate(rows):
        for name, value in row.items():
            array[name][place] = value
    return array


def visit(number: int, day: float, buy: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"number": number, "at_h": day * DAY, "buy": buy, **more}


def seen(*rows: tuple[int, float, int], **more: Any) -> np.ndarray[Any, Any]:
    """Ads: (user, day, channel)."""
    array = np.zeros(len(rows), SEEN)
    for place, (number, day, channel) in enumerate(rows):
        array[place] = (number, day * DAY, channel, 0, 0, 0.0)
    for name, values in more.items():
        array[name] = values
    return array


def played(
    site: np.ndarray[Any, Any] | None = None, ads: np.ndarray[Any, Any] | None = None, days: float = 90.0,
    orders: np.ndarray[Any, Any] | None = None, ledgers: np.ndarray[Any, Any] | None = None,
) -> Played:  # fmt: skip
    return Played(
        visits() if site is None else site,
        seen() if ads is None else ads,
        np.zeros(0, CONVERSION) if orders is None else orders,
        np.zeros(0, LEDGER) if ledgers is None else ledgers,
        days * DAY,
    )


def test_orders_sessions_and_users() -> None:
    # User 1 decides at its second visit; what it might have ordered later says nothing of its first order.
    found = site_moments(played(visits(
        visit(1, 0.1, 0.1), visit(1, 1.1, 0.2, depth=4), visit(1, 2.1, 0.5),
        visit(2, 0.2, 0.1),
    )))  # fmt: skip
    assert found["orders_per_session"] == pytest.approx(0.9 / 4)
    assert found["sessions_per_user"] == 2.0
    assert found["buyers_per_user"] == pytest.approx((0.1 + 0.2 + 0.1) / 2)


def test_buyers_of_new_and_of_returning_weeks() -> None:
    # Day 6 is a Sunday, day 7 a Monday: user 1 has one new week and two returning ones.
    found = site_moments(played(visits(
        visit(1, 6.0, 0.1), visit(1, 7.0, 0.2), visit(1, 8.0, 0.3), visit(1, 15.0, 0.4), visit(2, 9.0, 0.3),
    )))  # fmt: skip
    assert found["new_week_buyers"] == pytest.approx((0.1 + 0.3) / 2)
    assert found["returning_week_buyers"] == pytest.approx((0.2 + 0.3 + 0.4) / 2)


def test_returns_on_a_later_day_by_the_fourteenth() -> None:
    found = site_moments(played(visits(
        visit(1, 0.1), visit(1, 0.9),  # the same day is no return
        visit(2, 0.9), visit(2, 1.0),  # an hour before and after midnight is one
        visit(3, 0.0), visit(3, 14.9),  # the 14th day still counts
        visit(4, 0.0), visit(4, 15.0),  # the 15th does not
        visit(5, 0.0, depth=4), visit(5, 2.0),  # a first-day buyer who returns
        visit(6, 0.0), visit(6, 0.5, depth=4),  # one who does not
        visit(7, 1.0, depth=3), visit(7, 2.0, depth=4),  # bought on the second day: not a first-day buyer
        visit(8, 76.0), visit(8, 77.0),  # 14 days are not over at day 90
    )))  # fmt: skip
    assert found["return14_nonbuyer"] == pytest.approx(3 / 5)
    assert found["return14_buyer"] == pytest.approx(1 / 2)


def test_weekly_activity_of_the_first_three_cohorts() -> None:
    log = played(visits(
        visit(1, 0.0), visit(1, 7.0), visit(1, 8.0), visit(1, 21.0),  # back in weeks 1 and 3
        visit(2, 20.0), visit(2, 21.0),  # joined in week 2, back a day and a week later
        visit(3, 3.0),
        visit(4, 21.0), visit(4, 28.0),  # joined too late to be followed
    ), days=49.0)  # fmt: skip
    weeks = weekly_active(log.visits, log.end_h)
    assert weeks[:4] == pytest.approx([2 / 3, 0.0, 1 / 3, 0.0])
    assert all(math.isnan(share) for share in weeks[4:])


def test_funnel_devices_and_sources() -> None:
    found = site_moments(played(visits(
        visit(1, 0.0, source=4, channel=2, device=1, depth=1), visit(1, 1.0, source=1, depth=4),
        visit(2, 0.0, source=1, device=2, depth=2), visit(3, 0.0, depth=1),
        visit(4, 0.0, source=4, channel=0),
    )))  # fmt: skip
    assert (found["funnel_cart"], found["funnel_checkout"], found["funnel_order"]) == (2 / 3, 0.5, 1.0)
    assert (found["device_desktop"], found["device_mobile"], found["device_tablet"]) == (0.6, 0.2, 0.2)
    assert (found["source_paid"], found["source_direct"], found["source_organic"]) == (0.5, 0.25, 0.25)


def test_click_rate_by_exposure_keeps_to_the_same_users() -> None:
    rates = [0.004, 0.003, 0.002, 0.002, 0.001]
    rows = [(1, d, DISPLAY) for d in range(5)] + [(2, 0.0, DISPLAY), (2, 1.0, DISPLAY), (1, 0.5, 3)]
    log = played(ads=seen(*rows, click=[*rates, 0.9, 0.9, 0.9]))
    assert click_by_exposure(log, 5) == pytest.approx([1.0, 0.75, 0.5, 0.5, 0.25], rel=1e-5)
    found = moments(log)
    assert found["ctr_exposure_5"] == pytest.approx(0.25, rel=1e-5)
    assert found["display_ctr"] == pytest.approx((sum(rates) + 1.8) / 7, rel=1e-5)


def test_ads_a_user_within_the_campaign() -> None:
    rows = [(1, 1.0, DISPLAY)] * 3 + [(2, 2.0, 0)] + [(2, 40.0, 0), (3, 1.0, 4), (4, 30.0, DISPLAY)]
    found = impressions(played(ads=seen(*rows)))  # users 1 and 2 with 3 and 1; e-mail and later ads are not
    assert found["impressions_mean"] == 2.0
    assert found["impressions_sd"] == 1.0
    # Half of the users lie evenly between 1/2 and 3/2, the others between 5/2 and 7/2.
    assert (found["impressions_q25"], found["impressions_q75"]) == (1.0, 3.0)


def test_quartiles_of_whole_numbers_move_without_steps() -> None:
    assert quartiles(np.array([4] * 4)) == pytest.approx((3.75, 4.0, 4.25))
    assert quartiles(np.array([1, 2, 3, 4])) == pytest.approx((1.5, 2.5, 3.5))


def test_prices_are_in_medians() -> None:
    price = [2_000, 2_000, 4_000, 0]
    rows = [(n, 0.0, DISPLAY) for n in range(4)]
    found = moments(played(ads=seen(*rows, price_micro=price)))
    assert found["won_price_mean"] == pytest.approx(4 / 3)
    assert found["won_price_log_mean"] == pytest.approx(math.log(2.0) / 3)


def ledgers(days: int) -> np.ndarray[Any, Any]:
    array = np.zeros(48 * days, LEDGER)
    array["tick"] = np.arange(48 * days)
    return array


def test_win_rates_over_all_and_by_hour() -> None:
    array = ledgers(1)
    array["bids"][:, DISPLAY], array["wins"][:, DISPLAY] = 10, 5
    array["wins"][:2, DISPLAY], array["wins"][46:, DISPLAY] = 1, 9
    array["floor_bound"][5, DISPLAY] = 60
    found = moments(played(ledgers=array))
    assert found["floor_binds"] == pytest.approx(60 / (44 * 5 + 2 + 18))
    assert found["win_rate"] == pytest.approx((44 * 5 + 2 + 18) / 480)
    assert (found["win_rate_low"], found["win_rate_high"]) == (0.1, 0.9)


def test_calendar_shares() -> None:
    array = ledgers(8)
    per_hour = np.asarray([round(10_000 * s) for s in HOUR_SHARES["avito"]])
    array["opportunities"][:, 0] = per_hour[(array["tick"] // 2) % 24]
    log = played(ledgers=array, days=8.0)
    assert hour_shares(log).sum() == pytest.approx(1.0)
    assert moments(log)["hour_profile"] == pytest.approx(0.0, abs=2e-3)
    assert weekday_shares(log) == pytest.approx([1 / 7] * 7)  # the eighth day is no whole week
    weights = np.asarray((1.02, 1.19, 1.17, 1.09, 1.00, 0.79, 0.74)) / 7.0
    assert moments(log)["weekday_profile"] == pytest.approx(np.abs(weights - 1 / 7).sum(), abs=1e-3)


def test_delays_of_orders_whose_month_is_over_and_their_value() -> None:
    orders = np.zeros(4, CONVERSION)
    delays, decided_day = (0.5, 20.0, 400.0, 0.1), (1.0, 2.0, 3.0, 80.0)
    for place, (delay, day) in enumerate(zip(delays, decided_day, strict=True)):
        orders["decided"][place] = EPOCH + np.timedelta64(int(day * 86_400e6), "us")
        orders["at"][place] = orders["decided"][place] + np.timedelta64(int(delay * 3_600e6), "us")
        orders["tick"][place] = int((day * DAY + delay) * 2)
    orders["value_micro"] = [10_000_000, 20_000_000, 30_000_000, 40_000_000]
    found = moments(played(orders=orders))
    assert [found[f"delay_{h}"] for h in ("1h", "24h", "14d")] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert found["order_value"] == 25.0


def test_paths_count_sessions_and_no_ads_that_were_merely_seen() -> None:
    log = played(
        visits(
            visit(1, 2.0, source=4, channel=DISPLAY, buy=0.1, device=1),  # by a click
            visit(1, 3.0, source=1, buy=0.3, depth=4),
            visit(1, 4.0, source=1, buy=0.2, journey=1),  # after the order: a new journey
            visit(2, 20.0, buy=0.1), visit(2, 34.0, buy=0.1), visit(2, 48.5, buy=0.2),  # 14 days, 14.5 days
        ),
        seen((1, 1.0, 1), (1, 2.0, DISPLAY), (1, 3.5, 0), (2, 40.0, 1), (3, 1.0, 1)),
    )  # fmt: skip
    sessions, channels, devices, weight = paths(log)
    assert sessions.tolist() == [1, 2, 1, 1, 2, 1]
    assert channels.tolist() == [1, 2, 1, 1, 1, 1]
    assert devices.tolist() == [1, 2, 1, 1, 1, 1]
    found = moments(log)
    assert weight.sum() == pytest.approx(1.0)
    assert found["path_mean"] == pytest.approx(0.4 * 2 + 0.6, rel=1e-5)
    assert found["path_at_most_1"] == pytest.approx(0.6, rel=1e-5)
    assert found["path_at_most_3"] == pytest.approx(1.0)
    assert found["cross_device_orders"] == pytest.approx(0.3, rel=1e-5)


def test_the_twin_compares_the_same_people() -> None:
    ads = seen((1, 1.0, DISPLAY), (2, 1.0, 0), (3, 1.0, 4), (4, 40.0, DISPLAY), (5, 2.0, 1))
    with_ads = played(visits(
        visit(1, 1.0, 0.3), visit(2, 1.0, 0.1), visit(5, 3.0, 0.2), visit(3, 2.0, 0.9), visit(1, 29.0, 0.9),
    ), ads)  # fmt: skip
    without = played(visits(visit(1, 1.0, 0.3), visit(2, 1.0, 0.1), visit(9, 1.0, 0.9)))
    found = twin_moments(with_ads, without)  # users 1, 2 and 5 were reached
    assert found["ad_conversion"] == pytest.approx(0.6 / 3, rel=1e-5)
    assert found["psa_conversion"] == pytest.approx(0.4 / 3, rel=1e-5)
    assert found["conversion_lift"] == pytest.approx(0.5, rel=1e-5)
    assert found["visit_lift_rct"] == pytest.approx(0.5)


def test_carry_over_is_extra_visitors_after_over_those_within() -> None:
    ads = seen(*((n, 1.0, DISPLAY) for n in range(1, 6)))
    with_ads = played(visits(*(visit(n, 2.0) for n in range(1, 6)), visit(1, 30.0), visit(2, 55.0)), ads)
    without = played(visits(visit(1, 2.0), visit(2, 55.0), visit(3, 57.0)))
    assert carry_over(with_ads, without)["carry_over"] == pytest.approx((2 - 1) / (5 - 1))
    assert math.isnan(carry_over(played(with_ads.visits, ads, 40.0), without)["carry_over"])


def test_a_world_against_itself_has_no_lift() -> None:
    log = played(visits(visit(1, 1.0, 0.3), visit(1, 2.0, 0.2)), seen((1, 0.5, DISPLAY)))
    found = moments(log, (log, log))
    assert (found["conversion_lift"], found["visit_lift_rct"]) == (0.0, 0.0)


def test_nothing_gives_no_figure_and_no_error() -> None:
    empty = played()
    assert all(not math.isfinite(figure) for figure in moments(empty, (empty, empty)).values())
    assert curves(empty)["delays"] == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5)), max_size=40))
def test_running_sums_begin_anew_in_each_group(rows: list[tuple[int, int]]) -> None:
    rows.sort(key=lambda row: row[0])
    keys, values = np.array([r[0] for r in rows], int), np.array([r[1] for r in rows], int)
    plain = [sum(v for k, v in rows[: i + 1] if k == rows[i][0]) for i in range(len(rows))]
    assert running(values, starts(keys)).tolist() == plain


Rows = list[tuple[int, float, float, bool]]
LOGS = st.lists(
    st.tuples(st.integers(1, 5), st.floats(0.0, 80.0), st.floats(0.0, 1.0), st.booleans()),
    min_size=1,
    max_size=30,
)


@given(LOGS, st.randoms())
def test_the_order_of_a_log_does_not_matter(rows: list[tuple[int, float, float, bool]], luck: Any) -> None:
    site = visits(*(visit(n, at, buy, depth=4 * decided) for n, at, buy, decided in rows))
    mixed = site.copy()
    luck.shuffle(order := list(range(len(site))))
    distinct = len({(row["number"], row["at_h"]) for row in site}) == len(site)
    if distinct:
        assert site_moments(played(site)) == pytest.approx(site_moments(played(mixed[order])), nan_ok=True)


@given(LOGS)
def test_shares_are_shares_and_paths_are_at_least_a_session(
    rows: list[tuple[int, float, float, bool]],
) -> None:
    log = played(visits(*(visit(n, at, buy, depth=4 * decided) for n, at, buy, decided in rows)))
    sessions, channels, devices, _ = paths(log)
    assert (sessions >= channels).all() and (channels >= 1).all() and (devices >= 1).all()
    found = site_moments(log)
    for name in ("orders_per_session", "return14_buyer", "return14_nonbuyer", "funnel_order", "source_paid"):
        assert math.isnan(found[name]) or 0.0 <= found[name] <= 1.0


def test_expected_orderers_has_the_mean_of_the_count() -> None:
    # Two visits; an order at the first changes the second's chance: the count's mean is .3 + .7 * .2.
    outcomes = []
    for first, chance in ((True, 0.3), (False, 0.7)):
        then = 0.6 if first else 0.2
        log = visits(visit(1, 0.0, 0.3, depth=4 if first else 0), visit(1, 1.0, then))
        outcomes.append(chance * expected_orderers(log, starts(log["number"])))
    assert sum(outcomes) == pytest.approx(0.3 + 0.7 * 0.2)
