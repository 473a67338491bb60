"""Worlds that the first release wrote live on: they open, play on as they would have there, and stay theirs.

`golden/world_v0.db` was made once by the first release (commit 91e1038) and is never made again. `demo` was
born from seed 5 with CHANGED over the defaults of that release; `sara_mobile_001` was brought in by name, saw
a social ad and clicked it, and had an order of 49.99 recorded; then four episodes were played with BIDS.
`copy` is a fork of it, with no episode of its own. THERE is what that release counts in the two episodes that
come next, each from a world read anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.inspect import inspect_user, inspect_world
from gaelp_env.config import CHANNELS
from gaelp_env.config_load import ConfigError, differences, load_config
from gaelp_env.ledger import RECORD
from gaelp_env.population import COUNT_MOST, NEVER_S, SCHEMA, USER
from gaelp_env.world import World
from gaelp_env.world_log import no_events
from gaelp_env.world_upgrade import (
    FIRST_RECORD,
    FIRST_USER,
    config_text,
    present,
    record_from_first,
    record_to_first,
    users_from_first,
    users_to_first,
)
from gaelp_env.world_words import config_of
from storage import open_store
from storage.base import Batch, Birth, NotAStore, Snapshot

GOLDEN = Path(__file__).parent / "golden" / "world_v0.db"
BIDS = np.array([90.0, 40.0, 15.0, 60.0, 5.0])
CHANGED = {
    "people.users": 20,
    "people.media_per_day": 12.0,
    "people.visits_per_day": 2.0,
    "people.stay_days": 6.0,
    "clock.episode_ticks": 12,
    "clock.tick_minutes": 60.0,
    "channels.social.click_rate": (0.2,) * 5,
    "response.fatigue_exponent": 0.3,
    "journey.visit_push": 1.5,
    "channels.video.forward_push": 0.75,
    "conversion.visit_rate": (0.2,) * 5,
    "conversion.buy_rate": (0.4,) * 5,
    "budget.per_episode": 1.0,
}
"""Keys as the first release called them."""
COUNTED = (
    "opportunities", "bids", "wins", "views", "clicks", "spend_micro", "candidates", "visits", "decisions",
    "accrued_micro", "conversions", "revenue_micro", "births", "stopped",
)  # fmt: skip
THERE = (
    (60, 60, 36, 18, 1, 831_000, 85, 4, 1, 10_699_585, 1, 35_768_295, 3, 0),
    (176, 57, 37, 27, 3, 985_860, 225, 8, 1, 23_271_468, 0, 0, 4, 1),
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A copy of the file that the first release wrote."""
    shutil.copyfile(GOLDEN, tmp_path / "my.db")
    return f"sqlite:///{tmp_path / 'my.db'}"


def snapshot_of(url: str, world: str = "demo") -> Snapshot:
    store = open_store(url, read_only=True)
    try:
        return store.load(world)
    finally:
        store.close()


def counts_of_episode(world: World) -> tuple[int, ...]:
    """Plays the open episode to its end and counts it."""
    total = dict.fromkeys(COUNTED, 0)
    while not world.over:
        ledger = world.step(BIDS).ledger
        for name in COUNTED:
            total[name] += int(ledger[name].sum())
    world.end_episode()
    return tuple(total.values())


def as_there(found: tuple[int, ...], there: tuple[int, ...]) -> bool:
    """All counts are equal, but for what ads are worth: tables tell that since then, and they are at their
    worst in such a market, where nearly every visit of some people ends in an order."""
    at = COUNTED.index("accrued_micro")
    exact = [*found[:at], *found[at + 1 :]] == [*there[:at], *there[at + 1 :]]
    return exact and found[at] == pytest.approx(there[at], rel=0.15)


@pytest.mark.parametrize("name", ["demo", "copy"])
def test_it_plays_on_as_it_would_have_there(url: str, name: str) -> None:
    for expected in THERE:
        world = World.open(url, name)
        world.reset()
        assert as_there(counts_of_episode(world), expected)
        world.close()


