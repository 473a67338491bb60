"""People met by name, between ticks: the same dynamics as in the loop, on one person."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.market import Market
from gaelp_env.population import CLICKED, EMPTY_MINUTE, GONE, JOURNEY_OPEN, KNOWN, REACHED, Stage
from gaelp_env.sessions import PAID
from tests.markets import busy_world, play, state_of

BUSY = busy_world()
SOCIAL = CHANNELS.index("social")


def opened(config: MarketConfig = BUSY) -> Market:
    market = Market.born(config, 4)
    market.begin_episode()
    play(market, 5)
    return market


def user(market: Market, number: int) -> Any:
    return market.population.rows(slice(None))[market.population.index_of(number)]


def recount(market: Market) -> None:
    """The store's own check, that users and record agree."""
    rows = market.population.rows(slice(None))
    restored = Market.restored(market.config, rows, market.record_bytes())
    assert state_of(restored) == state_of(market)


def wait(market: Market, ticks: int) -> None:
    for _ in range(ticks):
        market.advance(np.zeros(5))


def sleeper(**changes: Any) -> Market:
    """A market where nothing happens by itself: nobody visits, nothing is bid for."""
    config = BUSY.model_dump()
    config["conversion"]["visit_rate"] = [0.0] * 5
    for part, values in changes.items():
        config[part].update(values)
    market = Market.born(MarketConfig.model_validate(config), 4)
    market.begin_episode()
    return market


def test_a_named_user_is_newborn_and_stays_for_good() -> None:
    market = opened()
    market.take_changes()
    active, expected = int(market.record["active"]), int(market.record["next_number"])
    number = market.name_user()
    row = user(market, number)
    assert number == expected
    assert (row["stage"], row["touches"], row["episodes"], row["flags"]) == (Stage.UNAWARE, 0, 0, 0)
    assert row["seen_h"] == row["first_seen_s"] / 3600.0 == market.hour
    assert market.record["active"] == active + 1
    assert market.take_changes()[0]["number"].tolist() == [number]
    recount(market)
    for _ in range(6):
        play(market, 50)
        market.end_episode()
        market.take_changes()
        market.begin_episode()
    assert user(market, number)["number"] == number
    assert market.name_user() > number


def test_a_meeting_counts_an_episode_once_and_lets_scores_fade() -> None:
    market = sleeper()
    number = market.name_user()
    market.touch(number, SOCIAL)
    before = user(market, number)
    assert (before["episodes"], before["last_episode"]) == (1, 1)
    wait(market, 24)
    market.meet(number)
    after = user(market, number)
    half_life_d = BUSY.response.awareness_half_life_d
    assert after["awareness"] == pytest.approx(before["awareness"] * 0.5 ** (1.0 / half_life_d), rel=1e-6)
    assert after["fatigue"].tolist() == pytest.approx([0.5**1.0, 0.0, 0.0, 0.0], rel=1e-6)
    assert after["adstock"].tolist() == pytest.approx([0.0, 0.5 ** (1.0 / 3.0), 0.0, 0.0, 0.0], rel=1e-6)
    assert after["seen_h"] == market.hour == 24.0
    assert after["episodes"] == 1
    market.end_episode()
    market.begin_episode()
    market.meet(number)
    market.meet(number)
    assert (user(market, number)["episodes"], user(market, number)["last_episode"]) == (2, 2)
    assert market.record["met"] == market.population.rows(slice(None))["episodes"].sum()


