"""People by name, and the founding scenario: three people, three episodes each, a process for every one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaelp_env.config_load import load_config
from gaelp_env.world import World
from tests.worlds import SMALL, STORES, new_url, play, rows, state, step

ROOT = Path(__file__).resolve().parents[1]
FOUNDERS = ("sara_mobile_001", "mike_desktop_002", "lisa_tablet_003")


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


EPISODE = """
import json, sys
from gaelp_env.config_load import load_config
from gaelp_env.world import World
url, user, episode = sys.argv[1:]
world = World.open(url, config=load_config("founding"))
at_start = world.get_or_create_user(user, episode)
world.record_touchpoint(user)
world.close()
print(json.dumps(at_start))
"""


def test_the_founding_scenario_across_processes(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    for user in FOUNDERS:
        starts = []
        for episode in (1, 2, 3):
            arguments = [sys.executable, "-c", EPISODE, url, user, f"{user}_episode_{episode}"]
            done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            starts.append(json.loads(done.stdout))
        assert [start["user_id"] for start in starts] == [user] * 3
        assert [start["created"] for start in starts] == [True, False, False]
        assert [start["episode_count"] for start in starts] == [1, 2, 3]
        assert [start["touchpoints"] for start in starts] == [0, 1, 2]
        assert [len(json.loads(start["touchpoint_history"])) for start in starts] == [0, 1, 2]
        stages = [start["current_journey_state"] for start in starts]
        assert stages == ["UNAWARE", "AWARE", "CONSIDERING"]
        assert [f"{start['awareness_level']:.3f}" for start in starts] == ["0.000", "0.200", "0.200"]
        assert len({start["number"] for start in starts}) == 1
    episodes, touches = rows(url, "episodes"), rows(url, "touchpoints")
    labels = [f"{user}_episode_{episode}" for user in FOUNDERS for episode in (1, 2, 3)]
    assert [row["label"] for row in episodes] == labels
    assert len(touches) == 9
    people = {row["user_id"]: row for row in rows(url, "persistent_users")}
    assert set(FOUNDERS) < set(people)
    assert [people[user]["episode_count"] for user in FOUNDERS] == [3, 3, 3]
    assert sum(row["episode_count"] for row in people.values()) == 9


def founding(url: str) -> World:
    return World.open(url, config=load_config("founding"))


def test_another_episode_id_ends_the_open_episode(url: str) -> None:
    world = founding(url)
    for episode in ("a", "a", "b"):
        user = world.get_or_create_user("sara", episode)
        world.record_touchpoint("sara")
    assert (user["episode_count"], user["touchpoints"]) == (2, 2)
    assert [row["label"] for row in rows(url, "episodes")] == ["a"]
    assert world.label == "b"
    world.close()
    assert [(row["label"], row["ticks"]) for row in rows(url, "episodes")] == [("a", 2), ("b", 1)]


def test_who_was_met_is_kept_though_no_tick_was_played(url: str) -> None:
    world = founding(url)
    number = world.get_or_create_user("sara", "a")["number"]
    again = world.get_or_create_user("sara", "b")
    assert (again["created"], again["number"], again["episode_count"]) == (False, number, 2)
    world.get_or_create_user("mike")
    assert world.get_or_create_user("mike", "b")["episode_count"] == 1
    world.record_touchpoint("mike", "video", clicked=True)
    world.reset()
    world.get_or_create_user("lisa")
    world.reset()
    world.get_or_create_user("lisa", "d")
    world.close()
    episodes = [(row["label"], row["ticks"]) for row in rows(url, "episodes")]
    assert episodes == [("a", 1), ("b", 1), ("", 1), ("d", 1)]
    met = {row["user_id"]: row["episode_count"] for row in rows(url, "persistent_users")}
    assert met == {"u000000000": 0, "sara": 2, "mike": 1, "lisa": 2}
    world.reset()
    assert world.get_or_create_user("lisa")["episode_count"] == 3
    world.close()


def test_a_seed_still_drops_who_was_only_met(url: str) -> None:
    world = founding(url)
    world.get_or_create_user("sara", "a")
    world.record_touchpoint("sara")
    world.get_or_create_user("mike", "b")
    world.reset(seed=3)
    assert world.totals()["episodes"] == 1
    world.close()
    assert "mike" not in {row["user_id"] for row in rows(url, "persistent_users")}
    assert [row["label"] for row in rows(url, "episodes")] == ["a"]


@pytest.mark.parametrize("seed", [None, 1])
def test_an_episode_in_which_nobody_was_met_is_none(url: str, seed: int | None) -> None:
    world = World.open(url, config=SMALL)
    for _ in range(3):
        world.reset(seed=seed)
    assert world.totals()["episodes"] == world.totals()["tick"] == 0
    world.close()


def test_a_rolled_back_name_is_free_again(url: str) -> None:
    world = founding(url)
    first = world.get_or_create_user("sara", "a")
    world.record_touchpoint("sara")
    world.rollback()
    with pytest.raises(LookupError, match="knows no user 'sara'; get_or_create_user"):
        world.record_touchpoint("sara")
    again = world.get_or_create_user("sara", "a")
    assert again["created"]
    assert (again["number"], again["touchpoints"]) == (first["number"], 0)
    world.close()


def test_a_name_of_a_finished_episode_stays_when_the_next_is_rolled_back(url: str) -> None:
    world = founding(url)
    number = world.get_or_create_user("sara", "a")["number"]
    world.record_touchpoint("sara")
    world.get_or_create_user("mike", "b")
    world.rollback()
    assert world.get_or_create_user("sara", "c")["number"] == number
    world.close()


def test_a_touch_by_name_is_a_touch_like_any_other(url: str) -> None:
    world = founding(url)
    world.get_or_create_user("sara", "a")
    seen = world.record_touchpoint("sara", "video", clicked=True)
    assert (seen["touchpoints"], seen["clicks"], seen["visits"]) == (1, 1, 1)
    bought = world.record_conversion("sara", 40.0)
    assert bought["conversions"] == 1
    assert bought["current_journey_state"] == "CONVERTED"
    totals = world.totals()
    assert (totals["touchpoints"], totals["clicks"], totals["conversions"]) == (1, 1, 1)
    assert totals["tick"] == 2
    world.close()
    (touch,) = rows(url, "touchpoints")
    assert (touch["number"], touch["clicked"], touch["own"]) == (seen["number"], 1, 1)
    (order,) = rows(url, "conversions")
    assert (order["number"], order["value_micro"]) == (seen["number"], 40_000_000)


def test_the_largest_order_that_can_be_recorded_is_counted_whole(url: str) -> None:
    world = founding(url)
    world.get_or_create_user("sara", "a")
    world.record_conversion("sara", 1_000_000_000)
    world.record_conversion("sara", np.float32(2.0))
    world.close()
    assert [row["value_micro"] for row in rows(url, "conversions")] == [10**15, 2 * 10**6]


def test_anybody_can_be_met_by_number(url: str) -> None:
    world = World.open(url, config=SMALL)
    world.reset(seed=1)
    user = world.get_or_create_user("u000000007")
    assert (user["number"], user["created"]) == (7, False)
    step(world)
    world.close()
    world.reset()
    assert world.get_or_create_user("u000000007")["episode_count"] >= 2
    with pytest.raises(LookupError, match="Nobody called 'u000009999' lives"):
        world.get_or_create_user("u000009999")
    world.close()


def test_names_last_while_the_crowd_lives_on(url: str) -> None:
    world = World.open(url, config=SMALL)
    world.reset(seed=1)
    number = world.get_or_create_user("sara")["number"]
    for _ in range(3):
        play(world, 2)
        world.close()
        world.reset()
    assert world.get_or_create_user("sara")["number"] == number
    left = state(world)
    twin = World.open(config=SMALL)
    twin.reset(seed=1)
    twin.get_or_create_user("sara")
    play(twin, 6)
    twin.get_or_create_user("sara")
    assert state(twin) == left
    world.close()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda w: w.get_or_create_user(""), "A user_id is text of 1 to 200"),
        (lambda w: w.get_or_create_user("sara", "x" * 65), "at most 64 bytes"),
        (lambda w: w.record_touchpoint("sara", "socail"), "did you mean 'social'"),
        *(
            (
                lambda w, value=value: w.record_conversion("sara", value),
                "an amount above 0 and up to 1,000,000,000",
            )
            for value in (
                float("nan"),
                float("inf"),
                0.0,
                -1.0,
                1.1e9,
                1e14,
                1e300,
                10**400,
                "40",
                None,
                True,
                1j,
            )
        ),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(call: Any, says: str) -> None:
    world = founding("memory:")
    world.get_or_create_user("sara", "a")
    before = state(world)
    with pytest.raises(ValueError, match=says):
        call(world)
    assert state(world) == before
    world.record_touchpoint("sara")
    world.close()
