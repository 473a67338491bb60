"""The people: their record, their birth, and the columns that the public sees."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.births import births_in, born
from gaelp_env.chance import key_of
from gaelp_env.config import CHANNELS, MarketConfig
from gaelp_env.journey import NEVER_H
from gaelp_env.population import (
    COLD,
    EMPTY_MINUTE,
    GONE,
    HOT,
    LINE,
    NEVER_S,
    RING,
    RING_ORDERS,
    STAGES,
    USER,
    Population,
    Stage,
    fatigue_score,
    moments,
    public_columns,
)  # fmt: skip
from gaelp_env.sessions import NO_SOURCE

CONFIG = MarketConfig()
EPOCH = np.datetime64("2026-02-27T22:30:00", "us")


def random_users(seed: int, count: int) -> np.ndarray:
    """Users with any bytes in every field that copies, in order of their numbers."""
    rng = np.random.default_rng(seed)
    users = np.frombuffer(rng.bytes(count * USER.itemsize), USER).copy()
    users["number"] = np.sort(rng.choice(10**6, count, replace=False))
    users["flags"] &= GONE - 1
    users["ring_channel"] %= len(CHANNELS)
    users["ring_clicked"] &= 1
    return users


def test_a_user_fits_its_place() -> None:
    assert (HOT.itemsize, COLD.itemsize) == (2 * LINE, LINE)
    assert Population(random_users(1, 10)).bytes_a_user == 200
    assert USER.itemsize == 200
    assert STAGES == ("UNAWARE", "AWARE", "CONSIDERING", "INTENT", "CONVERTED")
    assert [stage.name for stage in Stage] == list(STAGES)


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(0, 200), st.integers(0, 300))
def test_rows_come_out_as_they_went_in_however_the_population_grew(seed: int, first: int, more: int) -> None:
    users = random_users(seed, first + more)
    people = Population(users[:first])
    for block in np.array_split(users[first:], 3):
        people.append(block)
    assert people.size == len(users)
    assert people.rows(slice(None)).tobytes() == users.tobytes()
    assert people.number[: people.size].tolist() == users["number"].tolist()
    assert people.rows(np.arange(people.size)[::-2]).tobytes() == users[::-2].tobytes()
    assert people.changed().tolist() == list(range(first, first + more))


def test_rows_are_the_callers() -> None:
    people = Population(random_users(2, 5))
    people.rows(slice(None))["stage"] = 9
    assert not (people.hot["stage"][:5] == 9).all()


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 100))
def test_keeping_some_keeps_them_whole(seed: int, count: int) -> None:
    users = random_users(seed, count)
    people, mask = Population(users), np.random.default_rng(seed).random(count) < 0.5
    people.keep(mask)
    assert people.rows(slice(None)).tobytes() == users[mask].tobytes()
    for user in users[mask]["number"].tolist():
        assert people.number[people.index_of(user)] == user
    for user in users[~mask]["number"].tolist():
        with pytest.raises(KeyError, match=f"no user number {user}"):
            people.index_of(user)


def test_who_has_left_is_never_met() -> None:
    users = random_users(3, 4)
    users["rate"], users["flags"] = 5.0, [0, GONE, 0, GONE]
    assert Population(users).rate[:4].tolist() == [5.0, 0.0, 5.0, 0.0]


def test_newborns_are_unaware_rested_and_never_met() -> None:
    users = born(CONFIG, 1, 50, 100, 7, 3.5)
    assert users["number"].tolist() == list(range(50, 150))
    assert (users["seen_h"] == 3.5).all()
    assert (users["first_seen_s"] == 12_600).all()
    assert (users["leaves_h"] >= 3.5).all()
    assert (users["stage_until_h"] == NEVER_H).all()
    for name in ("stage", "awareness", "rival_awareness", "fatigue", "adstock", "intent", "flags"):
        assert not users[name].any()
    for name in (
        "touches",
        "clicks",
        "visits",
        "conversions",
        "journeys",
        "devices",
        "episodes",
        "ring_orders",
    ):
        assert not users[name].any()
    assert (users["visit_s"] == NEVER_S).all()
    assert (users["source"] == NO_SOURCE).all()
    assert (users["due_h"] == -1.0).all()
    assert (users["last_click_h"] == -1.0).all()
    assert (users["ring_minute"] == EMPTY_MINUTE).all()


def test_people_differ_as_the_config_says() -> None:
    users, people = born(CONFIG, key_of("people", 3), 0, 100_000, 0, 0.0), CONFIG.people
    media = users["rate"].astype(np.float64) - people.visits_per_day
    uncut = media < 199.0
    assert media.mean() == pytest.approx(people.media_per_day, rel=0.03)
    assert np.log(media[uncut]).std() == pytest.approx(people.media_log_sd, rel=0.01)
    assert users["propensity"].mean() == pytest.approx(1.0, rel=0.02)
    assert np.log(users["propensity"]).std() == pytest.approx(people.propensity_log_sd, rel=0.01)
    assert users["leaves_h"].mean() == pytest.approx(24.0 * people.stay_days, rel=0.02)
    shares = np.bincount(users["device"], minlength=3) / len(users)
    assert shares == pytest.approx(people.device_shares, abs=0.005)
    assert (users["rate"] <= 200.0 + people.visits_per_day).all()
    assert abs(np.corrcoef(np.log(media), users["propensity"])[0, 1]) < 0.02


def test_a_person_hangs_on_key_number_and_tick_only() -> None:
    together, apart = born(CONFIG, 9, 0, 20, 4, 1.0), born(CONFIG, 9, 10, 10, 4, 1.0)
    assert together[10:].tobytes() == apart.tobytes()
    assert (born(CONFIG, 8, 0, 20, 4, 1.0)["rate"] != together["rate"]).all()
    assert (born(CONFIG, 9, 0, 20, 5, 1.0)["rate"] != together["rate"]).all()


@pytest.mark.parametrize("initial", [500, 400_000])
def test_births_replace_the_leavers(initial: int) -> None:
    mean = initial / CONFIG.people.stay_days * CONFIG.clock.tick_h / 24.0
    counts = np.array([births_in(CONFIG, 77, tick, initial) for tick in range(4000)])
    assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / len(counts)))
    assert counts.var() == pytest.approx(mean, rel=0.1)
    assert counts.min() >= 0


@given(st.floats(0.0, 1e6))
def test_public_fatigue_is_a_share(remembered: float) -> None:
    assert 0.0 <= fatigue_score(remembered) <= 1.0
    assert fatigue_score(1.0) == 0.5


def test_moments_are_utc_microseconds_since_the_epoch() -> None:
    assert moments(1.5, EPOCH) == np.datetime64("2026-02-28T00:00:00", "us")
    assert moments(np.array([0.0, 1e-9 / 3.6]), EPOCH).tolist()[1].microsecond == 1


def written() -> np.ndarray:
    """Four users: one who never touched, one with three touches, one with ten, one with an order due."""
    users = born(CONFIG, 1, 0, 4, 0, 0.0)
    for row, count in ((1, 3), (2, 10)):
        for k in range(count):
            place = int(users["ring_head"][row])
            users["ring_minute"][row][place] = 90 + 1440 * k
            users["ring_channel"][row][place], users["ring_clicked"][row][place] = k % 5, k % 2
            users["ring_head"][row] = (place + 1) % RING
        users["touches"][row] = count
    users["ring_orders"][3], users["order_minute"][3][0], users["order_paid"][3][0] = 1, 61, 12.345
    users["due_h"][3], users["order_value"][3] = 48.0, 80.5
    users["stage"], users["flags"] = [0, 1, 2, 4], [0, 2, 2, GONE]
    users["fatigue"][1], users["fatigue"][2] = [0.0, 1.0, 0.0, 0.0], [0.5, 1.5, 0.0, 1.0]
    return users


def test_public_columns_say_what_the_record_holds() -> None:
    public = public_columns(written(), {2: "ann"}, EPOCH, CHANNELS)
    assert public["user_id"] == ["u000000000", "u000000001", "ann", "u000000003"]
    assert public["canonical_user_id"] == public["user_id"]
    assert public["current_journey_state"] == ["UNAWARE", "AWARE", "CONSIDERING", "CONVERTED"]
    assert public["fatigue_score"].tolist() == [0.0, 0.5, 0.75, 0.0]
    assert public["is_active"].tolist() == [1, 1, 1, 0]
    assert (public["first_seen"] == EPOCH).all()
    assert {len(column) for column in public.values()} == {4}


def test_touch_histories_are_json_oldest_first_and_at_most_eight() -> None:
    public = public_columns(written(), {}, EPOCH, CHANNELS)
    histories = [json.loads(text) for text in public["touchpoint_history"]]
    assert [len(history) for history in histories] == [0, 3, RING, 0]
    assert histories[1][0] == {"at": "2026-02-28T00:00:00", "channel": "search", "clicked": False}
    for k, touch in enumerate(histories[2], start=2):
        at = EPOCH.astype("datetime64[s]") + np.timedelta64(90 + 1440 * k, "m")
        assert touch == {"at": str(at), "channel": CHANNELS[k % 5], "clicked": bool(k % 2)}


@given(st.integers(0, 2**31), st.integers(-(10**7), 10**8))
def test_stamps_of_touches_are_calendar_dates(minute: int, start: int) -> None:
    users = written()[1:2]
    users["touches"], users["ring_head"] = 1, 1
    users["ring_minute"][0][0] = minute % 10**8
    epoch = np.datetime64(start, "m").astype("datetime64[us]")
    touch = json.loads(public_columns(users, {}, epoch, CHANNELS)["touchpoint_history"][0])[0]
    assert touch["at"] == str((epoch + np.timedelta64(minute % 10**8, "m")).astype("datetime64[s]"))


def test_order_histories_end_with_what_is_still_due() -> None:
    public = public_columns(written(), {}, EPOCH, CHANNELS)
    orders = [json.loads(text) for text in public["conversion_history"]]
    assert orders[:3] == [[], [], []]
    assert orders[3] == [
        {"at": "2026-02-27T23:31:00", "value": pytest.approx(12.35, abs=0.011)},
        {"due": "2026-03-01T22:30:00", "value": 80.5},
    ]
    assert RING_ORDERS == 1