def first_reset(url: str, name: str, **more: Any) -> list[warnings.WarningMessage]:
    """What an environment warns of at its first two resets, beyond what gym.make says of old ids."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        env = gym.make(name, store=url, **more)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        env.reset()
        env.reset()
    env.close()
    return [one for one in told if issubclass(one.category, UserWarning)]


@pytest.mark.parametrize("mode", ["write", "read"])
def test_an_id_of_v1_says_once_that_such_a_world_plays_by_the_first_model(url: str, mode: str) -> None:
    told = first_reset(url, "gaelp_env:AdMarket-v1", world="demo", mode=mode)
    assert [str(one.message) for one in told] == [
        f"World 'demo' in {url} was born by the first model and plays on by it, and not by that of "
        "AdMarket-v1: AdMarket-v0 is its id (with config=None if it was born with a configuration of its "
        "own), and a new world name plays v1."
    ]
    env = gym.make("gaelp_env:AdMarket-audiences-v1", store=url, world="demo", mode=mode)
    with pytest.warns(UserWarning, match="AdMarket-audiences-v1: AdMarket-v0 is its id"):
        env.reset()
    env.close()


def test_what_that_warning_recommends_warns_no_more(url: str) -> None:
    assert not first_reset(url, "gaelp_env:AdMarket-v0", world="demo", config=None)
    assert not first_reset(url, "gaelp_env:AdMarket-tiny-v1", world="new")


def test_resumed_is_unbroken(url: str, tmp_path: Path) -> None:
    shutil.copyfile(GOLDEN, tmp_path / "other.db")
    unbroken = World.open(f"sqlite:///{tmp_path / 'other.db'}")
    unbroken.reset()
    for _ in range(6):
        counts_of_episode(unbroken)
    unbroken.close()
    for _ in range(6):
        resumed = World.open(url)
        resumed.reset()
        counts_of_episode(resumed)
        resumed.close()
    one, other = snapshot_of(url), snapshot_of(unbroken.url)
    assert (one.sequence, one.market) == (other.sequence, other.market)
    assert one.users.tobytes() == other.users.tobytes()


def test_the_store_keeps_the_birth_and_its_format(url: str) -> None:
    before = snapshot_of(url)
    world = World.open(url)
    world.reset()
    assert world.birth == before.birth
    counts_of_episode(world)
    world.close()
    after = snapshot_of(url)
    assert after.birth == before.birth
    assert (after.birth.schema, after.sequence) == (1, before.sequence + 1)
    assert after.users.dtype == before.users.dtype == FIRST_USER
    assert len(after.market) == len(before.market) == FIRST_RECORD.itemsize
    assert after.names == before.names
    assert after.users.tobytes() != before.users.tobytes()


def test_a_named_user_is_who_they_were(url: str) -> None:
    world = World.open(url)
    sara = world.get_or_create_user("sara_mobile_001")
    assert not sara["created"]
    assert (sara["number"], sara["clicks"], sara["conversions"]) == (20, 2, 1)
    assert json.loads(sara["conversion_history"])[0]["value"] == 49.99
    after = world.record_touchpoint("sara_mobile_001", "video")
    assert after["touchpoints"] == sara["touchpoints"] + 1
    world.close()
    world = World.open(url)
    assert world.get_or_create_user("sara_mobile_001")["touchpoints"] == after["touchpoints"]
    world.close()


def test_reading_writes_nothing(url: str, tmp_path: Path) -> None:
    def contents() -> dict[str, str]:
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.iterdir()}

    before = contents()
    world = World.open(url, mode="read")
    lives = []
    for seed in (1, 2, 1):
        world.reset(seed=seed)
        lives.append(counts_of_episode(world))
    world.close()
    assert lives[0] == lives[2] != lives[1]
    assert contents() == before


def test_a_fork_is_born_in_the_present_format_and_plays_the_same(url: str) -> None:
    fork = World.open(url).fork("memory:", "here")
    assert fork.birth is not None
    assert (fork.birth.schema, fork.birth.parent) == (SCHEMA, "demo@4")
    assert fork.birth.fingerprint == config_of(snapshot_of(url).birth, None, url).fingerprint()
    fork.reset()
    for expected in THERE:
        assert as_there(counts_of_episode(fork), expected)
    fork.close()


def test_a_world_in_memory_goes_on_too(url: str) -> None:
    old = snapshot_of(url)
    store = open_store("memory:first-release")
    birth = Birth("demo", old.birth.config, old.birth.fingerprint, 1)
    lease = store.acquire(birth, expected=None)
    none, events = np.zeros(0, np.uint32), no_events()
    store.commit(
        [(lease, Batch("demo", 0, 0, old.users, old.names, none, events.touchpoints, events.conversions,
                       events.episodes, old.market))]
    )  # fmt: skip
    store.release(lease)
    for expected in THERE:
        world = World.open(store)
        world.reset()
        assert as_there(counts_of_episode(world), expected)
        world.close()
    assert store.load("demo").users.dtype == FIRST_USER


def test_the_configuration_is_preset_v0_with_what_was_changed(url: str) -> None:
    birth = snapshot_of(url).birth
    own, usual = config_of(birth, None, url), load_config("v0")
    plain = {key: value for key, value in CHANGED.items() if "push" not in key and "exponent" not in key}
    assert differences(own, usual) == {
        **{key: (value, differences(own, usual)[key][1]) for key, value in plain.items()},
        "channels.video.forward_push": ((0.75,) * 3, (0.5,) * 3),
        "journey.visit_push": ((1.5,) * 3, (2.0,) * 3),
        **{f"channels.{channel}.fatigue_exponent": (0.3, 0.2) for channel in CHANNELS},
    }
    assert own.fingerprint() != birth.fingerprint


def test_the_defaults_of_the_first_release_are_preset_v0(url: str) -> None:
    birth, usual = snapshot_of(url).birth, load_config("v0")
    first = json.loads(birth.config)
    for key in CHANGED:
        *path, name = key.split(".")
        section: Any = first
        value: Any = usual
        for part in path:
            section, value = section[part], getattr(value, part)
        value = 0.2 if key == "response.fatigue_exponent" else getattr(value, name)
        section[name] = value[0] if key.endswith("push") else value
    born = Birth("demo", json.dumps(first), "", 1)
    assert config_of(born, usual, url) == usual
    assert config_of(born, usual, url).fingerprint() == usual.fingerprint()


def test_a_configuration_of_the_present_format_is_left_alone() -> None:
    text = load_config("tiny").to_json()
    assert config_text(Birth("demo", text, "", SCHEMA)) == text


def test_another_configuration_is_refused_by_key(url: str) -> None:
    own = config_of(snapshot_of(url).birth, None, url)
    World.open(url, config=own).reset()
    with pytest.raises(
        ConfigError, match=r"another configuration: .*clock\.episode_ticks is 12 there and 24 here"
    ):
        World.open(url, config=load_config("tiny_v0")).reset()


def test_a_newer_format_is_refused_in_words(url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "my.db")) as file:
        file.execute("UPDATE worlds SET schema = 99 WHERE world = 'demo'")
        file.commit()
    words = "record format 99, and this version of gaelp reads formats 1 to 2; use the version that made it"
    for mode in ("write", "read"):
        with pytest.raises(NotAStore, match=words):
            World.open(url, mode=mode).reset()
    with pytest.raises(NotAStore, match=words):
        inspect_world(url, "demo")
    assert inspect_world(url, "copy")["total"]["worlds"] == 1


def test_records_of_no_known_format_are_refused(url: str, tmp_path: Path) -> None:
    old = snapshot_of(url)
    odd = Snapshot(old.birth, 0, 4, old.users[["number", "rate"]].copy(), {}, old.market, {})
    with pytest.raises(ValueError, match="in fields that no format from 1 to 2 has"):
        present(odd)
    with closing(sqlite3.connect(tmp_path / "my.db")) as file:
        file.execute("UPDATE worlds SET market = x'00' WHERE world = 'demo'")
        file.commit()
    for use in (World.open(url).reset, lambda: inspect_world(url, "demo")):
        with pytest.raises(NotAStore, match=r"cannot be read\. A market record has .* and this one has 1: "):
            use()


def test_inspect_shows_what_it_showed_there(url: str) -> None:
    report = inspect_world(url, "demo")["worlds"][0]
    assert (report["commit"], report["config"]) == (4, "25081929ec2fdded")
    assert report["users"] == {"active": 19, "met": 18, "reached": 14, "gone": 4}
    assert list(report["stages"].values()) == [6, 7, 2, 1, 3]
    assert list(report["counts"].values()) == [65, 88, 2, 21, 4, 1, 3.806405, 145.310006]
    means = [0.13453005567977303, 0.5280670647023686, 0.23590048520188583]
    assert list(report["means"].values())[:3] == pytest.approx(means, abs=1e-9)
    assert [line["user_id"] for line in report["named"]] == ["sara_mobile_001"]
    journey = inspect_user(url, "sara_mobile_001", "demo")
    assert journey["counts"] == {"touchpoints": 10, "clicks": 2, "visits": 3, "conversions": 1}
    assert len(journey["events"]) == 11


@st.composite
def users_of(draw: Any, dtype: np.dtype[Any]) -> Any:
    """Users of any bytes, but for moments, counts of orders and numbers, which are what they can be."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(0, 40))
    users = np.frombuffer(rng.bytes(count * dtype.itemsize), dtype).copy()
    for name in dtype.names or ():
        base = dtype[name].base
        if base.kind == "f":
            users[name] = rng.uniform(0.0, 1e4, users[name].shape).astype(base)
    users["number"] = np.arange(count)
    users["ring_orders"] = rng.integers(0, users["order_minute"].shape[1] + 1, count)
    return users


