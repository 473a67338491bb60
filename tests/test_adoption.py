"""Adoption: 15 public columns become records, and the records give the columns back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_env.adoption import CLOCKS, DRAWN, adopted
from gaelp_env.config import CHANNELS
from gaelp_env.population import GONE, STAGES, public_columns
from gaelp_env.world import World
from gaelp_env.world_adopt import config_for, found_with
from storage import open_store
from storage.base import PUBLIC_COLUMNS, STORE_STAMPED
from tests.worlds import SMALL, begun, new_url, play, rows

COLUMNS = tuple(name for name in PUBLIC_COLUMNS if name not in STORE_STAMPED)


def columns_of(found: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in found] for name in COLUMNS}


def back(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """What the columns are after they were records."""
    people = adopted(columns, SMALL, 7)
    told = public_columns(people.users, people.names, people.epoch, CHANNELS)
    return [{name: told[name][k] for name in COLUMNS} for k in range(len(people.users))]


def test_the_people_of_a_world_come_back_as_they_were(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    world = begun(url)
    world.get_or_create_user("sara")
    world.record_touchpoint("sara", "search", clicked=True)
    world.record_conversion("sara", 25.0)
    play(world, 6)
    world.close()
    before = {row["user_id"]: row for row in rows(url, "persistent_users")}
    after = {row["user_id"]: row for row in back(columns_of(list(before.values())))}
    assert after.keys() == before.keys()
    assert sum(len(json.loads(row["touchpoint_history"])) for row in before.values()) > 20
    for name, row in after.items():
        told = before[name]
        for column in COLUMNS:
            if column.endswith(("_level", "_score")):
                assert row[column] == pytest.approx(told[column], abs=1e-6)
            elif column.endswith("_seen"):
                assert abs(row[column] - np.datetime64(told[column])) < np.timedelta64(1_000_001, "us")
            else:
                assert row[column] == told[column], column


MOMENT = st.datetimes(datetime(2025, 1, 1), datetime(2026, 1, 1))
TOUCH = st.fixed_dictionaries(
    {"at": MOMENT.map(str), "channel": st.sampled_from(CHANNELS), "clicked": st.booleans()}
)
PERSON = st.fixed_dictionaries(
    {
        "awareness_level": st.floats(0, 0.999), "intent_score": st.floats(0, 1),
        "fatigue_score": st.floats(0, 0.999), "current_journey_state": st.sampled_from(STAGES),
        "episode_count": st.integers(0, 10**6), "last_episode": st.integers(0, 10**6),
        "first_seen": MOMENT, "last_seen": MOMENT.map(lambda at: at.replace(year=2026)),
        "touchpoint_history": st.lists(TOUCH, max_size=10).map(json.dumps), "is_active": st.booleans(),
    }
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(PERSON, min_size=1, max_size=4))
def test_whoever_comes_scores_stage_counts_and_touches_stay(people: list[dict[str, Any]]) -> None:
    columns = {name: [person.get(name) for person in people] for name in COLUMNS}
    columns["user_id"] = [f"guest {k}" for k in range(len(people))]
    for told, row in zip(people, back(columns), strict=True):
        for name in ("awareness_level", "intent_score", "fatigue_score"):
            assert row[name] == pytest.approx(told[name], abs=2e-6)
        for name in ("current_journey_state", "episode_count", "last_episode", "is_active"):
            assert row[name] == told[name]
        assert row["last_seen"] == np.datetime64(told["last_seen"], "us")
        touches = sorted(json.loads(told["touchpoint_history"]), key=lambda touch: touch["at"])[-8:]
        shown = json.loads(row["touchpoint_history"])
        assert [touch["channel"] for touch in shown] == [touch["channel"] for touch in touches]
        assert [touch["clicked"] for touch in shown] == [touch["clicked"] for touch in touches]


def test_one_person_by_hand() -> None:
    history = [{"at": "2026-03-01T12:00:00", "channel": "search", "clicked": True}, {"channel": "email"}]
    people = adopted(
        {
            "user_id": ["u000000041"], "canonical_user_id": ["somebody"], "fatigue_score": [0.75],
            "awareness_level": [None], "current_journey_state": ["intent"],
            "first_seen": [datetime(2026, 3, 1, 6, tzinfo=UTC)], "last_seen": ["2026-03-02 12:00:00 UTC"],
            "touchpoint_history": [history],
            "conversion_history": ['[{"at":"2026-03-02T00:00:00","value":9.5}]'],
            "is_active": [False],
        },
        SMALL, 7,
    )  # fmt: skip
    (row,) = people.users
    assert (people.epoch, people.now_h) == (np.datetime64("2026-03-01", "us"), 48.0)
    assert (row["number"], people.names) == (41, {})
    assert row["fatigue"].tolist() == pytest.approx([3.0, 0, 0, 0])
    assert (row["touches"], row["clicks"], row["conversions"], row["visits"]) == (1, 1, 1, 2)
    assert (row["last_click_h"], row["seen_h"], row["first_seen_s"]) == (12.0, 36.0, 6 * 3600)
    assert row["adstock"][0] == pytest.approx(0.5), "a day after, with a half-life of a day"
    assert row["flags"] & GONE
    assert (row["rate"] > 0, row["leaves_h"] > 48.0) == (True, True)
    assert people.guesses == {
        "several names of one person (canonical_user_id) become people of their own": 1,
        "entry of a history without a moment: passed over": 1,
        "awareness_level lacks, or is not in [0, 1): set to the nearest": 1,
        "intent_score lacks, or is not in [0, 1): set to the nearest": 1,
        DRAWN: 1,
        CLOCKS: 1,
    }


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "no people"),
        ({"user_id": ["a", "a"]}, "2 rows have the user_id 'a'"),
        ({"user_id": ["a", None]}, "1 rows have no user_id"),
        ({"user_id": ["a"], "current_journey_state": ["LOYAL"]}, "no stage 'LOYAL'; the stages are UNAWARE"),
    ],
)
def test_what_cannot_be_adopted_is_named(columns: dict[str, list[Any]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        adopted(columns, SMALL, 7)


def test_a_world_is_founded_with_them_and_goes_on(tmp_path: Path) -> None:
    url, to = new_url("sqlite", tmp_path), new_url("sqlite", tmp_path)
    world = begun(url)
    play(world, 3)
    world.close()
    columns = columns_of(rows(url, "persistent_users"))
    columns["is_active"][3] = 0
    people = adopted(columns, SMALL, 7)
    config = config_for(SMALL, people)
    founded = found_with(to, "demo", config, people, 5)
    founded.close()
    again = World.open(to)
    again.reset()
    assert again.totals()["people"] == len(columns["user_id"]) - 1
    first = int(again.playing().record["episode"])
    play(again, 2)
    assert int(again.playing().record["episode"]) == first + 2 == 5
    again.close()
    found = {row["user_id"]: row for row in rows(to, "persistent_users")}
    gone = columns["user_id"][3]
    assert found[gone]["is_active"] == 0
    for name, count in zip(columns["user_id"], columns["episode_count"], strict=True):
        assert found[name]["episode_count"] >= count
    store = open_store(to, read_only=True)
    assert gone not in {f"u{number:09d}" for number in store.load("demo").users["number"]}
    store.close()