def test_a_touch_does_what_an_ad_does() -> None:
    market = sleeper(journey={"forward_probability": 1.0})
    number, epoch = market.name_user(), np.datetime64(BUSY.clock.epoch)
    wait(market, 2)
    touch = market.touch(number, SOCIAL)[0]
    assert (touch["number"], touch["channel"], touch["own"], touch["clicked"]) == (number, SOCIAL, 1, 0)
    assert (touch["tick"], touch["episode"], touch["price_micro"]) == (2, 1, 0)
    assert touch["at"] == epoch + np.timedelta64(2, "h")
    row = user(market, number)
    assert row["awareness"] == pytest.approx(BUSY.channels.social.awareness_gain, rel=1e-6)
    assert (row["touches"], row["clicks"], row["visits"]) == (1, 0, 0)
    assert row["fatigue"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert row["adstock"].tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert row["stage"] == Stage.AWARE
    assert row["flags"] == REACHED
    assert row["ring_minute"].tolist() == [120] + [EMPTY_MINUTE] * 7
    assert market.record["touches"] == market.record["reached"] == 1
    assert market.record["spent_micro"] == 0
    recount(market)


def test_a_second_touch_works_less_and_awareness_has_the_closed_form() -> None:
    market = sleeper(journey={"forward_probability": 0.0})
    number, gain = market.name_user(), BUSY.channels.social.awareness_gain
    market.touch(number, SOCIAL)
    market.touch(number, SOCIAL)
    left = 2.0**-BUSY.channels.social.fatigue_exponent * BUSY.response.creative_quality[1]
    expected = 1.0 - (1.0 - gain) * (1.0 - gain * left)
    assert user(market, number)["awareness"] == pytest.approx(expected, rel=1e-6)
    assert user(market, number)["stage"] == Stage.UNAWARE


def test_a_clicked_touch_brings_the_user_to_the_site() -> None:
    market = sleeper(
        conversion={"buy_rate": [1.0] * 5, "visit_rate": [0.0] * 5, "attribution_window_d": 31.0}
    )
    number = market.name_user()
    touch = market.touch(number, SOCIAL, clicked=True)[0]
    row = user(market, number)
    assert touch["clicked"] == 1
    assert (row["clicks"], row["visits"], row["last_click_channel"]) == (1, 1, SOCIAL)
    assert row["intent"] == pytest.approx(BUSY.response.intent_per_visit, rel=1e-6)
    assert row["flags"] == REACHED | CLICKED | KNOWN
    assert row["due_h"] > market.hour
    assert market.record["visits"] == market.record["clicks"] == market.record["clicked"] == 1
    recount(market)
    orders = [market.advance(np.zeros(5)).conversions for _ in range(24 * 31)]
    due = np.concatenate(orders)
    assert due["number"].tolist() == [number]
    assert due["attributed_channel"].tolist() == [SOCIAL]
    assert user(market, number)["conversions"] == 1
    assert user(market, number)["stage"] in (Stage.CONVERTED, Stage.AWARE, Stage.UNAWARE)


def test_creatives_in_turn_wear_out_apart() -> None:
    market = sleeper(response={"creatives": [1.0, 0.5], "fatigue_by": "creative", "rotation": "sequential"})
    number = market.name_user()
    for _ in range(3):
        market.touch(number, SOCIAL)
    row = user(market, number)
    assert row["fatigue"].tolist() == [2.0, 1.0, 0.0, 0.0]
    gain, quality = BUSY.channels.social.awareness_gain, BUSY.response.creative_quality
    shares = (quality[0], 0.5 * quality[1], quality[2] * 2.0**-BUSY.channels.social.fatigue_exponent)
    unaware = np.prod([1.0 - gain * share for share in shares])
    assert row["awareness"] == pytest.approx(1.0 - unaware, rel=1e-6)


def test_an_ad_right_after_another_one_teaches_less() -> None:
    """rho = .5, tau = 4 h: half of the effect at once, 1 - .5 / e of it four hours later."""
    changes = {"spacing_loss": 0.5, "spacing_h": 4.0, "creative_quality": [1.0]}
    changes |= {"awareness_half_life_d": 36_500.0, "fatigue_half_life_d": 1e-3}
    gain = BUSY.channels.social.awareness_gain
    for hours, share in ((0, 0.5), (4, 1.0 - 0.5 / np.e)):
        market = sleeper(response=changes)
        number = market.name_user()
        market.touch(number, SOCIAL)
        wait(market, hours)
        market.touch(number, SOCIAL)
        worn = 2.0**-BUSY.channels.social.fatigue_exponent if hours == 0 else 1.0
        expected = 1.0 - (1.0 - gain) * (1.0 - gain * share * worn)
        assert user(market, number)["awareness"] == pytest.approx(expected, rel=1e-5)


def test_a_journey_closes_after_fourteen_idle_days_and_the_person_stays() -> None:
    market = sleeper(journey={"forward_probability": 0.0})
    number = market.name_user()
    market.touch(number, SOCIAL)
    wait(market, 14 * 24)  # exactly the rule: still open
    market.touch(number, SOCIAL)
    row = user(market, number)
    assert (row["journeys"], row["devices"]) == (1, JOURNEY_OPEN)
    wait(market, 14 * 24 + 1)
    fatigue = user(market, number)["fatigue"][0]
    market.touch(number, SOCIAL)
    row = user(market, number)
    assert (row["journeys"], row["touches"]) == (2, 3)
    assert row["fatigue"][0] > 1.0 > fatigue - 0.1


def test_a_journey_ends_with_an_order_that_is_decided() -> None:
    market = sleeper(conversion={"buy_rate": [1.0] * 5, "visit_rate": [0.0] * 5})
    number = market.name_user()
    market.touch(number, SOCIAL, clicked=True)
    row = user(market, number)
    assert (row["journeys"], row["devices"], row["source"]) == (1, 0, PAID)
    assert row["due_h"] >= 0.0
    market.touch(number, SOCIAL)
    assert user(market, number)["journeys"] == 2


def test_a_journey_collects_the_devices_that_it_was_on() -> None:
    config = {"device_redraw": 1.0, "device_shares": [0.4, 0.3, 0.3]}
    market = sleeper(people=config, conversion={"buy_rate": [0.0] * 5})
    number, used = market.name_user(), set()
    for _ in range(12):
        market.touch(number, SOCIAL, clicked=True)
        used.add(int(user(market, number)["devices"]))
    assert user(market, number)["devices"] == JOURNEY_OPEN + 7
    assert used <= set(range(JOURNEY_OPEN + 1, JOURNEY_OPEN + 8)), "a click is a visit on some device"
    assert user(market, number)["journeys"] == 1


def test_ten_touches_leave_the_last_eight() -> None:
    market = sleeper()
    number = market.name_user()
    for k in range(10):
        market.touch(number, k % 5)
        wait(market, 1)
    row = user(market, number)
    places = (int(row["ring_head"]) + np.arange(8)) % 8
    assert row["ring_minute"][places].tolist() == [60 * k for k in range(2, 10)]
    assert row["ring_channel"][places].tolist() == [k % 5 for k in range(2, 10)]


def test_a_conversion_falls_due_now_and_is_attributed() -> None:
    market = sleeper()
    number = market.name_user()
    first = market.convert(number, 50.0)[0]
    assert (first["number"], first["attributed_channel"], first["value_micro"]) == (number, -1, 50_000_000)
    assert first["margin_micro"] == round(50e6 * BUSY.conversion.margin)
    assert first["at"] == first["decided"] == np.datetime64(BUSY.clock.epoch)
    assert user(market, number)["stage"] == Stage.CONVERTED
    market.touch(number, SOCIAL, clicked=True)
    wait(market, 2)
    assert market.convert(number, 20.0)[0]["attributed_channel"] == SOCIAL
    wait(market, 24)  # the window is half a day
    assert market.convert(number, 30.0)[0]["attributed_channel"] == -1
    row = user(market, number)
    assert row["conversions"] == 3
    assert row["order_paid"].tolist() == [30.0]
    assert (market.record["conversions"], market.record["attributed"], market.record["bought"]) == (3, 1, 1)
    assert market.record["margin_micro"] == round(100e6 * BUSY.conversion.margin)
    recount(market)


def test_an_order_that_is_pending_stays_pending() -> None:
    market = sleeper(conversion={"buy_rate": [1.0] * 5, "visit_rate": [0.0] * 5})
    number = market.name_user()
    market.touch(number, SOCIAL, clicked=True)
    due_h, value = user(market, number)["due_h"], user(market, number)["order_value"]
    market.convert(number, 50.0)
    assert user(market, number)["due_h"] == due_h
    assert user(market, number)["order_value"] == value


def test_others_are_not_touched() -> None:
    market = opened()
    number = market.name_user()
    others = market.population.rows(slice(None))[:-1].tobytes()
    market.touch(number, SOCIAL, clicked=True)
    market.convert(number, 9.0)
    assert market.population.rows(slice(None))[:-1].tobytes() == others


def test_what_is_done_by_hand_is_kept_and_can_be_taken_back() -> None:
    market = opened()
    point, before = market.checkpoint(), state_of(market)
    number = market.name_user()
    market.touch(number, SOCIAL, clicked=True)
    market.take_changes()
    market.touch(number, SOCIAL)
    assert market.take_changes()[0]["number"].tolist() == [number]
    market.rollback(point)
    assert state_of(market) == before
    with pytest.raises(KeyError, match=str(number)):
        market.meet(number)


def test_the_same_deeds_have_the_same_effects() -> None:
    def deeds() -> bytes:
        market = opened()
        number = market.name_user()
        for k in range(20):
            market.touch(number, k % 5, clicked=k % 3 == 0)
            play(market, 1)
        return state_of(market)

    assert deeds() == deeds()


def test_who_has_left_for_good_is_met_no_more_even_while_still_in_memory() -> None:
    market = opened()
    play(market, 150)
    market.end_episode()
    rows = market.population.rows(slice(None))
    gone = rows["number"][rows["flags"] & GONE != 0].tolist()
    assert len(gone) > 10
    market.begin_episode()
    before = state_of(market)
    for number in gone:
        with pytest.raises(KeyError, match=f"no user number {number} lives"):
            market.touch(number, SOCIAL, clicked=True)
    assert state_of(market) == before
    recount(market)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_an_order_has_a_value(value: float) -> None:
    market = opened()
    number = market.name_user()
    with pytest.raises(ValueError, match="above 0"):
        market.convert(number, value)


def test_nobody_of_an_unknown_number_is_met() -> None:
    market = opened()
    before = state_of(market)
    deeds = (
        lambda: market.meet(999_999),
        lambda: market.touch(999_999, 0),
        lambda: market.convert(999_999, 1.0),
    )
    for deed in deeds:
        with pytest.raises(KeyError, match="no user number 999999"):
            deed()
    assert state_of(market) == before