@settings(max_examples=50)
@given(users_of(FIRST_USER))
def test_a_user_of_the_first_release_keeps_all_that_has_a_field(old: Any) -> None:
    old["pad"] = 0
    new = users_from_first(old)
    same = set(FIRST_USER.names or ()) & set(USER.names or ())
    same -= {"fatigue", "clicks", "visits", "conversions", "ring_orders", "order_minute", "order_paid"}
    assert len(same) == 23
    for name in same:
        assert (new[name] == old[name]).all(), name
    assert (new["fatigue"].sum(axis=1) == old["fatigue"]).all()
    assert (np.abs(new["first_seen_s"] / 3600.0 - old["first_seen_h"]) <= 1.0 / 3600.0 + 1e-9).all()
    for name in ("clicks", "visits", "conversions"):
        assert (new[name] == np.minimum(old[name], COUNT_MOST)).all()
    for before, after in zip(old, new, strict=True):
        filled = int(before["ring_orders"])
        assert after["ring_orders"] == min(filled, 1)
        if filled:
            assert after["order_minute"][0] == before["order_minute"][filled - 1]
            assert after["order_paid"][0] == before["order_paid"][filled - 1]
        assert after["source"] == (2 if before["visits"] else 255)
    assert (new["visit_s"] == NEVER_S).all()
    assert not any(new[name].any() for name in ("adstock", "rival_awareness", "journeys", "devices"))


