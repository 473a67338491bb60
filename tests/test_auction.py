"""Laws of one auction; closed forms of second price and of shading met by the market's own draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from gaelp_env.auction import (
    FIRST,
    GSP,
    OWNED,
    RULES,
    SECOND,
    micro,
    payment,
    pressure_after,
    price_at,
    quantile_of,
    wins,
)  # fmt: skip
from gaelp_env.bidding import LOST, buy_slot
from gaelp_env.chance import AUCTION, uniforms
from gaelp_env.chance import SLOTS as ORDER
from gaelp_env.config import MarketConfig
from gaelp_env.constants import as_record, constants_of
from gaelp_env.ledger import MOMENT
from gaelp_env.rivalry import drawn_tables

UNIT = st.floats(1e-6, 1.0 - 1e-6)
CPM = st.floats(0.01, 1000.0)
SD = st.floats(0.05, 2.5)
SHARE = st.floats(0.0, 1.0)
MEDIAN, LOG_SD, VALUE = math.exp(4.045), 0.914, 80.0
"""iPinYou's prices and the value of the worked examples."""
SLOTS = 400_000


@given(UNIT, CPM, SD)
def test_a_price_and_its_quantile_are_each_others_inverse(u: float, median: float, sd: float) -> None:
    assert quantile_of(price_at(u, median, sd), median, sd) == pytest.approx(u, abs=1e-8)


@given(CPM, CPM, CPM, SD)
def test_a_higher_bid_has_no_lower_quantile(bid: float, more: float, median: float, sd: float) -> None:
    assert 0.0 <= quantile_of(bid, median, sd) <= quantile_of(bid + more, median, sd) <= 1.0


@given(CPM, CPM, SD, st.floats(0.01, 100.0))
def test_prices_have_no_unit(bid: float, median: float, sd: float, scale: float) -> None:
    assert quantile_of(bid * scale, median * scale, sd) == pytest.approx(
        quantile_of(bid, median, sd), abs=1e-12
    )
    assert price_at(0.3, median * scale, sd) == pytest.approx(scale * price_at(0.3, median, sd), rel=1e-12)


def test_a_posted_price_and_the_ends() -> None:
    assert quantile_of(5.0, 5.0, 0.0) == 1.0
    assert quantile_of(4.99, 5.0, 0.0) == 0.0
    assert quantile_of(0.0, 5.0, 0.9) == 0.0
    assert quantile_of(-1.0, 0.0, 0.9) == 0.0
    assert quantile_of(1e-9, 0.0, 0.9) == 1.0
    assert quantile_of(MEDIAN, MEDIAN, LOG_SD) == 0.5


@given(UNIT, SHARE, UNIT, SHARE, CPM, CPM, CPM, SD, st.sampled_from([FIRST, SECOND]))
def test_who_wins_pays_no_more_than_the_bid_and_no_less_than_rival_and_reserve(
    u_price: float, u_has: float, u_floor: float, share: float, bid: float, median: float, low: float,
    sd: float, rule: int,
) -> None:  # fmt: skip
    rival, floor = price_at(u_price, median, sd), price_at(u_floor, low, sd) if u_has < share else 0.0
    won = wins(u_price, u_has, u_floor, quantile_of(bid, median, sd), quantile_of(bid, low, sd), share)
    if won:
        price = payment(rule, bid, rival, floor)
        assert floor <= price * (1 + 1e-7)
        assert rival <= price * (1 + 1e-7)
        assert price <= bid
        assert price == bid or rule == SECOND
    elif abs(rival - bid) > 1e-6 * bid and abs(floor - bid) > 1e-6 * bid:
        assert bid < max(rival, floor)


@given(UNIT, SHARE, UNIT, SHARE, CPM, CPM, CPM, CPM, SD)
def test_raising_a_bid_never_loses_an_auction_that_was_won(
    u_price: float, u_has: float, u_floor: float, share: float, bid: float, more: float, median: float,
    low: float, sd: float,
) -> None:  # fmt: skip
    def won(b: float) -> bool:
        return bool(wins(u_price, u_has, u_floor, quantile_of(b, median, sd), quantile_of(b, low, sd), share))

    assert won(bid + more) or not won(bid)


@given(CPM, CPM, CPM, CPM, st.floats(0.1, 10.0))
def test_a_second_price_does_not_hang_on_the_bid_and_scales(
    bid: float, more: float, rival: float, floor: float, scale: float
) -> None:
    top = max(rival, floor) + bid
    assert payment(SECOND, top, rival, floor) == payment(SECOND, top + more, rival, floor)
    scaled = payment(SECOND, top * scale, rival * scale, floor * scale)
    assert scaled == pytest.approx(scale * payment(SECOND, top, rival, floor), rel=1e-12)


def test_payments_and_their_micro_units_worked_by_hand() -> None:
    assert payment(SECOND, 10.0, 4.0, 6.0) == 6.0
    assert payment(SECOND, 10.0, 7.0, 6.0) == 7.0
    assert payment(FIRST, 10.0, 7.0, 6.0) == 10.0
    assert micro(2.5) == 2500
    assert micro(0.0004) == 0
    assert micro(0.0005) == 1
    assert RULES == {"second": SECOND, "first": FIRST, "gsp": GSP, "owned": OWNED}


