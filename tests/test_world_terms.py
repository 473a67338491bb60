"""On what terms a world is opened: what its log keeps, which configuration it has."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaelp_env.config_load import ConfigError, load_config
from gaelp_env.ledger import CONVERSION, TOUCH
from gaelp_env.world import World
from gaelp_env.world_log import EPISODE, TOUCH_LOGS
from tests.worlds import SMALL, STORES, TICKS, begun, new_url, play, rows


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


# What the store counts is what happened.


def test_counters_equal_the_events(url: str) -> None:
    world = begun(url)
    play(world, 5)
    totals = world.totals()
    world.close()
    touches, users = rows(url, "touchpoints"), rows(url, "persistent_users")
    episodes = rows(url, "episodes")
    assert len(touches) == totals["touchpoints"] == sum(row["views"] for row in episodes) > 0
    assert sum(touch["clicked"] for touch in touches) == totals["clicks"]
    assert len(rows(url, "conversions")) == totals["conversions"]
    assert sum(user["episode_count"] for user in users) == totals["met"]
    assert len({row["key"] for row in episodes}) == 1


def test_the_touch_log_keeps_what_was_asked_for(url: str) -> None:
    config = load_config(
        {"people.users": 200, "people.media_per_day": 40.0, "channels.social.click_rate": [0.2] * 5}
    )
    kept = {}
    for touch_log in TOUCH_LOGS:
        world = World.open(url, f"log-{touch_log}", config=config, touch_log=touch_log)
        world.reset(seed=1)
        for _ in range(3):
            world.step(np.full(5, 30.0))
        totals = world.totals()
        world.close()
        kept[touch_log] = len(rows(url, "touchpoints", f"log-{touch_log}"))
    assert kept == {
        "own": totals["touchpoints"],
        "clicks": totals["clicks"],
        "none": 0,
    }
    assert 0 < totals["clicks"] < totals["touchpoints"]


def test_the_tables_of_events_are_there_from_the_birth_of_the_first_world(tmp_path: Path) -> None:
    url = new_url("sqlite", tmp_path)
    World.create(url, config=SMALL).close()
    file = sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True)
    for table, dtype in (("touchpoints", TOUCH), ("conversions", CONVERSION), ("episodes", EPISODE)):
        found = file.execute(f"SELECT * FROM {table}")
        assert tuple(column[0] for column in found.description) == ("world", *(dtype.names or ()))
        assert found.fetchall() == []
    file.close()
    assert rows(url, "touchpoints") == []


def test_old_touchpoints_are_deleted_when_asked(url: str) -> None:
    world = begun(url, retain_days=TICKS * 0.5 / 24.0)
    play(world, 4)
    world.close()
    assert {touch["episode"] for touch in rows(url, "touchpoints")} == {4}


# Configurations.


def test_another_configuration_is_refused_by_key(url: str) -> None:
    world = begun(url)
    play(world)
    world.close()
    other = load_config({"people.users": 61, "people.media_per_day": 12.0, "clock.episode_ticks": TICKS})
    with pytest.raises(ConfigError, match=r"people\.users is 60 there and 61 here\. Open it without"):
        World.open(url, config=other).reset()
    same = World.open(url, config=SMALL)
    same.reset()
    same.close()


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"mode": "wriet"}, "did you mean 'write'"),
        ({"pin": "7"}, "give the commit as the number 7"),
        ({"touch_log": "click"}, "did you mean 'clicks'"),
        ({"touch_log": "all"}, "known are own, clicks, none"),
        ({"store": 123}, r"A store is a URL such as 'sqlite:///my\.db', or None, and not 123\."),
        ({"store": 123, "mode": "read"}, "A store is a URL"),
        ({"world": 5}, r"A world is a name such as 'demo' or 'demo/\*', and not 5\."),
        ({"store": "memory:x", "world": None, "mode": "read"}, "A world is a name"),
        ({"commit_every": 0}, "at least 1"),
        ({"commit_every": 1.5}, "at least 1"),
        ({"retain_days": 0.0}, "above 0"),
        ({"mode": "read"}, "give a store that it can be in"),
    ],
)
def test_terms_that_cannot_be_are_refused_in_words(terms: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        World.open(**terms)