@settings(max_examples=50)
@given(users_of(USER))
def test_a_user_comes_back_from_the_first_format(new: Any) -> None:
    new["adstock"] = new["rival_awareness"] = new["fatigue"][:, 1:] = 0.0
    assert (users_from_first(users_to_first(new)) == new).all()


def test_orders_that_the_first_release_adds_are_no_visits() -> None:
    new = np.zeros(1, USER)
    new["visit_s"], new["source"], new["journeys"], new["visits"] = 7200, 3, 4, 1
    old = users_to_first(new)
    old["ring_orders"], old["order_minute"] = 2, (11, 12, old["order_minute"][0, 2])
    back = users_from_first(old)[0]
    assert (back["order_minute"][0], back["visit_s"], back["source"]) == (12, NEVER_S, 2)


@given(st.binary(min_size=FIRST_RECORD.itemsize, max_size=FIRST_RECORD.itemsize))
def test_a_market_record_goes_there_and_back(record: bytes) -> None:
    new = record_from_first(record)
    assert record_to_first(new) == record
    row, old = np.frombuffer(new, RECORD)[0], np.frombuffer(record, FIRST_RECORD)[0]
    assert (row["tick"], row["key"], row["last"]["births"]) == (
        old["tick"],
        old["key"],
        old["last"]["births"],
    )
    assert (row["rival_shade"] == 1.0).all()
    assert row["pace"] == 1.0
    assert row["rival_spent"].sum() == row["day_spent_micro"] == row["last"]["journeys"] == 0