@given(st.floats(-3.0, 3.0), UNIT, st.floats(0.0, 2.0), st.floats(0.1, 1000.0))
def test_pressure_keeps_a_share_and_its_spread(x: float, u: float, sd: float, half_h: float) -> None:
    assert pressure_after(x, u, sd, 0.0, half_h) == pytest.approx(x, abs=1e-12)
    assert pressure_after(x, 0.5, sd, half_h, half_h) == pytest.approx(0.5 * x, abs=1e-12)
    assert pressure_after(x, u, sd, 1e9 * half_h, half_h) == pytest.approx(
        sd * math.log(price_at(u, 1.0, 1.0)), abs=1e-12
    )


def test_pressure_has_the_long_run_spread_and_memory_that_it_claims() -> None:
    rng, x, path = np.random.default_rng(3), 0.0, []
    for u in rng.random(60_000):
        x = pressure_after(x, u, 0.6, 1.0, 4.0)
        path.append(x)
    assert np.mean(path) == pytest.approx(0.0, abs=0.03)
    assert np.std(path) == pytest.approx(0.6, rel=0.03)
    assert np.corrcoef(path[:-4], path[4:])[0, 1] == pytest.approx(0.5, abs=0.03)


@njit
def costs_of(constants, moment, channel, users):  # type: ignore[no-untyped-def]
    """Micro-units paid by slot, -1 where the auction is lost."""
    out = np.empty(users, np.int64)
    for user in range(users):
        slot, cpm, _view, _bound = buy_slot(
            constants[0],
            moment[0],
            channel,
            0,
            uniforms(moment[0].key, user, moment[0].tick, AUCTION, 0),
            uniforms(moment[0].key, user, moment[0].tick, ORDER, 0),
        )
        out[user] = -1 if slot == LOST else micro(cpm)
    return out


def auctions(bid: float, *, floor_share: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """What the market's own draws make of a bid: CPM paid (nan: lost), second price and first price."""
    channels = {name: part.model_dump() for name, part in MarketConfig().channels}
    channels["search"]["rule"] = "second"
    config = MarketConfig.model_validate(
        {
            "channels": channels,
            "prices": {"log_sd": LOG_SD, "floor_share": floor_share, "floor_log_sd": 1.0},
        }
    )
    constants, moment = as_record(constants_of(config)), np.zeros(1, MOMENT)
    moment["key"], moment["tick"] = 99, 5
    moment["bid_cpm"], moment["price_median"], moment["floor_median"] = bid, MEDIAN, 40.0
    moment["beats_rivals"] = quantile_of(bid, MEDIAN, LOG_SD)
    moment["beats_floor"] = quantile_of(bid, 40.0, 1.0)
    tables = drawn_tables(config)
    moment["prices_at"] = tables.ctypes.data
    rules = constants["rule"][0].tolist()
    paid = []
    for rule in (SECOND, FIRST):
        micros = costs_of(constants, moment, rules.index(rule), SLOTS)
        paid.append(np.where(micros >= 0, micros / 1000.0, np.nan))
    return paid[0], paid[1]


def within(sample: np.ndarray, expected: float) -> bool:
    return abs(sample.mean() - expected) < 4.0 * sample.std() / math.sqrt(len(sample))


def test_a_truthful_second_price_bid_has_the_closed_form_of_science_2_3() -> None:
    paid, _ = auctions(VALUE)
    won = ~np.isnan(paid)
    assert within(won.astype(float), 0.6438)
    assert within(np.where(won, paid, 0.0), 25.391)
    assert within(np.where(won, VALUE - paid, 0.0), 26.116)


def test_in_a_second_price_auction_no_bid_beats_the_truthful_one() -> None:
    surplus = [np.nansum(VALUE - auctions(bid)[0]) for bid in (VALUE, 10.0, 40.0, 70.0, 90.0, 160.0)]
    assert max(surplus[1:]) < surplus[0]


def test_the_best_first_price_bid_is_the_shaded_one_of_science_2_4() -> None:
    bids = np.linspace(30.0, 60.0, 31)
    surplus = np.array([np.nansum(VALUE - auctions(bid)[1]) / SLOTS for bid in bids])
    curve = np.polynomial.Polynomial.fit(bids, surplus, 4)
    fine = np.linspace(30.0, 60.0, 3001)
    assert fine[curve(fine).argmax()] == pytest.approx(42.1928, abs=1.0)
    at_best = auctions(42.1928)[1]
    assert within(np.where(np.isnan(at_best), 0.0, VALUE - at_best), 13.9975)


def test_reserves_are_there_for_their_share_and_are_paid_when_they_bind() -> None:
    """P(win) = Phi(z) (1 - s + s Phi(z_floor)), for independent reserves on a share s."""
    paid, _ = auctions(VALUE, floor_share=0.639)
    win = quantile_of(VALUE, MEDIAN, LOG_SD) * (0.361 + 0.639 * quantile_of(VALUE, 40.0, 1.0))
    assert within((~np.isnan(paid)).astype(float), win)
    free, _ = auctions(VALUE)
    both = ~np.isnan(paid)
    assert not (both & np.isnan(free)).any()
    assert (paid[both] >= free[both]).all()
    binds = (paid[both] > free[both]).mean()
    assert 0.1 < binds < 0.5
